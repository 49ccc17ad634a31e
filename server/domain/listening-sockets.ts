// Owns: parsing what the Linux kernel tells of sockets: the text of /proc/net/tcp, tcp6, udp, udp6 and unix.
// Must never: skip a line that it does not understand, because a listener might be described there.
import { canonicalAddress } from './addresses.ts';

export type NetSocket = {
  /** The canonical text (RFC 5952), with an IPv4-mapped IPv6 address as IPv4. */
  readonly address: string;
  readonly port: number;
  /**
   * `listening` is a state of TCP. An unconnected UDP socket is `closed` in the kernel's terms, and receives datagrams
   * from anywhere.
   */
  readonly state: 'listening' | 'closed' | 'other';
  readonly uid: number;
  readonly inode: number;
};
/**
 * The byte order of the machine. The kernel reads each 32-bit word of an address, which is in network order, as a
 * number in the machine's order, and prints that number.
 */
type Endianness = 'LE' | 'BE';

const line =
  /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) (?:[0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4} ([0-9A-F]{2}) [0-9A-F]+:[0-9A-F]+ [0-9A-F]{2}:[0-9A-F]+ [0-9A-F]+\s+(\d+)\s+\d+ (\d+) /;

function addressOf(hex: string, endianness: Endianness): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => {
    const inOrder = (word.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
    return endianness === 'LE' ? inOrder.reverse() : inOrder;
  });
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  return canonicalAddress(groups.join(':'));
}

/** Parses /proc/net/tcp, tcp6, udp or udp6. Throws a RangeError on a line of another form. */
export function parseNetSockets(text: string, endianness: Endianness): readonly NetSocket[] {
  const [heading = '', ...lines] = text.split('\n');
  if (!/^\s*sl\s+local_address\s/.test(heading)) throw new RangeError('no heading of /proc/net');
  return lines
    .filter((one) => one.trim() !== '')
    .map((one) => {
      const match = line.exec(`${one} `);
      if (match === null) throw new RangeError(`an unknown line in /proc/net: ${one.slice(0, 80)}`);
      // The kernel converts the port to the machine's order before it prints it, so the port needs no conversion.
      const [, hex = '', port = '', state = '', uid = '', inode = ''] = match;
      return {
        address: addressOf(hex, endianness),
        port: Number.parseInt(port, 16),
        state: state === '0A' ? 'listening' : state === '07' ? 'closed' : 'other',
        uid: Number(uid),
        inode: Number(inode),
      };
    });
}

type UnixSocket = { readonly path: string; readonly isListening: boolean; readonly inode: number };

const acceptsConnections = 0x10000;

/**
 * Parses /proc/net/unix. Sockets without a name are left out; an abstract name begins with `@`. Throws a RangeError on
 * a line of another form.
 */
export function parseUnixSockets(text: string): readonly UnixSocket[] {
  const [heading = '', ...lines] = text.split('\n');
  if (!/^Num\s+RefCount\s/.test(heading)) throw new RangeError('no heading of /proc/net/unix');
  return lines
    .filter((one) => one !== '')
    .flatMap((one) => {
      const match = /^[0-9a-fA-F]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2}\s+(\d+)(?: (.+))?$/.exec(
        one,
      );
      if (match === null) throw new RangeError(`an unknown line in /proc/net/unix: ${one.slice(0, 80)}`);
      if (match[3] === undefined) return [];
      return [
        {
          path: match[3],
          isListening: (Number.parseInt(match[1] ?? '', 16) & acceptsConnections) !== 0,
          inode: Number(match[2]),
        },
      ];
    });
}
