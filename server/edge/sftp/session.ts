// Owns: one SFTP session: packets in the order of their arrival, a bounded
// amount of work under way, replies, and back-pressure in both directions.
// Must never: accept more requests than may be under way at once, or show a client the text of an unknown error.

import { detach, held } from '../../domain/detached.ts';
import { CofferdamError, type SftpStatus, sftpStatus, toCofferdamError } from '../../domain/errors.ts';
import type { EdgeNode, SftpInput, SftpOutput, StartSftp } from '../seam/sftp-seam.ts';
import type { ToldLines } from '../seam/told-lines.ts';
import { Closings } from './closings.ts';
import { dataHeader, FieldReader, okPacket, statusPacket, type, versionPacket } from './codec.ts';
import { Filling } from './filling.ts';
import { Handles, type OpenHandle } from './handles.ts';
import { PagePlaces } from './listing.ts';
import {
  dataBytesMax,
  extensions,
  type HandleOperation,
  type Operation,
  type OperationContext,
  operations,
} from './operations.ts';
import { PacketCutter } from './packet-cutter.ts';
import { SegmentShelf } from './segment-shelf.ts';
import { sharing } from './shared.ts';
import { turnNamed, type WritableFile } from './small-upload.ts';
import { type Subject, statusOf } from './statuses.ts';
import { StoreThread } from './store-thread.ts';
import { StreamedWrite, writeHead } from './streamed-write.ts';

/** The least that a READ counts for while it is under way, in bytes. */
const readCostBytes = 65_536;
/** The longest request other than a WRITE, in bytes: more than two paths and all attributes need. */
const requestBytesMax = 34_000;
/**
 * After this many packets the rest waits for the next turn of the event loop, so
 * that other connections are served in between, however small the packets are.
 */
const packetsPerTurnMax = 256;

/**
 * How long the end of a session waits for requests that are under way, in multiples of
 * `wardenRetryMs`. One call to the warden takes at most one `wardenRetryMs`, and a CLOSE makes
 * several calls. Afterwards the warden is told of the end, and refuses what comes later.
 */
const lanePatience = 6;

/** What a client of this status says by itself, and says truly: its person is told no words beside it. */
const saidByClients: readonly SftpStatus[] = [sftpStatus.EOF, sftpStatus.NO_SUCH_FILE];

const abandoned = (): CofferdamError =>
  new CofferdamError('conflict', 'the channel was closed before this request began');

/** Creates the SFTP layer of one edge process. */
export function createSftp(node: EdgeNode): { readonly start: StartSftp; stop(): Promise<void> } {
  const store = new StoreThread(node.paths.storeSocket(node.node), node.log);
  const pages = new PagePlaces();
  const sharedOf = sharing(node.limits.handlesPerSessionMax);
  return {
    start: (session, output, warden) => {
      const { places, grants, pacers, told } = sharedOf(session, warden);
      const context: OperationContext = {
        node,
        session,
        warden,
        store,
        shelf: new SegmentShelf(output.buffers),
        buffers: output.buffers,
        filling: new Filling(output.buffers, store),
        pacers,
        grants,
        closings: new Closings(node),
        handles: new Handles(places),
        pages,
      };
      return new Session(context, output, told);
    },
    stop: () => store.stop(),
  };
}

