// Owns: the few facts about network addresses that the domain needs.

/** Literal loopback addresses only: a name could resolve to anything. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** One spelling for an address: IPv4-mapped IPv6 becomes IPv4, zone ids go away, lower case. */
export function canonicalAddress(address: string): string {
  const lower = address.toLowerCase().replace(/%.*$/, '');
  return lower.startsWith('::ffff:') && lower.includes('.') ? lower.slice(7) : lower;
}
