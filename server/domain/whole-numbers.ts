// Owns: adding whole numbers some of which were reported by a party that may lie.

/**
 * Returns the sum of two whole numbers, at most 2^53 - 1. A sum that reaches this limit means "at least so much", so
 * that a false number can never make a report fail.
 */
export const addWhole = (sum: number, more: number): number => Math.min(Number.MAX_SAFE_INTEGER, sum + more);
