// Owns: an SSH client that may say anything in any state: ssh2's transport for the key exchange, everything above it by
// hand.
import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import { concatBytes, WireReader, wireString } from '../../server/domain/ssh-wire.ts';

const require = createRequire(import.meta.url);
type Core = {
  start(): void;
  parse(chunk: Buffer, from: number, to: number): void;
  cleanup(): void;
  rekey(): void;
  _kex: { sessionID: Buffer } | undefined;
  _packetRW: { write: { allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer } };
};
const Protocol = require('ssh2/lib/protocol/Protocol.js') as new (options: object) => Core;
const handlers = require('ssh2/lib/protocol/handlers.js') as (((core: Core, payload: Buffer) => unknown) | undefined)[];
const { sendPacket } = require('ssh2/lib/protocol/utils.js') as {
  sendPacket(core: Core, packet: Buffer, bypass?: boolean): void;
};
const { parseKey } = require('ssh2/lib/protocol/keyParser.js') as {
  parseKey(pem: string): { getPublicSSH(): Buffer; sign(data: Buffer): Buffer };
};
const cryptoReady = (require('ssh2/lib/protocol/crypto.js') as { init: Promise<void> }).init;

const clients = new WeakMap<Core, RawClient>();
const originals = [...handlers];
for (let number = 0; number < 256; number += 1) {
  handlers[number] = (core, payload) => {
    const client = clients.get(core);
    if (client !== undefined && (number < 20 || number > 49)) return client.receive(Buffer.from(payload));
    return originals[number]?.(core, payload);
  };
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
export const u64 = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
export const message = (number: number, ...parts: readonly (Uint8Array | string)[]): Buffer =>
  Buffer.from(
    concatBytes([Uint8Array.of(number), ...parts.map((part) => (typeof part === 'string' ? wireString(part) : part))]),
  );
/** An SFTP packet with its length. */
export const sftpPacket = (type: number, ...parts: readonly (Uint8Array | string)[]): Buffer => {
  const body = message(type, ...parts);
  return Buffer.concat([u32(body.length), body]);
};

type RawOptions = {
  readonly port: number;
  readonly localAddress?: string;
  readonly identification?: string;
  /** Lists of the KEXINIT; strict key exchange is added unless `isStrict` is false. */
  readonly keyExchange?: readonly string[];
  readonly ciphers?: readonly string[];
  readonly isStrict?: boolean;
  /** Never accepts the host key: the client's NEWKEYS is not sent, as while a person compares a fingerprint. */
  readonly acceptsNoKey?: boolean;
  /** Sent before anything else: a PROXY header. */
  readonly preamble?: Buffer;
};

export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly ready: Promise<boolean>;
  readonly #core: Core;
  readonly #waiting: {
    readonly wanted: (payload: Buffer) => boolean;
    readonly resolve: (payload: Buffer | undefined) => void;
  }[] = [];
  readonly inbox: Buffer[] = [];
  negotiated:
    | { readonly kex: string; readonly serverHostKey: string; readonly cs: { readonly cipher: string } }
    | undefined;
  handshakes = 0;
  /** Payload bytes of channel data that arrived. */
  #sftp = Buffer.alloc(0);
  isClosed = false;

  static async open(options: RawOptions): Promise<RawClient> {
    await cryptoReady;
    return new RawClient(options);
  }

  private constructor(options: RawOptions) {
    this.socket = connect({
      port: options.port,
      host: '127.0.0.1',
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    });
    this.socket.setNoDelay(true);
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) =>
      this.socket.once('close', () => {
        this.isClosed = true;
        for (const { resolve: give } of this.#waiting.splice(0)) give(undefined);
        resolve();
      }),
    );
    if (options.preamble !== undefined) this.socket.write(options.preamble);
    const { KexInit } = require('ssh2/lib/protocol/kex.js') as { KexInit: new (lists: object) => object };
    const direction = {
      cipher: options.ciphers ?? ['aes128-gcm@openssh.com'],
      mac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256'],
      compress: ['none'],
      lang: [],
    };
    let done: (isReady: boolean) => void = () => {};
    this.ready = new Promise((resolve) => (done = resolve));
    void this.closed.then(() => done(false));
    this.#core = new Protocol({
      ident: options.identification ?? 'raw',
      offer: new KexInit({
        kex: [
          ...(options.keyExchange ?? ['curve25519-sha256']),
          ...(options.isStrict === false ? [] : ['kex-strict-c-v00@openssh.com']),
        ],
        serverHostKey: ['ssh-ed25519', 'ecdsa-sha2-nistp256'],
        cs: direction,
        sc: direction,
      }),
      onWrite: (data: Buffer) => {
        if (!this.socket.destroyed) this.socket.write(data);
      },
      ...(options.acceptsNoKey === true ? { hostVerifier: () => undefined } : {}),
      onError: () => this.socket.destroy(),
      onHeader: () => {},
      onHandshakeComplete: (negotiated: RawClient['negotiated']) => {
        this.negotiated = negotiated;
        this.handshakes += 1;
        done(true);
      },
      messageHandlers: {},
    });
    clients.set(this.#core, this);
    this.socket.on('data', (chunk: Buffer) => {
      try {
        this.#core.parse(chunk, 0, chunk.length);
      } catch {
        this.socket.destroy();
      }
    });
    this.#core.start();
  }

  receive(payload: Buffer): void {
    if (payload[0] === 94) this.#sftp = Buffer.concat([this.#sftp, payload.subarray(9)]);
    const index = this.#waiting.findIndex(({ wanted }) => wanted(payload));
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.resolve(payload);
    else if (this.inbox.length < 10_000 && payload[0] !== 94) this.inbox.push(payload);
  }

  /** The next message with one of these numbers; undefined when the connection closes first. */
  next(...numbers: readonly number[]): Promise<Buffer | undefined> {
    const wanted = (payload: Buffer): boolean => numbers.includes(payload[0] ?? -1);
    const index = this.inbox.findIndex(wanted);
    if (index >= 0) return Promise.resolve(this.inbox.splice(index, 1)[0]);
    if (this.isClosed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting.push({ wanted, resolve }));
  }

  /** Sends one message as it is, encrypted when there are keys. Returns false when the connection is over. */
  send(payload: Uint8Array): boolean {
    if (this.socket.destroyed) return false;
    const { write } = this.#core._packetRW;
    const at = write.allocStart;
    const packet = write.alloc(payload.length);
    packet.set(payload, at);
    sendPacket(this.#core, write.finalize(packet));
    return true;
  }

  /**
   * Resolves after the first key exchange. Throws when the connection ended before: what is then refused was not
   * refused for what the client said.
   */
  async exchanged(): Promise<void> {
    if (!(await this.ready)) throw new Error('turned away before the end of the key exchange');
  }

  /** Asks for the service of logins, after the key exchange. Throws when the connection ends before the answer. */
  async beginLogin(): Promise<void> {
    await this.exchanged();
    this.send(message(5, 'ssh-userauth'));
    if ((await this.next(6)) === undefined) throw new Error('turned away before the login');
  }

  rekey(): void {
    this.#core.rekey();
  }

  /** Public key login; true when a session is open. */
  async login(username: string, privateKeyPem: string): Promise<boolean> {
    if (!(await this.ready)) return false;
    this.send(message(5, 'ssh-userauth'));
    if ((await this.next(6)) === undefined) return false;
    this.send(this.authRequest(username, privateKeyPem));
    return (await this.next(51, 52))?.[0] === 52;
  }

  authRequest(username: string, privateKeyPem: string): Buffer {
    const key = parseKey(privateKeyPem);
    const blob = key.getPublicSSH();
    const request = message(
      50,
      username,
      'ssh-connection',
      'publickey',
      Uint8Array.of(1),
      'ssh-ed25519',
      wireString(blob),
    );
    const data = concatBytes([wireString(this.#core._kex?.sessionID ?? Buffer.alloc(0)), request]);
    const signature = concatBytes([wireString('ssh-ed25519'), wireString(key.sign(Buffer.from(data)))]);
    return Buffer.concat([request, wireString(signature)]);
  }

  /** A session channel with the SFTP subsystem and VERSION received. */
  async sftp(window = 0x7fff_ffff, packetMax = 32_768): Promise<boolean> {
    this.send(message(90, 'session', u32(7), u32(window), u32(packetMax)));
    if ((await this.next(91, 92))?.[0] !== 91) return false;
    this.send(message(98, u32(0), 'subsystem', Uint8Array.of(1), 'sftp'));
    if ((await this.next(99, 100))?.[0] !== 99) return false;
    this.data(sftpPacket(1, u32(3)));
    return (await this.sftpReply()) !== undefined;
  }

  data(bytes: Uint8Array): boolean {
    return this.send(message(94, u32(0), u32(bytes.length), bytes));
  }

  /** The next whole SFTP packet, without its length. */
  async sftpReply(waitMs = 10_000): Promise<Buffer | undefined> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      if (this.#sftp.length >= 4) {
        const length = this.#sftp.readUInt32BE(0);
        if (this.#sftp.length >= 4 + length) {
          const packet = this.#sftp.subarray(4, 4 + length);
          this.#sftp = this.#sftp.subarray(4 + length);
          return packet;
        }
      }
      if (this.isClosed || performance.now() > deadline) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Sends one SFTP request and returns its reply. */
  async ask(type: number, ...parts: readonly (Uint8Array | string)[]): Promise<Buffer | undefined> {
    this.data(sftpPacket(type, u32(this.#id), ...parts));
    this.#id += 1;
    return this.sftpReply();
  }
  #id = 1;

  close(): void {
    this.socket.destroy();
  }
}

/** The words of a DISCONNECT; undefined when there is none. */
export const disconnectText = (payload: Buffer | undefined): string | undefined =>
  payload === undefined ? undefined : textAt(payload, 5);

/** The text of the first string in a message after `skip` bytes. */
export const textAt = (payload: Buffer, skip: number): string => new WireReader(payload.subarray(skip)).text();
