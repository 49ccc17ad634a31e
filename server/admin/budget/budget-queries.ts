// Owns: the SQL of what operators read about budgets and exposure.
import type { Snapshot } from '../../domain/budgets/history.ts';
import type { BudgetDirection, BudgetUnit, Caps, Consequence } from '../../domain/budgets/words.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { ScopeName } from '../../rpc/operators/budget.ts';

export type BudgetRow = {
  readonly id: number;
  readonly rank: number;
  readonly label: string;
  readonly direction: BudgetDirection;
  /** Bytes per second on the wire; null when the rate is not limited. */
  readonly rate: number | null;
  readonly sessionsMax: number | null;
  readonly sessionsOpen: number | null;
  readonly ceilingPercent: number;
  readonly headroomPercent: number;
  readonly headroomUntil: Date | null;
  readonly isHeadroomSpent: boolean;
  readonly consequence: Consequence;
  readonly caps: { readonly bytes: Caps; readonly items: Caps };
  readonly used: { readonly bytes: Caps; readonly items: Caps };
};

const budgetColumns = `b.id, b.rank, b.direction, b.rate, b.sessions_max as "sessionsMax", b.ceiling_percent as "ceilingPercent", b.headroom_percent as "headroomPercent",
  case when b.headroom_until > clock_timestamp() then b.headroom_until end as "headroomUntil", b.headroom_until > '-infinity' as "isHeadroomSpent", b.consequence,
  case b.rank when 1 then ka.name || ' ' || k.fingerprint when 2 then a.name || ' on ' || c.name when 3 then c.name when 4 then b.plane || ' plane' else 'gateway' end as label,
  case when b.direction <> 'out' then null else (select count(*) from session s join account sa on sa.id = s.account_id where s.state = 'open' and (b.rank = 5
    or (b.rank = 1 and s.credential_id = b.credential_id) or (b.rank = 2 and s.account_id = b.account_id) or (b.rank = 3 and sa.customer_id = b.customer_id) or (b.rank = 4 and sa.plane = b.plane))) end as "sessionsOpen",
  json_build_object(
    'bytes', json_build_object('hour', e.hb, 'day', e.db, 'week', e.wb), 'items', json_build_object('hour', e.hi, 'day', e.di, 'week', e.wi)) as caps,
  (select json_build_object('bytes', json_object_agg(u.window_name, u.used_bytes), 'items', json_object_agg(u.window_name, u.used_items)) from budget_use(b.id) u) as used`;
const budgetJoins = `from budget b left join credential k on k.id = b.credential_id left join account ka on ka.id = k.account_id
  left join account a on a.id = b.account_id left join customer c on c.id = b.customer_id
  cross join lateral (select effective_cap(b.cap_hour_bytes, b.headroom_percent, b.headroom_until, m) as hb, effective_cap(b.cap_day_bytes, b.headroom_percent, b.headroom_until, m) as db,
    effective_cap(b.cap_week_bytes, b.headroom_percent, b.headroom_until, m) as wb, effective_cap(b.cap_hour_items, b.headroom_percent, b.headroom_until, m) as hi,
    effective_cap(b.cap_day_items, b.headroom_percent, b.headroom_until, m) as di, effective_cap(b.cap_week_items, b.headroom_percent, b.headroom_until, m) as wi
    from clock_timestamp() m) e`;

export async function budgetsOf(tx: Transaction, { kind, name, customer }: ScopeName): Promise<readonly BudgetRow[]> {
  return tx.query<BudgetRow>(
    `select ${budgetColumns} ${budgetJoins} where b.id in (select find_budgets($1, $2, $3)) order by b.rank, label, array_position(array['out', 'in', 'list'], b.direction) limit 600`,
    [kind, name, customer],
  );
}

/**
 * Returns the budgets of the gateway and the planes, and those twelve budgets of customers of whose daily caps the
 * largest part was used. A customer has one budget for each direction.
 */
export async function fullestBudgets(tx: Transaction): Promise<readonly BudgetRow[]> {
  return tx.query<BudgetRow>(
    `select ${budgetColumns} ${budgetJoins}
     where b.rank >= 4 or b.id in (
       select q.id from budget q cross join lateral (select * from budget_use(q.id) u where u.window_name = 'day') u
       where q.rank = 3 and (u.used_bytes > 0 or u.used_items > 0)
       order by greatest(u.used_bytes / greatest(q.cap_day_bytes, 1)::float8, u.used_items / greatest(q.cap_day_items, 1)::float8) desc limit 12)
     order by b.rank desc, label, array_position(array['out', 'in', 'list'], b.direction)`,
  );
}

type SnapshotSeries = {
  readonly snapshots: readonly Snapshot[];
  readonly total: number;
  readonly base: number;
  readonly nowMinute: number;
};

const amountColumns = { bytes: 's.bytes', items: 's.items' } as const;

const totalColumns = { bytes: 'b.total_bytes', items: 'b.total_items' } as const;

const baseColumns = { bytes: 'b.base_week_bytes', items: 'b.base_week_items' } as const;

