// Owns: how much one edge may make the warden store, at once and in each minute, whatever the edge says and whoever
// controls it.
// Must never: be close to what an honest edge needs, or leave an operation without a number.
import { z } from 'zod';
import type { Allowance } from '../domain/allowance.ts';

export type NodeAllowances = {
  /** Starts of the node. Each writes one row, and ends what the node's former run left open. */
  readonly runs: Allowance;
  /**
   * Login messages that carry a proof, from known sources. Each may cause an entry, a count
   * of guesses, or a session.
   */
  readonly logins: Allowance;
  /**
   * Login messages that carry a proof, from all other sources together. A flood from unknown sources is limited here,
   * and takes nothing from `logins`.
   */
  readonly strangers: Allowance;
  /** The part of `strangers` that one network may have (IPv4 /24, IPv6 /48). */
  readonly strangerNetwork: Allowance;
  /**
   * Passwords that are hashed for clients that have not logged in from their source. Each keeps a processor busy for a
   * tenth of a second. One network may have a quarter.
   */
  readonly strangerHashes: Allowance;
  /** First key exchanges of connections from known sources. Each costs one signature and writes no row. */
  readonly signatures: Allowance;
  /** First key exchanges of connections from all other sources. One network may have a quarter. */
  readonly strangerSignatures: Allowance;
  /**
   * Further key exchanges of existing connections. One network may have a quarter, because all of them may come from
   * one client.
   */
  readonly rekeys: Allowance;
  /** Proofs of host keys, for clients that were told of those keys. Each named key costs one signature. */
  readonly proofs: Allowance;
  /** Keys for the account of the self-test: one for each run. */
  readonly selfTestKeys: Allowance;
  /** Reports of the self-test. Each has at most eight verdicts, and may cause as many entries and alerts. */
  readonly verdicts: Allowance;
  /** Lines and answers of the SSH console. Each writes an entry. */
  readonly console: Allowance;
  /**
   * Names that are listed, changed or opened. Each writes an entry and a few rows, and is also charged to the budgets
   * of the session.
   */
  readonly names: Allowance;
  /**
   * Extents that are begun, sealed or read. Each writes an entry or a row. With up to 16 MiB for each extent, the
   * default is more than a network connection can carry.
   */
  readonly extents: Allowance;
};

export const defaultNodeAllowances: NodeAllowances = {
  // An edge whose warden or database keeps failing says hello again every few seconds.
  runs: { atOnce: 120, perMinute: 60 },
  logins: { atOnce: 6000, perMinute: 6000 },
  // A login takes three such messages. The defaults allow 2,000 new clients at once, 400 of them behind one network.
  strangers: { atOnce: 6000, perMinute: 6000 },
  strangerNetwork: { atOnce: 1200, perMinute: 1200 },
  strangerHashes: { atOnce: 120, perMinute: 120 },
  // A signature takes a thousandth of a second. Each of these two allowances is a tenth of one processor, all the time.
  signatures: { atOnce: 2000, perMinute: 6000 },
  strangerSignatures: { atOnce: 2000, perMinute: 6000 },
  // A connection exchanges keys again once an hour or for each GiB.
  rekeys: { atOnce: 2000, perMinute: 2000 },
  // A client asks for this once for each connection, and usually only when there is a host key that it does not know
  // yet.
  proofs: { atOnce: 2000, perMinute: 6000 },
  selfTestKeys: { atOnce: 10, perMinute: 1 },
  verdicts: { atOnce: 60, perMinute: 20 },
  // Of these three, which sessions ask for, one account may have an eighth and one customer a quarter.
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
