// Owns: reading the PROXY protocol header that a load balancer sends before a connection
// (HAProxy's specification, section 2.1 for version 1 and section 2.2 for version 2).
// Must never: be used for a peer that is not a configured load balancer, or accept an address that was not parsed
// completely.
import { canonicalAddress } from '../../domain/addresses.ts';

export type ProxySource = { readonly address: string; readonly port: number };
type ProxyHeader =
  | { readonly state: 'incomplete' }
  /**
   * `source` is undefined for a connection of the load balancer itself (LOCAL,
   * UNKNOWN), such as a health check. `bytes` is the length of the header.
   */
  | { readonly state: 'complete'; readonly source: ProxySource | undefined; readonly bytes: number };

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const lineBytesMax = 107;
const fixedBytes = 16;
/**
 * The largest body of a version 2 header: addresses and a few type-length-value fields. No load balancer sends more.
 */
const bodyBytesMax = 2048;

const malformed = (): Error => new Error('malformed PROXY header');

/** Parses the header at the start of `bytes`. Throws when `bytes` is not the beginning of any valid header. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  const shared = Math.min(bytes.length, signature.length);
  if (shared > 0 && bytes.subarray(0, shared).equals(signature.subarray(0, shared)))
    return bytes.length < fixedBytes ? { state: 'incomplete' } : binary(bytes);
  return text(bytes);
}

function text(bytes: Buffer): ProxyHeader {
  const start = Buffer.from('PROXY ');
  const shared = Math.min(bytes.length, start.length);
  if (!bytes.subarray(0, shared).equals(start.subarray(0, shared))) throw malformed();
  const end = bytes.indexOf('\r\n');
  if (end === -1) {
    if (bytes.length >= lineBytesMax) throw malformed();
    return { state: 'incomplete' };
  }
  if (end + 2 > lineBytesMax) throw malformed();
  const line = bytes.subarray(0, end).toString('latin1');
  const length = end + 2;
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/.test(line)) return { state: 'complete', source: undefined, bytes: length };
  const match = /^PROXY (TCP4|TCP6) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/.exec(line);
  const address = canonicalAddress(match?.[2] ?? '');
  const port = Number(match?.[4]);
  const isV6 = match?.[2]?.includes(':') ?? false;
  if (
    match === null ||
    address === '' ||
    canonicalAddress(match[3] ?? '') === '' ||
    port > 65_535 ||
    Number(match[5]) > 65_535
  )
    throw malformed();
  if (isV6 !== (match[1] === 'TCP6')) throw malformed();
  return { state: 'complete', source: { address, port }, bytes: length };
}

function binary(bytes: Buffer): ProxyHeader {
  const [version, family] = [bytes[12] ?? 0, bytes[13] ?? 0];
  const body = bytes.readUInt16BE(14);
  if (version >> 4 !== 2 || body > bodyBytesMax) throw malformed();
  if (bytes.length < fixedBytes + body) return { state: 'incomplete' };
  const length = fixedBytes + body;
  const command = version & 15;
  if (command === 0) return { state: 'complete', source: undefined, bytes: length };
  if (command !== 1) throw malformed();
  const at = bytes.subarray(fixedBytes, length);
  if (family === 0x11 && body >= 12)
    return {
      state: 'complete',
      source: { address: at.subarray(0, 4).join('.'), port: at.readUInt16BE(8) },
      bytes: length,
    };
  if (family === 0x21 && body >= 36) {
    const groups = Array.from({ length: 8 }, (_, i) => at.readUInt16BE(2 * i).toString(16));
    return {
      state: 'complete',
      source: { address: canonicalAddress(groups.join(':')), port: at.readUInt16BE(32) },
      bytes: length,
    };
  }
  // Only TCP over IPv4 or IPv6 can carry SSH.
  throw malformed();
}
