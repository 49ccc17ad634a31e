// Owns: what each edge has lying in its directory of the store, and what follows when it is too much: an alarm, no new file of that edge, and strays go (T-35).
// Must never: be taken for a quota. What an edge holds open without a name is not seen here, nor what it writes within a look; the wall is the file system's.
import { runtimePaths } from '../../config/config.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { type Listing, listIncoming, removeStray } from '../../extents/object-store.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context.ts';
import { isObject, unknownAmong } from './recovery.ts';

type Given = Pick<Warden, 'config' | 'database' | 'log'>;
type Seen = { readonly at: number; readonly why: string | undefined };

/** An honest edge has a few names for each upload: what is more is not counted, but too much. */
const namesMax = 10_000;
/** Names are looked at again for a new file when the last look is older than this. */
const freshMs = 5000;
/** A file has its row before it is there. This is for whoever reads the clock late. */
const graceMs = 60_000;
const anyAge = -1;
/** A whole extent, sealed, is at most so long (`sealedBytes` of the words of an edge); files take whole blocks. */
const extentOnDiskMax = 16_777_216 + 65_536;
const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/**
 * Why it is too much; undefined: it is not. What an upload waits for is counted where it is asked for, by sessions and handles: of it only what is more than an
 * extent is too much here. So whoever writes files and never closes them takes nothing from others.
 */
export function excessOf({ found, isWhole, fault }: Listing, unknown: ReadonlySet<string>, bytesMax: number): string | undefined {
  if (fault !== null) return `they cannot be counted (${fault})`;
  if (!isWhole) return `more than ${namesMax} files`;
  const bytes = found.reduce((sum, one) => sum + (unknown.has(one.name) ? one.bytes : Math.max(0, one.bytes - extentOnDiskMax)), 0);
  return bytes > bytesMax ? `${gib(bytes)} that no upload waits for, in ${unknown.size} files` : undefined;
}

export class Incoming {
  readonly #given: Given;
  readonly #seen = new Map<string, Seen>();
  readonly #looking = new Map<string, Promise<void>>();

  constructor(given: Given) {
    this.#given = given;
  }

  /** Before anything of this node begins that it will write a file for. Throws `over-limit` when too much lies there already. */
  async require(node: string): Promise<void> {
    const seen = this.#seen.get(node);
    if (seen === undefined || performance.now() - seen.at > freshMs) await this.look(node);
    if (this.#seen.get(node)?.why !== undefined)
      throw new CofferdamError('over-limit', 'no space for new files at the moment; nothing was stored');
  }

  /** One look at a time; whoever comes meanwhile waits for it. */
  look(node: string): Promise<void> {
    const running = this.#looking.get(node);
    if (running !== undefined) return running;
    const look = this.#look(node).finally(() => this.#looking.delete(node));
    this.#looking.set(node, look);
    return look;
  }

  async #look(node: string): Promise<void> {
    const { config } = this.#given;
    const paths = runtimePaths(config);
    const { incomingBytesMax } = config.limits;
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

  /** What no upload waits for goes at once: its edge writes it again when it is honest, and nobody needs it when it is not. */
  async #clear(node: string, listing: Listing): Promise<number> {
    const paths = runtimePaths(this.#given.config);
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
    const { database, log, config } = this.#given;
    const place = runtimePaths(config).incoming(node);
    if (isNew) log.error({ node, reason: why, place }, 'an edge has too much lying in the store: it begins no new files');
    await database.withSystem((tx) =>
      insertAlert(tx, {
        kind: 'node.over-allowance',
        severity: 'critical',
        subject: `${node}/incoming`,
        text: `${node} has more lying in the store than an edge may (${why}): it begins no new files until there is less`,
        facts: { node, kind: 'incoming', why, bytesMax: config.limits.incomingBytesMax },
        nextCommand: `look on that machine: ls -la ${place}; cofferctl incident scope --node ${node}`,
      }),
    );
  }
}

const watches = new WeakMap<object, Incoming>();

/** One a process: by its database. */
export function incomingOf(warden: Given): Incoming {
  const made = watches.get(warden.database) ?? new Incoming(warden);
  watches.set(warden.database, made);
  return made;
}
