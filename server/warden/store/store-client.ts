// Owns: a warden's connection to the store: connecting again for as long as the warden runs, and what the warden asks.
// Must never: take an answer that did not come for a success. While the store is away, there is no space for new files,
// and nothing is deleted.
import { connect } from 'node:net';
import { detach, givenUp, held } from '../../domain/detached.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { idOf, type ObjectId } from '../../domain/ids.ts';
import { Queue } from '../../domain/queue.ts';
import type { Listing } from '../../extents/object-store.ts';
import type { Logger } from '../../observability/logger.ts';
import { ownDoor } from '../../rpc/door.ts';
import { Peer } from '../../rpc/peer.ts';
import {
  objectsMax,
  type StoreToWarden,
  storeToWarden,
  type WardenToStore,
  wardenToStore,
} from '../../rpc/warden-store.ts';

type StorePeer = Peer<StoreToWarden, WardenToStore, undefined>;
type Room = {
  readonly freeBytes: number;
  /** What each node has put that no row of the database names yet, in bytes. */
  readonly held: readonly { readonly node: string; readonly bytes: number }[];
};

/** What use cases receive that have to do with objects. */
export type Storing = { readonly store: Store };

/** What the use cases of the warden know of the store. */
export type Store = {
  /** The key of tickets and acknowledgements (32 bytes). */
  readonly key: Buffer;
  /**
   * Returns the number of bytes that may still be stored: as of a second ago at most, or as the store said last when it
   * is away. Rejects with `unavailable` only while it has never said so, and waits a second at most.
   */
  freeBytes(): Promise<number>;
  room(): Promise<Room>;
  /** Tells the store, soon, that a row names this object. Nothing depends on it being heard. */
  settled(object: ObjectId): void;
  /** Tells the store at once that rows name these objects. */
  settle(objects: readonly ObjectId[]): Promise<void>;
  /** Names the run of the store that is connected; undefined while none is. */
  readonly run: string | undefined;
  /** How long that run has lasted at least, in milliseconds; 0 while none is connected. */
  readonly runMs: number;
  /** Returns objects that are whole and that nobody settled for `ageMs` milliseconds. */
  unsettled(ageMs: number): Promise<readonly ObjectId[]>;
  /** Deletes objects, any number of them. */
  delete(objects: readonly ObjectId[]): Promise<void>;
  /** Lists a part of one of the 256 groups of objects (two hexadecimal digits), after the name `after`. */
  list(prefix: string, after: string | null): Promise<Listing>;
};

const reconnectMs = 100;
/** How long a store may take for its last answers when the warden takes its leave, in milliseconds. */
const lastAnswersMs = 3000;
/**
 * How old a reading of the free space may be, and how long a new one is waited for where there is an older one, in
 * milliseconds. An object that finds no space is refused by the store itself: the reading only keeps a floor.
 */
const freshMs = 1000;
/** How long settled objects are gathered before the store is told, in milliseconds. */
const gatherMs = 200;
/**
 * How many settled objects wait at most. The store forgets none by itself, so what is dropped here is asked for later.
 */
const settledMax = 100_000;

const away = (): CofferdamError =>
  new CofferdamError('unavailable', 'the store is not available at the moment; try again');
/** Returns what `reading` gives, or `known` when it fails or takes longer than `ms` milliseconds. */
async function orAfter(ms: number, reading: Promise<number>, known: number): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<number>((resolve) => {
    timer = setTimeout(() => resolve(known), ms);
  });
  return Promise.race([reading.catch(() => known), late]).finally(() => clearTimeout(timer));
}
const textOf = (name: string): string => Buffer.from(name, 'latin1').toString('base64');
const nameOf = (text: string): string => Buffer.from(text, 'base64').toString('latin1');

export class StoreClient implements Store {
  readonly key: Buffer;
  readonly #path: string;
  readonly #log: Logger;
  readonly #waiting = new Set<() => void>();
  readonly #settled = new Queue<ObjectId>();
  readonly #patienceMs: number;
  #peer: StorePeer | undefined;
  /** The run that is connected, and when it began (`performance.now()`). */
  #run: { readonly id: string; readonly since: number } | undefined;
  #isStopped = false;
  #isLeaving = false;
  #leaving: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The last reading of the free space. */
  #free: { readonly at: number; readonly bytes: number } | undefined;
  #reading: Promise<number> | undefined;

  /** `patienceMs`: how long a call waits for a store that is away. */
  constructor(path: string, key: Buffer, patienceMs: number, log: Logger) {
    this.#path = path;
    this.key = key;
    this.#patienceMs = patienceMs;
    this.#log = log;
  }

