// Owns: the name by which a node tests itself: of its account, and of the customer that nobody but it has.
import { createHash } from 'node:crypto';
import type { NodeName } from '../../domain/ids.ts';

const nameMax = 64;
const digestLength = 16;

/** Two nodes never have one: a name that would be too long ends with a digest of the whole. */
export function testerOf(node: NodeName): string {
  const name = `self-test.${node}`;
  if (name.length <= nameMax) return name;
  return `${name.slice(0, nameMax - digestLength - 1)}-${createHash('sha256').update(node).digest('hex').slice(0, digestLength)}`;
}
