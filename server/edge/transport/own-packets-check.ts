// Owns: verifying at the start that ssh2's ciphers are what `own-packets.ts` takes them for: the version, their fields,
// and packets that both sides must read alike.
// Must never: allow the use of ssh2's insides when anything of this is not so.
import { randomBytes } from 'node:crypto';
import type { SocketReader } from '../../rpc/own-buffer.ts';
import { number } from './messages/numbers.ts';
import { Outbound } from './outbound.ts';
import { OwnPackets, useOwnPackets } from './own-packets.ts';
import { type CoreCipher, type CoreDecipher, type CoreProtocol, coreCiphers } from './ssh2-core.ts';

/** The version of ssh2 whose insides we read. */
const version = '1.17.0';
const kinds = [
  { cipher: 'aes128-gcm@openssh.com', mac: undefined },
  { cipher: 'aes256-gcm@openssh.com', mac: undefined },
  { cipher: 'aes256-ctr', mac: 'hmac-sha2-256-etm@openssh.com' },
  { cipher: 'aes128-ctr', mac: 'hmac-sha2-512-etm@openssh.com' },
] as const;
const gcmCipher = '_dead _instance _onWrite outSeqno';
const gcmDecipher = '_instance _len _lenBytes _onPayload _packet _pktLen _tag _tagPos inSeqno';
const genericCipher = '_aadLen _dead _encBlockLen _instance _macActualLen _macLen _onWrite outSeqno';
const genericDecipher =
  '_block _blockPos _instance _len _mac _macActualLen _macETM _macPos _onPayload _packet _pktLen inSeqno';
const fieldsOf = (value: object): string => Object.keys(value).sort().join(' ');

/** A cipher and a decipher of ssh2 with the same keys. */
type CipherPair = { readonly cipher: CoreCipher; readonly decipher: CoreDecipher };

/** Makes a pair. `onWrite` gets what the cipher sends, `onPayload` what the decipher read. */
export function cipherPair(
  kind: { readonly cipher: string; readonly mac: string | undefined },
  onWrite: (bytes: Buffer) => void,
  onPayload: (payload: Buffer) => void,
): CipherPair {
  const { CIPHER_INFO, MAC_INFO, createCipher, createDecipher } = coreCiphers;
  const info = CIPHER_INFO[kind.cipher];
  if (info === undefined) throw new Error(`ssh2 does not know ${kind.cipher}`);
  const macInfo = kind.mac === undefined ? undefined : MAC_INFO[kind.mac];
  const [key, iv, macKey] = [randomBytes(info.keyLen), randomBytes(info.ivLen), randomBytes(macInfo?.len ?? 0)];
  const keys = (): object => ({ macInfo, macKey, seqno: 3 });
  return {
    cipher: createCipher({
      outbound: { ...keys(), cipherInfo: info, cipherKey: Buffer.from(key), cipherIV: Buffer.from(iv), onWrite },
    }),
    decipher: createDecipher({
      inbound: { ...keys(), decipherInfo: info, decipherKey: Buffer.from(key), decipherIV: Buffer.from(iv), onPayload },
    }),
  };
}

/** Does what is told; its bytes go to `sent`. */
function outboundTo(sent: Buffer[]): Outbound {
  const socket = { destroyed: false, write: (bytes: Buffer) => void sent.push(Buffer.from(bytes)) };
  const reader = { socket, pause: () => {}, resume: () => {} } as unknown as SocketReader;
  return new Outbound({ reader, waitingMax: 2 ** 20, onRoom: () => {} });
}

/** As much of a connection of ssh2 as our packets use. */
function protocolOf(cipher: CoreCipher): CoreProtocol {
  return {
    _cipher: cipher,
    _kexinit: undefined,
    parse(this: CoreProtocol, chunk: Buffer, from: number, to: number) {
      for (let at: number | undefined = from; at !== undefined && at < to; ) at = this._decipher.decrypt(chunk, at, to);
    },
  } as unknown as CoreProtocol;
}

const payloads = [
  Buffer.from([number.ignore]),
  Buffer.concat([Buffer.from([number.channelData]), randomBytes(32_767)]),
  Buffer.concat([Buffer.from([number.globalRequest]), randomBytes(100)]),
];

function verify(kind: (typeof kinds)[number]): void {
  const got: Buffer[] = [];
  const keep = (payload: Buffer): void => void got.push(Buffer.from(payload));
  const expectAll = (what: string): void => {
    const all = Buffer.concat(got);
    got.length = 0;
    if (!all.equals(Buffer.concat(payloads))) throw new Error(`${kind.cipher} is not read alike: ${what}`);
  };
  const isGcm = kind.mac === undefined;
  // What we seal, ssh2 opens.
  const theirs = cipherPair(kind, () => {}, keep);
  if (fieldsOf(theirs.cipher) !== (isGcm ? gcmCipher : genericCipher)) throw new Error(`another ${kind.cipher}`);
  if (fieldsOf(theirs.decipher) !== (isGcm ? gcmDecipher : genericDecipher)) throw new Error(`another ${kind.cipher}`);
  const sealed: Buffer[] = [];
  const outbound = outboundTo(sealed);
  const sending = new OwnPackets(protocolOf(theirs.cipher), outbound, () => false);
  for (const payload of payloads) sending.send([payload.subarray(0, 1), payload.subarray(1)]);
  outbound.flush();
  if (sealed.length === 0) throw new Error(`${kind.cipher} is not sealed by us`);
  const stream = Buffer.concat(sealed);
  theirs.decipher.decrypt(stream, 0, stream.length);
  expectAll('what we seal');
  // What ssh2 seals, we open: whole, in pieces, and not at all when a bit is wrong.
  for (const step of [Number.POSITIVE_INFINITY, 1, 5000]) {
    const sent: Buffer[] = [];
    const pair = cipherPair(kind, (bytes) => void sent.push(Buffer.from(bytes)), keep);
    const protocol = protocolOf(pair.cipher);
    const packets = new OwnPackets(protocol, outboundTo([]), () => false);
    protocol._decipher = pair.decipher;
    if (!packets.isOwn) throw new Error(`${kind.cipher} is not opened by us`);
    for (const payload of payloads) {
      const packet = (pair.cipher as CoreCipher & { allocPacket(bytes: number): Buffer }).allocPacket(payload.length);
      packet.set(payload, 5);
      pair.cipher.encrypt(packet);
    }
    const bytes = Buffer.concat(sent);
    for (let at = 0; at < bytes.length; at += step) packets.take(bytes.subarray(at, Math.min(bytes.length, at + step)));
    expectAll('what ssh2 seals');
    const forged = Buffer.from(sent[0] as Buffer);
    forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
    let isRefused = false;
    try {
      packets.take(forged);
    } catch {
      isRefused = true;
    }
    if (!isRefused || got.length > 0) throw new Error(`${kind.cipher} accepts a forged tag`);
  }
}

/** Verifies ssh2's insides, and allows their use when they are what we know. Returns the sentence for the log. */
export function checkOwnPackets(): { readonly isOwn: boolean; readonly text: string } {
  try {
    if (coreCiphers.version !== version) throw new Error(`this is ssh2 ${coreCiphers.version}`);
    if (!coreCiphers.bindingAvailable) throw new Error("ssh2's native cipher is missing");
    useOwnPackets(true);
    for (const kind of kinds) verify(kind);
    return { isOwn: true, text: 'packets are deciphered and sealed where they lie' };
  } catch (error) {
    useOwnPackets(false);
    const why = error instanceof Error ? error.message : String(error);
    return { isOwn: false, text: `packets are left to ssh2, which costs more: ${why}` };
  }
}
