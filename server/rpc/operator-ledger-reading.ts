// Owns: what an operator may read of the record: what comes in, what is in it, and one entry with everything that proves it.
// Must never: give an entry twice, or one that is not sealed as if it had its place.
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
} from './operator-words.ts';

const number = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** What is looked for: all of it at once. `kind`: a kind, its first word, or the beginning of one and a `*`. */
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
  /** Of the entry, or of the session that it belongs to. */
  source: network.optional(),
  clientId: text(255).optional(),
  credential: fingerprint.optional(),
  operator: accountName.optional(),
  version: listed('file').optional(),
  sha256: sha256.optional(),
  /** Anywhere in the further fields of an entry. */
  text: text(200).optional(),
  since: moment.optional(),
  until: moment.optional(),
});
export type LedgerFilter = z.infer<typeof ledgerFilter>;

/** Times with microseconds; names beside ids, as they are now. */
const entry = z.strictObject({
  /** null: it is not sealed yet. */
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

/** Texts and salt as they were hashed: docs/reference/ledger-format.md. */
const hashed = z.strictObject({
  tree: uuid,
  position: z.number(),
  /** Microseconds since 1970. */
  at: z.number(),
  publicText: z.string(),
  sensitiveText: z.string(),
  salt: z.string(),
});

export const operatorLedgerReading = {
  /**
   * Entries with numbers after `after`, oldest first; waits some seconds when there are none. null: from now on. `last`: everything up to it was looked
   * at. Calls of this very operation are passed over: each would wake the next.
   */
  'ledger.tail': rule(
    operation({
      changes: false,
      params: z.strictObject({ filter: ledgerFilter, after: number.nullable() }),
      result: z.strictObject({ entries: z.array(entry), last: z.number() }),
    }),
    reads(),
  ),
  /** Newest first, below `before` (null: with those that are not sealed yet); `reached`: everything from this number on was looked at. 0: the beginning of what is in the database. */
  'ledger.search': rule(
    operation({
      changes: false,
      params: z.strictObject({ filter: ledgerFilter, before: number.nullable(), limit: z.number().int().min(1).max(500) }),
      result: z.strictObject({
        entries: z.array(entry),
        reached: z.number(),
        more,
        /** There are more without a seal than one answer holds, and they are not among these. */
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
        /** Of the version that it names. */
        file: z.strictObject({ folder: z.string(), path: z.string(), number: z.number() }).nullable(),
        /** The entry by which its session began. */
        opened: entry.nullable(),
        proof: z
          .strictObject({
            checkpoint: z.string(),
            head: z.strictObject({ position: z.number(), text: z.string(), proof: z.array(z.string()) }),
            /** Its way to the map root of the head: `path` from level 32 up to level 1. */
            tree: z.strictObject({
              id: uuid,
              size: z.number(),
              root: z.string(),
              blind: z.string(),
              slot: z.number(),
              path: z.array(z.string()),
            }),
            /** Of the entry in its tree. */
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
