// Owns: the only place that knows the insides of ssh2's ciphers. Packets are deciphered where they lie in the memory of
// the socket, or in one piece of memory of the connection when they lie across two reads, and are sealed where they
// leave. ssh2 takes fresh memory for each packet, which costs more than the ciphers themselves.
// Must never: hand on a byte of a packet whose tag does not verify, accept a length that ssh2 refuses, or use a shape
// of ssh2 that was not verified at the start (`own-packets-check.ts`).
import { randomFillSync } from 'node:crypto';
import { number } from './messages/numbers.ts';
import type { Outbound } from './outbound.ts';
import { type CoreCipher, type CoreDecipher, type CoreProtocol, sendPayload } from './ssh2-core.ts';

/** What we use of ssh2's native ciphers. They work in place. `tag` and `mac` are whole. */
type GcmDecipher = CoreDecipher & {
  readonly _instance: { decrypt(packet: Buffer, length: number, tag: Buffer): void };
};
type EtmDecipher = CoreDecipher & {
  readonly _instance: { decrypt(packet: Buffer, sequence: number, length: Buffer, mac: Buffer): void };
  readonly _macETM: boolean;
  readonly _macActualLen: number;
};
type GcmCipher = CoreCipher & { readonly _instance: { encrypt(packet: Buffer): void } };
type EtmCipher = CoreCipher & {
  readonly _instance: { encrypt(packet: Buffer, sequence: number): void };
  readonly _encBlockLen: number;
  readonly _macLen: number;
  readonly _macActualLen: number;
  readonly _aadLen: number;
};

const lengthBytes = 4;
/** ssh2's bound of a packet, in bytes. */
const packetBytesMax = 35_000;
const gcmTagBytes = 16;
const gcmBlockBytes = 16;
const nothing: Buffer = Buffer.alloc(0);

/** How one kind of packet is opened: which lengths it may have, and what follows it. */
type Opening = {
  readonly tagBytes: number;
  isLength(bytes: number): boolean;
  open(body: Buffer, tag: Buffer, length: Buffer, sequence: number): void;
};

function openingOf(theirs: CoreDecipher): Opening | undefined {
  if (theirs.constructor.name === 'AESGCMDecipherBinding') {
    const { _instance } = theirs as GcmDecipher;
    return {
      tagBytes: gcmTagBytes,
      isLength: (bytes) => bytes + 20 <= packetBytesMax && bytes >= 16 && (bytes & (gcmBlockBytes - 1)) === 0,
      open: (body, tag) => _instance.decrypt(body, body.length, tag),
    };
  }
  if (theirs.constructor.name !== 'GenericDecipherBinding' || !(theirs as EtmDecipher)._macETM) return undefined;
  const { _instance, _macActualLen } = theirs as EtmDecipher;
  return {
    tagBytes: _macActualLen,
    // ssh2 asks for whole words, and for at least 5 bytes.
    isLength: (bytes) => bytes <= packetBytesMax && bytes >= 5 && (bytes & 3) === 0,
    open: (body, tag, length, sequence) => _instance.decrypt(body, sequence, length, tag),
  };
}

/**
 * Takes the place of a decipher of ssh2 and uses its keys. The payload of CHANNEL_DATA lies in memory that is used
 * again, so it is valid until its handler returns. Every other payload is a copy, because ssh2 keeps parts of those.
 */
class OwnDecipher implements CoreDecipher {
  readonly #theirs: CoreDecipher;
  readonly #opening: Opening;
  readonly #isHeld: () => boolean;
  inSeqno: number;
  _onPayload: CoreDecipher['_onPayload'];
  readonly #length = Buffer.alloc(lengthBytes);
  #lengthBytes = 0;
  /** The length of the packet that has begun with its tag, in bytes; 0 when none has. */
  #wanted = 0;
  /** The memory for a packet that lies across two reads, and how many bytes of it have come. */
  #scratch = nothing;
  #held = 0;
  /** The number of bytes that `#collect` took last. */
  #taken = 0;
  #isBroken = false;
  /** How many of the bytes that it was given last it did not look at, because the connection is held. */
  left = 0;

  constructor(theirs: CoreDecipher, opening: Opening, isHeld: () => boolean) {
    this.#theirs = theirs;
    this.#opening = opening;
    this.#isHeld = isHeld;
    this.inSeqno = theirs.inSeqno;
    this._onPayload = theirs._onPayload;
  }

