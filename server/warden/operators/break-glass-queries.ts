// Owns: the SQL of prepared emergencies.
import { randomUUID } from 'node:crypto';
import type { Transaction } from '../../postgres/database.ts';
import { declareChange, declareNew, fromNow } from '../seals/declared.ts';

/** Inserts a prepared emergency for one operator. Returns its id and until when it may be opened. */
export async function insertBreakGlass(
  tx: Transaction,
  g: {
    readonly operator: string;
    readonly operations: readonly string[];
    readonly hours: number;
    readonly reason: string;
    readonly validDays: number;
  },
): Promise<{ readonly id: string; readonly validUntil: Date }> {
  const id = randomUUID();
  declareNew(
    tx,
    { kind: 'break-glass', id },
    {
      operator_id: g.operator,
      operations: g.operations,
      hours: g.hours,
      valid_until: fromNow(g.validDays * 86_400_000),
      opened_at: null,
      closes_at: null,
      ended_at: null,
    },
  );
  const [row] = await tx.query<{ valid_until: Date }>(
    `insert into break_glass (id, operator_id, operations, hours, reason, created_at, valid_until)
     select $6, $1, $2, $3, $4, now, now + $5 * interval '24 hours' from clock_timestamp() as now returning valid_until`,
    [g.operator, g.operations, g.hours, g.reason, g.validDays, id],
  );
  if (row === undefined) throw new Error('no break-glass was written');
  return { id, validUntil: row.valid_until };
}

export type BreakGlass = {
  readonly id: string;
  readonly operatorId: string;
  readonly operator: string;
  readonly operations: readonly string[];
  readonly hours: number;
  /** One of `prepared`, `open`, `over`. */
  readonly state: string;
  readonly isUsed: boolean;
  readonly isReviewed: boolean;
};

/** Returns an emergency with its present state and locks its row, or returns undefined when it does not exist. */
export async function lockBreakGlass(tx: Transaction, id: string): Promise<BreakGlass | undefined> {
  await tx.query('select 1 from break_glass where id = $1 for update', [id]);
  const [row] = await tx.query<BreakGlass>(
    `select g.id, g.operator_id as "operatorId", o.name as operator, g.operations, g.hours, g.opened_at is not null as "isUsed", g.reviewed_at is not null as "isReviewed",
       case when g.ended_at is not null then 'over' when g.opened_at is null and g.valid_until > clock_timestamp() then 'prepared'
         when g.closes_at > clock_timestamp() then 'open' else 'over' end as state
     from break_glass g join operator o on o.id = g.operator_id where g.id = $1`,
    [id],
  );
  return row;
}

/** Opens a prepared emergency now, for its number of hours. Returns when it closes. */
export async function openBreakGlass(tx: Transaction, id: string, hours: number): Promise<Date> {
  await declareChange(tx, [{ kind: 'break-glass', id }], {
    opened_at: fromNow(0),
    closes_at: fromNow(hours * 3_600_000),
  });
  const [row] = await tx.query<{ closes_at: Date }>(
    "update break_glass set opened_at = now, closes_at = now + hours * interval '1 hour' from clock_timestamp() as now where id = $1 returning closes_at",
    [id],
  );
  return row?.closes_at ?? new Date(0);
}

export async function endBreakGlass(tx: Transaction, id: string): Promise<void> {
  await declareChange(tx, [{ kind: 'break-glass', id }], { ended_at: fromNow(0) }, 'to-narrow');
  await tx.query('update break_glass set ended_at = clock_timestamp() where id = $1 and ended_at is null', [id]);
}

export async function reviewBreakGlass(tx: Transaction, id: string, finding: string): Promise<void> {
  await tx.query('update break_glass set reviewed_at = clock_timestamp(), finding = $2 where id = $1', [id, finding]);
}

/** Returns the emergencies that were opened and that nobody has reviewed, including those that are still open. */
export async function unreviewed(
  tx: Transaction,
): Promise<readonly { readonly id: string; readonly operator: string }[]> {
  return tx.query<{ id: string; operator: string }>(
    'select g.id, o.name as operator from break_glass g join operator o on o.id = g.operator_id where g.opened_at is not null and g.reviewed_at is null',
  );
}
