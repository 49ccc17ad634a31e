// Owns: the SQL of operators' changes to budgets: locked in the one order, written whole.
import type { BudgetDirection, Caps, Consequence } from '../../domain/budgets.ts';
import { type CredentialId, type CustomerId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { ScopeName } from '../../rpc/operator-budgets.ts';
import { declareChange } from '../changes/declared.ts';

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
  /** The headroom was named in this change: it may be released again. */
  readonly isHeadroomApproved: boolean;
};
type Raw = Omit<LockedBudget, 'bytes' | 'items' | 'customer' | 'isHeadroomApproved'> & {
  readonly customer_id: string | null;
  readonly hb: number;
  readonly db: number;
  readonly wb: number;
  readonly hi: number;
  readonly di: number;
  readonly wi: number;
};

/** A scope as operators name it; its rows, locked as grants lock them. */
export async function lockBudgetsOf(tx: Transaction, { kind, name, customer }: ScopeName): Promise<readonly LockedBudget[]> {
  const rows = await tx.query<Raw>(
    `select b.id, b.rank, b.direction, b.customer_id, b.rate, b.sessions_max as "sessionsMax", b.ceiling_percent as "ceilingPercent", b.headroom_percent as "headroomPercent",
       b.headroom_until > '-infinity' as "isHeadroomSpent", b.consequence, coalesce($2, $1) || coalesce(' ' || $3, '') as label,
       b.cap_hour_bytes as hb, b.cap_day_bytes as db, b.cap_week_bytes as wb, b.cap_hour_items as hi, b.cap_day_items as di, b.cap_week_items as wi
     from budget b where b.id in (select find_budgets($1, $2, $3)) order by b.rank, b.id for update`,
    [kind, name, customer],
  );
  return rows.map(({ customer_id: owner, hb, db, wb, hi, di, wi, ...row }) => ({
    ...row,
    customer: owner === null ? null : idOf<CustomerId>(owner),
    bytes: { hour: hb, day: db, week: wb },
    items: { hour: hi, day: di, week: wi },
    isHeadroomApproved: false,
  }));
}

export async function writeBudget(tx: Transaction, b: LockedBudget): Promise<void> {
  await declareChange(tx, [{ kind: 'budget', id: String(b.id) }], {
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
  });
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

export async function releaseHeadroom(tx: Transaction, ids: readonly number[], hours: number): Promise<Date> {
  const [row] = await tx.query<{ until: Date }>(
    `update budget set headroom_until = n.until from (select clock_timestamp() + $2 * interval '1 hour' as until) n where id = any ($1::bigint[]) returning headroom_until as until`,
    [ids, hours],
  );
  return row?.until ?? new Date(0);
}

export async function resumeCredential(tx: Transaction, credential: CredentialId): Promise<boolean> {
  return (
    (
      await tx.query(
        "update credential set state = case when exists (select 1 from rotation_item i where i.credential_id = $1 and i.state = 'open') then 'retiring' else 'active' end where id = $1 and state = 'suspended' returning id",
        [credential],
      )
    ).length === 1
  );
}
