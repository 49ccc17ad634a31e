// Owns: the SQL of activation windows, single and standing.
import type { AccountId, CustomerId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareNew, fromNow, timeAs } from '../seals/declared.ts';

export async function insertWindow(
  tx: Transaction,
  id: string,
  account: AccountId,
  livesMs: number,
  openedBy: string,
  reason: string,
): Promise<Date> {
  declareNew(tx, { kind: 'window', id }, { account_id: account, opens_at: fromNow(0), closes_at: fromNow(livesMs) });
  const [row] = await tx.query<{ closes_at: Date }>(
    `insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason)
     select $1, $2, now, now + $3 * interval '1 millisecond', $4, $5 from clock_timestamp() as now returning closes_at`,
    [id, account, livesMs, openedBy, reason],
  );
  return row?.closes_at ?? new Date(0);
}

type NewStandingWindow = {
  readonly id: string;
  readonly account: AccountId;
  readonly name: string;
  readonly days: readonly number[];
  readonly opens: string;
  readonly closes: string;
  readonly zone: string;
  readonly livesMs: number;
  readonly openedBy: string;
  readonly reason: string;
};

/**
 * Stores a standing window. Returns its end, or undefined when the account has a standing window of this name already.
 */
export async function insertStandingWindow(tx: Transaction, w: NewStandingWindow): Promise<Date | undefined> {
  const days = [...new Set(w.days)].sort();
  declareNew(
    tx,
    { kind: 'standing-window', id: w.id },
    {
      account_id: w.account,
      name: w.name,
      days,
      zone: w.zone,
      opens: timeAs(w.opens),
      closes: timeAs(w.closes),
      valid_from: fromNow(0),
      valid_until: fromNow(w.livesMs),
    },
  );
  const [row] = await tx.query<{ valid_until: Date }>(
    `insert into standing_window (id, account_id, name, days, opens, closes, zone, valid_from, valid_until, opened_by, reason)
     select $1, $2, $3, $4, $5, $6, $7, now, now + $8 * interval '1 millisecond', $9, $10 from clock_timestamp() as now
     on conflict do nothing returning valid_until`,
    [w.id, w.account, w.name, days, w.opens, w.closes, w.zone, w.livesMs, w.openedBy, w.reason],
  );
  return row?.valid_until;
}

export async function isTimeZone(tx: Transaction, name: string): Promise<boolean> {
  return (await tx.query('select 1 from pg_timezone_names where name = $1', [name])).length > 0;
}

/**
 * Closes all windows of the account or, with `name`, the standing window of this name. Returns the ids of those that
 * were open. Windows that seem to have expired are closed, too, because the owner of the database may have made one
 * look expired and might put it back afterwards.
 */
export async function closeWindows(
  tx: Transaction,
  account: AccountId,
  name: string | null,
): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string; was_open: boolean }>(
    `with single as (
       update activation_window set closed_at = clock_timestamp()
       where account_id = $1 and $2::text is null and closed_at is null returning id, closes_at > closed_at as was_open),
     standing as (
       update standing_window set closed_at = clock_timestamp()
       where account_id = $1 and ($2::text is null or name = $2) and closed_at is null returning id, valid_until > closed_at as was_open)
     select id, was_open from single union all select id, was_open from standing`,
    [account, name],
  );
  return rows.filter((row) => row.was_open).map((row) => row.id);
}

/**
 * Closes the single windows of an account and returns the ids of those that were open. A standing window is an
 * exception that operators made, so a customer cannot end it.
 */
export async function closeSingleWindows(tx: Transaction, account: AccountId): Promise<readonly string[]> {
  const rows = await tx.query<{ id: string; was_open: boolean }>(
    'update activation_window set closed_at = clock_timestamp() where account_id = $1 and closed_at is null returning id, closes_at > closed_at as was_open',
    [account],
  );
  return rows.filter((row) => row.was_open).map((row) => row.id);
}

type MachineWindow = {
  readonly account: string;
  readonly openUntil: Date | null;
  readonly standing: readonly string[];
};

/**
 * Returns the machine accounts of a customer, until when each may log in with its key alone, and the name and last day
 * of each of its standing windows. At most 500 accounts are returned.
 */
export async function machineWindows(tx: Transaction, customer: CustomerId): Promise<readonly MachineWindow[]> {
  const rows = await tx.query<{ name: string; open_until: Date | null; standing: readonly string[] }>(
    `select a.name, w.closes_at as open_until, coalesce((select array_agg(s.name::text || ' until ' || to_char(s.valid_until at time zone 'UTC', 'YYYY-MM-DD') order by s.name)
       from standing_window s where s.account_id = a.id and s.closed_at is null and s.valid_until > clock_timestamp()), '{}') as standing
     from account a left join lateral open_window(a.id, clock_timestamp()) w on true
     where a.customer_id = $1 and a.kind = 'machine' and not a.is_self_test order by a.name limit 500`,
    [customer],
  );
  return rows.map((row) => ({ account: row.name, openUntil: row.open_until, standing: row.standing }));
}
