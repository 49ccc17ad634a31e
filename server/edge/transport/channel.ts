// Owns: one SSH channel: the windows in both directions, and cutting
// the outgoing byte stream into full packets (RFC 4254 section 5).
// Must never: send more than the client's window allows, or enlarge our own window before received bytes were
// processed.
import { Queue } from '../../domain/queue.ts';
import type { FailDetail, FailReason } from '../seam/fail-reasons.ts';
import type { SftpInput, SftpOutput } from '../seam/sftp-seam.ts';
import { toldBounds, toldBytes } from '../seam/told-lines.ts';
import { type Account, floors } from './buffer-reserve.ts';
import { channelClose } from './messages/channel-close.ts';
import { channelData } from './messages/channel-data.ts';
import { channelEof } from './messages/channel-eof.ts';
import { channelExtendedData, standardError } from './messages/channel-extended-data.ts';
import { channelRequest, exitStatus } from './messages/channel-request.ts';
import { channelSuccess } from './messages/channel-success.ts';
import { channelWindowAdjust } from './messages/channel-window-adjust.ts';

/** The size of the receive window when the channel opens, in bytes. It grows as received bytes are processed. */
const firstWindowBytes = 2 * 1024 * 1024;
/** What a queued chunk costs besides its bytes, so that many tiny replies do not look cheap; bytes. */
const chunkCostBytes = 256;
/**
 * A window adjustment smaller than this is only sent to a client that is about to stand still.
 * Otherwise a flood of tiny messages would be answered with one adjustment each; bytes.
 */
const adjustmentBytesMin = 32 * 1024;

export type ChannelHost = {
  send(parts: readonly Uint8Array[]): void;
  /** Returns false while the socket is full, a key exchange is under way, or the lease is lost. */
  maySendData(): boolean;
  /** Lets what comes from the client wait for a short while, because this channel cannot take more. */
  hold(by: Channel, isHeld: boolean): void;
  fail(reason: FailReason, more?: FailDetail): void;
  closed(): void;
};

export class Channel implements SftpOutput {
  readonly #host: ChannelHost;
  readonly remoteId: number;
  readonly #packetMax: number;
  readonly #windowMax: number;
  readonly buffers: Account;
  #outWindow: number;
  /**
   * The bytes that the client may still send. These and the received bytes that were
   * not processed yet (`#unconsumed`) are both counted in the account of windows.
   */
  #inWindow: number;
  #unconsumed = 0;
  readonly #queue = new Queue<Buffer>();
  #pending = 0;
  /** Lines that were not sent yet, and the bytes of all lines of this channel. */
  readonly #told = new Queue<Buffer>();
  #toldBytes = 0;
  #isEnding: number | undefined;
  #isClosed = false;
  /** True when our CLOSE was sent, or the channel was dropped: nothing more is sent for it. */
  #isOver = false;
  /** True when the client said that it is done with this channel. */
  hasClientEnded = false;
  bytesIn = 0;
  bytesOut = 0;
  input: SftpInput | undefined;
  onDrain: (() => void) | undefined;

  constructor(
    host: ChannelHost,
    open: {
      readonly remoteId: number;
      readonly window: number;
      readonly packetMax: number;
      readonly ownWindow: number;
      readonly buffers: Account;
    },
  ) {
    this.#host = host;
    this.remoteId = open.remoteId;
    this.#outWindow = open.window;
    // Packets of more than 32 KiB gain nothing, and few clients accept them.
    this.#packetMax = Math.min(open.packetMax, 32_768);
    this.#windowMax = Math.max(open.ownWindow, floors.windows);
    this.buffers = open.buffers;
    this.#inWindow = this.buffers.takeWindow(Math.min(firstWindowBytes, this.#windowMax));
  }

  /** Returns how many bytes the client may send before the first window adjustment. */
  get firstWindow(): number {
    return this.#inWindow;
  }

  send(chunks: readonly Buffer[]): void {
    if (this.#isClosed || this.#isEnding !== undefined) return;
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      this.#queue.push(chunk);
      this.#pending += chunk.length;
      this.buffers.addReplies(chunk.length + chunkCostBytes);
    }
    this.flush();
  }

