// Owns: the name under which a node tests itself: the name of its account, and of the customer that only this node has.
import { createHash } from 'node:crypto';
import type { NodeName, Plane } from '../../domain/ids.ts';

const nameMax = 64;
const digestLength = 16;

/**
 * Returns the name for a node and plane. Each pair has a name of its own, because an account of one plane has rights
 * that one of the other plane must not have. A name that would be too long ends with a digest of the whole name.
 */
export function testerOf(node: NodeName, plane: Plane): string {
  const name = `self-test.${node}.${plane}`;
  if (name.length <= nameMax) return name;
  return `${name.slice(0, nameMax - digestLength - 1)}-${createHash('sha256').update(name).digest('hex').slice(0, digestLength)}`;
}

/**
 * The condition that the row of an account (`a`) or a customer (`c`) belongs to a self-test, for look-ups by operators
 * and consoles. Both its mark and its name (`testerOf`) must say so. Somebody who sets the mark on the row of a bank
 * does not thereby hide the row from operators who want to withdraw something.
 */
export const accountOfSelfTest = "(a.is_self_test and a.name like 'self-test.%')";

export const customerOfSelfTest = "(c.is_self_test and c.name like 'self-test.%')";
