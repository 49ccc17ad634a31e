// Owns: one SSH connection from accept to close: states, allowed messages, timers, back-pressure.
// Must never: decide a login (the warden does), or survive its first protocol error.
import type { Socket } from 'node:net';
import { canonicalAddress } from '../../domain/addresses.ts';
import { WireReader, wireString } from '../../domain/ssh-wire.ts';
import { type AuthRequest, LoginDriver, type LoginReply, parseAuthRequest, parseInfoResponse } from '../authentication/login.ts';
import type { EdgeNode, SftpSession, StartSftp, WardenCalls } from '../sftp-seam.ts';
import { serverSignatureAlgorithms } from './algorithms.ts';
import { Channel, message as channelMessage, u32 } from './channel.ts';
import { type EndReason, endTexts } from './end-reasons.ts';
import { guard, Identification, RateGate } from './guard.ts';
import { number } from './messages.ts';
import { Outbound } from './outbound.ts';
import { type CoreHostKey, type CoreProtocol, Protocol, sendPayload } from './ssh2-core.ts';

export type ConnectionOptions = {
  readonly socket: Socket;
  readonly node: EdgeNode;
  readonly hostKeys: Readonly<Record<string, CoreHostKey>>;
  readonly offerFor: (identification: string) => object;
  readonly banner: string;
  readonly warden: WardenCalls;
  readonly startSftp: StartSftp;
  readonly isLeaseLive: () => boolean;
  readonly onClosed: (connection: Connection) => void;
};

type State = 'key-exchange' | 'service' | 'login' | 'open' | 'closed';

