// Owns: the SQL of the caps of concurrent sessions. One opening at a time is counted against every scope, and none runs
// beside a withdrawal.

import { type ScopeKind, scopeOfRank } from '../../domain/budgets/words.ts';
import type { AccountId, CredentialId, CustomerId, Plane } from '../../domain/ids.ts';
import { advisoryLocks } from '../../postgres/advisory-locks.ts';
import type { Transaction } from '../../postgres/database.ts';

type SessionOwner = {
  readonly credential: CredentialId;
  readonly account: AccountId;
  /** The customer; null for an internal account. */
  readonly customer: CustomerId | null;
  readonly plane: Plane;
};
export type FullScope = { readonly scope: ScopeKind; readonly sessionsMax: number };

/**
 * Prevents sessions from being opened until the transaction ends. It is used when a change concerns something that
 * sessions rely on and that does not belong to their own account; the sessions of internal accounts rely on a customer,
 * for example. An opening holds this lock while it waits for budgets, so it is taken before them
 * (`postgres/lock-order.ts`).
 */
export async function holdOpenings(tx: Transaction): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1)', [advisoryLocks.sessionOpening]);
}

/**
 * Prevents other openings, and withdrawals of what this session relies on, until the transaction ends. A withdrawal
 * (`lockForWithdrawal`) has either committed before and is seen by everything that is read from now on, or it waits,
 * and then finds the session that it must end.
 */
export async function lockForOpening(
  tx: Transaction,
  owner: Pick<SessionOwner, 'account' | 'customer'> & { readonly credentials: readonly CredentialId[] },
): Promise<void> {
  // The rows that the session will refer to are locked first: see `postgres/lock-order.ts`.
  await tx.query('select 1 from account where id = $1 for key share', [owner.account]);
  await tx.query('select 1 from credential where id = any ($1::uuid[]) order by id for key share', [owner.credentials]);
  const lockBudgets = (): Promise<unknown> =>
    tx.query(
      `select 1 from budget where (rank = 1 and credential_id = any ($1::uuid[])) or (rank = 2 and account_id = $2) or (rank = 3 and customer_id = $3)
       order by rank, id for share`,
      [owner.credentials, owner.account, owner.customer],
    );
  // The budgets are locked once and released, so that a long withdrawal is waited for before everybody else must wait
  // for this opening. While the opening lock is waited for, no budget is held, so nobody's grants wait.
  await tx.query('savepoint opening');
  await lockBudgets();
  await tx.query('rollback to savepoint opening');
  await holdOpenings(tx);
  await lockBudgets();
}

/**
 * Returns the narrowest scope that has no room for one more session; undefined when there is room. A scope without a
 * budget has no room. It must be called after `lockForOpening`.
 */
export async function findFullScope(tx: Transaction, owner: SessionOwner): Promise<FullScope | undefined> {
  const [row] = await tx.query<{ rank: number; sessions_max: number | null }>(
    `with open as (
       select s.credential_id, s.account_id, a.customer_id, a.plane from session s join account a on a.id = s.account_id
       where s.state = 'open' and s.expires_at > clock_timestamp()),
     scope (rank, n) as (values
       (1, (select count(*) from open where credential_id = $1)),
       (2, (select count(*) from open where account_id = $2)),
       (3, (select count(*) from open where customer_id = $3)),
       (4, (select count(*) from open where plane = $4)),
       (5, (select count(*) from open)))
     select scope.rank, b.sessions_max from scope
       left join lateral (select min(sessions_max) as sessions_max from budget b where b.direction = 'out' and b.rank = scope.rank
         and (b.rank = 5 or (b.rank = 1 and b.credential_id = $1) or (b.rank = 2 and b.account_id = $2) or (b.rank = 3 and b.customer_id = $3) or (b.rank = 4 and b.plane = $4))) b on true
     where (scope.rank <> 3 or $3::uuid is not null) and scope.n >= coalesce(b.sessions_max, 0)
     order by scope.rank limit 1`,
    [owner.credential, owner.account, owner.customer, owner.plane],
  );
  return row && { scope: scopeOfRank(row.rank), sessionsMax: row.sessions_max ?? 0 };
}