/**
 * Returns what `historyOf` takes: the totals of a budget by minute, ascending; the total before the first of them
 * (`base`); the present total; and the present minute, counted since 1970 (`nowMinute`).
 */
export async function snapshotsOf(tx: Transaction, budget: number, unit: BudgetUnit): Promise<SnapshotSeries> {
  const [amountColumn, totalColumn, baseColumn] = [amountColumns[unit], totalColumns[unit], baseColumns[unit]];
  const snapshots = await tx.query<Snapshot>(
    `select s.minute, ${amountColumn} as amount from budget_snapshot s where s.budget_id = $1
     union all select b.minute + 1, ${totalColumn} from budget b where b.id = $1 order by 1`,
    [budget],
  );
  const [row] = await tx.query<{ total: number; base: number; now: number }>(
    `select ${totalColumn} as total, ${baseColumn} as base, floor(extract(epoch from clock_timestamp()) / 60)::int as now from budget b where b.id = $1`,
    [budget],
  );
  return { snapshots, total: row?.total ?? 0, base: row?.base ?? 0, nowMinute: row?.now ?? 0 };
}

type ExposedCredential = {
  readonly id: string;
  readonly accountId: string;
  readonly account: string;
  readonly kind: string;
  readonly plane: string;
  readonly blocked: string | null;
  readonly expiresAt: Date;
  readonly openSessions: number;
};

export async function findExposedCredential(
  tx: Transaction,
  fingerprint: string,
  dormantMs: number,
): Promise<ExposedCredential | undefined> {
  const [row] = await tx.query<ExposedCredential>(
    `select k.id, a.id as "accountId", a.name as account, a.kind, a.plane, least(k.expires_at, a.expires_at) as "expiresAt",
       case when k.state not in ('active', 'retiring') then 'the credential is ' || k.state
         when k.expires_at <= clock_timestamp() then 'the credential has expired'
         when k.valid_from > clock_timestamp() then 'the credential is not good yet'
         when greatest(k.last_used_at, k.woken_at, k.valid_from) <= clock_timestamp() - $2 * interval '1 millisecond' then 'the credential is dormant'
         when a.state <> 'active' then 'the account is ' || a.state
         when a.expires_at <= clock_timestamp() then 'the account has expired'
         when c.state <> 'active' then 'the customer is ' || c.state end as blocked,
       (select count(*) from session s where s.credential_id = k.id and s.state = 'open') as "openSessions"
     from credential k join account a on a.id = k.account_id left join customer c on c.id = a.customer_id where k.id = credential_named($1)`,
    [fingerprint, dormantMs],
  );
  return row;
}

type ExposedCustomer = {
  readonly id: string;
  readonly customer: string;
  readonly files: number;
  readonly bytes: number;
  readonly paidBytes: number;
};

/**
 * Returns, for each customer, the number and size of the newest published versions in folders that the account may
 * read, and how much of that this credential was charged for within 24 hours.
 */
export async function exposedCustomers(
  tx: Transaction,
  account: string,
  credential: string,
): Promise<readonly ExposedCustomer[]> {
  return tx.query<ExposedCustomer>(
    `select c.id, c.name as customer, count(v.id) as files, whole_number(coalesce(sum(v.size), 0)) as bytes,
       whole_number(coalesce(sum((select sum(e.bytes) from extent e join charged_item m on m.credential_id = $2 and m.item = e.object_id::uuid and m.charged_at > clock_timestamp() - interval '24 hours'
         where e.content_id = v.content_id and e.index < v.extent_count)), 0)) as "paidBytes"
     from folder_right r join folder f on f.id = r.folder_id join customer c on c.id = r.customer_id join account a on a.id = r.account_id
       left join lateral (
         select v.* from file x cross join lateral (select w.* from version w where w.file_id = x.id and w.state = 'published' order by w.number desc limit 1) v
         where x.folder_id = f.id and ('read' = any (r.verbs) or (f.direction = 'deposit' and f.read_back and a.plane = 'partner' and 'list' = any (r.verbs)))) v on true
     where r.account_id = $1 and r.verbs <> '{}' and c.state = 'active' and (a.customer_id is null or a.customer_id = c.id)
     group by c.id, c.name order by coalesce(sum(v.size), 0) desc, c.name limit 500`,
    [account, credential],
  );
}

/**
 * Returns the budgets to which a read of this customer's files with this credential is charged. `isShare` says whether
 * the budget may at present use only a part of the customer's caps, because several credentials could use them.
 */
export async function budgetsOfRead(
  tx: Transaction,
  credential: string,
  account: string,
  customer: string,
): Promise<readonly (BudgetRow & { readonly isShare: boolean })[]> {
  return tx.query<BudgetRow & { readonly isShare: boolean }>(
    `select ${budgetColumns}, b.is_share and has_several_credentials($3) as "isShare" ${budgetJoins}
     where b.direction = 'out' and ((b.rank = 1 and b.credential_id = $1) or (b.rank = 2 and b.account_id = $2 and b.customer_id = $3) or (b.rank = 3 and b.customer_id = $3)
       or (b.rank = 4 and b.plane = (select a.plane from account a where a.id = $2)) or b.rank = 5) order by b.rank`,
    [credential, account, customer],
  );
}
