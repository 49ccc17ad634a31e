// Owns: what every connection of ours sets for itself, whatever the server, the database or the role say.
// Must never: set what makes a commit less than one.
import { CofferdamError } from '../domain/errors.ts';
import type { Transaction } from './database.ts';

/** No idle transaction may keep a snapshot, because an old snapshot stops the pruning of the hot budget rows. */
const idle = '-c idle_in_transaction_session_timeout=10000';
const statementMsUsual = 30_000;
/**
 * The server does not choose the time zone and the style of texts: in another zone, a day could have 23 hours and not
 * be the day that was asked for.
 */
const texts = '-c TimeZone=UTC -c DateStyle=ISO';
/**
 * A name means what the server brought, or else what stands in our schema; temporary tables come last. Rows are hidden
 * by policies for everybody. What a connection sets as it begins is stronger than what is set for the role, the
 * database or the server.
 */
const path = 'public,pg_temp';
const meaning = `-c search_path=${path} -c row_security=on`;

/**
 * A plan that was made while a table was empty reads all of it for each row, for ever: no index seemed worth it. What
 * is priced so high where there is no index is not worth compiling.
 */
const steadyPlans = '-c enable_seqscan=off -c jit=off';

/**
 * Returns the options of a connection. `isPreparing` is true when its plans are kept and may outlive the contents of
 * the tables for which they were made. `statementMs` is the limit of one statement in milliseconds.
 */
export const connectionSettings = (isPreparing: boolean, statementMs = statementMsUsual): string =>
  [idle, `-c statement_timeout=${Math.ceil(statementMs)}`, texts, meaning, ...(isPreparing ? [steadyPlans] : [])].join(
    ' ',
  );

/** Of a connection that only reads, and sees the rows of every customer. */
export const lookingSettings = '-c cofferdam.customers=* -c default_transaction_read_only=on';

/** Of a connection that migrates or that only waits: names mean what they mean to all others. */
export const plainSettings = meaning;

/**
 * Throws `unavailable` when a connection is not what it asked to be: only a superuser may set whether triggers fire,
 * and an address may bring settings of its own.
 */
export async function requireOurSettings(query: Transaction['query']): Promise<void> {
  const [found] = await query<{ path: string; rows: string; replication: string }>(
    "select pg_catalog.current_setting('search_path') as path, pg_catalog.current_setting('row_security') as rows, pg_catalog.current_setting('session_replication_role') as replication",
  );
  const wrong = [
    ...(found?.path.replaceAll(' ', '') === path ? [] : [`search_path is ${found?.path}`]),
    ...(found?.rows === 'on' ? [] : [`row_security is ${found?.rows}`]),
    ...(found?.replication === 'origin' ? [] : [`session_replication_role is ${found?.replication}`]),
  ];
  if (wrong.length > 0)
    throw new CofferdamError(
      'unavailable',
      `the database gives connections that may not be used: ${wrong.join(', ')}. Look who set that`,
    );
}
