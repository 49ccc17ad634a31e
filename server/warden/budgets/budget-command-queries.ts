// Owns: the SQL of operators' changes to budgets. The rows are locked in the same order as by grants, and written as a
// whole.
import type { BudgetDirection, Caps, Consequence } from '../../domain/budgets/words.ts';
import { type CustomerId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { ScopeName } from '../../rpc/operators/budget.ts';
import { declareChange, declareFound, type Purpose, type WritePurpose } from '../seals/declared.ts';
import { accountOfSelfTest, customerOfSelfTest } from '../testers/tester.ts';

export type LockedBudget = {
  readonly id: number;
  readonly rank: number;
  readonly label: string;
  readonly direction: BudgetDirection;
  readonly customer: CustomerId | null;
  readonly bytes: Caps;
  readonly items: Caps;
  readonly rate: number | null;
  readonly sessionsMax: number | null;
  readonly ceilingPercent: number;
  readonly headroomPercent: number;
  readonly isHeadroomSpent: boolean;
  readonly consequence: Consequence;
  /** Whether this change sets the headroom, so that it may be released again. */
  readonly isHeadroomApproved: boolean;
};
type Raw = Omit<LockedBudget, 'bytes' | 'items' | 'customer' | 'isHeadroomApproved'> & {
  readonly credential_id: string | null;
  readonly account_id: string | null;
  readonly customer_id: string | null;
  readonly hb: number;
  readonly db: number;
  readonly wb: number;
  readonly hi: number;
  readonly di: number;
  readonly wi: number;
};

type BudgetFacts = {
  readonly rank: number;
  readonly direction: BudgetDirection;
  readonly customer_id: string | null;
  readonly cap_hour_bytes: number;
  readonly cap_day_bytes: number;
  readonly cap_week_bytes: number;
  readonly cap_hour_items: number;
  readonly cap_day_items: number;
  readonly cap_week_items: number;
  readonly rate: number | null;
  readonly sessions_max: number | null;
  readonly ceiling_percent: number;
  readonly headroom_percent: number;
  readonly consequence: Consequence;
};

/**
 * Declares a budget and the rows by whose names its scope was found. Returns the budget with the values of its verified
 * row, because these decide.
 */
async function declareScope(
  tx: Transaction,
  purpose: Purpose,
  { kind, name, customer }: ScopeName,
  row: Raw,
): Promise<Raw> {
  const facts = { rank: row.rank, direction: row.direction };
  const said = await declareFound<BudgetFacts>(tx, purpose, { kind: 'budget', id: String(row.id) }, facts);
  if (kind === 'credential' && row.credential_id !== null)
    await declareFound(tx, purpose, { kind: 'credential', id: row.credential_id }, { fingerprint: name });
  if (kind === 'account' && row.account_id !== null)
    await declareFound(tx, purpose, { kind: 'account', id: row.account_id }, { name });
  const house = kind === 'customer' ? name : customer;
  if (house !== null && row.customer_id !== null)
    await declareFound(tx, purpose, { kind: 'customer', id: row.customer_id }, { name: house });
  if (said === undefined) return row;
  return {
    ...row,
    hb: said.cap_hour_bytes,
    db: said.cap_day_bytes,
    wb: said.cap_week_bytes,
    hi: said.cap_hour_items,
    di: said.cap_day_items,
    wi: said.cap_week_items,
    rate: said.rate,
    sessionsMax: said.sessions_max,
    ceilingPercent: said.ceiling_percent,
    headroomPercent: said.headroom_percent,
    consequence: said.consequence,
  };
}

/**
 * Returns the budgets of a scope that an operator named, locked in the order in which grants lock them. Budgets of
 * self-tests are left out; they belong to their nodes.
 */
export async function lockBudgetsOf(
  tx: Transaction,
  scope: ScopeName,
  purpose: Purpose,
): Promise<readonly LockedBudget[]> {
  const { kind, name, customer } = scope;
  const rows = await tx.query<Raw>(
    `select b.id, b.rank, b.direction, b.credential_id, b.account_id, b.customer_id, b.rate, b.sessions_max as "sessionsMax", b.ceiling_percent as "ceilingPercent", b.headroom_percent as "headroomPercent",
       b.headroom_until > '-infinity' as "isHeadroomSpent", b.consequence, coalesce($2, $1) || coalesce(' ' || $3, '') as label,
       b.cap_hour_bytes as hb, b.cap_day_bytes as db, b.cap_week_bytes as wb, b.cap_hour_items as hi, b.cap_day_items as di, b.cap_week_items as wi
     from budget b where b.id in (select find_budgets($1, $2, $3))
       and not exists (select 1 from customer c where c.id = b.customer_id and ${customerOfSelfTest})
       and not exists (select 1 from account a where a.id = b.account_id and ${accountOfSelfTest})
       and not exists (select 1 from credential k join account a on a.id = k.account_id where k.id = b.credential_id and ${accountOfSelfTest})
     order by b.rank, b.id for update`,
    [kind, name, customer],
  );
  const said: Raw[] = [];
  for (const row of rows) said.push(await declareScope(tx, purpose, scope, row));
  return said.map(
    ({ credential_id: _credential, account_id: _account, customer_id: owner, hb, db, wb, hi, di, wi, ...row }) => ({
      ...row,
      customer: owner === null ? null : idOf<CustomerId>(owner),
      bytes: { hour: hb, day: db, week: wb },
      items: { hour: hi, day: di, week: wi },
      isHeadroomApproved: false,
    }),
  );
}

export async function writeBudget(tx: Transaction, b: LockedBudget, purpose: WritePurpose): Promise<void> {
  const facts = {
    cap_hour_bytes: b.bytes.hour,
    cap_day_bytes: b.bytes.day,
    cap_week_bytes: b.bytes.week,
    cap_hour_items: b.items.hour,
    cap_day_items: b.items.day,
    cap_week_items: b.items.week,
    rate: b.rate,
    sessions_max: b.sessionsMax,
    ceiling_percent: b.ceilingPercent,
    headroom_percent: b.headroomPercent,
    consequence: b.consequence,
  };
  await declareChange(tx, [{ kind: 'budget', id: String(b.id) }], facts, purpose);
  await tx.query(
    `update budget set cap_hour_bytes = $2, cap_day_bytes = $3, cap_week_bytes = $4, cap_hour_items = $5, cap_day_items = $6, cap_week_items = $7,
       rate = $8, sessions_max = $9, ceiling_percent = $10, headroom_percent = $11, consequence = $12,
       headroom_until = case when $13 then '-infinity' else headroom_until end
     where id = $1`,
    [
      b.id,
      b.bytes.hour,
      b.bytes.day,
      b.bytes.week,
      b.items.hour,
      b.items.day,
      b.items.week,
      b.rate,
      b.sessionsMax,
      b.ceilingPercent,
      b.headroomPercent,
      b.consequence,
      b.isHeadroomApproved,
    ],
  );
}

/** Makes the approved headroom of these budgets available for some hours. Returns until when. */
export async function releaseHeadroom(tx: Transaction, ids: readonly number[], hours: number): Promise<Date> {
  const [row] = await tx.query<{ until: Date }>(
    `update budget set headroom_until = n.until from (select clock_timestamp() + $2 * interval '1 hour' as until) n where id = any ($1::bigint[]) returning headroom_until as until`,
    [ids, hours],
  );
  return row?.until ?? new Date(0);
}
