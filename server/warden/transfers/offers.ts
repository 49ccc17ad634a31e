// Owns: the offers of this warden: names under which a session may put a small file in one call. An offer is kept in
// memory only, for a short time, and reserves its name meanwhile (decision 60).
// Must never: decide what may be stored. An offer that is forgotten costs its holder another call, and what stands
// under the name is looked at again, under its lock, when the file is put.
import { held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId, FolderId, NodeName, ObjectId, SessionId } from '../../domain/ids.ts';
import { NewestNames } from '../../domain/newest-names.ts';
import { formatPath, type VirtualPath } from '../../domain/paths.ts';
import type { FolderRules, Put } from './put-queries.ts';

/** How long an edge may keep an offer before it begins an upload instead, in milliseconds. */
export const offerLifeMs = 800;
/** How long the offer is known here: what was sent at the end of its life still arrives in time; milliseconds. */
const knownMs = 2 * offerLifeMs;
/** The largest number of offers at one time: of one session, of one node, and in all. */
const ofSessionMax = 32;
const ofNodeMax = 2048;
const offersMax = 8192;
/**
 * Of so many offers nothing may come within the life of a session: they expire, or what they are used for fails. After
 * that, each OPEN of the session is charged and recorded at once, because an offer costs nothing and reserves a name.
 */
const unusedMax = 256;
const supersededMax = 20_000;

/** A path inside a folder. Directories keep their names, so a path means one name for as long as an offer lasts. */
type OfferedPath = { readonly folder: FolderId; readonly rest: VirtualPath };
export type Offer = Pick<
  Put,
  'upload' | 'session' | 'customer' | 'directory' | 'standing' | 'mayReplace' | 'version' | 'content' | 'key'
> & {
  readonly path: OfferedPath;
  readonly account: AccountId;
  readonly node: NodeName;
  readonly object: ObjectId;
  readonly rules: FolderRules & { readonly name: string };
  /** When it was made: by the clock of the database (milliseconds since 1970), and by `performance.now()`. */
  readonly databaseMs: number;
  readonly madeAt: number;
};
/** `use`: the work that ends the offer, once it has begun. */
type Kept = { readonly offer: Offer; use: Promise<unknown> | undefined };

export const superseded = (): CofferdamError =>
  new CofferdamError('conflict', 'this upload was taken over or ended; nothing was stored');

const keyOf = ({ folder, rest }: OfferedPath): string => `${folder}${formatPath(rest)}`;

export class Offers {
  /** In the order in which they were made. */
  readonly #byId = new Map<string, Kept>();
  readonly #byName = new Map<string, Kept>();
  readonly #ofSession = new Map<SessionId, number>();
  readonly #ofNode = new Map<NodeName, number>();
  /** The number of offers of which nothing came, for each session that still has offers or had one lately. */
  readonly #unused = new Map<SessionId, number>();
  readonly #superseded = new NewestNames(supersededMax);

  /** Whether this session may be made another offer. */
  hasRoom(session: SessionId, node: NodeName): boolean {
    this.#sweep();
    return (
      this.#byId.size < offersMax &&
      (this.#ofSession.get(session) ?? 0) < ofSessionMax &&
      (this.#ofNode.get(node) ?? 0) < ofNodeMax &&
      (this.#unused.get(session) ?? 0) < unusedMax
    );
  }

  /**
   * Makes room under a name for an account that opens it. An offer of the same account is superseded, unless the name
   * must not exist (`exclusive`); one of another account is in the way. Throws `conflict`. When a file is just being
   * put there, waits until that is done.
   */
  async clear(path: OfferedPath, account: AccountId, exclusive: boolean): Promise<void> {
    this.#sweep();
    const kept = this.#byName.get(keyOf(path));
    if (kept === undefined) return;
    if (kept.offer.account !== account) throw new CofferdamError('conflict', 'the name is in use');
    if (kept.use === undefined) {
      if (exclusive) throw new CofferdamError('conflict', 'the file exists already');
      this.#superseded.add(kept.offer.upload);
      return this.#forget(kept);
    }
    await kept.use.catch(() => {});
    return this.clear(path, account, exclusive);
  }

  /** Returns whether nobody has an offer of this path. */
  isClear(path: OfferedPath): boolean {
    return !this.#byName.has(keyOf(path));
  }

  /** Keeps an offer of a path that is clear. */
  make(offer: Offer): void {
    const kept: Kept = { offer, use: undefined };
    this.#byId.set(offer.upload, kept);
    this.#byName.set(keyOf(offer.path), kept);
    count(this.#ofSession, offer.session, 1);
    count(this.#ofNode, offer.node, 1);
  }

  /**
   * Runs the work that ends an offer, and forgets the offer when it is done; undefined when this session has no such
   * offer. While one such work runs, another one waits for its end, and finds no offer then. Throws `conflict` when
   * another OPEN of the same name has taken the place of the offer.
   */
  async use<T>(id: string, session: SessionId, work: (offer: Offer) => Promise<T>): Promise<T | undefined> {
    this.#sweep();
    if (this.#superseded.has(id)) throw superseded();
    const kept = this.#byId.get(id);
    if (kept === undefined || kept.offer.session !== session) return undefined;
    if (kept.use !== undefined) {
      await kept.use.catch(() => {});
      return this.use(id, session, work);
    }
    const use = work(kept.offer);
    kept.use = held(use);
    try {
      return await use;
    } catch (error) {
      this.#wasted(session);
      throw error;
    } finally {
      this.#forget(kept);
    }
  }

  /** Counts an offer of which nothing came: it was free, told that a name is free, and reserved it. */
  #wasted(session: SessionId): void {
    count(this.#unused, session, 1);
    const [first] = this.#unused.size > offersMax ? this.#unused.keys() : [];
    if (first !== undefined) this.#unused.delete(first);
  }

  #forget(kept: Kept): void {
    const { upload, path, session, node } = kept.offer;
    if (!this.#byId.delete(upload)) return;
    if (this.#byName.get(keyOf(path)) === kept) this.#byName.delete(keyOf(path));
    count(this.#ofSession, session, -1);
    count(this.#ofNode, node, -1);
  }

  /** Forgets the offers whose time is over. */
  #sweep(): void {
    const oldest = performance.now() - knownMs;
    for (const kept of this.#byId.values()) {
      if (kept.offer.madeAt >= oldest) return;
      if (kept.use !== undefined) continue;
      this.#forget(kept);
      this.#wasted(kept.offer.session);
    }
  }
}

function count<K>(counts: Map<K, number>, key: K, by: number): void {
  const now = (counts.get(key) ?? 0) + by;
  counts.delete(key);
  if (now > 0) counts.set(key, now);
}