  /**
   * Begins to connect. Resolves when the store has answered, or after `withinMs`: then large files are refused until it
   * has, and everything else is served.
   */
  async start(withinMs: number): Promise<void> {
    this.#connect();
    await this.#connected(withinMs).then(
      () => this.freeBytes().catch(givenUp),
      () => this.#log.error({ path: this.#path }, 'the store has not answered yet: large files are refused'),
    );
    this.#timer = setInterval(() => this.#tellSettled(), gatherMs);
  }

  /**
   * The warden is about to stop: from now on nothing waits for a store that is away, nor for long when it does not
   * answer.
   */
  leave(): void {
    this.#isLeaving = true;
    this.#wake();
    this.#leaving = setTimeout(() => this.#peer?.close(), lastAnswersMs);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#leaving);
    clearInterval(this.#timer);
    this.#tellSettled();
    this.#peer?.close();
    this.#wake();
  }

  get run(): string | undefined {
    return this.#run?.id;
  }

  get runMs(): number {
    return this.#run === undefined ? 0 : performance.now() - this.#run.since;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #connect(): void {
    if (this.#isStopped) return;
    const peer: StorePeer = new Peer({
      stream: connect(this.#path),
      serves: storeToWarden,
      handlers: {},
      calls: wardenToStore,
      door: ownDoor(undefined),
      onClose: (reason) => {
        if (this.#peer === peer) {
          this.#peer = undefined;
          this.#run = undefined;
          if (!this.#isStopped)
            this.#log.error({ reason: reason.message }, 'the store is away: large files are refused');
        }
        setTimeout(() => this.#connect(), reconnectMs).unref();
      },
      onBug: (op, error) => this.#log.error({ op, err: error }, 'defect in a handler'),
    });
    detach(
      peer.call('store.hello', { protocol: 1, key: this.key.toString('base64') }).then(({ run, runMs }) => {
        this.#peer = peer;
        this.#run = { id: run, since: performance.now() - runMs };
        this.#wake();
      }),
      () => peer.close(),
    );
  }

  async #connected(withinMs: number): Promise<StorePeer> {
    const until = performance.now() + withinMs;
    while (this.#peer?.isOpen !== true) {
      const leftMs = until - performance.now();
      if (this.#isStopped || this.#isLeaving || leftMs <= 0) throw away();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(wake, leftMs);
        const waiting = this.#waiting;
        function wake(): void {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve();
        }
        waiting.add(wake);
      });
    }
    return this.#peer;
  }

  #ready(): Promise<StorePeer> {
    return this.#connected(this.#patienceMs);
  }

  async room(): Promise<Room> {
    return (await this.#ready()).call('store.room', {});
  }

  async freeBytes(): Promise<number> {
    if (this.#free !== undefined && performance.now() - this.#free.at < freshMs) return this.#free.bytes;
    if (this.#peer?.isOpen === true) {
      const reading = this.#read(this.#peer);
      const known = this.#free?.bytes;
      return known === undefined ? reading : orAfter(freshMs, reading, known);
    }
    if (this.#free === undefined) throw away();
    return this.#free.bytes;
  }

  /** Asks for the free space, once for all who ask at the same time. */
  #read(peer: StorePeer): Promise<number> {
    this.#reading ??= held(
      peer
        .call('store.room', {})
        .then(({ freeBytes }) => {
          this.#free = { at: performance.now(), bytes: freeBytes };
          return freeBytes;
        })
        .finally(() => {
          this.#reading = undefined;
        }),
    );
    return this.#reading;
  }

  settled(object: ObjectId): void {
    if (this.#settled.length < settledMax) this.#settled.push(object);
  }

  #tellSettled(): void {
    if (this.#settled.length === 0 || this.#peer?.isOpen !== true) return;
    // What is lost here is found among the unsettled objects, whose rows are then looked for.
    detach(
      this.#peer.call('store.settle', {
        objects: [...this.#settled.takeMany(Math.min(objectsMax, this.#settled.length))],
      }),
      givenUp,
    );
  }

  async settle(objects: readonly ObjectId[]): Promise<void> {
    for (let at = 0; at < objects.length; at += objectsMax)
      await (await this.#ready()).call('store.settle', { objects: objects.slice(at, at + objectsMax) });
  }

  async unsettled(ageMs: number): Promise<readonly ObjectId[]> {
    const { objects } = await (await this.#ready()).call('store.unsettled', { ageMs });
    return objects.map((object) => idOf<ObjectId>(object));
  }

  async delete(objects: readonly ObjectId[]): Promise<void> {
    for (let at = 0; at < objects.length; at += objectsMax)
      await (await this.#ready()).call('store.delete', { objects: objects.slice(at, at + objectsMax) });
  }

  async list(prefix: string, after: string | null): Promise<Listing> {
    const listing = await (await this.#ready()).call('store.list', {
      prefix,
      after: after === null ? null : textOf(after),
    });
    return {
      found: listing.found.map((one) => ({ ...one, name: nameOf(one.name) })),
      next: listing.next === null ? null : nameOf(listing.next),
      fault: listing.fault,
    };
  }
}
