// Owns: one SFTP session: packets in order of arrival, bounded work under way, replies, back-pressure both ways.
// Must never: take in more than is being worked on, or tell a client the text of an unknown error.

import { detach, held } from '../../domain/detached.ts';
import { CofferdamError, errorCodes, sftpStatus, toCofferdamError } from '../../domain/errors.ts';
import type { EdgeNode, SftpInput, SftpOutput, StartSftp } from '../sftp-seam.ts';
import { dataHeader, FieldReader, okPacket, statusPacket, type, versionPacket } from './codec.ts';
import { Handles } from './handles.ts';
import { dataBytesMax, extensions, type Operation, type OperationContext, operations } from './operations.ts';
import { Pacers } from './pacer.ts';
import { PacketCutter } from './packet-cutter.ts';
import { SegmentShelf } from './segment-shelf.ts';
import { StoreThread } from './store-thread.ts';
import type { Upload } from './upload.ts';

/** What a READ costs at least while it is under way. */
const readCostBytes = 65_536;
/** Longer than two paths and all attributes; a WRITE is none of these. */
const requestBytesMax = 34_000;
/** After so many packets the rest waits for the next turn of the loop: others come in between, however small the packets are. */
const packetsPerTurnMax = 256;

const abandoned = (): CofferdamError => new CofferdamError('conflict', 'the channel is over');

/** The SFTP layer of one edge process. */
export function createSftp(node: EdgeNode): { readonly start: StartSftp; stop(): Promise<void> } {
  const store = new StoreThread(node.log);
  return {
    start: (session, output, warden) =>
      new Session(
        {
          node,
          session,
          warden,
          store,
          shelf: new SegmentShelf(output.buffers),
          buffers: output.buffers,
          pacers: new Pacers(session, warden),
          handles: new Handles(node.config.limits.handlesPerSessionMax),
        },
        output,
      ),
    stop: () => store.stop(),
  };
}

