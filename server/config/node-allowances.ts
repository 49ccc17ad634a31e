// Owns: how much one edge may make the warden store, at once and a minute, whatever it says and whoever sits in it.
// Must never: be near what an honest edge needs, or be without a number.
import { z } from 'zod';
import type { Allowance } from '../domain/allowance.ts';

export type NodeAllowances = {
  /** Runs of the node: one row, and what its former run left open ends. */
  readonly runs: Allowance;
  /** Messages of logins that prove something, from where people log in: an entry, a count of guesses, a session. */
  readonly logins: Allowance;
  /** The same from everywhere else, in all: a flood of strangers meets this, and takes nothing of `logins`. */
  readonly strangers: Allowance;
  /** Of that, from one network (IPv4 /24, IPv6 /48). */
  readonly strangerNetwork: Allowance;
  /** Passwords hashed for who has not logged in from there: each keeps a processor busy for a tenth of a second. A quarter for one network. */
  readonly strangerHashes: Allowance;
  /** First key exchanges of connections from where people log in: a signature each, and no row. */
  readonly signatures: Allowance;
  /** The same from everywhere else; a quarter for one network. */
  readonly strangerSignatures: Allowance;
  /** Further key exchanges of connections that have had their first; a quarter for one network, which may be the doing of one client. */
  readonly rekeys: Allowance;
  /** Proofs of host keys for clients that were told of them: a signature for each key that is named. */
  readonly proofs: Allowance;
  /** Keys of its own account for the self-test: one a run. */
  readonly selfTestKeys: Allowance;
  /** Reports of the self-test: at most eight verdicts, entries and alerts each. */
  readonly verdicts: Allowance;
  /** Lines and answers of the console: an entry each. */
  readonly console: Allowance;
  /** Names listed, changed, opened: an entry and a few rows each, beside the budgets of who does it. */
  readonly names: Allowance;
  /** Extents begun, sealed, read: an entry or a row each. 16 MiB each at most, so it is more than a wire carries. */
  readonly extents: Allowance;
};

export const defaultNodeAllowances: NodeAllowances = {
  // An edge whose warden or database comes and goes greets again every few seconds.
  runs: { atOnce: 120, perMinute: 60 },
  logins: { atOnce: 6000, perMinute: 6000 },
  // A login is three such messages: 2,000 newcomers at once, 400 of them behind one network.
  strangers: { atOnce: 6000, perMinute: 6000 },
  strangerNetwork: { atOnce: 1200, perMinute: 1200 },
  strangerHashes: { atOnce: 120, perMinute: 120 },
  // A thousandth of a second each: a tenth of one processor for each kind, all the time.
  signatures: { atOnce: 2000, perMinute: 6000 },
  strangerSignatures: { atOnce: 2000, perMinute: 6000 },
  // Each connection once an hour or for each GiB.
  rekeys: { atOnce: 2000, perMinute: 2000 },
  // Once a connection, and as a rule only by a client that does not know a key yet.
  proofs: { atOnce: 2000, perMinute: 6000 },
  selfTestKeys: { atOnce: 10, perMinute: 1 },
  verdicts: { atOnce: 60, perMinute: 20 },
  // An eighth of this is one account's, a quarter one customer's, as of all that sessions ask.
  console: { atOnce: 1200, perMinute: 1200 },
  names: { atOnce: 60_000, perMinute: 60_000 },
  extents: { atOnce: 120_000, perMinute: 120_000 },
};

const allowance = z
  .strictObject({ atOnce: z.number().int().min(1).max(10_000_000), perMinute: z.number().int().min(1).max(10_000_000) })
  .optional();
export const nodeAllowanceSettings = z.strictObject(
  Object.fromEntries(Object.keys(defaultNodeAllowances).map((name) => [name, allowance])) as {
    [K in keyof NodeAllowances]: typeof allowance;
  },
);
