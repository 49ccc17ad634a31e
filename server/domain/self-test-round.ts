// Owns: what one round of an edge's self-test asks of its account's budgets. The edge makes the rounds by it, the warden the budgets.

/** One of these fits into the account's cap, the other never does. */
export const smallBytes = 1024;
export const largeBytes = 1024 ** 2;
/** Asked of the large one: enough to tell that it was released. */
export const askedBytes = 65_536;
/** Both are read, and both are put there first when the small one is not to be had. */
export const opensPerRoundMax = 5;