  free(): void {
    this.#scratch = nothing;
    this.#isBroken = true;
    this.#theirs.free();
  }

  /** Does what the method of the same name of ssh2 does: returns where to go on when the keys have changed. */
  decrypt(data: Buffer, from: number, to: number): number | undefined {
    if (this.#isBroken) throw new Error('a decipher that is broken');
    let at = from;
    try {
      while (at < to) {
        at = this.#takeLength(data, at, to);
        if (this.#wanted === 0 || at >= to) return undefined;
        const isWhole = this.#held === 0 && to - at >= this.#wanted;
        const packet = isWhole ? data.subarray(at, at + this.#wanted) : this.#collect(data, at, to);
        if (packet === undefined) return undefined;
        at += isWhole ? this.#wanted : this.#taken;
        const next = this._onPayload(this.#open(packet));
        if (next === false) return at;
        if (typeof next === 'number') return next;
        if (at < to && this.#isHeld()) {
          this.left = to - at;
          return undefined;
        }
      }
    } catch (error) {
      this.#isBroken = true;
      throw error;
    }
    return undefined;
  }

  #takeLength(data: Buffer, from: number, to: number): number {
    let at = from;
    while (this.#lengthBytes < lengthBytes && at < to) {
      this.#length[this.#lengthBytes] = data[at] as number;
      this.#lengthBytes += 1;
      at += 1;
    }
    if (this.#lengthBytes < lengthBytes || this.#wanted > 0) return at;
    const bytes = this.#length.readUInt32BE(0);
    if (!this.#opening.isLength(bytes)) throw new Error('Bad packet length');
    this.#wanted = bytes + this.#opening.tagBytes;
    return at;
  }

  /** Copies bytes of a packet that lies across reads. Returns the packet when it is whole. */
  #collect(data: Buffer, from: number, to: number): Buffer | undefined {
    if (this.#scratch.length < this.#wanted) this.#scratch = Buffer.alloc(this.#wanted);
    this.#taken = Math.min(this.#wanted - this.#held, to - from);
    data.copy(this.#scratch, this.#held, from, from + this.#taken);
    this.#held += this.#taken;
    return this.#held < this.#wanted ? undefined : this.#scratch.subarray(0, this.#wanted);
  }

  /** Deciphers a packet in its place. Throws when its tag does not verify, and when its padding is longer than it. */
  #open(packet: Buffer): Buffer {
    const end = packet.length - this.#opening.tagBytes;
    const body = packet.subarray(0, end);
    this.#opening.open(body, packet.subarray(end), this.#length, this.inSeqno);
    const padding = body[0] as number;
    if (padding + 1 > end) throw new Error('Bad padding length');
    this.inSeqno = (this.inSeqno + 1) >>> 0;
    this.#lengthBytes = 0;
    this.#wanted = 0;
    this.#held = 0;
    const payload = body.subarray(1, end - padding);
    return payload[0] === number.channelData ? payload : Buffer.from(payload);
  }
}

/** Gives a decipher of ssh2 copies, because it keeps parts of what it is given. */
class CopyingDecipher implements CoreDecipher {
  readonly #theirs: CoreDecipher;
  constructor(theirs: CoreDecipher) {
    this.#theirs = theirs;
  }
  get inSeqno(): number {
    return this.#theirs.inSeqno;
  }
  set inSeqno(sequence: number) {
    this.#theirs.inSeqno = sequence;
  }
  get _onPayload(): CoreDecipher['_onPayload'] {
    return this.#theirs._onPayload;
  }
  set _onPayload(take: CoreDecipher['_onPayload']) {
    this.#theirs._onPayload = take;
  }
  decrypt(data: Buffer, from: number, to: number): number | undefined {
    const copy = Buffer.from(data.subarray(from, to));
    const next = this.#theirs.decrypt(copy, 0, copy.length);
    return typeof next === 'number' ? from + next : undefined;
  }
  free(): void {
    this.#theirs.free();
  }
}

/** Random bytes for padding, each of which is used once. */
const padding = Buffer.alloc(4096);
let paddingUsed = padding.length;

function pad(memory: Buffer, from: number, to: number): void {
  if (paddingUsed + to - from > padding.length) {
    randomFillSync(padding);
    paddingUsed = 0;
  }
  padding.copy(memory, from, paddingUsed, paddingUsed + to - from);
  paddingUsed += to - from;
}

/** How one kind of packet is sealed: in blocks of what size, of which the length is no part, and what follows. */
type Sealing = { readonly blockBytes: number; readonly tagBytes: number; seal(packet: Buffer): void };

function sealingOf(theirs: CoreCipher): Sealing | undefined {
  if (theirs.constructor.name === 'AESGCMCipherBinding') {
    const { _instance } = theirs as GcmCipher;
    return { blockBytes: gcmBlockBytes, tagBytes: gcmTagBytes, seal: (packet) => _instance.encrypt(packet) };
  }
  if (theirs.constructor.name !== 'GenericCipherBinding') return undefined;
  const { _instance, _encBlockLen, _macLen, _macActualLen, _aadLen } = theirs as EtmCipher;
  // A MAC that is cut, and one over what is not encrypted yet, are left to ssh2.
  if (_aadLen !== lengthBytes || _macLen !== _macActualLen) return undefined;
  return {
    blockBytes: _encBlockLen,
    tagBytes: _macLen,
    seal: (packet) => _instance.encrypt(packet, theirs.outSeqno),
  };
}

let isVerified = false;

/** Allows the use of ssh2's insides, or forbids it again. */
export function useOwnPackets(verified: boolean): void {
  isVerified = verified;
}

/** Replaces the decipher of a connection by ours when its kind is known, and its way of sending. */
export class OwnPackets {
  readonly #protocol: CoreProtocol;
  readonly #outbound: Outbound;
  #sealing: { readonly cipher: CoreCipher; readonly of: Sealing | undefined } | undefined;

  /** `isHeld` says that the connection must not be given the next payload now. */
  constructor(protocol: CoreProtocol, outbound: Outbound, isHeld: () => boolean) {
    this.#protocol = protocol;
    this.#outbound = outbound;
    let current = protocol._decipher;
    // ssh2 sets a new decipher after each key exchange.
    Object.defineProperty(protocol, '_decipher', {
      get: () => current,
      set: (theirs: CoreDecipher) => {
        const opening = isVerified ? openingOf(theirs) : undefined;
        current = opening === undefined ? new CopyingDecipher(theirs) : new OwnDecipher(theirs, opening, isHeld);
      },
    });
  }

  /** True when whatever comes is deciphered in its place. */
  get isOwn(): boolean {
    return this.#protocol._decipher instanceof OwnDecipher;
  }

  /** Takes bytes from the client. Returns how many were used: all of them, unless the connection is held. */
  take(bytes: Buffer): number {
    this.#protocol.parse(bytes, 0, bytes.length);
    const decipher = this.#protocol._decipher;
    if (!(decipher instanceof OwnDecipher)) return bytes.length;
    const used = bytes.length - decipher.left;
    decipher.left = 0;
    return used;
  }

  /** Sends one message, whose parts together are the payload. Returns false when the client does not read. */
  send(parts: readonly Uint8Array[]): boolean {
    const protocol = this.#protocol;
    const cipher = protocol._cipher;
    if (this.#sealing?.cipher !== cipher) this.#sealing = { cipher, of: isVerified ? sealingOf(cipher) : undefined };
    const sealing = this.#sealing.of;
    // While a key exchange is under way, ssh2 holds the message back.
    if (sealing === undefined || protocol._kexinit !== undefined || cipher._dead) {
      sendPayload(protocol, parts);
      return true;
    }
    let payloadBytes = 0;
    for (const part of parts) payloadBytes += part.length;
    const { blockBytes, tagBytes } = sealing;
    let paddingBytes = blockBytes - ((1 + payloadBytes) & (blockBytes - 1));
    if (paddingBytes < 4) paddingBytes += blockBytes;
    const bodyBytes = 1 + payloadBytes + paddingBytes;
    const packet = this.#outbound.room(lengthBytes + bodyBytes + tagBytes);
    packet.writeUInt32BE(bodyBytes, 0);
    packet[lengthBytes] = paddingBytes;
    let at = lengthBytes + 1;
    for (const part of parts) {
      packet.set(part, at);
      at += part.length;
    }
    pad(packet, at, lengthBytes + bodyBytes);
    sealing.seal(packet);
    cipher.outSeqno = (cipher.outSeqno + 1) >>> 0;
    return this.#outbound.filled(packet.length);
  }
}
