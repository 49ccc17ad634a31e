// Owns: what must be true, without the product's code: what each handle was told, what may therefore be visible, and
// what may never change.
import { createHash } from 'node:crypto';

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** What a name had when it was opened: nothing, an incomplete upload, or a file. */
export type Before = 'nothing' | 'partial' | 'complete';

/** What was asked and answered on one open handle, and the bytes that its file would have. */
export class HandleBelief {
  path: string;
  readonly account: string;
  /** The bytes of the file: the existing ones, written over from `#position` backwards. */
  image: Buffer;
  /** Where the next byte in sequence belongs, once something was written. */
  #position = 0;
  readonly #early = new Map<number, Buffer>();
  #before: Before;
  #beforeBytes: number;
  hasWritten = false;
  /** Something on this handle was refused: it must never become a file. */
  refusal: string | undefined;
  announced: number | undefined;
  isClosed = false;
  /** False: it began with bytes for which a fault left two possibilities. */
  readonly isCertain: boolean;
  readonly #opening: Buffer;

  constructor(path: string, account: string, base: Buffer, before: Before, isCertain = true) {
    this.isCertain = isCertain;
    this.#opening = base;
    this.path = path;
    this.account = account;
    this.image = base;
    this.#before = before;
    this.#beforeBytes = base.length;
  }

  /** Where a client that writes in sequence continues. */
  get next(): number {
    return this.hasWritten ? this.#position : this.image.length;
  }

