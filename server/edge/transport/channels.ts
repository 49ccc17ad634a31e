// Owns: the channels of one connection, for SFTP and for single console commands: how
// many may be open at once, and which messages they accept (RFC 4254 sections 5 and 6).
// Must never: open a channel that cannot be served, or accept a maximum
// packet size so small that one reply becomes a thousand packets.
import type { Limits } from '../../config/config.ts';
import { lineBytesMax } from '../../domain/console-grammar.ts';
import { detach, held } from '../../domain/detached.ts';
import type { SftpInput, SftpOutput } from '../seam/sftp-seam.ts';
import type { Account, BufferReserve } from './buffer-reserve.ts';
import { Channel, type ChannelHost } from './channel.ts';
import { bounds } from './connection-bounds.ts';
import { RateGate } from './guard.ts';
import { channelData, isWholeData } from './messages/channel-data.ts';
import { channelFailure } from './messages/channel-failure.ts';
import { channelOpen } from './messages/channel-open.ts';
import { channelOpenConfirmation } from './messages/channel-open-confirmation.ts';
import { channelOpenFailure } from './messages/channel-open-failure.ts';
import { channelRequest, oneString } from './messages/channel-request.ts';
import { channelWindowAdjust } from './messages/channel-window-adjust.ts';
import { number } from './messages/numbers.ts';

type ChannelsHost = Omit<ChannelHost, 'closed'> & {
  startSftp(output: SftpOutput): SftpInput;
  startConsole(output: SftpOutput, line: string): SftpInput;
  /** The same as `send`, for answers to requests that a client may make only a limited number of times. */
  refuse(parts: readonly Uint8Array[]): void;
};

const packetMaxMin = 1024;
/** The largest packet that we accept, in bytes. RFC 4253 section 6.1 asks for no more. */
const ownPacketMax = 32_768;
/** SSH_OPEN_ADMINISTRATIVELY_PROHIBITED and SSH_OPEN_RESOURCE_SHORTAGE (RFC 4254 section 5.1). */
const prohibited = 1;
const shortage = 4;
type OpenRefusal = { readonly reason: number; readonly description: string };
const noMemory: OpenRefusal = {
  reason: shortage,
  description: 'this server is busy and has no further channels; close one, or try again later',
};
const sftpName = Buffer.from('sftp');

/** Tells the client that its line is no command, once it has heard that the line was taken, and ends the channel. */
function refuseLine(channel: Channel): SftpInput {
  process.nextTick(() => {
    channel.tell('the line is too long for a command; files are exchanged by sftp');
    channel.end(2);
  });
  return { isBusy: false, data: ({ length }) => channel.consumed(length), eof: () => {}, closed: async () => {} };
}

export class Channels {
  readonly #host: ChannelsHost;
  readonly #ownWindow: number;
  readonly #reserve: BufferReserve;
  readonly #channelsMax: number;
  /**
   * Channels that are closed and have not yet released what they had open.
   * A channel id that was used several times may stand for several of them.
   */
  readonly #lettingGo = new Set<Promise<void>>();
  /**
   * The channels by our channel id, which is the index. A closed channel stays here until a new channel takes its id.
   */
  readonly #channels: Channel[] = [];
  readonly #opens = new RateGate(bounds.opensMax, bounds.opensWindowMs);
  /** The channel that sends first next time, so that none waits for another that always has something to send. */
  #first = 0;
  #lastBusy = performance.now();
  /** True when the client itself said that the connection ends. */
  hasClientLeft = false;
  #dropped: Promise<void> | undefined;
  #before = { bytesIn: 0, bytesOut: 0 };

  constructor(
    host: ChannelsHost,
    limits: Pick<Limits, 'channelWindowBytes' | 'channelsPerConnectionMax'>,
    reserve: BufferReserve,
  ) {
    this.#channelsMax = limits.channelsPerConnectionMax;
    this.#reserve = reserve;
    this.#host = host;
    this.#ownWindow = limits.channelWindowBytes;
  }

