// Owns: finding the folder that an operator names.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Purpose } from '../seals/declared.ts';
import { type Folder, lockFolder } from './folder-queries.ts';

/** Locks the folder of these names and returns it. Throws `not-found` when there is none. */
export async function requireFolder(
  tx: Transaction,
  customer: string,
  folder: string,
  purpose: Purpose,
): Promise<Folder> {
  const found = await lockFolder(tx, customer, folder, purpose);
  if (found === undefined) throw new CofferdamError('not-found', `customer ${customer} has no folder ${folder}`);
  return found;
}
