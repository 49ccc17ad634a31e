// Owns: what every connection of ours sets for itself, whatever the server, the database or the role say.
// Must never: set what makes a commit less than one.

/** No idle transaction may hold a snapshot: it would stop pruning of the hot budget rows. */
const idle = '-c idle_in_transaction_session_timeout=10000';
const statementMsUsual = 30_000;
/** Zone and style of texts are not the server's to choose: a day of 23 hours is not what was asked for. */
const texts = '-c TimeZone=UTC -c DateStyle=ISO';
/**
 * A plan that was made while a table was empty reads all of it for each row, for ever: no index seemed worth it. What is priced so high where there is
 * no index is not worth compiling.
 */
const steadyPlans = '-c enable_seqscan=off -c jit=off';

/** `isPreparing`: plans outlive what they were made for. `statementMs`: what one statement may take. */
export const connectionSettings = (isPreparing: boolean, statementMs = statementMsUsual): string =>
  [idle, `-c statement_timeout=${Math.ceil(statementMs)}`, texts, ...(isPreparing ? [steadyPlans] : [])].join(' ');