class Session implements SftpInput {
  readonly #context: OperationContext;
  readonly #output: SftpOutput;
  readonly #cutter = new PacketCutter();
  /** Received bytes that the channel was not told to have been taken in; they hold its window. */
  #unconsumedBytes = 0;
  #takenSinceRest = 0;
  #isResting = false;
  #isPumping = false;
  #isBlocked = false;
  #hasVersion = false;
  #isEof = false;
  #isOver = false;
  #running = 0;
  /** Operations on names happen in the order in which they were asked for. */
  #lane: Promise<unknown> = Promise.resolve();
  /** READs are answered in the order in which they came. */
  #reads: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(context: OperationContext, output: SftpOutput) {
    this.#context = context;
    this.#output = output;
    output.onDrain = () => this.#pump();
  }

  get isBusy(): boolean {
    return !this.#isOver && (this.#running > 0 || this.#cutter.hasPacket || this.#context.handles.hasFiles);
  }

  data(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#cutter.push(chunk);
    this.#unconsumedBytes += chunk.length;
    this.#pump();
  }

  eof(): void {
    this.#isEof = true;
    this.#finishIfDone();
  }

  #isHeld(): boolean {
    const { requestsInFlightPerChannelMax } = this.#context.node.config.limits;
    return this.#isBlocked || this.#running >= requestsInFlightPerChannelMax || !this.#output.buffers.hasReplyRoom;
  }

  /** Takes packets until held back. What was cut counts as consumed: the client may send as much again. */
  #pump(): void {
    if (this.#isPumping || this.#isOver || this.#isResting) return;
    this.#isPumping = true;
    try {
      while (!this.#isHeld()) {
        if (this.#takenSinceRest >= packetsPerTurnMax) {
          if (this.#cutter.hasPacket) this.#rest();
          break;
        }
        const packet = this.#cutter.next();
        if (packet === undefined) break;
        this.#takenSinceRest += 1;
        this.#take(packet);
      }
      this.#consume();
    } catch (error) {
      this.#isOver = true;
      this.#output.fail(toCofferdamError(error).message);
    } finally {
      // The chunk that has just come is not ours.
      this.#cutter.keep();
      this.#isPumping = false;
    }
    this.#finishIfDone();
  }

  #rest(): void {
    this.#isResting = true;
    setImmediate(() => {
      this.#isResting = false;
      this.#takenSinceRest = 0;
      this.#pump();
    });
  }

  #consume(): void {
    const bytes = this.#unconsumedBytes - this.#cutter.waitingBytes;
    if (bytes === 0) return;
    this.#unconsumedBytes -= bytes;
    this.#output.consumed(bytes);
  }

  #finishIfDone(): void {
    if (!this.#isEof || this.#isOver || this.#running > 0 || this.#isResting || this.#cutter.hasPacket) return;
    this.#isOver = true;
    this.#closing = held(this.#letGo());
    detach(
      this.#closing.finally(() => this.#output.end(0)),
      (error) => this.#break(error),
    );
  }

  /** `packet` is good until this returns: whatever is kept of it is copied. */
  #take(packet: Buffer): void {
    const packetType = packet[0] ?? 0;
    if (!this.#hasVersion) {
      if (packetType !== type.init) throw new CofferdamError('invalid', 'the first packet must be INIT');
      this.#hasVersion = true;
      this.#output.send([versionPacket(Object.entries(extensions).map(([name, row]) => [name, row.version] as const))]);
      return;
    }
    if (packetType === type.write) return this.#write(packet);
    const fields = new FieldReader(packet, 1);
    const id = fields.uint32();
    if (packet.length > requestBytesMax) {
      this.#output.send([statusPacket(id, sftpStatus.BAD_MESSAGE, 'this request is too long')]);
      return;
    }
    if (packetType === type.read) return this.#read(id, fields);
    const operation = packetType === type.extended ? this.#extension(fields) : operations[packetType];
    if (operation === undefined) {
      this.#output.send([statusPacket(id, sftpStatus.OP_UNSUPPORTED, 'this operation is not offered')]);
      return;
    }
    // It waits its turn: what it says must outlive this call.
    this.#run(id, operation, new FieldReader(Buffer.from(packet), fields.position));
  }

  #extension(fields: FieldReader): Operation | undefined {
    const name = fields.string().toString('latin1');
    return Object.hasOwn(extensions, name) ? extensions[name] : undefined;
  }

  #run(id: number, operation: Operation, fields: FieldReader): void {
    this.#running += 1;
    const cost = fields.bytes;
    this.#output.buffers.addReplies(cost);
    // Nobody hears the answer any more, and something before it may have been abandoned: what was not begun is not done, a CLOSE least of all (T-31).
    const work = (): Promise<Buffer> => (this.#isOver ? Promise.reject(abandoned()) : operation.run(this.#context, id, fields));
    // A CLOSE that was sent behind READs waits for them.
    const result = Promise.all([this.#lane, this.#reads]).then(work);
    const reply = result.catch((error: unknown) => this.#failure(id, error, operation.name));
    this.#lane = held(reply.then(() => {}));
    const answered = reply.then((ready) => {
      this.#output.buffers.addReplies(-cost);
      this.#done([ready]);
    });
    detach(answered, (error) => this.#break(error));
  }

  /** A defect while one client is served ends that client's connection, and nobody else's. */
  #break(error: unknown): void {
    this.#context.node.log.error({ err: error, account: this.#context.session.account }, 'a session failed');
    this.#isOver = true;
    this.#output.fail('internal error');
  }

  #done(reply: readonly Buffer[]): void {
    this.#running -= 1;
    if (!this.#isOver) this.#output.send(reply);
    this.#pump();
    this.#finishIfDone();
  }

  #failure(id: number, thrown: unknown, what: string): Buffer {
    const error = toCofferdamError(thrown);
    if (error.code === 'bug' || error.code === 'corrupt')
      this.#context.node.log.error({ err: thrown, what, account: this.#context.session.account }, 'an operation failed');
    return statusPacket(id, errorCodes[error.code].sftp, error.message);
  }

  #write(packet: Buffer): void {
    const fields = new FieldReader(packet, 1);
    const id = fields.uint32();
    let reply: Buffer;
    let upload: Upload | undefined;
    try {
      const handle = this.#context.handles.get(fields.string());
      upload = handle.kind === 'upload' ? handle.upload : undefined;
      const offset = fields.uint64();
      // Some clients (Go's sftp package of 2022) send a whole buffer behind a shorter length: the rest is not theirs to write.
      const data = fields.string();
      if (handle.kind !== 'upload') throw new CofferdamError('denied', 'the file is open for reading only');
      handle.upload.write(offset, [data]);
      if (handle.upload.isFull) {
        this.#isBlocked = true;
        handle.upload.onRoom = () => {
          if (handle.upload.isFull) return;
          handle.upload.onRoom = undefined;
          this.#isBlocked = false;
          this.#pump();
        };
      }
      reply = okPacket(id);
    } catch (error) {
      // Whatever was wrong with it: bytes that were meant for this file are not in it (T-31).
      upload?.refuse(error);
      reply = this.#failure(id, error, 'write');
    }
    this.#output.send([reply]);
  }

  #read(id: number, fields: FieldReader): void {
    this.#running += 1;
    const name = fields.string();
    const offset = fields.uint64();
    const length = Math.min(fields.uint32(), dataBytesMax);
    const cost = Math.max(length, readCostBytes);
    this.#output.buffers.addReplies(cost);
    const reading = (async (): Promise<readonly Buffer[]> => {
      const handle = this.#context.handles.get(name);
      if (handle.kind !== 'download') throw new CofferdamError('denied', 'the file is not open for reading');
      const slices = await handle.download.read(offset, length);
      const bytes = slices.reduce((sum, slice) => sum + slice.length, 0);
      return bytes === 0 && length > 0 ? [statusPacket(id, sftpStatus.EOF, 'end of file')] : [dataHeader(id, bytes), ...slices];
    })();
    // In the order of the requests: the protocol allows any, but scp of OpenSSH 9 cuts a file off where its data came out of order.
    const reply = reading.catch((error: unknown) => [this.#failure(id, error, 'read')]);
    const answered = this.#reads.then(async () => {
      const ready = await reply;
      this.#output.buffers.addReplies(-cost);
      this.#done(ready);
    });
    this.#reads = held(answered.catch((error: unknown) => this.#break(error)));
  }

  async closed(): Promise<void> {
    this.#isOver = true;
    this.#cutter.clear();
    this.#closing ??= held(this.#letGo());
    await this.#closing;
  }

  /** What is still open: uploads are interrupted (they can be continued), downloads closed. */
  async #letGo(): Promise<void> {
    await this.#lane;
    await Promise.all(
      this.#context.handles.drain().map(async (handle) => {
        try {
          if (handle.kind === 'upload') await handle.upload.interrupt();
          if (handle.kind === 'download') await handle.download.close('cut');
        } catch (error) {
          this.#context.node.log.info({ err: error, account: this.#context.session.account }, 'a handle could not be closed in order');
        }
      }),
    );
  }
}
