// Owns: the channels of one connection: one at a time, for SFTP, and which messages they take (RFC 4254 sections 5 and 6).
// Must never: open what could not be served, or take a packet size that makes one reply a thousand packets.
import { WireReader, wireString } from '../../domain/ssh-wire.ts';
import type { SftpInput, SftpOutput } from '../sftp-seam.ts';
import type { BufferReserve } from './buffer-reserve.ts';
import { Channel, type ChannelHost, message, u32 } from './channel.ts';

export type ChannelsHost = Omit<ChannelHost, 'closed'> & {
  startSftp(output: SftpOutput): SftpInput;
  /** The same as `send`, for what may be asked only so often. */
  refuse(parts: readonly Uint8Array[]): void;
};

const packetMaxMin = 1024;
const opensMax = 100;
/** What we take in one packet; RFC 4253 section 6.1 asks for no more. */
const ownPacketMax = 32_768;

export class Channels {
  readonly #host: ChannelsHost;
  readonly #ownWindow: number;
  readonly #reserve: BufferReserve;
  #current: Channel | undefined;
  #opened = 0;
  /** The client itself ended its channel or connection. */
  hasClientClosed = false;
  #before = { bytesIn: 0, bytesOut: 0 };

  constructor(host: ChannelsHost, ownWindow: number, reserve: BufferReserve) {
    this.#reserve = reserve;
    this.#host = host;
    this.#ownWindow = ownWindow;
  }

  get isOpen(): boolean {
    return this.#current !== undefined && !this.#current.isClosed;
  }

  /** Of all channels of the connection together. */
  get transferred(): { readonly bytesIn: number; readonly bytesOut: number } {
    return {
      bytesIn: this.#before.bytesIn + (this.#current?.bytesIn ?? 0),
      bytesOut: this.#before.bytesOut + (this.#current?.bytesOut ?? 0),
    };
  }

  flush(): void {
    this.#current?.flush();
  }

  /** True when the message was one of a channel. */
  take(type: number, payload: Buffer): boolean {
    switch (type) {
      case message.open:
        this.#open(payload);
        return true;
      case message.windowAdjust:
        this.#at(payload, 9)?.widen(payload.readUInt32BE(5));
        return true;
      case message.data:
        this.#data(payload);
        return true;
      case message.extendedData:
        this.#host.fail('extended data from a client');
        return true;
      case message.eof:
        this.hasClientClosed = true;
        this.#at(payload, 5)?.eof();
        return true;
      case message.close:
        this.hasClientClosed = true;
        this.#at(payload, 5)?.close();
        return true;
      case message.request:
        this.#request(payload);
        return true;
      default:
        return false;
    }
  }

  /** Our channel ids are all 0: one channel at a time. A message for a channel that is gone is dropped, for an unknown one fatal. */
  #at(payload: Buffer, bytesMin: number): Channel | undefined {
    if (payload.length < bytesMin) {
      this.#host.fail('short channel message');
      return undefined;
    }
    if (payload.readUInt32BE(1) !== 0 || this.#current === undefined) {
      this.#host.fail('unknown channel');
      return undefined;
    }
    return this.#current.isClosed ? undefined : this.#current;
  }

  #data(payload: Buffer): void {
    const channel = this.#at(payload, 9);
    if (channel === undefined) return;
    if (payload.readUInt32BE(5) !== payload.length - 9) return this.#host.fail('channel data of the wrong length');
    channel.receive(payload.subarray(9));
  }

  #open(payload: Buffer): void {
    const reader = new WireReader(payload.subarray(1));
    const type = reader.text();
    const remoteId = reader.uint32();
    const window = reader.uint32();
    const packetMax = reader.uint32();
    const refusal =
      type !== 'session'
        ? 'only sessions are served'
        : packetMax < packetMaxMin
          ? 'maximum packet too small'
          : this.isOpen || this.#opened >= opensMax
            ? 'one channel at a time'
            : undefined;
    if (refusal !== undefined)
      return this.#host.refuse([Uint8Array.of(message.openFailure), u32(remoteId), u32(1), wireString(refusal), wireString('')]);
    this.#opened += 1;
    this.#before = this.transferred;
    const channel: Channel = new Channel(
      {
        ...this.#host,
        closed: () => void channel.input?.closed(this.hasClientClosed ? 'client-closed' : 'connection-lost').catch(() => {}),
      },
      { remoteId, window, packetMax, ownWindow: this.#ownWindow, reserve: this.#reserve },
    );
    this.#current = channel;
    this.hasClientClosed = false;
    this.#host.send([Uint8Array.of(message.openConfirmation), u32(remoteId), u32(0), u32(channel.firstWindow), u32(ownPacketMax)]);
  }

  #request(payload: Buffer): void {
    const channel = this.#at(payload, 10);
    if (channel === undefined) return;
    const reader = new WireReader(payload.subarray(5));
    const type = reader.text();
    const wantsReply = reader.bool();
    const isSftp = type === 'subsystem' && channel.input === undefined && reader.text() === 'sftp';
    if (isSftp) channel.input = this.#host.startSftp(channel);
    // Environment is accepted by nobody and missed by nobody; a shell, a command or a terminal is refused.
    if (wantsReply && isSftp) channel.success();
    else if (wantsReply) this.#host.refuse([Uint8Array.of(message.failure), u32(channel.remoteId)]);
  }

  /** The connection is over. Resolves when the warden knows what became of the transfers. */
  async drop(): Promise<void> {
    const channel = this.#current;
    if (channel !== undefined && !channel.isClosed) channel.drop();
    await channel?.input?.closed('connection-lost');
  }
}
