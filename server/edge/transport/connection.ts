// Owns: one SSH connection from accept to close: its states, the messages allowed in each state, its timers, and its
// back-pressure.
// Must never: decide a login, which is the warden's decision, or continue after the first protocol error.
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { identification } from '../../config/config.ts';
import { detach } from '../../domain/detached.ts';
import { busyBytes, quietBytes } from '../../rpc/own-buffer.ts';
import { type Misdeed, misdeedOf } from '../accept/admission.ts';
import { LoginDriver, type LoginReply, readAnswers, readRequest } from '../authentication/login.ts';
import { detailOf, type FailDetail, type FailReason } from '../seam/fail-reasons.ts';
import type { SftpSession } from '../seam/sftp-seam.ts';
import { Channels } from './channels.ts';
import { bounds, clearAll } from './connection-bounds.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { type EndReason, type Goodbye, goodbyeOf, goodbyeOfFail, goodbyeOfNothing, sessionEnd } from './end-reasons.ts';
import { announceSignatures } from './extension-info.ts';
import { discarding, linger, sendGoodbye } from './farewell.ts';
import { announcement, GlobalRequests } from './global-requests.ts';
import { guard, Identification, RateGate } from './guard.ts';
import { KeyExchange, NothingInCommon } from './key-exchange.ts';
import { LastActivity } from './last-activity.ts';
import { loginMessage } from './login-messages.ts';
import { number } from './messages/numbers.ts';
import { serviceAccept } from './messages/service-accept.ts';
import { serviceRequest } from './messages/service-request.ts';
import { unimplemented } from './messages/unimplemented.ts';
import { userauthBanner } from './messages/userauth-banner.ts';
import { userauthSuccess } from './messages/userauth-success.ts';
import { Outbound } from './outbound.ts';
import { OwnPackets } from './own-packets.ts';
import { RekeyPolicy } from './rekey.ts';
import { type CoreProtocol, Protocol } from './ssh2-core.ts';

/** `parting`: the client is being told why the connection ends. */
type State = 'key-exchange' | 'service' | 'login' | 'open' | 'parting' | 'closed';

export class Connection {
  readonly #options: ConnectionOptions<Connection>;
  readonly #socket: Socket;
  readonly #outbound: Outbound;
  readonly #protocol: CoreProtocol;
  readonly #packets: OwnPackets;
  readonly #identification = new Identification();
  readonly #login: LoginDriver;
  readonly #keyExchange: KeyExchange;
  readonly #rekey: RekeyPolicy;
  readonly #channels: Channels;
  readonly #globalRequests: GlobalRequests;
  readonly #name = randomUUID();
  readonly #timers: NodeJS.Timeout[] = [];
  #deadline: NodeJS.Timeout | undefined;
  #state: State = 'key-exchange';
  #clientIdentification = '';
  #preLoginMessages = 0;
  #isTold = false;
  #refusedKeys = 0;
  #hasProved = false;
  #session: SftpSession | undefined;
  readonly activity: LastActivity;
  #reason: EndReason | undefined;
  readonly #refusals = new RateGate(bounds.refusalsMax, bounds.refusalsWindowMs);

