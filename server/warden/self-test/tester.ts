// Owns: the name by which a node tests itself: of its account, and of the customer that nobody but it has.
import { createHash } from 'node:crypto';
import type { NodeName, Plane } from '../../domain/ids.ts';

const nameMax = 64;
const digestLength = 16;

/**
 * Two nodes never have one, nor one node on two planes: an account of one plane has rights that one of the other must not have. A name that would be too
 * long ends with a digest of the whole.
 */
export function testerOf(node: NodeName, plane: Plane): string {
  const name = `self-test.${node}.${plane}`;
  if (name.length <= nameMax) return name;
  return `${name.slice(0, nameMax - digestLength - 1)}-${createHash('sha256').update(name).digest('hex').slice(0, digestLength)}`;
}
