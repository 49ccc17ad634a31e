// Owns: the operations of operators on the gateway as a whole: who the caller is, the state, and whether the warden
// answers.
import { z } from 'zod';
import { verdictInShort } from './ledger.ts';
import { instant, none, operation, operatorRoles, reads, rule, uuid } from './words.ts';

export const gatewayOperations = {
  /** Who the caller is, and of which installation: what an operator signs names both. */
  whoami: rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({ operator: z.string(), role: z.enum(operatorRoles), installation: uuid }),
    }),
    reads(),
  ),
  status: rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        nodes: z.array(
          z.strictObject({
            name: z.string(),
            plane: z.string(),
            lastSeenAt: instant.nullable(),
            alive: z.boolean(),
            sessions: z.number(),
            /**
             * The time at which the node's drain ends. Until then it accepts no new sessions. null when the node
             * serves.
             */
            drainingUntil: instant.nullable(),
          }),
        ),
        wardenAnswersMs: z.number().nullable(),
        /**
         * The state of the record: `frozen` is the reason when nothing is served, and `lateMs`
         * is for how long the record has waited for its seal or its witness, in milliseconds.
         */
        record: z.strictObject({
          entries: z.number(),
          frozen: z.string().nullable(),
          lateMs: z.number(),
          isStopped: z.boolean(),
          /** The number of months whose last attempt to be moved into an archive failed. */
          stuckMonths: z.number(),
          /** What the standing verification said last, and after its last run over everything; null: nothing yet. */
          verified: verdictInShort.nullable(),
          fullyVerified: verdictInShort.nullable(),
          /** A bad verdict that no later full run of the same host has withdrawn. */
          standingBad: verdictInShort.nullable(),
        }),
        /** The verdicts of the self-tests. `silentNodes` names the nodes that serve and do not report. */
        controls: z.array(
          z.strictObject({
            node: z.string(),
            check: z.string(),
            bites: z.boolean(),
            text: z.string(),
            at: instant,
            since: instant,
          }),
        ),
        silentNodes: z.array(z.string()),
        database: z.strictObject({ version: z.string(), sizeBytes: z.number() }),
        counts: z.strictObject({
          customers: z.number(),
          accounts: z.number(),
          openSessions: z.number(),
          publishedFiles: z.number(),
          partialUploads: z.number(),
        }),
      }),
    }),
    reads(),
  ),
  doctor: rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        findings: z.array(
          z.strictObject({
            check: z.string(),
            verdict: z.enum(['ok', 'warning', 'fault']),
            text: z.string(),
            next: z.string().nullable(),
          }),
        ),
      }),
    }),
    reads(),
  ),
  /** Answers at once, which shows that the warden accepts commands. */
  'warden.ping': rule(
    operation({
      changes: true,
      params: none,
      result: z.strictObject({
        receiptKey: z.string(),
        /** The lines of a known_hosts file, without the host. */
        hostKeys: z.array(z.string()),
      }),
    }),
    reads(),
  ),
} as const;
