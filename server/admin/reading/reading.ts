// Owns: what the handlers of reading operations have at hand, and the form of a table of them.
import type { Config } from '../../config/config.ts';
import { CofferdamError } from '../../domain/errors.ts';
import type { Claim } from '../../domain/share.ts';
import type { Database } from '../../postgres/database.ts';
import type { Handlers, OperationTable } from '../../rpc/operation.ts';
import type { CommandQueue } from '../calls/command-queue.ts';
import type { Operator } from '../calls/operator-queries.ts';

/** The largest number of rows that a query for a list returns. */
export const rowsMax = 500;
/** A warden that takes longer than this counts as not answering. */
const pingPatienceMs = 20_000;

/** The operator behind a call, who is looked up again for every call, and the certificate that is recorded with it. */
export type OperatorCaller = {
  readonly operator: () => Promise<Operator>;
  /** The SHA-256 of the certificate's public key (SPKI) and its serial number, in lower-case hexadecimal. */
  readonly certificate: { readonly fingerprint: string; readonly serial: string };
  /** The person whose places the calls take. Rejects when this person has too many connections. */
  readonly claim: Promise<Claim>;
  /** Returns whether the client is gone, so that nobody waits for an answer. */
  readonly isGone: () => boolean;
};
/** What every handler may use. `read` runs a function in a transaction of the database role of the admin process. */
export type Reading = {
  readonly config: Config;
  readonly database: Database;
  readonly read: Database['withSystem'];
  readonly commands: CommandQueue;
};

/**
 * One handler for each operation of a noun that changes nothing. A table that lacks a handler, or has one for anything
 * else, does not compile.
 */
export type Reads<T extends OperationTable> = {
  readonly [K in keyof T as T[K]['changes'] extends true ? never : K]: Handlers<T, OperatorCaller>[K];
};

/** Returns how long the warden takes to answer, or null when it does not. */
export async function pingMs({ commands }: Reading, operator: Operator): Promise<number | null> {
  const started = performance.now();
  return commands.send(operator.id, 'warden.ping', {}, pingPatienceMs).then(
    () => Math.round(performance.now() - started),
    (error: unknown) => {
      // That this person asks too much at once says nothing about the warden.
      if (error instanceof CofferdamError && error.code === 'over-limit') throw error;
      return null;
    },
  );
}
