// Owns: the SQL of what an operator may read about changes, operators and emergencies.

import type { BudgetDirection, ScopeKind } from '../domain/budgets.ts';
import { passingOperations } from '../domain/command-life.ts';
import type { Transaction } from '../postgres/database.ts';
import type { Result } from '../rpc/operation.ts';
import type { OperatorToAdmin } from '../rpc/operator-admin.ts';
import { iso, isoOrNull } from './rows.ts';

export type ChangeRow = Result<OperatorToAdmin, 'change.list'>['changes'][number];
type OperatorRow = Result<OperatorToAdmin, 'operator.list'>['operators'][number];
type BreakGlassRow = Result<OperatorToAdmin, 'break-glass.list'>['breakGlasses'][number];
type ReportRow = Result<OperatorToAdmin, 'report.changes'>['changes'][number];

export async function installationId(tx: Transaction): Promise<string> {
  const [row] = await tx.query<{ id: string }>('select id from installation');
  if (row === undefined) throw new Error('the installation has no name');
  return row.id;
}

type RawChange = Omit<ChangeRow, 'proposedAt' | 'expiresAt' | 'decidedAt'> & { proposedAt: Date; expiresAt: Date; decidedAt: Date | null };
const shaped = (row: RawChange): ChangeRow => ({
  ...row,
  proposedAt: iso(row.proposedAt),
  expiresAt: iso(row.expiresAt),
  decidedAt: isoOrNull(row.decidedAt),
});

/** Returns the change with this id, or the waiting changes, or all changes since a time; newest first. */
export async function listChanges(
  tx: Transaction,
  which: { readonly id: string | null; readonly all: boolean; readonly since: string | null },
): Promise<readonly ChangeRow[]> {
  const rows = await tx.query<RawChange>(
    `select c.id as change, c.operation, case when c.state = 'proposed' and c.expires_at <= clock_timestamp() then 'expired' else c.state end as state,
       p.name as proposer, c.proposed_at as "proposedAt", c.expires_at as "expiresAt", coalesce(c.reason, '') as reason, d.name as "decidedBy",
       c.decided_at as "decidedAt", c.break_glass_id as "breakGlass"
     from change c join operator p on p.id = c.proposer_id left join operator d on d.id = c.decided_by
     where case when $1::uuid is not null then c.id = $1 when $2 then true else c.state = 'proposed' and c.expires_at > clock_timestamp() end
       and ($3::timestamptz is null or c.proposed_at >= $3) order by c.proposed_at desc limit 500`,
    [which.id, which.all, which.since],
  );
  return rows.map(shaped);
}

export type SignedChange = {
  readonly document: string;
  readonly proposerSignature: string;
  readonly proposerPublicKey: string;
  readonly approval: string | null;
  readonly approverSignature: string | null;
};

/** Returns the signed text of a change with its signatures and the proposer's public key, or undefined. */
export async function findSigned(tx: Transaction, id: string): Promise<SignedChange | undefined> {
  const [row] = await tx.query<{
    document: string;
    proposer_signature: Buffer;
    public_key: Buffer;
    approval: string | null;
    approver_signature: Buffer | null;
  }>(
    `select c.document, c.proposer_signature, k.public_key, c.approval, c.approver_signature from change c join operator_key k on k.fingerprint = c.proposer_key
     where c.id = $1`,
    [id],
  );
  return (
    row && {
      document: row.document,
      proposerSignature: row.proposer_signature.toString('base64'),
      proposerPublicKey: row.public_key.toString('base64'),
      approval: row.approval,
      approverSignature: row.approver_signature?.toString('base64') ?? null,
    }
  );
}

export async function listOperators(tx: Transaction): Promise<readonly OperatorRow[]> {
  const rows = await tx.query<Omit<OperatorRow, 'createdAt' | 'keys'> & { createdAt: Date }>(
    'select name, role, state, created_at as "createdAt" from operator order by name',
  );
  const keys = await tx.query<{ name: string; fingerprint: string; created_at: Date; ended_at: Date | null }>(
    'select o.name, k.fingerprint, k.created_at, k.ended_at from operator_key k join operator o on o.id = k.operator_id order by k.created_at',
  );
  return rows.map((row) => ({
    ...row,
    createdAt: iso(row.createdAt),
    keys: keys
      .filter((key) => key.name === row.name)
      .map((key) => ({ fingerprint: key.fingerprint, since: iso(key.created_at), endedAt: isoOrNull(key.ended_at) })),
  }));
}

