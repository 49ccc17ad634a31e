// Owns: what operators read of the record: following it, searching it, and one entry with its proof.
// Must never: say that something was looked at that was not.
import { CofferdamError } from '../../domain/errors.ts';
import { entryKinds } from '../../domain/ledger/entry-kinds.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { LedgerFilter, LedgerRow } from '../../rpc/operators/ledger-entries.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { findPathOfVersion } from '../file/file-queries.ts';
import { fitting } from '../reading/fitting.ts';
import { requireAccountNamed, requireCustomerEverNamed } from '../reading/names.ts';
import { newestAnchor } from './proofs.ts';
import { bounds, entriesIn, findHashed, findOpened, freshEntries, verifierKeys } from './reading-queries.ts';

/** The durations of a call. They are well below the time after which the caller gives up. */
const tailMs = 15_000;
const searchMs = 8000;
const lookEveryMs = 400;
/** How many numbers one statement looks at: the first time, and at most. */
const windowFirst = 20_000;
const windowMax = 640_000;
const quickMs = 500;
const tailRows = 200;
/**
 * The largest number of unsealed entries in one answer. Usually there are only those of the last quarter of a second.
 */
const freshMax = 200;

/**
 * Throws `not-found` for a name or a kind that does not exist. An empty answer about it would otherwise be taken for
 * the truth.
 */
async function requireKnown(tx: Transaction, { customer, account, kind }: LedgerFilter): Promise<void> {
  await requireCustomerEverNamed(tx, customer);
  await requireAccountNamed(tx, account);
  const matches = (name: string): boolean =>
    kind?.endsWith('*') === true ? name.startsWith(kind.slice(0, -1)) : name === kind || name.startsWith(`${kind}.`);
  if (kind !== undefined && !Object.keys(entryKinds).some(matches))
    throw new CofferdamError(
      'not-found',
      `there is no kind of entry named ${kind}: see docs/reference/ledger-entries.md`,
    );
}

/**
 * Returns the matching entries after a number; when there are none, waits up to `tailMs` for one. With `after` null it
 * returns only the newest number.
 */
