// Owns: the amount that each edge has in its directory of the store, and what follows when it is too much: an alert, no
// new file of that edge, and the removal of strays (T-35).
// Must never: be regarded as a quota. Files that an edge holds open without a name, and what it writes between two
// looks, are not seen here. Only the file system can bound those.
import { CofferdamError } from '../../domain/errors.ts';
import { type Found, type Listing, listIncoming, removeStray } from '../../extents/object-store.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context/context.ts';
import { isObject, unknownAmong } from './recovery.ts';

type Given = Pick<Warden, 'paths' | 'limits' | 'database' | 'log'>;
type Seen = { readonly at: number; readonly why: string | undefined };

/**
 * The largest number of names that are counted. An honest edge has a few names for each upload; a larger number is too
 * much without being counted.
 */
const namesMax = 10_000;
/** When a new file begins and the last look is older than this, the directory is looked at again. Milliseconds. */
const freshMs = 5000;
/**
 * How old a file without a row must be before it is removed, in milliseconds. The row of an object is written before
 * its file, so this only covers clocks that are read late.
 */
const graceMs = 60_000;
const anyAge = -1;
/**
 * The largest size of a whole sealed extent on disk, in bytes (`sealedBytes` of `edge-words.ts`, rounded up to whole
 * blocks).
 */
const extentOnDiskMax = 16_777_216 + 65_536;
const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/**
 * Returns why the directory holds too much; undefined when it does not. `unknown`: the objects for which no upload
 * waits; whatever is no object counts like one of them. Files for which an upload waits are bounded
 * elsewhere, by the caps of sessions and handles; of those, only what exceeds one extent counts here. So a client that
 * writes files and never closes them cannot use up the allowance of its edge.
 */
export function excessOf(
  { found, isWhole, fault }: Listing,
  unknown: ReadonlySet<string>,
  bytesMax: number,
): string | undefined {
  if (fault !== null) return `its files cannot be counted (${fault})`;
  if (!isWhole) return `more than ${namesMax} files`;
  const isAwaited = (one: Found): boolean => isObject(one) && !unknown.has(one.name);
  const bytes = found.reduce(
    (sum, one) => sum + (isAwaited(one) ? Math.max(0, one.bytes - extentOnDiskMax) : one.bytes),
    0,
  );
  const files = found.filter((one) => !isAwaited(one)).length;
  return bytes > bytesMax ? `${gib(bytes)} that no upload waits for, in ${files} files` : undefined;
}

export class Incoming {
  readonly #given: Given;
  readonly #seen = new Map<string, Seen>();
  readonly #looking = new Map<string, Promise<void>>();

  constructor(given: Given) {
    this.#given = given;
  }

  /**
   * Is called before this node begins anything for which it will write a file. Throws `over-limit` when its directory
   * holds too much already.
   */
  async require(node: string): Promise<void> {
    const seen = this.#seen.get(node);
    if (seen === undefined || performance.now() - seen.at > freshMs) await this.look(node);
    if (this.#seen.get(node)?.why !== undefined)
      throw new CofferdamError('over-limit', 'no space for new files at the moment; nothing was stored');
  }

  /** Looks at the directory of a node. One look runs at a time; callers that come meanwhile wait for it. */
  look(node: string): Promise<void> {
    const running = this.#looking.get(node);
    if (running !== undefined) return running;
    const look = this.#look(node).finally(() => this.#looking.delete(node));
    this.#looking.set(node, look);
    return look;
  }

  async #look(node: string): Promise<void> {
    const { paths, limits } = this.#given;
    const { incomingBytesMax } = limits;
    const count = async (): Promise<{ readonly listing: Listing; readonly why: string | undefined }> => {
      const listing = await listIncoming(paths, node, namesMax);
      const unknown = await unknownAmong(this.#given, listing.found, anyAge);
      return { listing, why: excessOf(listing, new Set(unknown.map((one) => one.name)), incomingBytesMax) };
    };
    let { listing, why } = await count();
    if (why !== undefined && (await this.#clear(node, listing)) > 0) ({ why } = await count());
    const before = this.#seen.get(node)?.why;
    if (why !== undefined) await this.#tell(node, why, before === undefined);
    this.#seen.set(node, { at: performance.now(), why });
  }

  /**
   * Removes files for which no upload waits, and returns how many. An honest edge writes such a file again when it is
   * needed.
   */
  async #clear(node: string, listing: Listing): Promise<number> {
    const { paths } = this.#given;
    const strays = [
      ...(await unknownAmong(this.#given, listing.found, graceMs)),
      ...listing.found.filter((one) => !isObject(one) && one.ageMs > graceMs),
    ];
    let removed = 0;
    for (const one of strays)
      await removeStray(paths, { node }, one).then(
        () => (removed += 1),
        () => {},
      );
    return removed;
  }

  async #tell(node: string, why: string, isNew: boolean): Promise<void> {
    const { database, log, paths, limits } = this.#given;
    const place = paths.incoming(node);
    if (isNew)
      log.error({ node, reason: why, place }, 'an edge has too much in its incoming directory: it begins no new files');
    await database.withSystem((tx) =>
      insertAlert(tx, {
        kind: 'node.over-allowance',
        severity: 'critical',
        subject: `${node}/incoming`,
        text: `${node} exceeds its limit in the incoming directory (${why}): it begins no new files until there is less`,
        facts: { node, kind: 'incoming', why, bytesMax: limits.incomingBytesMax },
        nextCommand: `look on that machine: ls -la ${place}; cofferctl incident scope --node ${node}`,
      }),
    );
  }
}

const watches = new WeakMap<object, Incoming>();

/** Returns the value for the warden with this database; there is one for each process. */
export function incomingOf(warden: Given): Incoming {
  const made = watches.get(warden.database) ?? new Incoming(warden);
  watches.set(warden.database, made);
  return made;
}
