// Owns: how much of its account's budgets one round of an edge's self-test needs. The edge runs the rounds by these
// numbers, and the warden sets the budgets by them.

/** The sizes of the two test files in bytes. The small one fits into the account's cap, the large one never does. */
export const smallBytes = 1024;
export const largeBytes = 1024 ** 2;
/** The number of bytes that are read of the large file: enough to tell whether it was released. */
export const askedBytes = 65_536;
/**
 * The largest number of files that one round opens. Both files are read; when the small one cannot be read, both are
 * written first and the small one is read again.
 */
export const opensPerRoundMax = 5;