export async function tailLedger(
  database: Database,
  { filter, after }: Params<OperatorToAdmin, 'ledger.tail'>,
): Promise<Result<OperatorToAdmin, 'ledger.tail'>> {
  const start = await database.withSystem(async (tx) => {
    await requireKnown(tx, filter);
    return (await bounds(tx)).newest;
  });
  if (after === null) return { entries: [], last: start };
  let last = after;
  for (const until = performance.now() + tailMs; ; ) {
    const { rows, upTo } = await database.withSystem(async (tx) => {
      const { newest } = await bounds(tx);
      const end = Math.min(newest, last + windowMax);
      if (end <= last) return { rows: [], upTo: last };
      const window = { after: last, upTo: end, order: 'oldest', limit: tailRows + 1, withoutTails: true } as const;
      return { rows: await entriesIn(tx, window, filter), upTo: end };
    });
    const { entries, more } = fitting('entries', rows.slice(0, tailRows));
    if (entries.length > 0)
      return { entries, last: more || rows.length > tailRows ? (entries.at(-1)?.number ?? last) : upTo };
    const isAtEnd = upTo === last;
    last = upTo;
    if (performance.now() >= until) return { entries: [], last };
    if (isAtEnd) await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

/** Returns whether the filter is answered by an index, however large the record is. */
const isIndexed = ({ session, sha256 }: LedgerFilter): boolean => session !== undefined || sha256 !== undefined;

type Start = { readonly oldest: number; readonly newest: number; readonly fresh: readonly LedgerRow[] };

/**
 * Reads the bounds and the unsealed entries in one snapshot, so that an entry is either among the unsealed ones or not
 * above the newest number.
 */
function beginSearch(database: Database, filter: LedgerFilter, freshMax: number): Promise<Start> {
  const options = { timeoutMs: searchMs, workMemory: '256MB', signal: AbortSignal.timeout(searchMs) } as const;
  return database.withSnapshot(options, async (tx) => {
    await requireKnown(tx, filter);
    return { ...(await bounds(tx)), fresh: freshMax === 0 ? [] : await freshEntries(tx, filter, freshMax) };
  });
}

/**
 * Returns matching entries below `before`, newest first, as far as it gets within `searchMs`. `reached` says from where
 * the next call goes on; 0 means that everything was searched.
 */
export async function searchLedger(
  database: Database,
  { filter, before, limit }: Params<OperatorToAdmin, 'ledger.search'>,
): Promise<Result<OperatorToAdmin, 'ledger.search'>> {
  const { oldest, newest, fresh } = await beginSearch(database, filter, before === null ? freshMax + 1 : 0);
  const shownFresh = fitting('rows', fresh.slice(0, Math.min(limit, freshMax)));
  const first = Math.max(0, oldest - 1);
  const found: LedgerRow[] = [...shownFresh.rows];
  let reached = Math.min(before ?? newest + 1, newest + 1);
  let size = windowFirst;
  for (
    const until = performance.now() + searchMs;
    found.length < limit && reached - 1 > first && performance.now() < until;
  ) {
    const after = isIndexed(filter) ? first : Math.max(first, reached - 1 - size);
    const window = {
      after,
      upTo: reached - 1,
      order: 'newest',
      limit: limit - found.length,
      withoutTails: false,
    } as const;
    const started = performance.now();
    const rows = await database.withSystem((tx) => entriesIn(tx, window, filter));
    found.push(...rows);
    reached = found.length >= limit ? (rows.at(-1)?.number ?? reached) : after + 1;
    if (performance.now() - started < quickMs) size = Math.min(size * 2, windowMax);
  }
  const { entries, more } = fitting('entries', found);
  // Entries that did not fit into the answer are read again, from the last one that did.
  const end = more ? (entries.at(-1)?.number ?? newest + 1) : reached;
  return {
    entries,
    reached: end - 1 <= first ? 0 : end,
    more: end - 1 > first,
    isUnsealedCut: shownFresh.rows.length < fresh.length,
  };
}

/**
 * Returns one entry with its proof. When it cannot be proved, `unproven` says why. Throws `not-found` when it is not in
 * the database.
 */
export async function showEntry(database: Database, number: number): Promise<Result<OperatorToAdmin, 'ledger.show'>> {
  return database.withSystem(async (tx) => {
    const [row] = await entriesIn(
      tx,
      { after: number - 1, upTo: number, order: 'oldest', limit: 1, withoutTails: false },
      {},
    );
    const texts = row === undefined ? undefined : await findHashed(tx, number);
    if (row === undefined || texts === undefined) {
      const { oldest, newest } = await bounds(tx);
      throw new CofferdamError(
        'not-found',
        `there is no entry ${number} in the database: it holds ${oldest} to ${newest}. Older ones are in archives, newer ones are not sealed yet`,
      );
    }
    const { isWitnessed, ...hashed } = texts;
    const { proof, unproven } = await prove(tx, hashed.tree, hashed.position);
    return {
      entry: row,
      hashed,
      file: row.version === null ? null : ((await findPathOfVersion(tx, row.version)) ?? null),
      opened: row.session === null ? null : ((await findOpened(tx, row.session)) ?? null),
      proof,
      unproven,
      isWitnessed,
      verifierKeys: await verifierKeys(tx),
    };
  });
}

async function prove(
  tx: Transaction,
  tree: string,
  position: number,
): Promise<Pick<Result<OperatorToAdmin, 'ledger.show'>, 'proof' | 'unproven'>> {
  try {
    const newest = await newestAnchor(tx, tree);
    if (newest === undefined)
      throw new CofferdamError('corrupt', 'the record has no checkpoint for the tree of this entry');
    const { checkpoint, head, tree: place } = newest.anchor;
    return {
      proof: {
        checkpoint,
        head: { ...head, proof: [...head.proof] },
        tree: { id: tree, ...place, path: [...place.path] },
        path: [...(await newest.path(position))],
      },
      unproven: null,
    };
  } catch (error) {
    if (!(error instanceof CofferdamError) || error.code === 'unavailable' || error.code === 'bug') throw error;
    return { proof: null, unproven: error.message };
  }
}
