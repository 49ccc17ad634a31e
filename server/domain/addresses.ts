// Owns: the facts about network addresses that the rules need: one canonical spelling, networks, and what counts as one
// source.
// Must never: accept a host name as an address. A name could resolve to anything.

/** Returns whether `host` is a literal loopback address. A name such as `localhost` is not. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/**
 * Returns the 4 or 16 bytes of an address, or undefined for any other text. An IPv4-mapped IPv6 address
 * (::ffff:a.b.c.d) gives the 4 bytes of the IPv4 address. A zone such as `%eth0` is ignored.
 */
export function addressBytes(text: string): Uint8Array | undefined {
  const plain = text.toLowerCase().replace(/%.*$/, '');
  if (!plain.includes(':')) return fourBytes(plain);
  const bytes = sixteenBytes(plain);
  if (bytes === undefined) return undefined;
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  return isMapped ? bytes.slice(12) : bytes;
}

/**
 * Returns the 4 or 16 bytes of an address as PostgreSQL compares it, or undefined for any other text. In contrast to
 * `addressBytes`, an IPv4-mapped IPv6 address stays an IPv6 address of 16 bytes.
 */
export function plainAddressBytes(text: string): Uint8Array | undefined {
  const plain = text.toLowerCase();
  return plain.includes(':') ? sixteenBytes(plain) : fourBytes(plain);
}

function fourBytes(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return Uint8Array.from(parts, Number);
}

function sixteenBytes(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const bytesOf = (half: readonly string[], isLast: boolean): readonly number[] | undefined => {
    const bytes: number[] = [];
    for (const [i, group] of half.entries()) {
      const four = isLast && i === half.length - 1 ? fourBytes(group) : undefined;
      if (four !== undefined) bytes.push(...four);
      else if (/^[0-9a-f]{1,4}$/.test(group))
        bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255);
      else return undefined;
    }
    return bytes;
  };
  const head = bytesOf(groups[0] ?? [], groups.length === 1);
  const tail = bytesOf(groups[1] ?? [], true);
  if (head === undefined || tail === undefined) return undefined;
  const zeros = 16 - head.length - tail.length;
  if (groups.length === 1 ? zeros !== 0 : zeros < 1) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(zeros).fill(0), ...tail]);
}

/**
 * Returns the canonical text of an address (RFC 5952), with an IPv4-mapped IPv6 address as IPv4. Returns an empty text
 * when the input is no address.
 */
export function canonicalAddress(address: string): string {
  const bytes = addressBytes(address);
  if (bytes === undefined) return '';
  if (bytes.length === 4) return bytes.join('.');
  const joined = groupsOf(bytes).join(':');
  // RFC 5952 section 4.2: the longest run of two or more zero groups becomes `::`, and the first of several equally
  // long runs.
  const runs = [...joined.matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const [longest] = runs;
  if (longest === undefined) return joined;
  const before = joined.slice(0, longest.index).replace(/:$/, '');
  const after = joined.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}

/**
 * Returns the text that stands for one source: an IPv4 address, or the /64 of an IPv6 address, because one line usually
 * has a whole /64.
 */
export function sourceOf(address: string): string {
  const bytes = addressBytes(address);
  if (bytes === undefined || bytes.length === 4) return canonicalAddress(address);
  const network = canonicalAddress(`${groupsOf(bytes.subarray(0, 8)).join(':')}:0:0:0:0`);
  return `${network}/64`;
}

/**
 * Returns the network around a source: the /24 of an IPv4 address, the /48 of an IPv6 address. A client that can use
 * many addresses is expected to find them in one such network.
 */
export function neighbourhoodOf(address: string): string {
  const bytes = addressBytes(address);
  if (bytes === undefined) return address;
  if (bytes.length === 4) return `${bytes.subarray(0, 3).join('.')}.0/24`;
  return `${canonicalAddress(`${groupsOf(bytes.subarray(0, 6)).join(':')}:0:0:0:0:0`)}/48`;
}

/**
 * Returns the canonical text of a literal loopback address (127.0.0.0/8 or ::1, with or without brackets), or undefined
 * for anything else, names included.
 */
export function loopbackAddress(host: string): string | undefined {
  const plain = /^\[(.*:.*)\]$/.exec(host)?.[1] ?? host;
  const canonical = plain.includes('%') ? '' : canonicalAddress(plain);
  return canonical === '::1' || canonical.startsWith('127.') ? canonical : undefined;
}

/** Parses `HOST:PORT`, with an IPv6 address in brackets. Returns undefined for anything else, port 0 included. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, name, digits = '0'] =
    /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^:[\]\s/]{1,255})):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  return port < 1 || port > 65_535 ? undefined : { host: bracketed ?? name ?? '', port };
}

const groupsOf = (bytes: Uint8Array): readonly string[] =>
  Array.from({ length: bytes.length / 2 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );

export type Network = { readonly bytes: Uint8Array; readonly bits: number };

/** Parses `192.0.2.0/24`, `2001:db8::/32`, or a single address. Returns undefined for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const bytes = addressBytes(address);
  if (bytes === undefined) return undefined;
  const bits = length === undefined ? bytes.length * 8 : Number(length);
  return bits <= bytes.length * 8 ? { bytes, bits } : undefined;
}

/**
 * The smallest number of prefix bits with which a network binds the logins of an account to where they come from. A
 * wider network still limits where a login may come from, but it says too little about who is inside to count as a
 * binding. 127.0.0.0/8 is accepted because it is one machine.
 */
export const boundBitsMin = { ipv4: 16, ipv6: 32, loopback: 8 } as const;

function binds(network: Network | undefined): boolean {
  if (network === undefined) return false;
  if (network.bytes.length === 16) return network.bits >= boundBitsMin.ipv6;
  return network.bits >= (network.bytes[0] === 127 ? boundBitsMin.loopback : boundBitsMin.ipv4);
}

/** Returns the networks of a list that are too wide to count as a binding, or that cannot be parsed. */
export const tooWide = (networks: readonly string[]): readonly string[] =>
  networks.filter((text) => !binds(parseNetwork(text)));

/**
 * Returns whether a list of source networks binds logins to where they come from: the list is not empty, and none of
 * its networks is too wide.
 */
export const areBound = (networks: readonly string[]): boolean => networks.length > 0 && tooWide(networks).length === 0;

export function isInNetwork(address: string, network: Network): boolean {
  const bytes = addressBytes(address);
  if (bytes === undefined || bytes.length !== network.bytes.length) return false;
  return network.bytes.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, network.bits - 8 * i));
    const mask = (0xff << (8 - bits)) & 0xff;
    return (byte & mask) === ((bytes[i] ?? 0) & mask);
  });
}
