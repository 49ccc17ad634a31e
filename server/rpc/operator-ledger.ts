// Owns: what an operator may ask about the record itself: its state, and letting it go on after a freeze.
// Must never: carry content, or a key that signs.
import { z } from 'zod';
import { accountName, always, fingerprint, instant, network, none, operation, reads, rule, text, uuid } from './operator-words.ts';

const freeze = z.strictObject({
  freeze: uuid,
  at: instant,
  /** behind, diverged or clock. */
  why: z.string(),
  text: z.string(),
  /** What a release names. */
  witnessedSize: z.number(),
  witnessedRoot: z.string(),
  heads: z.number(),
  era: z.number(),
});

const moment = z.iso.datetime();
const entryFilter = z.strictObject({
  /** `login.refused`, or `login` for all that begin so. */
  kind: z
    .string()
    .regex(/^[a-z-]+(?:\.[a-z-]+)?$/, 'a kind looks like session.opened, or session')
    .max(64)
    .optional(),
  customer: accountName.optional(),
  account: accountName.optional(),
  session: uuid.optional(),
  node: text(64).optional(),
  source: network.optional(),
  client: text(255).optional(),
  credential: fingerprint.optional(),
  operator: accountName.optional(),
  version: uuid.optional(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  text: text(255).optional(),
  since: moment.optional(),
  until: moment.optional(),
});
const nullable = z.string().nullable();
const facts = z.record(z.string(), z.unknown());
const entry = z.strictObject({
  /** null: it has no seal yet. */
  number: z.number().nullable(),
  at: instant,
  kind: z.string(),
  observer: z.string(),
  customer: nullable,
  account: nullable,
  session: nullable,
  node: nullable,
  credential: nullable,
  source: nullable,
  client: nullable,
  operator: nullable,
  version: nullable,
  extent: z.number().nullable(),
  bytes: z.number().nullable(),
  public: facts,
  sensitive: facts,
});
export type LedgerEntryRow = z.infer<typeof entry>;

export const operatorLedger = {
  /** Newest first; `before` is the last number of the page before. `more`: there may be others. */
  'ledger.search': rule(
    operation({
      changes: false,
      params: z.strictObject({ filter: entryFilter, before: z.number().int().min(1).optional(), limit: z.number().int().min(1).max(200) }),
      result: z.strictObject({ entries: z.array(entry), more: z.boolean() }),
    }),
    reads(),
  ),
  /** Sealed entries behind `after`, oldest first; without `after` none, and the newest number. */
  'ledger.tail': rule(
    operation({
      changes: false,
      params: z.strictObject({ filter: entryFilter, after: z.number().int().min(0).optional() }),
      result: z.strictObject({ entries: z.array(entry), last: z.number() }),
    }),
    reads(),
  ),
  'ledger.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ number: z.number().int().min(1) }),
      result: z.strictObject({
        number: z.number(),
        at: instant,
        kind: z.string(),
        says: z.string(),
        observer: z.string(),
        names: z.strictObject({ customer: nullable, account: nullable }),
        fields: z.array(
          z.strictObject({ name: z.string(), value: z.string(), class: z.enum(['public', 'sensitive']), observer: z.string() }),
        ),
        /** How its session was opened. */
        opening: entry.nullable(),
        proof: z.strictObject({ tree: uuid, position: z.number(), isProved: z.boolean(), isWitnessed: z.boolean(), text: z.string() }),
      }),
    }),
    reads(),
  ),
  'ledger.status': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        era: z.number(),
        /** Entries that have their place, and those that wait for it. */
        entries: z.number(),
        unsealed: z.number(),
        heads: z.number(),
        trees: z.number(),
        /** The newest signed note. */
        checkpoint: z.string().nullable(),
        checkpointAt: instant.nullable(),
        witnessedSize: z.number(),
        witnessedAt: instant.nullable(),
        /** For how long the oldest entry has no seal, and the oldest checkpoint no witness; milliseconds. */
        unsealedMs: z.number(),
        unwitnessedMs: z.number(),
        /** For those who verify: the keys of this installation, newest first. */
        verifierKeys: z.array(z.string()),
        months: z.array(z.strictObject({ month: z.string(), entries: z.number() })),
        freeze: freeze.nullable(),
      }),
    }),
    reads(),
  ),
  /** Begins to verify the whole record against checkpoints of a witness (signed notes, in its order) with these verifier keys. */
  'ledger.verify': rule(
    operation({
      changes: false,
      params: z.strictObject({
        keys: z.array(text(256)).min(1).max(20),
        notes: z.array(text(1024)).max(200),
        /** How old the newest of them may be; 0: any age. */
        maxAgeSeconds: z.number().int().min(0).max(1_000_000_000),
      }),
      result: z.strictObject({ verification: uuid }),
    }),
    reads(),
  ),
  'ledger.verification': rule(
    operation({
      changes: false,
      params: z.strictObject({ verification: uuid }),
      result: z.strictObject({
        state: z.enum(['running', 'done', 'failed']),
        text: z.string(),
        entries: z.number(),
        isGood: z.boolean().nullable(),
        findings: z.array(
          z.strictObject({
            what: z.string(),
            text: z.string(),
            tree: z.string().nullable(),
            position: z.number().nullable(),
            number: z.number().nullable(),
          }),
        ),
      }),
    }),
    reads(),
  ),
  /** Goes on with a database that is behind its witness, or whose clock jumped; what was witnessed beyond it is given up. */
  'ledger.release': rule(
    operation({
      changes: true,
      params: z.strictObject({
        freeze: uuid,
        witnessedSize: z.number().int().min(0),
        witnessedRoot: z.string().max(64),
        heads: z.number().int().min(0),
        era: z.number().int().min(1),
        reason: text(200),
      }),
      result: z.strictObject({ era: z.number() }),
    }),
    always('security-officer'),
  ),
} as const;
