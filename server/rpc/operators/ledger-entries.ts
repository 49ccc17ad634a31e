// Owns: the operations by which an operator reads the record: following
// new entries, searching, and one entry with everything that proves it.
// Must never: return an entry twice, or return an entry that is not sealed as if it had its place in the record.
import { z } from 'zod';
import {
  accountName,
  fingerprint,
  instant,
  listed,
  moment,
  more,
  network,
  operation,
  reads,
  rule,
  sha256,
  text,
  uuid,
} from './words.ts';

const number = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/**
 * What is searched for; an entry must match every field. `kind` is a kind
 * of entry, its first word, or the beginning of a kind followed by `*`.
 */
export const ledgerFilter = z.strictObject({
  kind: z
    .string()
    .max(64)
    .regex(/^[a-z.-]+\*?$/, 'a kind looks like extent.granted, or extent')
    .optional(),
  customer: accountName.optional(),
  account: accountName.optional(),
  session: listed('session').optional(),
  node: accountName.optional(),
  /** Matches the source of the entry, or of the session to which the entry belongs. */
  source: network.optional(),
  clientId: text(255).optional(),
  credential: fingerprint.optional(),
  operator: accountName.optional(),
  version: listed('file').optional(),
  sha256: sha256.optional(),
  /** Matches anywhere in the further fields of an entry. */
  text: text(200).optional(),
  since: moment.optional(),
  until: moment.optional(),
});
export type LedgerFilter = z.infer<typeof ledgerFilter>;

/** One entry. Times have microseconds. Names beside ids are the names as they are now. */
const entry = z.strictObject({
  /** null when the entry is not sealed yet. */
  number: z.number().nullable(),
  at: instant,
  kind: z.string(),
  observer: z.string(),
  customer: z.string().nullable(),
  customerId: uuid.nullable(),
  account: z.string().nullable(),
  accountId: uuid.nullable(),
  session: uuid.nullable(),
  node: z.string().nullable(),
  plane: z.string().nullable(),
  handle: uuid.nullable(),
  version: uuid.nullable(),
  extent: z.number().nullable(),
  bytes: z.number().nullable(),
  credential: z.string().nullable(),
  alsoCredential: z.string().nullable(),
  source: z.string().nullable(),
  sourcePort: z.number().nullable(),
  client: z.string().nullable(),
  operator: z.string().nullable(),
  public: z.record(z.string(), z.unknown()),
  sensitive: z.record(z.string(), z.unknown()),
});
export type LedgerRow = z.infer<typeof entry>;

/** The texts and the salt as they were hashed (docs/reference/ledger-format.md). */
const hashed = z.strictObject({
  tree: uuid,
  position: z.number(),
  /** The time in microseconds since 1970. */
  at: z.number(),
  publicText: z.string(),
  sensitiveText: z.string(),
  salt: z.string(),
});

export const ledgerEntryOperations = {
  /**
   * Returns entries with numbers greater than `after`, the oldest first, and waits some seconds when there are
   * none. `after` null returns no entry and begins at the newest one. `last` is the number up to which everything
   * was looked at. Entries about calls of this operation are left out, because each would cause the next.
   */
  'ledger.tail': rule(
    operation({
      changes: false,
      params: z.strictObject({ filter: ledgerFilter, after: number.nullable() }),
      result: z.strictObject({ entries: z.array(entry), last: z.number() }),
    }),
    reads(),
  ),
  /**
   * Returns entries with numbers less than `before`, the newest first. `before` null includes those that are not
   * sealed yet. Everything from the number `reached` on was looked at; 0 means everything that is in the database.
   */
  'ledger.search': rule(
    operation({
      changes: false,
      params: z.strictObject({
        filter: ledgerFilter,
        before: number.nullable(),
        limit: z.number().int().min(1).max(500),
      }),
      result: z.strictObject({
        entries: z.array(entry),
        reached: z.number(),
        more,
        /** True when there are more entries without a seal than one answer holds; those are missing in this answer. */
        isUnsealedCut: z.boolean(),
      }),
    }),
    reads(),
  ),
  'ledger.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ number }),
      result: z.strictObject({
        entry,
        hashed,
        /** The file of the version that the entry names. */
        file: z.strictObject({ folder: z.string(), path: z.string(), number: z.number() }).nullable(),
        /** The entry by which its session was opened. */
        opened: entry.nullable(),
        proof: z
          .strictObject({
            checkpoint: z.string(),
            head: z.strictObject({ position: z.number(), text: z.string(), proof: z.array(z.string()) }),
            /**
             * The tree of the entry and its path to the map root of the head; `path` goes from level 32 up to level 1.
             */
            tree: z.strictObject({
              id: uuid,
              size: z.number(),
              root: z.string(),
              blind: z.string(),
              slot: z.number(),
              path: z.array(z.string()),
            }),
            /** The path of the entry within its tree. */
            path: z.array(z.string()),
          })
          .nullable(),
        /** Why there is no proof. */
        unproven: z.string().nullable(),
        isWitnessed: z.boolean(),
        verifierKeys: z.array(z.string()),
      }),
    }),
    reads(),
  ),
} as const;