const preLoginMessagesMax = 200;
const packetMaxMin = 1024;
const ident = 'Cofferdam';
/** Socket bytes above which no further channel data is produced; the rest waits in the channel. */
const socketHighBytes = 1024 * 1024;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #outbound: Outbound;
  readonly #protocol: CoreProtocol;
  readonly #identification = new Identification();
  readonly #login: LoginDriver;
  readonly #rekeys = new RateGate(10, 60_000);
  readonly #timers: NodeJS.Timeout[] = [];
  readonly source: { readonly address: string; readonly port: number };
  #state: State = 'key-exchange';
  #clientIdentification = '';
  #preLoginMessages = 0;
  #channel: Channel | undefined;
  #channelsOpened = 0;
  #session: SftpSession | undefined;
  #lastActivity = performance.now();
  #reason: EndReason | undefined;
  #hasClientClosed = false;

  constructor(options: ConnectionOptions) {
    const { socket, node } = options;
    this.#options = options;
    this.#socket = socket;
    this.#outbound = new Outbound(socket, node.config.limits.sendBufferBytesMax);
    this.source = { address: canonicalAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => void this.#finish());
    socket.on('drain', () => this.#onDrain());
    this.#login = new LoginDriver({
      warden: options.warden,
      source: this.source,
      clientIdentification: () => this.#clientIdentification,
      reply: (reply) => this.#onLoginReply(reply),
      fail: (reason) => this.fail(reason),
    });
    this.#protocol = new Protocol({
      server: true,
      ident,
      hostKeys: options.hostKeys,
      offer: options.offerFor(''),
      onWrite: (data) => this.#write(data),
      onError: (error) => this.fail(error.message),
      onHeader: ({ identRaw }) => {
        this.#clientIdentification = identRaw.slice(0, 255);
        // Our own offer goes out right after this.
        this.#protocol._offer = options.offerFor(identRaw);
      },
      onHandshakeComplete: () => this.#onHandshake(),
      messageHandlers: {},
    });
    this.#replaceExtInfo();
    guard(this.#protocol, { message: (type, payload, pass) => this.#onMessage(type, payload, pass) });
    this.#timers.push(setTimeout(() => this.fail('login took too long'), node.config.limits.loginGraceMs));
    this.#protocol.start();
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
  }

  get session(): SftpSession | undefined {
    return this.#session;
  }

  get isTransferring(): boolean {
    return this.#channel !== undefined && !this.#channel.isClosed;
  }

  /** ssh2 1.17.0 joins two names of its list by mistake: its EXT_INFO is suppressed and ours sent (RFC 8308). */
  #replaceExtInfo(): void {
    const original = this.#protocol._onHandshakeComplete;
    let isFirst = true;
    this.#protocol._onHandshakeComplete = (negotiated) => {
      const wanted = isFirst && this.#protocol._kex?.remoteExtInfoEnabled === true;
      if (this.#protocol._kex !== undefined) this.#protocol._kex.remoteExtInfoEnabled = false;
      isFirst = false;
      original(negotiated);
      if (wanted) this.#send([Uint8Array.of(number.extInfo), u32(1), wireString('server-sig-algs'), wireString(serverSignatureAlgorithms)]);
    };
  }

  #onData(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    try {
      const bytes = this.#identification.take(chunk);
      if (bytes !== undefined) this.#protocol.parse(bytes, 0, bytes.length);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : 'parse error');
    }
  }

  #write(data: Buffer): void {
    if (this.#state !== 'closed' && !this.#outbound.write(data)) this.fail('the client does not read');
  }

  #onDrain(): void {
    this.#outbound.drained();
    this.#channel?.flush();
  }

  #send(parts: readonly Uint8Array[]): void {
    if (this.#state === 'closed') return;
    try {
      sendPayload(this.#protocol, parts);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : 'cannot send');
    }
  }

  #onHandshake(): void {
    if (this.#state === 'key-exchange') this.#state = 'service';
    this.#channel?.flush();
  }

  /** Sending goes on after a pause (lease back). */
  resume(): void {
    this.#channel?.flush();
  }

  #onMessage(type: number, payload: Buffer, pass: () => void): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'open') {
      this.#preLoginMessages += 1;
      if (this.#preLoginMessages > preLoginMessagesMax) return this.fail('too many messages before login');
    }
    switch (type) {
      case number.disconnect:
        this.#hasClientClosed = true;
        this.#socket.destroy();
        return;
      case number.ignore:
      case number.unimplemented:
      case number.debug:
        return;
      case number.kexInit:
        if (this.#state !== 'open' || !this.#rekeys.pass()) return this.fail('key exchange not allowed now');
        return pass();
    }
    // Numbers 21 to 49 belong to the key exchange; ssh2 tracks its own state there and throws on anything unexpected.
    if (type > number.kexInit && type < number.authRequest) return pass();
    if (this.#state === 'service' && type === number.serviceRequest) return this.#onServiceRequest(payload);
    if (this.#state === 'login' && (type === number.authRequest || type === number.authInfoResponse))
      return this.#onAuthMessage(type, payload);
    if (this.#state === 'open') return this.#onOpenMessage(type, payload);
    this.fail(`message ${type} is not allowed now`);
  }

  #onServiceRequest(payload: Buffer): void {
    const reader = new WireReader(payload.subarray(1));
    const service = reader.text();
    if (service !== 'ssh-userauth') return this.fail('unknown service');
    this.#state = 'login';
    this.#send([Uint8Array.of(number.serviceAccept), wireString(service)]);
    if (this.#options.banner !== '') this.#send([Uint8Array.of(number.authBanner), wireString(this.#options.banner), wireString('')]);
  }

  #onAuthMessage(type: number, payload: Buffer): void {
    const sessionIdentifier = this.#protocol._kex?.sessionID;
    if (sessionIdentifier === undefined) return this.fail('no key exchange');
    const request: AuthRequest = type === number.authRequest ? parseAuthRequest(payload, sessionIdentifier) : parseInfoResponse(payload);
    this.#login.take(request);
  }

  #onLoginReply(reply: LoginReply): void {
    if (this.#state !== 'login') return;
    switch (reply.kind) {
      case 'failure':
        return this.#send([Uint8Array.of(number.authFailure), wireString(reply.methods.join(',')), Uint8Array.of(reply.isPartial ? 1 : 0)]);
      case 'key-acceptable':
        return this.#send([Uint8Array.of(number.authReply), wireString(reply.algorithm), wireString(reply.key)]);
      case 'prompt': {
        const prompts = reply.prompts.flatMap((prompt) => [wireString(prompt.text), Uint8Array.of(prompt.echo ? 1 : 0)]);
        return this.#send([
          Uint8Array.of(number.authReply),
          wireString(reply.name),
          wireString(reply.instruction),
          wireString(''),
          u32(reply.prompts.length),
          ...prompts,
        ]);
      }
      case 'success':
        this.#session = reply.session;
        this.#state = 'open';
        this.#protocol._authenticated = true;
        for (const timer of this.#timers.splice(0)) clearTimeout(timer);
        this.#lastActivity = performance.now();
        this.#timers.push(setTimeout(() => this.end('expired'), Math.min(reply.absoluteLifeMs, 2 ** 31 - 1)));
        this.#timers.push(setInterval(() => this.#checkIdle(reply.idleLifeMs), 1000));
        this.#send([Uint8Array.of(number.authSuccess)]);
        return;
      case 'closed':
        this.fail('too many login attempts');
    }
  }

  #checkIdle(idleLifeMs: number): void {
    if (performance.now() - this.#lastActivity > idleLifeMs) this.end('idle');
  }

  #onOpenMessage(type: number, payload: Buffer): void {
    this.#lastActivity = performance.now();
    switch (type) {
      case number.globalRequest: {
        const reader = new WireReader(payload.subarray(1));
        const name = reader.string();
        if (payload[5 + name.length] === 1) this.#send([Uint8Array.of(number.requestFailure)]);
        return;
      }
      case number.channelOpen:
        return this.#onChannelOpen(payload);
      case channelMessage.windowAdjust:
        return this.#onChannel(payload, 9)?.widen(payload.readUInt32BE(5));
      case channelMessage.data:
        return this.#onChannelData(payload);
      case channelMessage.extendedData:
        return this.fail('extended data from a client');
      case channelMessage.eof:
        this.#hasClientClosed = true;
        return this.#onChannel(payload, 5)?.eof();
      case channelMessage.close:
        this.#hasClientClosed = true;
        return this.#onChannel(payload, 5)?.close();
      case channelMessage.request:
        return this.#onChannelRequest(payload);
      default:
        // RFC 4253 section 11.4. ssh2 counts before it calls us.
        return this.#send([Uint8Array.of(number.unimplemented), u32(this.#protocol._decipher.inSeqno - 1)]);
    }
  }

  /** Our channel ids are all 0: one channel at a time. A message for a channel that is gone is dropped, for an unknown one fatal. */
  #onChannel(payload: Buffer, bytesMin: number): Channel | undefined {
    if (payload.length < bytesMin) {
      this.fail('short channel message');
      return undefined;
    }
    if (payload.readUInt32BE(1) !== 0 || this.#channel === undefined) {
      this.fail('unknown channel');
      return undefined;
    }
    return this.#channel.isClosed ? undefined : this.#channel;
  }

  #onChannelData(payload: Buffer): void {
    const channel = this.#onChannel(payload, 9);
    if (channel === undefined) return;
    if (payload.readUInt32BE(5) !== payload.length - 9) return this.fail('channel data of the wrong length');
    channel.receive(payload.subarray(9));
  }

  #onChannelOpen(payload: Buffer): void {
    const reader = new WireReader(payload.subarray(1));
    const type = reader.text();
    const remoteId = reader.uint32();
    const window = reader.uint32();
    const packetMax = reader.uint32();
    const { limits } = this.#options.node.config;
    const refusal =
      type !== 'session'
        ? 'only sessions are served'
        : packetMax < packetMaxMin
          ? 'maximum packet too small'
          : this.isTransferring || this.#channelsOpened >= 100
            ? 'one channel at a time'
            : undefined;
    if (refusal !== undefined)
      return this.#send([Uint8Array.of(channelMessage.openFailure), u32(remoteId), u32(1), wireString(refusal), wireString('')]);
    this.#channelsOpened += 1;
    const channel: Channel = new Channel(
      {
        send: (parts) => this.#send(parts),
        maySendData: () =>
          this.#socket.writableLength < socketHighBytes &&
          this.#protocol._kexinit === undefined &&
          this.#state === 'open' &&
          this.#options.isLeaseLive(),
        fail: (reason) => this.fail(reason),
        closed: () => void channel.input?.closed(this.#hasClientClosed ? 'client-closed' : 'connection-lost').catch(() => {}),
      },
      { remoteId, window, packetMax, ownWindow: limits.channelWindowBytes },
    );
    this.#channel = channel;
    this.#hasClientClosed = false;
    this.#send([Uint8Array.of(channelMessage.openConfirmation), u32(remoteId), u32(0), u32(limits.channelWindowBytes), u32(32_768)]);
  }

  #onChannelRequest(payload: Buffer): void {
    const channel = this.#onChannel(payload, 10);
    const session = this.#session;
    if (channel === undefined || session === undefined) return;
    const reader = new WireReader(payload.subarray(5));
    const type = reader.text();
    const wantsReply = payload[5 + 4 + type.length] === 1;
    const isSftp =
      type === 'subsystem' && channel.input === undefined && new WireReader(payload.subarray(5 + 4 + type.length + 1)).text() === 'sftp';
    if (isSftp) channel.input = this.#options.startSftp(session, channel, this.#options.warden);
    // Environment is accepted by nobody and missed by nobody; a shell, a command or a terminal is refused.
    if (wantsReply && isSftp) channel.success();
    else if (wantsReply) channel.failure();
  }

  /** A violation, or a limit: the connection is destroyed at once. */
  fail(reason: string): void {
    if (this.#state === 'closed') return;
    this.#options.node.log.info({ source: this.source, reason, account: this.#session?.account }, 'connection ended by us');
    this.#reason ??= 'protocol-error';
    this.#state = 'closed';
    this.#socket.destroy();
  }

  /** An orderly end on our side; the client is told. */
  end(reason: EndReason): void {
    if (this.#state === 'closed') return;
    this.#reason ??= reason;
    this.#send([Uint8Array.of(number.disconnect), u32(11), wireString(endTexts[reason]), wireString('')]);
    this.#state = 'closed';
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 1000).unref();
  }

  async #finish(): Promise<void> {
    const wasLogin = this.#state !== 'open' && this.#session === undefined;
    this.#state = 'closed';
    for (const timer of this.#timers.splice(0)) {
      clearTimeout(timer);
      clearInterval(timer);
    }
    this.#options.onClosed(this);
    const { warden, node } = this.#options;
    try {
      this.#protocol.cleanup();
      if (wasLogin) await this.#login.abandon();
      const session = this.#session;
      const channel = this.#channel;
      if (channel !== undefined && !channel.isClosed) channel.drop();
      if (session === undefined) return;
      await channel?.input?.closed('connection-lost');
      const reason = this.#reason ?? (this.#hasClientClosed ? 'client-closed' : 'connection-lost');
      await warden.callRepeatable('session.end', {
        token: session.token,
        reason,
        bytesIn: channel?.bytesIn ?? 0,
        bytesOut: channel?.bytesOut ?? 0,
      });
    } catch (error) {
      node.log.info(
        { err: error, account: this.#session?.account },
        'the end of a session could not be told to the warden; it will expire there',
      );
    }
  }
}