  /**
   * Returns how long ago the client last asked for something, in
   * milliseconds; 0 while a file is open or an answer is under way.
   */
  quietForMs(): number {
    const now = performance.now();
    if (this.#channels.some((channel) => channel.isBusy)) this.#lastBusy = now;
    return now - this.#lastBusy;
  }

  get isOpen(): boolean {
    return this.#channels.some((channel) => !channel.isClosed);
  }

  /** The bytes that were transferred on all channels of the connection together. */
  get transferred(): { readonly bytesIn: number; readonly bytesOut: number } {
    const sum = { ...this.#before };
    for (const channel of this.#channels) {
      sum.bytesIn += channel.bytesIn;
      sum.bytesOut += channel.bytesOut;
    }
    return sum;
  }

  /** True when the client itself ended the connection, or all its channels. */
  get hasClientClosed(): boolean {
    const [one] = this.#channels;
    return this.hasClientLeft || (one !== undefined && this.#channels.every((channel) => channel.hasClientEnded));
  }

  flush(): void {
    const { length } = this.#channels;
    this.#first = length === 0 ? 0 : (this.#first + 1) % length;
    for (let i = 0; i < length; i += 1) this.#channels[(this.#first + i) % length]?.flush();
  }

  /** Handles a message that concerns a channel. Returns false for any other message. */
  take(type: number, payload: Buffer): boolean {
    if (type === number.channelOpen || type === number.channelRequest || type === number.channelData)
      this.#lastBusy = performance.now();
    switch (type) {
      case number.channelOpen:
        this.#open(payload);
        return true;
      case number.channelWindowAdjust:
        this.#at(payload, 9)?.widen(channelWindowAdjust.read(payload).bytes);
        return true;
      case number.channelData:
        this.#data(payload);
        return true;
      case number.channelExtendedData:
        this.#host.fail('extended data from a client');
        return true;
      case number.channelEof:
        this.#at(payload, 5)?.eof();
        return true;
      case number.channelClose:
        this.#at(payload, 5)?.close();
        return true;
      case number.channelRequest:
        this.#request(payload);
        return true;
      default:
        return false;
    }
  }

  /**
   * Returns the channel that a message is for. A message for a closed channel
   * is dropped; a message for an unknown channel ends the connection.
   */
  #at(payload: Buffer, bytesMin: number): Channel | undefined {
    if (payload.length < bytesMin) {
      this.#host.fail('short channel message');
      return undefined;
    }
    const channel = this.#channels[payload.readUInt32BE(1)];
    if (channel === undefined) {
      this.#host.fail('unknown channel');
      return undefined;
    }
    return channel.isClosed ? undefined : channel;
  }

  #data(payload: Buffer): void {
    const channel = this.#at(payload, 9);
    if (channel === undefined) return;
    if (!isWholeData(payload)) return this.#host.fail('channel data of the wrong length');
    for (const piece of channelData.read(payload).pieces) channel.receive(piece as Buffer);
  }

  /** Returns the reason for which no channel of this kind can be opened now. */
  #refusal(type: string, packetMax: number): OpenRefusal | undefined {
    if (type !== 'session') return { reason: prohibited, description: 'only sessions are served' };
    if (packetMax < packetMaxMin) return { reason: prohibited, description: 'maximum packet too small' };
    const open = this.#channels.filter((channel) => !channel.isClosed).length;
    const max = this.#channelsMax;
    if (open >= max)
      return {
        reason: shortage,
        description: `too many channels: a connection may have ${max} at once; close one, or open another connection`,
      };
    if (this.#lettingGo.size >= bounds.lettingGoMax)
      return { reason: shortage, description: 'channels that were closed are not done yet; try again in a moment' };
    return undefined;
  }

  /**
   * Returns the memory of another channel. The first one has its own; those beside it share what the process has for
   * such channels, and there may be none left.
   */
  #account(): Account | undefined {
    const isFirst = this.#lettingGo.size === 0 && this.#channels.every((channel) => channel.isClosed);
    return isFirst ? this.#reserve.account() : this.#reserve.furtherAccount();
  }

  #open(payload: Buffer): void {
    const { type, sender: remoteId, window, packetMax } = channelOpen.read(payload);
    if (!this.#opens.pass()) return this.#host.fail('too many channels in a short time');
    const free = this.#channels.findIndex((channel) => channel.isClosed);
    const place = free === -1 ? this.#channels.length : free;
    const refusal = this.#refusal(type, packetMax);
    const buffers = refusal === undefined ? this.#account() : undefined;
    if (buffers === undefined)
      return this.#host.refuse(channelOpenFailure.write({ recipient: remoteId, ...(refusal ?? noMemory) }));
    const gone = this.#channels[place];
    this.#before = {
      bytesIn: this.#before.bytesIn + (gone?.bytesIn ?? 0),
      bytesOut: this.#before.bytesOut + (gone?.bytesOut ?? 0),
    };
    const channel: Channel = new Channel(
      {
        ...this.#host,
        closed: () => this.#letGo(channel),
      },
      { remoteId, window, packetMax, ownWindow: this.#ownWindow, buffers },
    );
    this.#channels[place] = channel;
    this.#host.send(
      channelOpenConfirmation.write({
        recipient: remoteId,
        sender: place,
        window: channel.firstWindow,
        packetMax: ownPacketMax,
      }),
    );
  }

  #request(payload: Buffer): void {
    const channel = this.#at(payload, 10);
    if (channel === undefined) return;
    const { type, wantsReply, data } = channelRequest.read(payload);
    const isStarted = channel.input === undefined && this.#start(channel, type, data);
    // Requests for environment variables and for a terminal are refused; no client needs them here.
    if (wantsReply && isStarted) channel.success();
    else if (wantsReply) this.#host.refuse(channelFailure.write({ recipient: channel.remoteId }));
  }

  /** Starts SFTP or one console command. There is no shell: a client that asks for one is shown the console's help. */
  #start(channel: Channel, type: string, data: Uint8Array): boolean {
    if (type === 'subsystem' && Buffer.from(oneString.read(data)).equals(sftpName))
      channel.input = this.#host.startSftp(channel);
    else if (type === 'shell') channel.input = this.#host.startConsole(channel, 'help');
    else if (type === 'exec') {
      const bytes = oneString.read(data);
      channel.input =
        bytes.length > lineBytesMax
          ? refuseLine(channel)
          : this.#host.startConsole(channel, new TextDecoder().decode(bytes));
    } else return false;
    return true;
  }

  /**
   * Releases what a closed channel had open. Its memory stays counted until then, so that a
   * client which closes channels and opens new ones cannot hold memory that nobody counts.
   */
  #letGo(channel: Channel): void {
    const reason = this.hasClientLeft || channel.hasClientEnded ? 'client-closed' : 'connection-lost';
    const over = Promise.resolve(channel.input?.closed(reason)).finally(() => {
      this.#lettingGo.delete(over);
      channel.buffers.close();
    });
    this.#lettingGo.add(over);
    detach(over, () => this.#host.fail('internal error'));
  }

  /**
   * Ends all channels, once, because the connection is over. Resolves when the warden knows what became of their
   * transfers.
   */
  drop(): Promise<void> {
    this.#dropped ??= held(this.#drop());
    return this.#dropped;
  }

  async #drop(): Promise<void> {
    for (const channel of this.#channels) channel.drop();
    await Promise.all(this.#lettingGo);
  }
}
