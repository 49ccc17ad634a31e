// Owns: what is answered about a name that nobody has.
// Must never: let an empty list pass for an answer about a name that does not exist, or about a customer that has
// another name by now.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import { isAccountNamed, whoseName } from './name-queries.ts';

/** Throws `not-found` when no customer has this name, and says how the one is named now that had it before. */
export async function requireCustomerNamed(tx: Transaction, name: string | undefined): Promise<void> {
  if (name === undefined) return;
  const { isPresent, now } = await whoseName(tx, name);
  if (isPresent) return;
  const hint = now === null ? '' : `: it was renamed, and is ${now} now`;
  throw new CofferdamError('not-found', `there is no customer named ${name}${hint}`);
}

/**
 * Throws `not-found` when no customer has or had this name. What was written before a rename is found by either name.
 */
export async function requireCustomerEverNamed(tx: Transaction, name: string | undefined): Promise<void> {
  if (name === undefined) return;
  const { isPresent, now } = await whoseName(tx, name);
  if (!isPresent && now === null)
    throw new CofferdamError('not-found', `there is no customer named ${name}, and none ever was`);
}

/** Throws `not-found` when no account has this name. */
export async function requireAccountNamed(tx: Transaction, name: string | undefined): Promise<void> {
  if (name !== undefined && !(await isAccountNamed(tx, name)))
    throw new CofferdamError('not-found', `there is no account named ${name}`);
}
