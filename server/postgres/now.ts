// Owns: the text of the present instant in a search for what is due.

/**
 * The instant at which a statement asks, as SQL. A condition with it is looked up in an index: it is computed once,
 * where `clock_timestamp()` by itself is computed anew for each row, and therefore compared with each row.
 */
export const now = '(select clock_timestamp())';
