// Owns: what a failure of the database means: a fault of the connection, a lock that was not available, a passing
// condition, or a defect of ours.
// Must never: let a database text about a value reach an answer. The text stays in the cause of the error, for the log.
import pg from 'pg';
import { CofferdamError } from '../domain/errors.ts';

export const deadlock = '40P01';
export const lockNotAvailable = '55P03';
/** Configuration limit exceeded. The record's guard raises it when too many rows wait to be sealed. */
const rowsFull = '53400';

/** Returns the SQLSTATE of a database error, or undefined. `23505` is a unique violation. */
export function sqlState(error: unknown): string | undefined {
  const cause = error instanceof CofferdamError ? error.cause : error;
  return cause instanceof pg.DatabaseError ? cause.code : undefined;
}

/**
 * Returns whether an error comes from a lost connection, from a lock, or from another condition that passes, and not
 * from the rows of the work. The same work may succeed a little later.
 */
export const isPassing = (error: unknown): boolean =>
  sqlState(error) === deadlock || (error instanceof CofferdamError && error.code === 'unavailable');

/**
 * Returns whether a statement that was prepared on this connection no longer fits the schema (feature not supported:
 * "cached plan must not change result type"). A new connection prepares it anew.
 */
export const noLongerFits = (error: unknown): boolean => sqlState(error) === '0A000';

/**
 * Returns the error of ours for a failure of the database: `unavailable` when the work may be tried again, `bug` when
 * the database refused a statement of ours. Everything else is returned as it is.
 */
export function translate(error: unknown): unknown {
  if (error instanceof CofferdamError) return error;
  if (error instanceof pg.DatabaseError) {
    if (error.code === lockNotAvailable)
      return new CofferdamError('unavailable', 'another operation is changing the same data; try again', {
        cause: error,
      });
    if (error.code === rowsFull)
      return new CofferdamError('unavailable', 'the record is behind; try again in a moment', { cause: error });
    // 08P01 is left out: it means that a statement of ours does not fit its parameters.
    const lost =
      (error.code?.startsWith('08') && error.code !== '08P01') ||
      error.code?.startsWith('57') ||
      error.code?.startsWith('53') ||
      error.code === '25P03';
    return new CofferdamError(
      lost ? 'unavailable' : 'bug',
      lost ? 'the database cannot be reached' : 'internal error',
      { cause: error },
    );
  }
  if (
    error instanceof Error &&
    (/Connection terminated|timeout exceeded|ECONN|EPIPE|not queryable/.test(error.message) || 'errno' in error)
  )
    return new CofferdamError('unavailable', 'the database cannot be reached', { cause: error });
  return error;
}