  /** Where appended bytes go. */
  get end(): number {
    return Math.max(this.next, this.#beforeBytes);
  }

  /**
   * The first write decides where the sequence begins; after that only the next byte, or one further ahead, is
   * accepted.
   */
  write(offset: number, data: Buffer): void {
    if (!this.hasWritten) this.#position = Math.min(offset, this.image.length);
    this.hasWritten = true;
    // It is refused, and changes nothing.
    if (offset < this.#position) return;
    this.#early.set(offset, data);
    for (let next = this.#early.get(this.#position); next !== undefined; next = this.#early.get(this.#position)) {
      this.#early.delete(this.#position);
      this.image = Buffer.concat([
        this.image.subarray(0, this.#position),
        next,
        this.image.subarray(this.#position + next.length),
      ]);
      this.#position += next.length;
    }
  }

  /** Nothing was there when it was opened. */
  get isNew(): boolean {
    return this.#before === 'nothing';
  }

  /** Some of the bytes that existed when it was opened are written over. */
  get isRewritten(): boolean {
    return !this.image.subarray(0, this.#opening.length).equals(this.#opening);
  }

  beginAnew(): void {
    this.image = Buffer.alloc(0);
    this.#before = 'nothing';
    this.#beforeBytes = 0;
    this.#position = 0;
    this.#early.clear();
  }

  /** Why a CLOSE must not make a file of it; undefined: it may. */
  get flaw(): string | undefined {
    if (this.refusal !== undefined) return `a request on the handle was refused (${this.refusal})`;
    if (this.#early.size > 0) return 'a part of the file was never written';
    if (this.announced !== undefined && this.image.length < this.announced)
      return `${this.announced} bytes were announced and ${this.image.length} written`;
    if (this.#before !== 'partial') return undefined;
    if (!this.hasWritten) return 'a continued upload to which nothing was added';
    return this.#position < this.#beforeBytes ? 'less was written than was there already' : undefined;
  }
}

export type Acknowledged = {
  path: string;
  readonly account: string;
  readonly sha: string;
  readonly size: number;
  /**
   * Its sender did something afterwards that is allowed: it need not be there any more, unless a reader could have seen
   * it.
   */
  isSuperseded: boolean;
};

/** The first bytes of a new file that an fsync acknowledged. */
type Synced = { path: string; readonly account: string; readonly bytes: number; isSuperseded: boolean };

export type Seen = {
  readonly id: string;
  readonly path: string;
  readonly state: string;
  readonly sha: string | null;
  readonly size: number;
  readonly account: string;
};

/** Everything that is known in one run. */
export class Beliefs {
  readonly handles: HandleBelief[] = [];
  readonly acknowledged: Acknowledged[] = [];
  readonly #synced: Synced[] = [];
  /** Hashes of whole files whose CLOSE was answered OK, or whose answer was lost. */
  readonly whole = new Map<string, string>();
  readonly #published = new Map<string, Seen>();
  readonly violations: string[] = [];

  violate(what: string): void {
    this.violations.push(what);
  }

  closed(handle: HandleBelief, outcome: 'ok' | 'lost'): void {
    handle.isClosed = true;
    const flaw = handle.flaw;
    if (flaw !== undefined) {
      if (outcome === 'ok') this.violate(`CLOSE of ${handle.path} was answered OK although ${flaw}`);
      return;
    }
    const sha = sha256(handle.image);
    this.whole.set(sha, handle.path);
    if (outcome === 'lost') return;
    this.supersede(handle.path);
    this.acknowledged.push({
      path: handle.path,
      account: handle.account,
      sha,
      size: handle.image.length,
      isSuperseded: false,
    });
  }

  /** An fsync acknowledged this many bytes of an open handle. What went on from something is let go with it. */
  synced(handle: HandleBelief, bytes: number): void {
    const { path, account, isClosed } = handle;
    if (bytes > 0 && handle.isNew && !isClosed) this.#synced.push({ path, account, bytes, isSuperseded: false });
  }

  supersede(path: string): void {
    for (const one of this.#synced) if (one.path === path) one.isSuperseded = true;
    for (const one of this.acknowledged) if (one.path === path) one.isSuperseded = true;
  }

  renamed(from: string, to: string, account: string): void {
    this.supersede(to);
    for (const one of this.#synced) if (one.path === from && one.account === account) one.path = to;
    for (const one of this.acknowledged)
      if (one.path === from && one.account === account && !one.isSuperseded) one.path = to;
    // They took the name after all who had it before.
    const moved = this.handles.filter((handle) => handle.path === from && handle.account === account);
    for (const handle of moved) handle.path = to;
    this.handles.splice(0, this.handles.length, ...this.handles.filter((handle) => !moved.includes(handle)), ...moved);
  }

  /** What the catalogue shows at a moment: what was published once stays, with its bytes. */
  look(rows: readonly Seen[], mayBecome: (before: Seen, state: string) => boolean): void {
    const now = new Map(rows.map((row) => [row.id, row]));
    for (const before of this.#published.values()) {
      const row = now.get(before.id);
      if (row === undefined) this.violate(`${before.path} was published and its version is gone`);
      else if (row.sha !== before.sha || row.size !== before.size)
        this.violate(`${before.path} was published and its version is another now`);
      else if (row.state !== 'published' && !mayBecome(before, row.state))
        this.violate(`${before.path} was published and is ${row.state}`);
    }
    for (const row of rows) {
      if (row.state !== 'published') continue;
      this.#published.set(row.id, row);
      if (row.sha === null || !this.whole.has(row.sha))
        this.violate(`${row.path} is published with ${row.size} bytes that nobody completed in one piece`);
    }
  }

  /** At the end of a run: everything that was acknowledged and not discarded by its sender is there. */
  account(rows: readonly Seen[], isMarker: (path: string, size: number) => boolean): void {
    for (const { path, account, bytes, isSuperseded } of this.#synced)
      if (
        !isSuperseded &&
        !rows.some(
          (row) => row.path === path && row.account === account && row.size >= bytes && row.state !== 'discarded',
        )
      )
        this.violate(`an fsync acknowledged ${bytes} bytes of ${path}, and they are gone`);
    const kept = new Set(
      rows
        .filter((row) => ['held', 'settling', 'published', 'withdrawn', 'destroyed'].includes(row.state))
        .map((row) => row.sha),
    );
    for (const one of this.acknowledged)
      if (!one.isSuperseded && !kept.has(one.sha) && !isMarker(one.path, one.size))
        this.violate(`${one.path} (${one.size} bytes) was acknowledged and is gone`);
  }
}
