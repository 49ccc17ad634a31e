// Owns: objects of the store that no row of the database names: those that an edge put and no upload took, and those
// that were left behind before the present run of the store began. And the alert about an edge that puts too many.
// Must never: delete an object that a row needs, or to which a row may still be given.
import { toCofferdamError } from '../../domain/errors.ts';
import { idOf, type NodeName, type ObjectId } from '../../domain/ids.ts';
import type { Found } from '../../extents/object-store.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context/context.ts';
import type { LedgerGuard } from '../ledger/guard.ts';
import type { Store, Storing } from '../store/store-client.ts';
import { knownObjects, sealedAmong, takePending } from './sweep-queries.ts';

type Given = Pick<Warden, 'database' | 'log' | 'limits'> & Storing;

/**
 * How old an object without a row must be before it is deleted, in milliseconds. The call that gives a younger one its
 * row may be under way, on this warden or another.
 */
const graceMs = 10 * 60_000;
const objectName = /^[0-9a-f]{32}$/;

/** The 256 groups of objects, two hexadecimal digits each. */
const prefixes: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/**
 * Deletes objects that became whole a while ago and that no upload has taken. An object that is still issued is taken
 * back first, so that no row can be given to it afterwards: an honest edge reports an object at once. `ageMs` says how
 * long they have been whole.
 */
export async function collectUnsettled({ database, store, log }: Given, ageMs: number = graceMs): Promise<void> {
  for (;;) {
    const objects = await store.unsettled(ageMs);
    if (objects.length === 0) return;
    const sealed = await database.withSystem(async (tx) => {
      await takePending(tx, objects);
      return sealedAmong(tx, objects);
    });
    const strays = objects.filter((one) => !sealed.has(one));
    await store.settle([...sealed]);
    await store.delete(strays);
    if (strays.length > 0) log.warn({ deleted: strays.length }, 'objects that no upload took were deleted');
  }
}

/** Which run of the store was searched, and how many groups of objects were. */
type Search = { run: string; done: number };
const searches = new WeakMap<Store, Search>();

/** Returns the objects of this listing that are old enough and that no row names. */
async function strayAmong({ database }: Given, found: readonly Found[]): Promise<readonly ObjectId[]> {
  const old = found
    .filter((one) => one.kind === 'file' && one.ageMs > graceMs && objectName.test(one.name))
    .map((one) => idOf<ObjectId>(one.name));
  if (old.length === 0) return [];
  const known = await database.withSystem((tx) => knownObjects(tx, old));
  return old.filter((one) => !known.has(one));
}

/** Deletes the objects of one group that no row names. Returns how many. */
async function searchGroup(given: Given, prefix: string): Promise<number> {
  const { store, log } = given;
  let deleted = 0;
  for (let after: string | null = null, isDone = false; !isDone; ) {
    const { found, next, fault } = await store.list(prefix, after);
    if (fault !== null) log.error({ prefix, fault }, 'a group of objects cannot be listed');
    await tellForeign(given, prefix, found, fault);
    const strays = await strayAmong(given, found);
    await store.delete(strays);
    deleted += strays.length;
    after = next;
    isDone = next === null;
  }
  return deleted;
}

/** Raises an alert about what is no object: nothing of the product puts anything else there. */
async function tellForeign(
  { database }: Given,
  prefix: string,
  found: readonly Found[],
  fault: string | null,
): Promise<void> {
  const foreign = found.filter((one) => one.kind !== 'file' || !objectName.test(one.name)).length;
  if (foreign === 0 && fault === null) return;
  const what = fault === null ? `${foreign} entries that are not objects` : `it cannot be read (${fault})`;
  await database.withSystem((tx) =>
    insertAlert(tx, {
      kind: 'store.stray',
      severity: 'warning',
      subject: `objects/${prefix}`,
      text: `objects/${prefix} of the store: ${what}`,
      facts: { prefix, foreign, fault },
      nextCommand: `look on that machine: ls -la objects/${prefix} of the store; nobody but the store itself may write there`,
    }),
  );
}

/**
 * Searches the groups of objects for what was left behind before the present run of the store, `groups` of them at
 * most, as far as it comes within `withinMs` milliseconds. Each run is searched once: what an edge leaves behind later
 * is known to the store.
 */
export async function searchStrays(given: Given, groups: number, withinMs = Number.POSITIVE_INFINITY): Promise<void> {
  const { store, log } = given;
  const { run } = store;
  if (run === undefined) return;
  const known = searches.get(store);
  const search = known?.run === run ? known : { run, done: 0 };
  searches.set(store, search);
  const end = performance.now() + withinMs;
  let deleted = 0;
  for (let i = 0; i < groups && search.done < prefixes.length && performance.now() < end; i += 1) {
    deleted += await searchGroup(given, prefixes[search.done] ?? '');
    search.done += 1;
  }
  if (deleted > 0) log.info({ deleted }, 'objects without a row were deleted');
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
/** From this part of its allowance on, an alert is raised about an edge. The store itself refuses what exceeds it. */
const alarmPart = 0.9;

/** Raises an alert about each edge that has put much more than uploads have taken (T-35). */
export async function watchAllowances({ database, store, limits, log }: Given): Promise<void> {
  const { held } = await store.room();
  for (const { node, bytes } of held) {
    if (bytes < alarmPart * limits.unsettledBytesMax) continue;
    log.error({ node, bytes }, 'an edge has put more into the store than uploads take');
    await database.withSystem((tx) => tellAllowance(tx, idOf<NodeName>(node), bytes, limits.unsettledBytesMax));
  }
}

function tellAllowance(
  tx: Parameters<typeof insertAlert>[0],
  node: NodeName,
  bytes: number,
  bytesMax: number,
): Promise<unknown> {
  return insertAlert(tx, {
    kind: 'node.over-allowance',
    severity: 'critical',
    subject: `${node}/store`,
    text: `${node} has ${gib(bytes)} in the store that no upload has taken, of ${gib(bytesMax)} that it may have: what exceeds that is refused`,
    facts: { node, kind: 'store', bytes, bytesMax },
    nextCommand: `cofferctl incident scope --node ${node}`,
  });
}

/** How long a start searches for strays, in milliseconds. The regular pass does what is left. */
const atStartMs = 2000;

/**
 * Searches for strays at the start. Everything that was committed is whole already, because bytes are durable before
 * their row is written, and the row before the answer. Nothing is deleted while the database is in doubt, because to an
 * old database every newer object looks like a stray; the regular pass does it later.
 */
export async function recover(given: Given, guard: Pick<LedgerGuard, 'state'>): Promise<void> {
  if (guard.state.is !== 'open') return;
  try {
    await searchStrays(given, prefixes.length, atStartMs);
  } catch (error) {
    if (toCofferdamError(error).code !== 'unavailable') throw error;
    given.log.warn({ err: error }, 'the search for objects without a row is done later');
  }
}