  tell(line: string): void {
    if (this.#isClosed || this.#isEnding !== undefined || this.#told.length >= toldBounds.waitingMax) return;
    const bytes = toldBytes(line);
    if (this.#toldBytes + bytes.length > toldBounds.channelBytesMax) return;
    this.#toldBytes += bytes.length;
    this.#told.push(bytes);
    this.flush();
  }

  /** Sends the lines that wait, as long as they take only a part of the client's window. */
  #sendTold(): void {
    for (let line = this.#told.first(); line !== undefined; line = this.#told.first()) {
      const isLarge = line.length > this.#packetMax || line.length * toldBounds.windowShare > this.#outWindow;
      if (isLarge || !this.#host.maySendData()) return;
      this.#told.take();
      this.#outWindow -= line.length;
      this.#host.send(channelExtendedData.write({ recipient: this.remoteId, type: standardError, data: line }));
    }
  }

  /** Sends as much of the queue as the client's window, the socket and the lease allow. */
  flush(): void {
    const before = this.#pending;
    if (!this.#isOver) this.#sendTold();
    while (this.#pending > 0 && this.#outWindow > 0 && this.#host.maySendData()) this.#sendPacket();
    if (this.#pending === 0 && this.#isEnding !== undefined && !this.#isOver) this.#sendEnd(this.#isEnding);
    if (this.#pending < before) this.onDrain?.();
  }

  #sendPacket(): void {
    const size = Math.min(this.#pending, this.#packetMax, this.#outWindow);
    const pieces: Buffer[] = [];
    let missing = size;
    while (missing > 0) {
      // What is pending is in the queue.
      const next = this.#queue.first() as Buffer;
      if (next.length <= missing) {
        pieces.push(next);
        missing -= next.length;
        this.#queue.take();
        this.buffers.addReplies(-chunkCostBytes);
      } else {
        pieces.push(next.subarray(0, missing));
        this.#queue.replaceFirst(next.subarray(missing));
        missing = 0;
      }
    }
    this.#pending -= size;
    this.buffers.addReplies(-size);
    this.#outWindow -= size;
    this.bytesOut += size;
    this.#host.send(channelData.write({ recipient: this.remoteId, pieces }));
  }

  widen(bytes: number): void {
    if (this.#outWindow + bytes > 0xffff_ffff) {
      this.#host.fail('window overflow');
      return;
    }
    this.#outWindow += bytes;
    this.flush();
  }

  receive(data: Buffer): void {
    if (data.length > this.#inWindow) {
      this.#host.fail('more data than the window allows');
      return;
    }
    this.#inWindow -= data.length;
    this.#unconsumed += data.length;
    this.bytesIn += data.length;
    if (this.input === undefined || this.#isEnding !== undefined) this.consumed(data.length);
    else this.input.data(data);
  }

  consumed(bytes: number): void {
    if (this.#isClosed) return;
    this.#unconsumed -= bytes;
    this.buffers.giveWindow(bytes);
    const held = this.#inWindow + this.#unconsumed;
    // Adjustments are sent seldom and are then large, but at once when the client is about to stand still.
    if (this.#isOver || (this.#windowMax - held < this.#windowMax / 4 && this.#inWindow > this.#windowMax / 2)) return;
    const more = this.buffers.takeWindow(this.#windowMax - held);
    // While memory is short little is granted, however much is missing.
    if (more === 0 || (more < adjustmentBytesMin && this.#inWindow > adjustmentBytesMin))
      return this.buffers.giveWindow(more);
    this.#inWindow += more;
    this.#host.send(channelWindowAdjust.write({ recipient: this.remoteId, bytes: more }));
  }

  hold(isHeld: boolean): void {
    if (!this.#isClosed || !isHeld) this.#host.hold(this, isHeld);
  }

  success(): void {
    this.#host.send(channelSuccess.write({ recipient: this.remoteId }));
  }

  end(status: number): void {
    if (this.#isEnding !== undefined) return;
    this.#isEnding = status;
    this.flush();
  }

  #sendEnd(status: number): void {
    this.#isOver = true;
    const recipient = this.remoteId;
    this.#host.send(
      channelRequest.write({ recipient, type: 'exit-status', wantsReply: false, data: exitStatus.write(status) }),
    );
    this.#host.send(channelEof.write({ recipient }));
    this.#host.send(channelClose.write({ recipient }));
  }

  fail(reason: FailReason, more?: FailDetail): void {
    this.#host.fail(reason, more);
  }

  eof(): void {
    this.hasClientEnded = true;
    if (this.input === undefined) this.end(0);
    else this.input.eof();
  }

  /** Handles the client's CLOSE: sends ours if it was not sent yet, and ends the channel. */
  close(): void {
    this.hasClientEnded = true;
    if (!this.#isOver) this.#host.send(channelClose.write({ recipient: this.remoteId }));
    this.drop();
  }

  /** Ends the channel: nothing more is sent or received on it. */
  drop(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isOver = true;
    this.hold(false);
    this.buffers.leave();
    this.#queue.clear();
    this.#told.clear();
    this.#pending = 0;
    this.#host.closed();
  }

  /** True while work for the client is under way, or bytes for the client are unsent. */
  get isBusy(): boolean {
    return !this.#isClosed && (this.#pending > 0 || this.input?.isBusy === true);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }
}