class Session implements SftpInput {
  readonly #context: OperationContext;
  readonly #output: SftpOutput;
  readonly #told: ToldLines;
  readonly #cutter = new PacketCutter();
  /** The WRITE whose data goes into its file as it comes. */
  #streamed: StreamedWrite | undefined;
  /** The number of received bytes that were not reported to the channel as consumed yet. They occupy its window. */
  #unconsumedBytes = 0;
  #takenSinceRest = 0;
  #isResting = false;
  #isPumping = false;
  #isBlocked = false;
  #hasVersion = false;
  #isEof = false;
  #isOver = false;
  #running = 0;
  /**
   * Settles when the last accepted operation is done. Operations other than
   * READ and WRITE are done in the order in which they were requested.
   */
  #lane: Promise<unknown> = Promise.resolve();
  /** Settles when the last accepted READ is answered. READs are answered in the order in which they came. */
  #reads: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(context: OperationContext, output: SftpOutput, told: ToldLines) {
    this.#context = context;
    this.#output = output;
    this.#told = told;
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
    const { requestsInFlightPerChannelMax } = this.#context.node.limits;
    return this.#isBlocked || this.#running >= requestsInFlightPerChannelMax || !this.#output.buffers.hasReplyRoom;
  }

  /**
   * Takes packets until the session must hold back. Bytes that were cut into
   * packets count as consumed, so that the client may send as many again.
   */
  #pump(): void {
    if (this.#isPumping || this.#isOver || this.#isResting) return;
    this.#isPumping = true;
    try {
      while (!this.#isHeld()) {
        if (this.#streamed !== undefined) {
          if (!this.#pour(this.#streamed)) break;
          continue;
        }
        if (this.#takenSinceRest >= packetsPerTurnMax) {
          if (this.#cutter.hasPacket) this.#rest();
          break;
        }
        const packet = this.#cutter.next();
        if (packet !== undefined) this.#take(packet);
        else if (!this.#beginToPour()) break;
        this.#takenSinceRest += 1;
      }
      this.#consume();
    } catch (error) {
      this.#isOver = true;
      this.#output.fail('invalid SFTP packet', { detail: toCofferdamError(error).message });
    } finally {
      // The chunk that has just come belongs to the caller, so the rest of it is copied.
      this.#cutter.keep(this.#isBlocked);
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

  /** Begins a WRITE before all of it has come. Returns false when there is none, or when it must be gathered. */
  #beginToPour(): boolean {
    const begun = this.#hasVersion ? this.#cutter.begun : undefined;
    const head = begun && writeHead(begun.length, begun.bytes);
    const open = head && this.#context.handles.find(head.handle);
    if (open?.handle.kind !== 'upload' || open.waiting > 0 || !open.handle.upload.isNext(head?.offset ?? -1))
      return false;
    if (head === undefined || head.dataBytes === 0) return false;
    this.#streamed = new StreamedWrite(head, open.handle.upload);
    this.#cutter.pour(head.headBytes);
    return true;
  }

  /** Takes what has come of a WRITE, and answers it when that is all. Returns false when nothing has come. */
  #pour(write: StreamedWrite): boolean {
    const piece = this.#cutter.piece();
    if (piece === undefined) return false;
    write.take(piece);
    if (!write.isDone) return true;
    this.#streamed = undefined;
    this.#output.send([write.error === undefined ? okPacket(write.id) : this.#failure(write.id, write.error, 'write')]);
    this.#holdWhileFull(write.upload);
    return true;
  }

  /** Handles one packet. `packet` is valid until this method returns; whatever is kept of it must be copied. */
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
      this.#output.send([this.#refusal(id, sftpStatus.FAILURE, 'this request is too long')]);
      return;
    }
    if (packetType === type.read) return this.#read(id, fields);
    const operation = packetType === type.extended ? this.#extension(fields) : operations[packetType];
    if (operation === undefined) {
      this.#output.send([this.#refusal(id, sftpStatus.OP_UNSUPPORTED, 'this operation is not offered')]);
      return;
    }
    // The request may have to wait, so its fields must outlive this call.
    const bytes = Buffer.from(packet);
    const own = new FieldReader(bytes, fields.position);
    if (operation.on === 'handle') this.#onHandle(id, operation, own);
    else
      this.#inLine(
        id,
        operation.name,
        own.bytes,
        async () => {
          const { handles, session } = this.#context;
          await turnNamed(handles.writing(), operation.name, new FieldReader(bytes, own.position), session.start);
          return operation.run(this.#context, id, own);
        },
        'names',
      );
  }

  #extension(fields: FieldReader): Operation | undefined {
    const name = fields.string().toString('latin1');
    return Object.hasOwn(extensions, name) ? extensions[name] : undefined;
  }

  /**
   * Handles a request on a handle. The handle is looked up when the request
   * comes, and later requests on the same handle wait until this one has begun.
   */
  #onHandle(id: number, operation: HandleOperation, fields: FieldReader): void {
    const { handles } = this.#context;
    let open: OpenHandle;
    try {
      const name = fields.string();
      open = operation.ends ? handles.close(name) : handles.get(name);
    } catch (error) {
      this.#output.send([this.#failure(id, error, operation.name)]);
      return;
    }
    open.waiting += 1;
    this.#inLine(id, operation.name, fields.bytes, () => {
      open.waiting -= 1;
      if (operation.ends) handles.free(open);
      return operation.run(this.#context, id, open.handle, fields);
    });
  }

  /** Begins an operation at once when nothing is under way, otherwise after everything that was accepted before it. */
  #inLine(id: number, what: string, cost: number, begin: () => Promise<Buffer>, subject: Subject = 'handle'): void {
    const isAlone = this.#running === 0;
    this.#running += 1;
    this.#output.buffers.addReplies(cost);
    // After the end of the session nobody reads the answer, and an earlier request may have
    // been abandoned. What has not begun is therefore not done, least of all a CLOSE (T-31).
    const work = async (): Promise<Buffer> => {
      if (this.#isOver) throw abandoned();
      return begin();
    };
    // A CLOSE that was sent after READs waits for them.
    const result = isAlone ? work() : Promise.all([this.#lane, this.#reads]).then(work);
    const reply = result.catch((error: unknown) => this.#failure(id, error, what, subject));
    this.#lane = held(reply.then(() => {}));
    const answered = reply.then((ready) => {
      this.#output.buffers.addReplies(-cost);
      this.#done([ready]);
    });
    detach(answered, (error) => this.#break(error));
  }

  /** Ends the connection of this client only, because of a defect. */
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

  #failure(id: number, thrown: unknown, what: string, subject: Subject = 'handle'): Buffer {
    const error = toCofferdamError(thrown);
    if (error.code === 'bug' || error.code === 'corrupt')
      this.#context.node.log.error(
        { err: thrown, what, account: this.#context.session.account },
        'an operation failed',
      );
    return this.#refusal(id, statusOf(error.code, subject), error.message);
  }

  /**
   * The door through which every refusal leaves: as a status with its sentence, and as a line on standard error,
   * because OpenSSH's `sftp` shows its own words for the status and never the sentence.
   */
  #refusal(id: number, status: SftpStatus, sentence: string): Buffer {
    const line = saidByClients.includes(status) || this.#isOver ? undefined : this.#told.line(sentence);
    if (line !== undefined) this.#output.tell(line);
    return statusPacket(id, status, sentence);
  }

  /** Handles a WRITE: at once, unless an earlier request on the same handle has not begun. */
  #write(packet: Buffer): void {
    const fields = new FieldReader(packet, 1);
    const id = fields.uint32();
    let open: OpenHandle;
    try {
      open = this.#context.handles.get(fields.string());
    } catch (error) {
      this.#output.send([this.#failure(id, error, 'write')]);
      return;
    }
    if (open.waiting > 0) return this.#writeInLine(id, open, new FieldReader(Buffer.from(packet), fields.position));
    this.#output.send([this.#writeTo(open, id, fields)]);
    if (open.handle.kind === 'upload') this.#holdWhileFull(open.handle.upload);
  }

  #writeInLine(id: number, open: OpenHandle, fields: FieldReader): void {
    open.waiting += 1;
    this.#inLine(id, 'write', fields.bytes, async () => {
      try {
        if (open.handle.kind === 'upload') await open.handle.upload.room();
      } finally {
        open.waiting -= 1;
      }
      return this.#writeTo(open, id, fields);
    });
  }

  #writeTo({ handle }: OpenHandle, id: number, fields: FieldReader): Buffer {
    try {
      if (handle.kind !== 'upload') throw new CofferdamError('denied', 'the file is open for reading only');
      const offset = fields.uint64();
      // Some clients (Go's sftp package of 2022) send more bytes in a packet than
      // the length of its data says. The bytes beyond that length are ignored.
      handle.upload.write(offset, [fields.string()]);
      return okPacket(id);
    } catch (error) {
      // Whatever was wrong with the WRITE: bytes that were meant for this file are missing in it (T-31).
      if (handle.kind === 'upload') handle.upload.refuse(error);
      return this.#failure(id, error, 'write');
    }
  }

  #holdWhileFull(upload: WritableFile): void {
    if (!upload.isFull) return;
    this.#isBlocked = true;
    this.#output.hold(true);
    upload.onRoom = () => {
      if (upload.isFull) return;
      upload.onRoom = undefined;
      this.#isBlocked = false;
      this.#output.hold(false);
      this.#pump();
    };
  }

  #read(id: number, fields: FieldReader): void {
    this.#running += 1;
    const name = fields.string();
    const offset = fields.uint64();
    const length = Math.min(fields.uint32(), dataBytesMax);
    const cost = Math.max(length, readCostBytes);
    this.#output.buffers.addReplies(cost);
    const reading = (async (): Promise<readonly Buffer[]> => {
      const { handle } = this.#context.handles.get(name);
      if (handle.kind === 'directory') throw new CofferdamError('conflict', 'this is a directory');
      if (handle.kind === 'upload') {
        if (handle.upload.isBehindEnd(offset)) return [statusPacket(id, sftpStatus.EOF, 'end of file')];
        // It changes nothing of the file, so it is no reason to refuse the CLOSE (decision 63).
        throw new CofferdamError('denied', 'the file is being written: close it, then open it for reading');
      }
      const slices = await handle.download.read(offset, length);
      const bytes = slices.reduce((sum, slice) => sum + slice.length, 0);
      return bytes === 0 && length > 0
        ? [statusPacket(id, sftpStatus.EOF, 'end of file')]
        : [dataHeader(id, bytes), ...slices];
    })();
    // The protocol allows any order of replies, but scp of OpenSSH 9 truncates a file whose data arrives out of order.
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

  /**
   * Releases everything at once, whatever is under way. What was acknowledged is reported to the warden
   * however long another request takes, and requests that wait for room stop waiting. No waiting
   * request begins any more. If an OPEN is under way, its file is released when it has been opened.
   */
  async #letGo(): Promise<void> {
    const opened = held(this.#lane.then(() => this.#letGoOfHandles()));
    let timer: NodeJS.Timeout | undefined;
    const isLate = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lanePatience * this.#context.node.limits.wardenRetryMs);
    });
    await Promise.all([
      this.#letGoOfHandles(),
      Promise.race([opened, isLate]),
      Promise.race([this.#context.closings.settled(), isLate]),
    ]);
    clearTimeout(timer);
  }

  /** Releases all open handles: uploads are interrupted and can be resumed, downloads are closed. Never rejects. */
  async #letGoOfHandles(): Promise<void> {
    await Promise.all(
      this.#context.handles.drain().map(async (handle) => {
        try {
          if (handle.kind === 'upload') await handle.upload.interrupt();
          if (handle.kind === 'download') await handle.download.close('cut');
          if (handle.kind === 'directory') handle.listing.end();
        } catch (error) {
          this.#context.node.log.info(
            { err: error, account: this.#context.session.account },
            'a handle could not be closed in order',
          );
        }
      }),
    );
  }
}
