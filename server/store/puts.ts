// Owns: one connection of an edge to the store: its puts, and what each is answered.
// Must never: store anything without a ticket of a warden for this node, say that an object is durable before it is,
// or let one connection hold more puts than its share.
import type { Socket } from 'node:net';
import { detach, unexpected } from '../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../domain/errors.ts';
import type { NodeName, Plane } from '../domain/ids.ts';
import type { ObjectStore, ObjectWriter } from '../extents/object-store.ts';
import { acknowledge, readTicket, SealedDigest, type Ticket, ticketBytes } from '../extents/object-tickets.ts';
import type { Logger } from '../observability/logger.ts';
import { busyBytes, type SocketReader } from '../rpc/own-buffer.ts';
import type { Release, Slots } from '../rpc/slots.ts';
import {
  bodyBytesMax,
  durableBytes,
  edgeFrames,
  type Failure,
  FrameCutter,
  failures,
  frameHead,
  type Head,
  storeFrames,
} from '../rpc/store-frames.ts';
import type { EndedPuts } from './ended-puts.ts';
import type { Pieces } from './pieces.ts';
import type { TicketKeys } from './ticket-keys.ts';
import type { Holding, Unsettled } from './unsettled.ts';

/**
 * How many numbers of puts one connection may have in use, those of failed puts included. How many objects an edge may
 * be writing is a line of the table of shares, because each is an open file.
 */
const putsMax = 16_384;
/**
 * The connection counts as not read when this many bytes of answers wait: more than one for each object that an edge
 * may be writing. An answer that waits takes many times its length in memory.
 */
const answersMax = 512 * 1024;
/**
 * How long a connection waits, unread, for a warden to say which tickets count, in milliseconds: as long as an edge
 * looks for a store that is away.
 */
const unreadMs = 5000;
const nothing = Buffer.alloc(0);

type Put = {
  readonly ticket: Ticket;
  /** The key of the ticket, with which the object is acknowledged. */
  readonly key: Buffer;
  readonly writer: ObjectWriter;
  readonly digest: SealedDigest;
  readonly holding: Holding;
  readonly release: Release;
  bytes: number;
  /** False when a piece came that was not full: nothing may follow it. */
  isFull: boolean;
};
/** A put that failed, and whose edge may not know yet. What it still sends is dropped. */
const lost = 'lost';

type Given = {
  readonly store: ObjectStore;
  readonly node: NodeName;
  readonly plane: Plane;
  /** Places for objects that are being written, of all connections of all edges. */
  readonly places: Slots;
  /** The memory for pieces, of all connections of all edges. */
  readonly pieces: Pieces;
  readonly keys: TicketKeys;
  readonly ended: EndedPuts;
  readonly unsettled: Unsettled;
  readonly log: Logger;
};

const failureOf = (error: unknown): Failure => {
  const { code } = toCofferdamError(error);
  return failures.find((one) => one === code) ?? 'unavailable';
};

export class Puts {
  readonly #given: Given;
  readonly #reader: SocketReader;
  readonly #socket: Socket;
  readonly #cutter: FrameCutter;
  readonly #puts = new Map<number, Put | typeof lost>();
  readonly #small = Buffer.alloc(ticketBytes);
  readonly #wake = (): void => this.#reader.resume();
  readonly #begins = (): void => {
    clearTimeout(this.#unread);
    this.#reader.resume();
  };
  readonly #unread: NodeJS.Timeout;
  /** The memory of the piece that is arriving. */
  #arriving: Buffer | undefined;

