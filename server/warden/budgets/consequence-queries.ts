// Owns: the SQL of the consequences of a refusal, and of the locks that a withdrawal takes before it takes effect.
import type { Consequence } from '../../domain/budgets/words.ts';
import type { CredentialId, CustomerId } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';

export async function findConsequence(tx: Transaction, budget: number): Promise<Consequence> {
  const [row] = await tx.query<{ consequence: Consequence }>('select consequence from budget where id = $1', [budget]);
  return row?.consequence ?? 'refuse';
}

/**
 * Returns whether the customer has another credential that can be used now: active or retiring, begun, not expired, not
 * dormant, and of an active account.
 */
export async function hasOtherCredentials(
  tx: Transaction,
  customer: CustomerId,
  credential: CredentialId,
  dormantMs: number,
): Promise<boolean> {
  const [row] = await tx.query<{ has: boolean }>(
    `select exists (select 1 from credential c join account a on a.id = c.account_id
       where a.customer_id = $1 and c.id <> $2 and c.state in ('active', 'retiring') and c.expires_at > clock_timestamp()
         and c.valid_from <= clock_timestamp() and greatest(c.last_used_at, c.woken_at, c.valid_from) > clock_timestamp() - $3 * interval '1 millisecond'
         and a.state = 'active' and (a.expires_at is null or a.expires_at > clock_timestamp())) as has`,
    [customer, credential, dormantMs],
  );
  return row?.has ?? false;
}

export async function suspendCredential(tx: Transaction, credential: CredentialId): Promise<void> {
  await tx.query("update credential set state = 'suspended' where id = $1 and state in ('active', 'retiring')", [
    credential,
  ]);
}
