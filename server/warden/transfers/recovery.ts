// Owns: objects of the store that no row of the database names: those that an edge put and no upload took, and those
// that were left behind before the present run of the store began. And the alert about an edge that puts too many.
// Must never: delete an object that a row needs, or to which a row may still be given.
import { toCofferdamError } from '../../domain/errors.ts';
import { idOf, type NodeName, type ObjectId } from '../../domain/ids.ts';
import type { Found } from '../../extents/object-store.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context/context.ts';
import type { LedgerGuard } from '../ledger/guard.ts';
import type { PassingWarden } from '../passes/row-passes.ts';
import type { Store, Storing } from '../store/store-client.ts';
import { knownObjects, sealedAmong, takePending } from './sweep-queries.ts';

type Given = Pick<Warden, 'database' | 'log' | 'limits'> & Storing;

/**
 * How old an object without a row must be before it is deleted, in milliseconds. The call that gives a younger one its
 * row may be under way, on this warden or another.
 */
const graceMs = 10 * 60_000;
/**
 * How long one turn of the regular pass searches for strays, in milliseconds: a sixth of the time, as long as groups of
 * objects are left. And how long a start does, which leaves the rest to that pass.
 */
const turnMs = 10_000;
const atStartMs = 2000;
const objectName = /^[0-9a-f]{32}$/;

/** The 256 groups of objects, two hexadecimal digits each. */
const prefixes: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/**
 * Takes back what is still issued among these objects, so that no row can be given to it any more, and returns those
 * that have a row.
 */
const takeBack = ({ database }: Given, objects: readonly ObjectId[]): Promise<ReadonlySet<ObjectId>> =>
  database.withSystem(async (tx) => {
    await takePending(tx, objects);
    return knownObjects(tx, objects);
  });

/**
 * Deletes objects that became whole a while ago and that no upload has taken. An object that is still issued is taken
 * back first: an honest edge reports an object at once. `ageMs` says how long they have been whole.
 */
export async function collectUnsettled(given: Given, ageMs: number = graceMs): Promise<void> {
  const { store, log } = given;
  for (;;) {
    const objects = await store.unsettled(ageMs);
    if (objects.length === 0) return;
    const sealed = await takeBack(given, objects);
    const strays = objects.filter((one) => !sealed.has(one));
    await store.settle([...sealed]);
    await store.delete(strays);
    if (strays.length > 0) log.warn({ deleted: strays.length }, 'objects that no upload took were deleted');
  }
}

/**
 * The search of one run of the store, and how many groups of objects it is through. It is due when the run is older
 * than what may be deleted: then what was there before the run is old enough, and what is younger is known to the
 * store.
 */
type Search = { readonly run: string; readonly isDue: boolean; done: number };
const searches = new WeakMap<Store, Search>();
/** The ages of files are on another clock, which may be set meanwhile and then runs a little slower or faster. */
const clocksApart = 1.05;

function searchOf(store: Store, run: string, ageMs: number): Search {
  const isDue = store.runMs > clocksApart * ageMs;
  const known = searches.get(store);
  if (known?.run === run && known.isDue === isDue) return known;
  const search = { run, isDue, done: 0 };
  searches.set(store, search);
  return search;
}

/** Returns the objects of this listing that are old enough and that no row names. */
async function strayAmong(given: Given, found: readonly Found[], ageMs: number): Promise<readonly ObjectId[]> {
  const old = found
    .filter((one) => one.kind === 'file' && one.ageMs > ageMs && objectName.test(one.name))
    .map((one) => idOf<ObjectId>(one.name));
  if (old.length === 0) return [];
  const sealed = await given.database.withSystem((tx) => sealedAmong(tx, old));
  const without = old.filter((one) => !sealed.has(one));
  if (without.length === 0) return [];
  const sealedMeanwhile = await takeBack(given, without);
  return without.filter((one) => !sealedMeanwhile.has(one));
}

type Searching = Given & Pick<PassingWarden, 'mayGoOn'>;

/** Deletes the objects of one group that no row names. Says how many, and whether it came to the end of the group. */
async function searchGroup(
  given: Searching,
  prefix: string,
  ageMs: number,
): Promise<{ readonly deleted: number; readonly isDone: boolean }> {
  const { store, log, mayGoOn = () => true } = given;
  let deleted = 0;
  for (let after: string | null = null; mayGoOn(); ) {
    const { found, next, fault } = await store.list(prefix, after);
    if (fault !== null) log.error({ prefix, fault }, 'a group of objects cannot be listed');
    await tellForeign(given, prefix, found, fault);
    const strays = await strayAmong(given, found, ageMs);
    await store.delete(strays);
    deleted += strays.length;
    after = next;
    if (next === null) return { deleted, isDone: true };
  }
  return { deleted, isDone: false };
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
 * Searches the groups of objects for what was left behind before the present run of the store, as far as it comes
 * within `withinMs` milliseconds; the next call goes on from there. Each run is searched when it is seen for the first
 * time, and once more when it is due, because an object that was whole shortly before the run is too young until then.
 * What an edge leaves behind in this run is known to the store. `ageMs` says how old an object without a row must be.
 */
export async function searchStrays(
  given: Searching,
  { ageMs = graceMs, withinMs = turnMs }: { readonly ageMs?: number; readonly withinMs?: number } = {},
): Promise<void> {
  const { store, log } = given;
  const { run } = store;
  if (run === undefined) return;
  const search = searchOf(store, run, ageMs);
  const end = performance.now() + withinMs;
  let deleted = 0;
  while (performance.now() < end) {
    const prefix = prefixes[search.done];
    if (prefix === undefined) break;
    const one = await searchGroup(given, prefix, ageMs);
    deleted += one.deleted;
    if (!one.isDone) break;
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

/**
 * Searches for strays at the start. Everything that was committed is whole already, because bytes are durable before
 * their row is written, and the row before the answer. Nothing is deleted while the database is in doubt, because to an
 * old database every newer object looks like a stray; the regular pass does it later.
 */
export async function recover(given: Given, guard: Pick<LedgerGuard, 'state'>): Promise<void> {
  if (guard.state.is !== 'open') return;
  try {
    await searchStrays(given, { withinMs: atStartMs });
  } catch (error) {
    if (toCofferdamError(error).code !== 'unavailable') throw error;
    given.log.warn({ err: error }, 'the search for objects without a row is done later');
  }
}
