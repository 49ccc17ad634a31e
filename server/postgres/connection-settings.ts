// Owns: the settings that every connection of ours makes for itself, whatever the server, the database or the role say.
// Must never: set anything that weakens a commit.

/** No idle transaction may keep a snapshot, because an old snapshot stops the pruning of the hot budget rows. */
const idle = '-c idle_in_transaction_session_timeout=10000';
const statementMsUsual = 30_000;
/**
 * The server does not choose the time zone and the style of texts: in another zone, a day could have 23 hours and not
 * be the day that was asked for.
 */
const texts = '-c TimeZone=UTC -c DateStyle=ISO';
/**
 * A plan that was made while a table was empty reads the whole table for each row for ever after, because no index
 * seemed useful. With sequential scans disabled, a statement uses an index wherever there is one. Where there is none,
 * the plan gets such a high price that PostgreSQL would compile it, which is not worth the time, so JIT is off.
 */
const steadyPlans = '-c enable_seqscan=off -c jit=off';

/**
 * Returns the options of a connection. `isPreparing` is true when its plans are kept and may outlive the contents of
 * the tables for which they were made. `statementMs` is the limit of one statement in milliseconds.
 */
export const connectionSettings = (isPreparing: boolean, statementMs = statementMsUsual): string =>
  [idle, `-c statement_timeout=${Math.ceil(statementMs)}`, texts, ...(isPreparing ? [steadyPlans] : [])].join(' ');