  constructor(options: ConnectionOptions<Connection>) {
    const { reader, node } = options;
    const { socket } = reader;
    const { limits } = node;
    this.#options = options;
    this.#socket = socket;
    this.#outbound = new Outbound({
      reader,
      waitingMax: limits.sendBufferBytesMax,
      onRoom: () => this.#channels.flush(),
    });
    this.#rekey = new RekeyPolicy(limits, options.exchange.maySign);
    this.#globalRequests = new GlobalRequests({
      send: (parts) => this.#send(parts),
      refuse: (answer) => this.#refuse(answer),
      prove: async (hostKeys) => {
        const token = this.#session?.token ?? '';
        return (await options.warden.call('exchange.prove-host-keys', { token, hostKeys: [...hostKeys] })).signatures;
      },
    });
    this.#channels = new Channels(
      {
        send: (parts) => this.#send(parts),
        refuse: (answer) => this.#refuse(answer),
        maySendData: () =>
          this.#outbound.waitingBytes < bounds.socketHighBytes &&
          this.#protocol._kexinit === undefined &&
          this.#state === 'open' &&
          options.isLeaseLive(),
        hold: (by, isHeld) => this.#outbound.hold(by, isHeld),
        fail: (reason, more) => this.fail(reason, undefined, more),
        startSftp: (output) => {
          if (this.#session === undefined) throw new Error('a channel before the login');
          return options.startSftp(this.#session, output, options.warden);
        },
        startConsole: (output, line) => {
          if (this.#session === undefined) throw new Error('a channel before the login');
          return options.startConsole(this.#session, line, output, options.warden);
        },
      },
      limits,
      options.reserve,
    );
    this.activity = new LastActivity(socket, () => this.#channels.quietForMs() === 0);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => options.onClosed(this, this.#finish()));
    this.#login = new LoginDriver({
      warden: options.warden,
      connection: this.#name,
      source: options.source,
      reply: (reply) => this.#onLoginReply(reply),
      fail: (reason, whose, more) => this.fail(reason, misdeedOf[whose], more),
    });
    this.#protocol = new Protocol({
      server: true,
      ident: identification.slice('SSH-2.0-'.length),
      hostKeys: {},
      offer: options.offerFor(''),
      onWrite: (data) => this.#write(data),
      onError: (error) => this.#onFault(error),
      onHeader: ({ identRaw }) => {
        this.#clientIdentification = identRaw.slice(0, 255);
        // ssh2 sends our own KEXINIT right after this callback.
        this.#protocol._offer = options.offerFor(identRaw);
        this.#keyExchange.watchFirst((type) => this.#onKeyExchangeMessage(type));
        this.#expect('no key exchange in time', limits.keyExchangeMs);
      },
      onHandshakeComplete: () => this.#onHandshake(),
      messageHandlers: {},
    });
    // What ssh2 says by itself has no words, and it can say nothing more afterwards.
    this.#protocol.disconnect = () => this.#tell(goodbyeOfFail('invalid SSH message'));
    this.#packets = new OwnPackets(this.#protocol, this.#outbound, () => this.#isOver || this.#outbound.isHolding);
    this.#keyExchange = new KeyExchange(this.#protocol, {
      ...options.exchange,
      profile: options.profile,
      hostKeys: options.exchange.hostKeysInUse(),
      sign: (transcript) => options.exchange.sign(this.#name, options.source, transcript),
      fail: (reason, whose, more) => this.fail(reason, misdeedOf[whose], more),
      answered: (isFirst) => {
        // A person may compare the fingerprint of our key now.
        if (isFirst) this.#expect('the host key was not accepted in time', limits.fingerprintMs);
      },
      isClosed: () => this.#isOver,
    });
    announceSignatures(this.#protocol, options.profile.userSignatures, (parts) => this.#send(parts));
    guard(this.#protocol, { message: (type, payload, pass) => this.#onMessage(type, payload, pass) });
    this.#expect('no identification in time', limits.identificationMs);
    this.#protocol.start();
    reader.read((chunk) => this.#onData(chunk));
    reader.resume();
  }

  get session(): SftpSession | undefined {
    return this.#session;
  }
  get isTransferring(): boolean {
    return this.#channels.isOpen;
  }
  /** True while a login or a key exchange is half done. */
  get isUnsettled(): boolean {
    return this.#session === undefined || this.#protocol._kexinit !== undefined;
  }

  quietForMs(): number {
    return this.#channels.quietForMs();
  }

  /** True when nothing that comes is taken any more, and nothing more is sent. */
  get #isOver(): boolean {
    return this.#isTold || this.#state === 'parting' || this.#state === 'closed';
  }

  /** Tells the client why the connection ends, once. */
  #tell(goodbye: Goodbye): void {
    if (this.#isTold) return;
    this.#isTold = true;
    sendGoodbye(this.#protocol, goodbye);
  }

  /** Takes bytes, which are valid until it returns. Returns how many were used; the others come again. */
  #onData(chunk: Buffer): number {
    if (this.#isOver) return chunk.length;
    try {
      const bytes = this.#identification.take(chunk);
      if (bytes === chunk) return this.#packets.take(chunk);
      if (bytes !== undefined) this.#packets.take(bytes);
    } catch (error) {
      this.#onFault(error);
    }
    return chunk.length;
  }

  #onFault(error: unknown): void {
    if (error instanceof NothingInCommon) this.#part(error.message);
    else this.fail('invalid SSH message', undefined, detailOf(error));
  }

  #write(data: Buffer): void {
    if (this.#state !== 'closed' && !this.#outbound.write(data)) this.fail('the client does not read');
  }

  #send(parts: readonly Uint8Array[]): void {
    if (this.#isOver) return;
    try {
      if ((this.#protocol._queue?.length ?? 0) > bounds.heldPacketsMax)
        return this.fail('too many packets wait for new keys');
      if (!this.#packets.send(parts)) this.fail('the client does not read');
    } catch (error) {
      this.fail('an outgoing message could not be sent', undefined, detailOf(error));
    }
  }

  /**
   * Sets the deadline of the next expected step. There is one deadline at a time; a new one replaces the one before.
   */
  #expect(what: FailReason, withinMs: number): void {
    clearTimeout(this.#deadline);
    // Whoever proved something is nobody who takes places from others.
    this.#deadline = setTimeout(() => this.fail(what, this.#hasProved ? 'turned-away' : 'grace-exceeded'), withinMs);
  }

  /** Sees the messages of the first key exchange. ssh2 checks their order; this method bounds their number. */
  #onKeyExchangeMessage(type: number): void {
    this.#preLoginMessages += 1;
    if (this.#preLoginMessages > bounds.preLoginMessagesMax) return this.fail('too many messages before login');
    if (type === number.disconnect) this.#channels.hasClientLeft = true;
    else if (type < number.kexInit && this.#options.profile.strictRequired) this.#outOfTurn(type);
  }
  get #bytes(): number {
    return this.#socket.bytesRead + this.#outbound.writtenBytes;
  }

  #onHandshake(): void {
    if (this.#isOver) return;
    this.#rekey.done(this.#bytes);
    if (this.#state === 'key-exchange') {
      const { refusal } = this.#keyExchange;
      if (refusal !== undefined) return this.#part(refusal);
      this.#state = 'service';
      this.#expect('login took too long', this.#options.node.limits.loginGraceMs);
    }
    this.#fitReader();
    this.#channels.flush();
  }

  /** Strangers get little memory. So do others whose cipher is not ours: ssh2 makes a copy of what it is given. */
  #fitReader(): void {
    this.#options.reader.bytesMax = this.#state === 'open' && this.#packets.isOwn ? busyBytes : quietBytes;
  }

  /** Continues sending after a pause, when the lease is back. */
  resume(): void {
    this.#channels.flush();
  }

  #onMessage(type: number, payload: Buffer, pass: (payload: Buffer) => void): void {
    if (this.#isOver) return;
    this.#outbound.tookMessage();
    // Keep-alives count as activity as well: WinSCP and PuTTY send SSH_MSG_IGNORE, other clients send a global request.
    if (this.#state === 'open') this.activity.note();
    else {
      this.#preLoginMessages += 1;
      if (this.#preLoginMessages > bounds.preLoginMessagesMax) return this.fail('too many messages before login');
    }
    switch (type) {
      case number.disconnect:
        this.#channels.hasClientLeft = true;
        this.#socket.destroy();
        return;
      case number.ignore:
      case number.unimplemented:
      case number.debug:
        return;
      case number.kexInit: {
        const waitMs = this.#state === 'open' ? this.#rekey.clientWaitMs(this.#bytes) : undefined;
        return waitMs === undefined
          ? this.fail('key exchange too early or too often')
          : this.#keyExchange.begin(payload, waitMs, pass);
      }
    }
    // These numbers belong to a key exchange. While one is under way, ssh2 handles them without asking us.
    if (type > number.kexInit && type < number.userauthRequest) return this.#outOfTurn(type);
    if ((this.#state === 'service' || this.#state === 'login') && type === number.serviceRequest)
      return this.#onServiceRequest(payload);
    if (this.#state === 'login' && (type === number.userauthRequest || type === number.userauthInfoResponse))
      return this.#onAuthMessage(type, payload);
    if (this.#state === 'open') return this.#onOpenMessage(type, payload);
    this.#outOfTurn(type);
  }

  /**
   * Accepts the service of logins. paramiko asks for it again before each further proof; RFC 4253 does not forbid it,
   * and it changes nothing.
   */
  #onServiceRequest(payload: Buffer): void {
    const { service } = serviceRequest.read(payload);
    if (service !== 'ssh-userauth') return this.fail('unknown service');
    this.#send(serviceAccept.write({ service }));
    if (this.#state === 'login') return;
    this.#state = 'login';
    if (this.#options.banner !== '') this.#send(userauthBanner.write({ text: this.#options.banner }));
  }

  #onAuthMessage(type: number, payload: Buffer): void {
    this.#login.take(type === number.userauthRequest ? readRequest(payload) : readAnswers(payload));
  }

  #onLoginReply(reply: LoginReply): void {
    if (this.#state !== 'login') return;
    switch (reply.kind) {
      case 'failure':
        if (reply.isPartial) this.#onFirstProof();
        else if (reply.refused === 'guess') this.#options.onMisdeed('login-refused');
        else if (reply.refused === 'key') this.#refusedKeys += 1;
        if (reply.words !== undefined) this.#send(userauthBanner.write({ text: `${reply.words}\r\n` }));
        return this.#send(loginMessage(reply));
      case 'key-acceptable':
      case 'prompt':
        return this.#send(loginMessage(reply));
      case 'success':
        this.#session = reply.session;
        this.#state = 'open';
        this.#protocol._authenticated = true;
        this.#fitReader();
        clearTimeout(this.#deadline);
        this.#options.onLogin();
        this.activity.note();
        this.activity.idleLifeMs = reply.idleLifeMs;
        // The warden ends the session earlier, by its own clock. This timer is for the case that no warden could be
        // asked.
        this.#timers.push(
          setTimeout(() => this.end('expired'), Math.min(reply.absoluteLifeMs + bounds.overdueMs, 2 ** 31 - 1)),
        );
        this.#timers.push(setInterval(() => this.#check(), 1000));
        this.#send(userauthSuccess.write({}));
        // Other clients do not know this request, and some of them end the connection.
        if (this.#clientIdentification.startsWith('SSH-2.0-OpenSSH_'))
          this.#send(announcement(this.#options.exchange.hostKeys()));
        return;
      case 'full':
        return this.end('too-many-sessions');
      case 'closed':
        this.fail(reply.isByKeys ? 'too many keys were tried' : 'too many login attempts', 'login-refused');
    }
  }

  /** Gives a person time for the next proof, once: a code may have to be found, or waited for. */
  #onFirstProof(): void {
    if (this.#hasProved) return;
    this.#hasProved = true;
    this.#options.onProof();
    this.#expect('login took too long', this.#options.node.limits.loginGraceMs);
  }

  #check(): void {
    if (this.#rekey.isOverdue()) return this.fail('no new keys in time');
    this.#rekeyIfDue();
  }

  #rekeyIfDue(): void {
    if (this.#state !== 'open' || this.#protocol._kexinit !== undefined || !this.#rekey.isDue(this.#bytes)) return;
    this.#rekey.started();
    this.#protocol.rekey();
  }

  #onOpenMessage(type: number, payload: Buffer): void {
    this.#rekeyIfDue();
    if (type === number.globalRequest) return this.#globalRequests.take(payload);
    if (this.#channels.take(type, payload)) return;
    // RFC 4253 section 11.4: the answer names the message's sequence number, which ssh2 has already incremented.
    this.#refuse(unimplemented.write({ sequence: this.#protocol._decipher.inSeqno - 1 }));
  }

  #refuse(answer: readonly Uint8Array[] | undefined): void {
    if (!this.#refusals.pass()) return this.fail('too many unsupported requests');
    if (answer !== undefined) this.#send(answer);
  }

  #outOfTurn(messageType: number): void {
    this.fail('unexpected message in this state', undefined, { messageType });
  }
  /** Ends the connection for a protocol violation, an exceeded limit or an internal error, and tells the client why. */
  fail(reason: FailReason, misdeed: Misdeed = 'protocol-error', more: FailDetail = {}): void {
    if (this.#state === 'closed') return;
    // Whoever does not even read the farewell.
    if (this.#state === 'parting') return void this.#socket.destroy();
    if (this.#session === undefined) this.#punish(misdeed);
    const { source, node } = this.#options;
    node.log.info({ source, reason, ...more, account: this.#session?.account }, 'connection ended by us');
    this.#reason ??= 'protocol-error';
    if (reason !== 'the client does not read') return this.#hangUp(goodbyeOfFail(reason));
    this.#state = 'closed';
    this.#socket.destroy();
  }

  /** Ends the connection in order, and tells the client why. */
  end(reason: EndReason): void {
    if (this.#isOver) return;
    this.#reason ??= reason;
    this.#hangUp(goodbyeOf(reason));
  }

  /** Ends a connection whose sides have too little in common, and tells the client what. That is no violation. */
  #part(reason: string): void {
    if (this.#isOver) return;
    this.#options.node.log.info({ source: this.#options.source, reason }, 'no common algorithm with the client');
    this.#punish('no-login');
    this.#reason ??= 'protocol-error';
    this.#hangUp(goodbyeOfNothing(reason));
  }

  #punish(misdeed: Misdeed): void {
    this.#refusedKeys = 0;
    this.#options.onMisdeed(misdeed);
  }

  #hangUp(goodbye: Goodbye): void {
    this.#state = 'parting';
    this.#tell(goodbye);
    if (this.#socket.destroyed) return;
    this.#state = 'closed';
    // At once, before the client has read this: the warden accepts the sealing of acknowledged bytes for a short time
    // only.
    detach(this.#channels.drop(), () => this.#socket.destroy());
    this.#outbound.flush();
    this.#options.reader.read(discarding(this.#socket));
    linger(this.#socket);
  }

  async #finish(): Promise<void> {
    const wasLogin = this.#session === undefined;
    // Keys that were refused are no guesses: on a connection without a login they count once, and else not at all.
    if (wasLogin && this.#refusedKeys > 0) this.#punish('login-refused');
    // A connection that comes and goes without a login took a place from others, whichever side ended it (T-34).
    if (wasLogin && this.#reason === undefined) this.#punish('no-login');
    this.#state = 'closed';
    clearTimeout(this.#deadline);
    clearAll(this.#timers);
    const session = this.#session;
    const { warden, node } = this.#options;
    try {
      this.#protocol.cleanup();
      if (wasLogin && this.#keyExchange.method !== undefined) await this.#login.abandon();
      await this.#channels.drop();
      if (session === undefined) return;
      const reason = sessionEnd(this.#reason ?? (this.#channels.hasClientClosed ? 'client-closed' : 'connection-lost'));
      await warden.callRepeatable('session.end', { token: session.token, reason, ...this.#channels.transferred });
    } catch (error) {
      const account = session?.account;
      node.log.info(
        { err: error, account },
        'could not report the end of a session to the warden; the session will expire there',
      );
    }
  }
}
