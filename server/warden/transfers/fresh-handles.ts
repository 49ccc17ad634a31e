// Owns: the handles for reading that were opened by a look: nothing of them is written, and the first read enters and
// records them together with its charge (decision 69). They are kept in memory only.
// Must never: decide what may be read. A handle that is forgotten costs its edge another OPEN.
import { held } from '../../domain/detached.ts';
import type { NodeName, SessionId } from '../../domain/ids.ts';
import { NewestNames } from '../../domain/newest-names.ts';
import type { Opening } from '../budgets/first-read-queries.ts';
import type { Located, OpenDownload } from './download-queries.ts';

/** The largest number of fresh handles at one time: of one node, and in all. The oldest of them is forgotten. */
const ofNodeMax = 2048;
const handlesMax = 8192;
/**
 * Of so many fresh handles nothing may have been read in the life of a session. After that, each OPEN of the session is
 * charged and recorded at once, because a look is free and tells that a name exists.
 */
const unreadMax = 256;
/** The largest number of dead handles that are remembered. */
const deadMax = 20_000;

/** A file that was opened by a look, with all of its extents. */
export type FreshFile = OpenDownload & { readonly extents: readonly Located[] };
type Kept = {
  readonly open: FreshFile;
  readonly opening: Opening;
  readonly node: NodeName;
  /** The first read that is under way. */
  use: Promise<unknown> | undefined;
};

export class FreshHandles {
  /** In the order in which they were made. */
  readonly #byId = new Map<string, Kept>();
  readonly #ofNode = new Map<NodeName, number>();
  /** The number of fresh handles of each session of which nothing was read yet, or ever. */
  readonly #unread = new Map<SessionId, number>();
  readonly #dead = new NewestNames(deadMax);

  /**
   * Whether nothing may be read through this handle any more, because nobody knows what of its opening is recorded. The
   * edge opens the file again.
   */
  isDead(id: string): boolean {
    return this.#dead.has(id);
  }

  /** Whether this session may open another file by a look. */
  hasRoom(session: SessionId): boolean {
    return (this.#unread.get(session) ?? 0) < unreadMax;
  }

  make(id: string, open: FreshFile, opening: Opening, node: NodeName): void {
    this.#makeRoom(node);
    this.#byId.set(id, { open, opening, node, use: undefined });
    count(this.#ofNode, node, 1);
    count(this.#unread, open.session, 1);
    const [first] = this.#unread.size > handlesMax ? this.#unread.keys() : [];
    if (first !== undefined) this.#unread.delete(first);
  }

  /** A node forgets its own handles, so that it does not cost the others theirs. */
  #makeRoom(node: NodeName): void {
    const ofWhom = (this.#ofNode.get(node) ?? 0) >= ofNodeMax ? node : undefined;
    if (ofWhom === undefined && this.#byId.size < handlesMax) return;
    // One whose first read is under way is kept: its edge would open the file a second time.
    for (const [id, kept] of this.#byId)
      if (kept.use === undefined && (ofWhom === undefined || kept.node === ofWhom)) return this.#forget(id);
  }

  /** Returns the handle of this session that is still fresh. */
  find(id: string, session: SessionId): FreshFile | undefined {
    const open = this.#byId.get(id)?.open;
    return open?.session === session ? open : undefined;
  }

  /**
   * Reads through a handle: by `first` while it is fresh, otherwise by `later`. One first read is under way at a time;
   * others wait for it. When it succeeds, the handle is no longer fresh.
   */
  async read<T>(
    id: string,
    session: SessionId,
    first: (opening: Opening) => Promise<T>,
    later: () => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const kept = this.#byId.get(id);
      if (kept === undefined || kept.open.session !== session) return later();
      if (kept.use === undefined) return this.#begin(id, kept, first);
      await kept.use.catch(() => {});
    }
  }

  async #begin<T>(id: string, kept: Kept, first: (opening: Opening) => Promise<T>): Promise<T> {
    const use = first(kept.opening);
    kept.use = held(use);
    try {
      const result = await use;
      this.#forget(id);
      count(this.#unread, kept.open.session, -1);
      return result;
    } finally {
      kept.use = undefined;
      if (kept.opening.isDoubtful) {
        this.#dead.add(id);
        this.#forget(id);
      }
    }
  }

  /**
   * Closes a handle of which nothing was written, because no first read was tried. Returns false when the handle has to
   * be closed like any other.
   */
  async close(id: string, session: SessionId): Promise<boolean> {
    const kept = this.#byId.get(id);
    if (kept === undefined || kept.open.session !== session) return false;
    while (kept.use !== undefined) await kept.use.catch(() => {});
    this.#forget(id);
    return !kept.opening.isRecorded && !kept.opening.isDoubtful;
  }

  #forget(id: string): void {
    const kept = this.#byId.get(id);
    if (kept === undefined) return;
    this.#byId.delete(id);
    count(this.#ofNode, kept.node, -1);
  }
}

function count<K>(counts: Map<K, number>, key: K, by: number): void {
  const now = (counts.get(key) ?? 0) + by;
  counts.delete(key);
  if (now > 0) counts.set(key, now);
}