export async function listBreakGlasses(tx: Transaction): Promise<readonly BreakGlassRow[]> {
  const rows = await tx.query<
    Omit<BreakGlassRow, 'validUntil' | 'openedAt' | 'closesAt' | 'reviewedAt'> & {
      validUntil: Date;
      openedAt: Date | null;
      closesAt: Date | null;
      reviewedAt: Date | null;
    }
  >(
    `select g.id as "breakGlass", o.name as operator, g.operations, g.hours, g.reason, g.valid_until as "validUntil", g.opened_at as "openedAt", g.closes_at as "closesAt",
       case when g.reviewed_at is not null then 'reviewed' when g.opened_at is not null and g.ended_at is null and g.closes_at > clock_timestamp() then 'open'
         when g.opened_at is not null then 'used' when g.ended_at is not null then 'ended' when g.valid_until <= clock_timestamp() then 'expired' else 'prepared' end as state,
       (select count(*) from change c where c.break_glass_id = g.id) as changes, g.reviewed_at as "reviewedAt", g.finding
     from break_glass g join operator o on o.id = g.operator_id order by g.created_at desc limit 500`,
  );
  return rows.map((row) => ({
    ...row,
    validUntil: iso(row.validUntil),
    openedAt: isoOrNull(row.openedAt),
    closesAt: isoOrNull(row.closesAt),
    reviewedAt: isoOrNull(row.reviewedAt),
  }));
}

/**
 * Returns what operators changed since a time: signed changes, and commands that needed no second operator. Newest
 * first; `after` is the last row of the previous page.
 */
export async function listChangesDone(
  tx: Transaction,
  since: string,
  after: { readonly at: string; readonly id: string } | null,
  limit: number,
): Promise<readonly ReportRow[]> {
  const rows = await tx.query<Omit<ReportRow, 'at'> & { at: Date }>(
    `select * from (
       select c.id, date_trunc('milliseconds', coalesce(c.decided_at, c.proposed_at)) as at, c.operation, p.name as by, case when c.state = 'applied' then d.name end as "approvedBy", c.break_glass_id as "breakGlass",
         case when c.state = 'proposed' and c.expires_at <= clock_timestamp() then 'expired' when c.state = 'rejected' then 'rejected by ' || d.name else c.state end as outcome,
         coalesce(c.reason, '') as reason, left(c.document::jsonb ->> 'params', 2000) as params
       from change c join operator p on p.id = c.proposer_id left join operator d on d.id = c.decided_by
       union all
       select m.id, date_trunc('milliseconds', m.created_at), m.operation, o.name, null, null, case m.state when 'done' then 'done' when 'new' then 'waiting' else m.error_code end,
         coalesce(m.params ->> 'reason', ''), left(m.params::text, 2000)
       from command m join operator o on o.id = m.operator_id where m.operation <> all ($5)
     ) x where at >= $1 and ($2::timestamptz is null or (at, id) < ($2, $3::uuid)) order by at desc, id desc limit $4`,
    [since, after?.at ?? null, after?.id ?? null, limit, passingOperations],
  );
  return rows.map((row) => ({ ...row, at: iso(row.at) }));
}

export type PeopleFacts = {
  readonly operators: number;
  /** The number of active security officers with a key in use. */
  readonly officers: number;
  readonly unreviewed: readonly { readonly id: string; readonly operator: string }[];
  /** The number of rows with a broken seal that were found within the last 7 days. */
  readonly brokenSeals: number;
  /** Scopes that lack a budget in a direction, at most 20. Those of self-tests are left out. */
  readonly missingBudgets: readonly MissingBudget[];
};
export type MissingBudget = {
  readonly scope: ScopeKind;
  readonly name: string | null;
  readonly customer: string | null;
  readonly direction: BudgetDirection;
};

export async function peopleFacts(tx: Transaction): Promise<PeopleFacts> {
  const [row] = await tx.query<{ operators: number; officers: number; broken: number }>(
    `select (select count(*) from operator) as operators,
       (select count(*) from operator o where o.state = 'active' and o.role = 'security-officer'
          and exists (select 1 from operator_key k where k.operator_id = o.id and k.ended_at is null)) as officers,
       (select count(distinct subject) from alert where kind = 'row.broken-seal' and last_at > clock_timestamp() - interval '7 days') as broken`,
  );
  const unreviewed = await tx.query<{ id: string; operator: string }>(
    `select g.id, o.name as operator from break_glass g join operator o on o.id = g.operator_id where g.opened_at is not null and g.reviewed_at is null
     order by g.opened_at`,
  );
  const missingBudgets = await tx.query<MissingBudget>(
    'select scope, name, customer_name as customer, direction from missing_budgets() where not is_self_test limit 20',
  );
  return { operators: row?.operators ?? 0, officers: row?.officers ?? 0, brokenSeals: row?.broken ?? 0, unreviewed, missingBudgets };
}
