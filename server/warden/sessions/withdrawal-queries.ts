// Owns: the SQL of the locks that a withdrawal takes before it takes effect.
// Must never: be called after the state was changed.
import type { CredentialId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

/** What is to be withdrawn. */
type Withdrawal =
  | { readonly credential: string }
  | { readonly credentials: readonly string[] }
  | { readonly account: string }
  /** The account and all of its credentials. It is used when only some of the account's sessions end. */
  | { readonly credentialsOf: string }
  /** The account. It is used to end those of its sessions that may only enrol a second factor. */
  | { readonly enrolmentOf: string }
  | { readonly customer: string }
  | { readonly session: string }
  /** Everything that was opened by this window: the budgets of the credentials that used it. */
  | { readonly window: string };

const conditions = {
  credential:
    'rank = 1 and credential_id in (select $1::uuid union select s.credential_id from session s where s.also_credential_id = $1)',
  credentials:
    'rank = 1 and credential_id in (select unnest($1::uuid[]) union select s.credential_id from session s where s.also_credential_id = any ($1::uuid[]))',
  credentialsOf:
    '(rank = 1 and credential_id in (select k.id from credential k where k.account_id = $1)) or (rank = 2 and account_id = $1)',
  account: 'rank = 2 and account_id = $1',
  enrolmentOf: 'rank = 2 and account_id = $1',
  customer: 'rank = 3 and customer_id = $1',
  session: 'rank = 1 and credential_id = (select s.credential_id from session s where s.id = $1)',
  window:
    "rank = 1 and credential_id in (select s.credential_id from session s where s.window_id = $1 and s.state = 'open')",
} as const;

/**
 * Locks the budgets that every grant of the withdrawn scope must lock. A batch that runs now commits first, and every
 * later one sees the withdrawal. It is called before the state is changed, so that nothing is charged or released after
 * the withdrawal was committed, and before the rows of what is withdrawn are locked (`postgres/lock-order.ts`).
 */
export async function lockForWithdrawal(tx: Transaction, withdrawal: Withdrawal): Promise<void> {
  const [kind, id] = Object.entries(withdrawal)[0] as [keyof typeof conditions, string | readonly string[]];
  const text = conditions[kind];
  await tx.query(`select 1 from budget where ${text} order by rank, id for update`, [id]);
}

export const lockCredential = (tx: Transaction, credential: CredentialId): Promise<void> =>
  lockForWithdrawal(tx, { credential });