  constructor(reader: SocketReader, given: Given) {
    this.#given = given;
    this.#reader = reader;
    const { socket } = reader;
    this.#socket = socket;
    reader.bytesMax = busyBytes;
    this.#cutter = new FrameCutter({
      room: (head) => this.#room(head),
      take: (head, memory) => this.#take(head, memory),
    });
    reader.read((bytes) => this.#read(bytes));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#close());
    this.#unread = setTimeout(() => socket.destroy(), unreadMs);
    given.keys.whenKnown(this.#begins);
  }

  /**
   * Takes what was read, as far as there is memory for pieces. A connection that breaks a rule ends, with everything
   * that it had not finished.
   */
  #read(bytes: Buffer): number {
    try {
      const used = this.#cutter.push(bytes);
      if (used < bytes.length) this.#reader.pause();
      return used;
    } catch (error) {
      const { node, log } = this.#given;
      log.error({ node, err: error }, 'an edge sent something malformed to the store');
      this.#socket.destroy();
      return bytes.length;
    }
  }

  #room({ type, put, length }: Head): Buffer | undefined {
    const isKnown = this.#puts.has(put);
    const isRight =
      (type === edgeFrames.begin && !isKnown && length === ticketBytes && this.#puts.size < putsMax) ||
      (type === edgeFrames.piece && isKnown && length > 0) ||
      ((type === edgeFrames.end || type === edgeFrames.abort) && isKnown && length === 0);
    if (!isRight) throw new CofferdamError('invalid', `a frame of type ${type} may not come now`);
    if (type === edgeFrames.begin) return this.#small;
    return type === edgeFrames.piece ? this.#takeMemory() : nothing;
  }

  #takeMemory(): Buffer | undefined {
    const { node, plane, pieces } = this.#given;
    this.#arriving = pieces.take({ holder: node, group: plane }, this.#wake);
    return this.#arriving;
  }

  #take({ type, put, length }: Head, memory: Buffer): void {
    this.#arriving = undefined;
    switch (type) {
      case edgeFrames.begin:
        return this.#begin(put, memory);
      case edgeFrames.piece:
        return this.#piece(put, memory, length);
      case edgeFrames.end:
        return this.#end(put);
      default:
        return this.#abort(put);
    }
  }

  #begin(number: number, memory: Buffer): void {
    const { ended, keys, node, plane, places, store, unsettled } = this.#given;
    try {
      if (ended.isClosing) throw new CofferdamError('unavailable', 'the store stops');
      const { ticket, key } = readTicket(keys.all, node, Buffer.from(memory), Date.now());
      const release = places.take({ holder: node, group: plane });
      const writer = store.begin(ticket.object);
      const digest = new SealedDigest();
      const holding = unsettled.hold(node);
      this.#puts.set(number, { ticket, key, writer, digest, holding, release, bytes: 0, isFull: true });
    } catch (error) {
      this.#fail(number, undefined, error);
    }
  }

  #piece(number: number, memory: Buffer, length: number): void {
    const put = this.#puts.get(number);
    if (put === undefined || put === lost) return this.#given.pieces.give(memory);
    try {
      if (!put.isFull || put.bytes + length > put.ticket.bytesMax)
        throw new CofferdamError('invalid', 'this piece does not belong to the object of the ticket');
      put.digest.add(memory.subarray(0, length));
      put.holding.add(length);
    } catch (error) {
      this.#given.pieces.give(memory);
      return this.#fail(
        number,
        put,
        error instanceof RangeError ? new CofferdamError('invalid', error.message) : error,
      );
    }
    put.bytes += length;
    put.isFull = length === bodyBytesMax;
    detach(
      put.writer
        .write(memory, length)
        .catch((error: unknown) => this.#fail(number, put, error))
        .then(() => this.#given.pieces.give(memory)),
      unexpected,
    );
  }

  #end(number: number): void {
    const put = this.#puts.get(number);
    this.#puts.delete(number);
    if (put === undefined || put === lost) return;
    this.#given.ended.add(
      put.writer
        .finish()
        .finally(put.release)
        .then(
          () => this.#durable(number, put),
          (error: unknown) => this.#unfinished(number, put, error),
        ),
    );
  }

  /**
   * Answers that a put failed. An object whose name could not be taken away counts like one that is whole, and is
   * deleted like one.
   */
  #unfinished(number: number, { ticket, writer, holding }: Put, error: unknown): void {
    if (writer.isNamed) holding.whole(ticket.object);
    else holding.release();
    this.#answerFailure(number, error);
  }

  #durable(number: number, { ticket, key, digest, bytes, holding }: Put): void {
    const { node, object } = ticket;
    holding.whole(object);
    const durable = { node, object, bytes, digest: digest.end() };
    const body = Buffer.alloc(durableBytes);
    body.writeUInt32BE(bytes, 0);
    durable.digest.copy(body, 4);
    acknowledge(key, durable).copy(body, 4 + durable.digest.length);
    this.#answer(storeFrames.durable, number, body);
  }

  #abort(number: number): void {
    const put = this.#puts.get(number);
    this.#puts.delete(number);
    if (put !== undefined && put !== lost) this.#discard(put);
  }

  /** Ends a put that cannot succeed any more. Its number stays taken until the edge has ended it. */
  #fail(number: number, put: Put | undefined, error: unknown): void {
    if (put !== undefined && this.#puts.get(number) !== put) return;
    this.#puts.set(number, lost);
    if (put !== undefined) this.#discard(put);
    this.#answerFailure(number, error);
  }

  #answerFailure(number: number, error: unknown): void {
    const { node, log } = this.#given;
    const failure = failureOf(error);
    log[failure === 'unavailable' ? 'error' : 'warn']({ node, err: error }, 'an object was not stored');
    this.#answer(storeFrames.failed, number, Buffer.of(failures.indexOf(failure)));
  }

  #discard({ writer, holding, release }: Put): void {
    holding.release();
    detach(writer.abort().finally(release), (error) =>
      this.#given.log.warn({ err: error }, 'an unfinished object could not be removed'),
    );
  }

  #answer(type: number, put: number, body: Buffer): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(Buffer.concat([frameHead(type, put, body.length), body]));
    if (this.#socket.writableLength > answersMax) this.#socket.destroy();
  }

  /** Ends every put. The memory of pieces that are being written comes back when their writes have ended. */
  #close(): void {
    const { keys, pieces } = this.#given;
    clearTimeout(this.#unread);
    keys.leave(this.#begins);
    pieces.leave(this.#wake);
    if (this.#arriving !== undefined) pieces.give(this.#arriving);
    this.#arriving = undefined;
    for (const put of this.#puts.values()) if (put !== lost) this.#discard(put);
    this.#puts.clear();
  }
}
