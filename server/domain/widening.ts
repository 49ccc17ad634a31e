// Owns: whether a new value allows more than the value before. That is the line between what one operator may do and
// what needs two.
import { type Network, parseNetwork } from './addresses.ts';

const holds = (outer: Network, inner: Network): boolean => {
  if (outer.bytes.length !== inner.bytes.length || outer.bits > inner.bits) return false;
  return outer.bytes.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, outer.bits - 8 * i));
    const mask = (0xff << (8 - bits)) & 0xff;
    return (byte & mask) === ((inner.bytes[i] ?? 0) & mask);
  });
};

/**
 * Returns whether a list of networks becomes wider. An empty list means that every address is allowed. A network that
 * cannot be parsed counts as wider.
 */
export function areNetworksWider(before: readonly string[], after: readonly string[]): boolean {
  if (before.length === 0) return false;
  if (after.length === 0) return true;
  const outer = before.map(parseNetwork);
  return !after.every((text) => {
    const inner = parseNetwork(text);
    return inner !== undefined && outer.some((one) => one !== undefined && holds(one, inner));
  });
}

/** Returns whether a set of allowed values becomes wider; null allows every value. */
export function isChoiceWider(before: readonly string[] | null, after: readonly string[] | null): boolean {
  if (before === null) return false;
  return after === null || !after.every((one) => before.includes(one));
}

/** Returns whether an upper bound becomes wider; null means that there is no bound. */
export function isBoundWider(before: number | null, after: number | null): boolean {
  if (before === null) return false;
  return after === null || after > before;
}
