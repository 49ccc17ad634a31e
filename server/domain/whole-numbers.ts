// Owns: adding up whole numbers of which some are the word of somebody who may lie.

/** Sums end at the largest number that every reader holds exactly (2^53 - 1): "at least so much". A lie never makes a question unanswerable. */
export const addWhole = (sum: number, more: number): number => Math.min(Number.MAX_SAFE_INTEGER, sum + more);
