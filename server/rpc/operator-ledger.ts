// Owns: what an operator may ask about the record itself: its state, and letting it go on after a freeze.
// Must never: carry content, or a key that signs.
import { z } from 'zod';
import { always, instant, none, operation, reads, rule, text, uuid } from './operator-words.ts';

const freezeWhy = z.enum(['behind', 'diverged', 'clock']);
const freeze = z.strictObject({
  freeze: uuid,
  at: instant,
  why: freezeWhy,
  text: z.string(),
  /** What a release names. */
  witnessedSize: z.number(),
  witnessedRoot: z.string(),
  heads: z.number(),
  era: z.number(),
});

const verdict = z.strictObject({
  at: instant,
  host: z.string(),
  verdict: z.string(),
  heads: z.number(),
  /** That this run read. */
  entries: z.number(),
  text: z.string(),
  run: z.enum(['full', 'since']),
  /** Up to which head and entry earlier runs had read, and when the one began from which it went on, by its host's clock; null: a full run. */
  since: z.strictObject({ head: z.number(), entry: z.number(), at: instant, fullAt: instant }).nullable(),
});

/** What stands of it in the state of the whole gateway. */
export const verdictInShort = verdict.pick({ at: true, verdict: true, run: true });

const archive = z.strictObject({
  month: z.string().regex(/^\d{4}-\d\d$/),
  /** Within the directory of archives. */
  file: z.string().regex(/^ledger-\d{4}-\d\d\.jsonl\.gz$/),
  /** Of the file as it stands there, compressed. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  entries: z.number(),
  /** All of its entries are still in the database too. */
  isOnline: z.boolean(),
  /** When its retention had ended; null: there must be such a file. */
  deletedAt: instant.nullable(),
});
export type ListedArchive = z.infer<typeof archive>;

export const operatorLedger = {
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
        /** The newest head that names all trees; null: nothing is sealed. */
        epoch: z.strictObject({ head: z.number(), at: instant, isWitnessed: z.boolean() }).nullable(),
        /** For how long the oldest entry that the planes wait for has no seal, and the oldest checkpoint no witness; milliseconds. */
        unsealedMs: z.number(),
        unwitnessedMs: z.number(),
        /** For those who verify: the keys of this installation, newest first. */
        verifierKeys: z.array(z.string()),
        months: z.array(z.strictObject({ month: z.string(), entries: z.number() })),
        /** Months that are due to leave the database and have not: since when, the last step that was done, and why it does not go on. */
        archiving: z.array(
          z.strictObject({
            month: z.string(),
            dueSince: instant,
            step: z.string(),
            why: z.string().nullable(),
            lookedAt: instant,
            /** When the last attempt failed; null: it waits. */
            failedAt: instant.nullable(),
          }),
        ),
        /** What the standing verification said last, and what it said last of a run that read everything it was given; null: nothing yet. */
        verified: verdict.nullable(),
        fullyVerified: verdict.nullable(),
        freeze: freeze.nullable(),
        /** Live forwarding, as configured; `sent` and `number`: up to which entry it was sent, and received for certain. null: it never began. */
        forwards: z.array(
          z.strictObject({
            name: z.string(),
            number: z.number().nullable(),
            sent: z.number().nullable(),
            behindEntries: z.number(),
            behindMs: z.number(),
            lookedAt: instant.nullable(),
            error: z.string().nullable(),
            errorAt: instant.nullable(),
          }),
        ),
      }),
    }),
    reads(),
  ),
  /** Every month that was written into an archive, oldest first. */
  'ledger.archives': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({ archives: z.array(archive) }),
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
        /** `incomplete`: nothing bad was found, and not everything was read; null: not done yet. */
        verdict: z.enum(['good', 'bad', 'incomplete']).nullable(),
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
  /**
   * The sealer writes a head that names all trees, within seconds: what is shown to a customer ends at such a head. `askedAt`: by the clock of the database;
   * `ledger.status` tells when there is a newer one, and when it is witnessed.
   */
  'ledger.begin-epoch': rule(operation({ changes: true, params: none, result: z.strictObject({ askedAt: instant }) }), reads()),
  /** Goes on with a database that is behind its witness, is another record than was witnessed, or whose clock jumped; what was witnessed beyond it, or otherwise, is given up. */
  'ledger.release': rule(
    operation({
      changes: true,
      params: z.strictObject({
        freeze: uuid,
        why: freezeWhy,
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
