// Owns: the few facts about network addresses that the domain needs: one spelling, networks, what counts as one source.
// Must never: take a name for an address. Names could resolve to anything.

/** Literal loopback addresses only. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** 4 or 16 bytes of an address; IPv4-mapped and IPv4-compatible spellings of IPv6 give the 4 bytes. Undefined for anything else. */
export function addressBytes(text: string): Uint8Array | undefined {
  const plain = text.toLowerCase().replace(/%.*$/, '');
  if (!plain.includes(':')) return fourBytes(plain);
  const bytes = sixteenBytes(plain);
  if (bytes === undefined) return undefined;
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  return isMapped ? bytes.slice(12) : bytes;
}

/** 4 or 16 bytes of an address as a database compares it: an IPv4-mapped address of IPv6 stays one of IPv6. Undefined for anything else. */
export function plainAddressBytes(text: string): Uint8Array | undefined {
  const plain = text.toLowerCase();
  return plain.includes(':') ? sixteenBytes(plain) : fourBytes(plain);
}

function fourBytes(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return undefined;
  return Uint8Array.from(parts, Number);
}

function sixteenBytes(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const bytesOf = (half: readonly string[], isLast: boolean): readonly number[] | undefined => {
    const bytes: number[] = [];
    for (const [i, group] of half.entries()) {
      const four = isLast && i === half.length - 1 && group.includes('.') ? fourBytes(group) : undefined;
      if (four !== undefined) bytes.push(...four);
      else if (/^[0-9a-f]{1,4}$/.test(group)) bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255);
      else return undefined;
    }
    return bytes;
  };
  const head = bytesOf(groups[0] ?? [], groups.length === 1);
  const tail = groups.length === 2 ? bytesOf(groups[1] ?? [], true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const zeros = 16 - head.length - tail.length;
  if (groups.length === 1 ? zeros !== 0 : zeros < 1) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(zeros).fill(0), ...tail]);
}

/** One spelling for an address (RFC 5952): IPv4-mapped IPv6 becomes IPv4. Empty for what is no address. */
export function canonicalAddress(address: string): string {
  const bytes = addressBytes(address);
  if (bytes === undefined) return '';
  if (bytes.length === 4) return bytes.join('.');
  const joined = groupsOf(bytes).join(':');
  // The longest run of two or more zero groups becomes `::`, the first of equals.
  const runs = [...joined.matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const [longest] = runs;
  if (longest === undefined) return joined;
  const before = joined.slice(0, longest.index).replace(/:$/, '');
  const after = joined.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}

/** What counts as one source: an IPv4 address, or the /64 of an IPv6 address (one line's worth of addresses). */
export function sourceOf(address: string): string {
  const bytes = addressBytes(address);
  if (bytes === undefined || bytes.length === 4) return canonicalAddress(address);
  const network = canonicalAddress(`${groupsOf(bytes.subarray(0, 8)).join(':')}:0:0:0:0`);
  return `${network}/64`;
}

/** The network that a source is one of: those who can use many addresses can use these. IPv4 /24, IPv6 /48. */
export function neighbourhoodOf(address: string): string {
  const bytes = addressBytes(address);
  if (bytes === undefined) return address;
  if (bytes.length === 4) return `${bytes.subarray(0, 3).join('.')}.0/24`;
  return `${canonicalAddress(`${groupsOf(bytes.subarray(0, 6)).join(':')}:0:0:0:0:0`)}/48`;
}

/** One spelling of a literal loopback address, 127.0.0.0/8 or ::1, brackets or not. Undefined for anything else, names included. */
export function loopbackAddress(host: string): string | undefined {
  const plain = /^\[(.*:.*)\]$/.exec(host)?.[1] ?? host;
  const canonical = plain.includes('%') ? '' : canonicalAddress(plain);
  return canonical === '::1' || canonical.startsWith('127.') ? canonical : undefined;
}

/** `HOST:PORT`, with an IPv6 address in brackets. Undefined for anything else, port 0 included. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^:[\]\s/]{1,255})):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? 0);
  if (match === null || port < 1 || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? '', port };
}

const groupsOf = (bytes: Uint8Array): readonly string[] =>
  Array.from({ length: bytes.length / 2 }, (_, i) => (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16));

export type Network = { readonly bytes: Uint8Array; readonly bits: number };

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. Undefined for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const bytes = match === null ? undefined : addressBytes(match[1] ?? '');
  if (match === null || bytes === undefined) return undefined;
  const bits = match[2] === undefined ? bytes.length * 8 : Number(match[2]);
  return bits <= bytes.length * 8 ? { bytes, bits } : undefined;
}

/** A wider network says little about who is inside: it limits, and it does not count as a bound. 127.0.0.0/8 is one machine. */
export const boundBitsMin = { ipv4: 16, ipv6: 32, loopback: 8 } as const;

function binds(network: Network | undefined): boolean {
  if (network === undefined) return false;
  if (network.bytes.length === 16) return network.bits >= boundBitsMin.ipv6;
  return network.bits >= (network.bytes[0] === 127 ? boundBitsMin.loopback : boundBitsMin.ipv4);
}

/** Those of a list that are too wide to count as a bound, or cannot be read. */
export const tooWide = (networks: readonly string[]): readonly string[] => networks.filter((text) => !binds(parseNetwork(text)));

/** Whether a list of source networks binds its account to places: there is one, and none of them is too wide. */
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
