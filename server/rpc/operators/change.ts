// Owns: the operations of operators on changes that two operators sign, and plans.
import { z } from 'zod';
import { instant, listed, moment, more, narrows, none, operation, reads, reason, rule, sha256, uuid } from './words.ts';

const signature = z.base64().max(512);
const changeRow = z.strictObject({
  change: uuid,
  operation: z.string(),
  /** One of proposed, applied, rejected and expired. */
  state: z.string(),
  proposer: z.string(),
  proposedAt: instant,
  expiresAt: instant,
  reason: z.string(),
  decidedBy: z.string().nullable(),
  decidedAt: instant.nullable(),
  /** The prepared emergency under which the change was applied without an approval; null for any other change. */
  breakGlass: uuid.nullable(),
});

/** One effect that an operation would have, or had: an entry of the record, in words. */
const effect = z.strictObject({
  kind: z.string(),
  customer: z.string().nullable(),
  account: z.string().nullable(),
  text: z.string(),
});

export const changeOperations = {
  /**
   * Runs an operation and undoes it. Shows what it would do, to whom,
   * and whether it needs a second operator. Nothing remains changed.
   */
  plan: rule(
    operation({
      changes: true,
      params: z.strictObject({ operation: z.string().max(64), params: z.record(z.string(), z.unknown()) }),
      result: z.strictObject({
        needsSecond: z.boolean(),
        /** What would become wider, in words. */
        wider: z.array(z.string()),
        effects: z.array(effect),
        more,
        sessionsEnded: z.number(),
      }),
    }),
    reads(),
  ),
  'change.propose': rule(
    operation({
      changes: true,
      params: z.strictObject({ document: z.string().min(1).max(100_000), signature }),
      result: z.strictObject({
        change: uuid,
        hash: sha256,
        expiresAt: instant,
        /** The result when the change was applied at once, under a prepared emergency; otherwise null. */
        applied: z.record(z.string(), z.unknown()).nullable(),
      }),
    }),
    narrows,
  ),
  'change.approve': rule(
    operation({
      changes: true,
      params: z.strictObject({ document: z.string().min(1).max(4096), signature }),
      result: z.strictObject({ change: uuid, operation: z.string(), result: z.record(z.string(), z.unknown()) }),
    }),
    narrows,
  ),
  'change.reject': rule(
    operation({ changes: true, params: z.strictObject({ change: listed('change'), reason }), result: none }),
    narrows,
  ),
  'change.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ all: z.boolean().optional(), since: moment.optional() }),
      result: z.strictObject({ changes: z.array(changeRow), more }),
    }),
    reads(),
  ),
  /** Returns the text that was signed, with its signatures. A client must show what the text says, and nothing else. */
  'change.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ change: listed('change') }),
      result: z.strictObject({
        change: changeRow,
        document: z.string(),
        proposerSignature: z.string(),
        proposerPublicKey: z.string(),
        approval: z.string().nullable(),
        approverSignature: z.string().nullable(),
      }),
    }),
    reads(),
  ),
} as const;
