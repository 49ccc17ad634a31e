// Owns: the operations that an operator may call about the record itself: its
// state, its archives, its verification, and letting it go on after a freeze.
// Must never: carry content, or a key that signs.
import { z } from 'zod';
import { always, instant, none, operation, reads, rule, text, uuid } from './words.ts';

/** The largest number of checkpoints that one call brings. */
export const notesPerCallMax = 200;

const freezeWhy = z.enum(['behind', 'diverged', 'clock']);
const freeze = z.strictObject({
  freeze: uuid,
  at: instant,
  why: freezeWhy,
  text: z.string(),
  /**
   * The fields down to `era` are those that a release names: the checkpoint that is given up, and where the record goes
   * on.
   */
  witnessedEra: z.number(),
  witnessedSize: z.number(),
  witnessedRoot: z.string(),
  witnessedAt: z.string(),
  heads: z.number(),
  era: z.number(),
});

const verdict = z.strictObject({
  at: instant,
  host: z.string(),
  verdict: z.string(),
  heads: z.number(),
  /** The number of entries that this run read. */
  entries: z.number(),
  text: z.string(),
  run: z.enum(['full', 'since']),
  /**
   * Up to which head and entry earlier runs had read, and when the one began from which it went on, by its host's
   * clock; null: a full run.
   */
  since: z.strictObject({ head: z.number(), entry: z.number(), at: instant, fullAt: instant }).nullable(),
});

/** What stands of it in the state of the whole gateway. */
export const verdictInShort = verdict.pick({ at: true, verdict: true, run: true });

const archive = z.strictObject({
  month: z.string().regex(/^\d{4}-\d\d$/),
  /** The name of the file within the directory of archives. */
  file: z.string().regex(/^ledger-\d{4}-\d\d\.jsonl\.gz$/),
  /** The SHA-256 of the compressed file. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  entries: z.number(),
  /** True when all of its entries are still in the database as well. */
  isOnline: z.boolean(),
  /** When the file was deleted at the end of its retention; null when the file must exist. */
  deletedAt: instant.nullable(),
});
export type ListedArchive = z.infer<typeof archive>;

export const ledgerOperations = {
  'ledger.status': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        era: z.number(),
        /** The number of entries that are sealed; `unsealed` is the number of those that are not yet. */
        entries: z.number(),
        unsealed: z.number(),
        heads: z.number(),
        trees: z.number(),
        /** The newest signed checkpoint. */
        checkpoint: z.string().nullable(),
        checkpointAt: instant.nullable(),
        witnessedSize: z.number(),
        witnessedAt: instant.nullable(),
        /** The newest head that names all trees; null when nothing is sealed. */
        epoch: z.strictObject({ head: z.number(), at: instant, isWitnessed: z.boolean() }).nullable(),
        /**
         * For how long the oldest entry that the planes wait for has had
         * no seal, and the oldest checkpoint no witness; milliseconds.
         */
        unsealedMs: z.number(),
        unwitnessedMs: z.number(),
        /**
         * The newest alert about these lags while there is one: the required witnesses that are behind, with the
         * reasons, and the lag in milliseconds from which on nothing is served.
         */
        late: z
          .strictObject({ at: instant, text: z.string(), behind: z.string().nullable(), stopMs: z.number().nullable() })
          .nullable(),
        /** The keys of this installation for those who verify the record, the newest first. */
        verifierKeys: z.array(z.string()),
        months: z.array(z.strictObject({ month: z.string(), entries: z.number() })),
        /**
         * The months that should have left the database and have not: since
         * when, the last step that was done, and why it does not go on.
         */
        archiving: z.array(
          z.strictObject({
            month: z.string(),
            dueSince: instant,
            step: z.string(),
            why: z.string().nullable(),
            lookedAt: instant,
            /** When the last attempt failed; null while the month waits. */
            failedAt: instant.nullable(),
          }),
        ),
        /**
         * What the standing verification said last, and what it said last of a run that read everything it was given;
         * null: nothing yet.
         */
        verified: verdict.nullable(),
        fullyVerified: verdict.nullable(),
        /** A bad verdict that no later full run of the same host has withdrawn. */
        standingBad: verdict.nullable(),
        freeze: freeze.nullable(),
        /**
         * The first entries that a sealer set aside because they cannot be sealed, by their numbers among those that
         * wait; an honest gateway has none.
         */
        setAside: z.array(z.strictObject({ entry: z.number(), at: instant, why: z.string() })),
        /**
         * The receivers of live forwarding, as configured. `sent` is the last entry that was sent, and
         * `number` the last that was certainly received. Both are null when forwarding never began.
         */
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
  /** Lists every month that was written into an archive, the oldest first. */
  'ledger.archives': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({ archives: z.array(archive) }),
    }),
    reads(),
  ),
  /**
   * Begins to verify the whole record against checkpoints (signed notes) with these verifier keys. When `more` is true,
   * nothing is read yet: the next call names the `verification` that this one returned, and brings further notes.
   */
  'ledger.verify': rule(
    operation({
      changes: false,
      params: z.strictObject({
        keys: z.array(text(256)).min(1).max(20),
        notes: z.array(text(1024)).max(notesPerCallMax),
        /** The largest age of the newest checkpoint, in seconds; 0 for any age. */
        maxAgeSeconds: z.number().int().min(0).max(1_000_000_000),
        verification: uuid.optional(),
        more: z.boolean().optional(),
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
        /**
         * `incomplete` means that nothing bad was found, and that not
         * everything was read. null while the verification is running.
         */
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
   * Asks the sealer to write a head that names all trees, which happens within seconds.
   * What is shown to a customer ends at such a head. `askedAt` is by the clock of the
   * database. `ledger.status` shows when there is a newer head, and when it is witnessed.
   */
  'ledger.begin-epoch': rule(
    operation({ changes: true, params: none, result: z.strictObject({ askedAt: instant }) }),
    reads(),
  ),
  /**
   * Lets the installation go on with a database that is behind its witness, that has another record than was
   * witnessed, or whose clock jumped. What was witnessed beyond this database, or differently, is given up.
   */
  'ledger.release': rule(
    operation({
      changes: true,
      params: z.strictObject({
        freeze: uuid,
        why: freezeWhy,
        witnessedEra: z.number().int().min(0),
        witnessedSize: z.number().int().min(0),
        witnessedRoot: z.string().max(64),
        witnessedAt: z.string().max(40),
        heads: z.number().int().min(0),
        era: z.number().int().min(1),
        reason: text(200),
      }),
      result: z.strictObject({ era: z.number() }),
    }),
    always('security-officer'),
  ),
} as const;
