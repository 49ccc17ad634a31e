// Owns: which entries the sealer takes: those that every verifier calls good once they are sealed
// (`domain/ledger/sealable.ts`), and of statements about archives those that the pipeline of archives wrote.
// Must never: judge one entry by another one that waits, but for a statement that is there twice.
import type { PlacedEntry } from '../../domain/ledger/leaf.ts';
import {
  archiveDeletedKind,
  archivedKind,
  archivedStatementOf,
  deletedArchiveOf,
  sealingFault,
} from '../../domain/ledger/sealable.ts';
import { textOfHashed } from '../../domain/ledger/written.ts';
import type { Transaction } from '../../postgres/database.ts';
import { digestOf } from './hashing.ts';
import { deletionsStated, isStatedAlready, rangesStated } from './judged-queries.ts';
import type { Refused } from './quarantine-queries.ts';

type Judged = PlacedEntry & { readonly id: number };

/** The error that entries of a round cannot be sealed. They are set aside, and the round is done without them. */
export class EntriesRefused extends Error {
  override readonly name = 'EntriesRefused';
  readonly refused: readonly Refused[];

  constructor(refused: readonly Refused[]) {
    super(`entries cannot be sealed: ${refused[0]?.why}`);
    this.refused = refused;
  }
}

const notWritten = 'it states something of an archive that no warden has written so';

/**
 * Returns which of these statements about archives the pipeline of archives did not write: the rows of the archive and
 * of its range say something else. `isFirst`: whether each statement must be the first of its month in its tree.
 */
async function foreignStatements(
  tx: Transaction,
  entries: readonly Judged[],
  isFirst: boolean,
): Promise<readonly Refused[]> {
  const stated = entries.flatMap((entry) => {
    const statement = entry.kind === archivedKind ? archivedStatementOf(entry) : undefined;
    return statement === undefined ? [] : [{ id: entry.id, tree: entry.tree, ...statement }];
  });
  const deleted = entries.flatMap((entry) => {
    const archive = entry.kind === archiveDeletedKind ? deletedArchiveOf(entry) : undefined;
    return archive === undefined ? [] : [{ id: entry.id, ...archive }];
  });
  const ranges = stated.length === 0 ? [] : await rangesStated(tx, stated);
  const repeated = stated.length === 0 || !isFirst ? [] : await isStatedAlready(tx, stated);
  const deletions = deleted.length === 0 ? [] : await deletionsStated(tx, deleted);
  const seen = new Set<string>();
  const isForeign = (one: (typeof stated)[number]): boolean => {
    const name = `${one.tree} ${one.month}`;
    if (isFirst && (seen.has(name) || repeated.includes(name))) return true;
    seen.add(name);
    return !ranges.includes(one.id);
  };
  const foreign = [...stated.filter(isForeign), ...deleted.filter(({ id }) => !deletions.includes(id))];
  return foreign.map(({ id }) => ({ id, why: notWritten }));
}

/**
 * Throws EntriesRefused unless every one of these entries can be sealed at its position with a head of this time.
 */
export async function requireEntries(tx: Transaction, entries: readonly Judged[], headAt: number): Promise<void> {
  const refused = entries.flatMap((entry): Refused[] => {
    const why = sealingFault(entry, headAt);
    return why === undefined ? [] : [{ id: entry.id, why }];
  });
  if (refused.length === 0) refused.push(...(await foreignStatements(tx, entries, true)));
  if (refused.length === 0) return;
  const read = new Map(entries.map((entry) => [entry.id, entry]));
  throw new EntriesRefused(
    refused.map((one) => {
      const entry = read.get(one.id);
      return entry === undefined ? one : { ...one, digest: digestOf(textOfHashed(entry)) };
    }),
  );
}

/**
 * Returns a sentence about the first of these sealed entries, each with the time of its head, that no sealer would have
 * sealed; undefined when there is none.
 */
export async function unsealable(
  tx: Transaction,
  entries: readonly (Judged & { readonly headAt: number })[],
): Promise<string | undefined> {
  for (const entry of entries) {
    const why = sealingFault(entry, entry.headAt);
    if (why !== undefined) return `entry ${entry.number} cannot have been sealed by a warden: ${why}`;
  }
  const [foreign] = await foreignStatements(tx, entries, false);
  const entry = entries.find(({ id }) => id === foreign?.id);
  return entry === undefined ? undefined : `entry ${entry.number} cannot have been sealed by a warden: ${foreign?.why}`;
}
