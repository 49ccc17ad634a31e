// Owns: the SQL of activation windows that operators may read.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { plainRow, type Raw } from '../reading/rows.ts';

type WindowRow = Result<OperatorToAdmin, 'window.list'>['windows'][number];

const windowColumns = `a.name as account, c.name as customer, w.name, w.schedule, w.opens_at as "opensAt", w.closes_at as "closesAt", w.is_open as "isOpenNow", w.opened_by as "openedBy", w.reason`;

/**
 * Returns the windows that are open or will open. With `standingOnly` these are the standing windows, which operators
 * call exceptions.
 */
export async function listWindows(
  tx: Transaction,
  account: string | null,
  standingOnly: boolean,
): Promise<readonly WindowRow[]> {
  const rows = await tx.query<Raw<WindowRow>>(
    `select ${windowColumns} from (
       select account_id, null::text as name, null::text as schedule, opens_at, closes_at, clock_timestamp() >= opens_at as is_open, opened_by, reason
         from activation_window where closed_at is null and closes_at > clock_timestamp() and not $2
       union all
       select account_id, name, array_to_string(array(select (array['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su'])[d] from unnest(days) d order by d), ',')
           || ' ' || to_char(opens, 'HH24:MI') || '-' || to_char(closes, 'HH24:MI') || ' ' || zone,
           valid_from, valid_until, standing_window_end(s, clock_timestamp()) is not null, opened_by, reason
         from standing_window s where closed_at is null and valid_until > clock_timestamp()) w
     join account a on a.id = w.account_id left join customer c on c.id = a.customer_id
     where ($1::text is null or a.name = $1) order by w.closes_at limit 5000`,
    [account, standingOnly],
  );
  return rows.map((row) => plainRow<WindowRow>(row));
}
