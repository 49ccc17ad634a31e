// Owns: the operations on changes, operators and emergencies that an
// operator may call. They are a part of the table in operator-admin.ts.
import { z } from 'zod';
import {
  accountName,
  always,
  instant,
  listed,
  moment,
  more,
  narrows,
  none,
  operation,
  operatorRoles,
  reads,
  rule,
  sha256,
  text,
  uuid,
} from './operator-words.ts';

const reason = text(200);
const signature = z.base64().max(512);
/** The DER encoding of a SubjectPublicKeyInfo, in base64. */
const publicKey = z.base64().min(40).max(512);
const role = z.enum(operatorRoles);

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
const operatorRow = z.strictObject({
  name: z.string(),
  role: z.string(),
  state: z.string(),
  createdAt: instant,
  keys: z.array(z.strictObject({ fingerprint: z.string(), since: instant, endedAt: instant.nullable() })),
});
const breakGlassRow = z.strictObject({
  breakGlass: uuid,
  operator: z.string(),
  operations: z.array(z.string()),
  hours: z.number(),
  reason: z.string(),
  validUntil: instant,
  /** One of prepared, open, used, expired, ended and reviewed. */
  state: z.string(),
  openedAt: instant.nullable(),
  closesAt: instant.nullable(),
  changes: z.number(),
  reviewedAt: instant.nullable(),
  finding: z.string().nullable(),
});
/** One effect that an operation would have, or had: an entry of the record, in words. */
const effect = z.strictObject({ kind: z.string(), customer: z.string().nullable(), account: z.string().nullable(), text: z.string() });

export const operatorChanges = {
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
  'change.reject': rule(operation({ changes: true, params: z.strictObject({ change: listed('change'), reason }), result: none }), narrows),
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
  /** Lists everything that operators changed, signed changes as well as commands, the newest first. */
  'report.changes': rule(
    operation({
      changes: false,
      params: z.strictObject({ since: moment, after: z.strictObject({ at: instant, id: uuid }).optional() }),
      result: z.strictObject({
        changes: z.array(
          z.strictObject({
            id: uuid,
            at: instant,
            operation: z.string(),
            by: z.string(),
            /** Who approved the change; null when it needed no second operator. */
            approvedBy: z.string().nullable(),
            breakGlass: uuid.nullable(),
            outcome: z.string(),
            reason: z.string(),
            params: z.string(),
          }),
        ),
        more,
      }),
    }),
    reads(),
  ),
  installation: rule(operation({ changes: false, params: none, result: z.strictObject({ installation: uuid }) }), reads()),

  'operator.list': rule(
    operation({ changes: false, params: none, result: z.strictObject({ operators: z.array(operatorRow), more }) }),
    reads(),
  ),
  'operator.create': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, role, publicKey, reason }),
      result: z.strictObject({ name: z.string(), fingerprint: z.string() }),
    }),
    always('security-officer'),
  ),
  'operator.set-role': rule(
    operation({ changes: true, params: z.strictObject({ name: accountName, role, reason }), result: none }),
    always('security-officer'),
  ),
  /** Adds one more key. The former keys stay valid until `operator.end-key`. */
  'operator.add-key': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, publicKey, reason }),
      result: z.strictObject({ fingerprint: z.string() }),
    }),
    always('security-officer'),
  ),
  'operator.end-key': rule(
    operation({ changes: true, params: z.strictObject({ name: accountName, fingerprint: sha256, reason }), result: none }),
    narrows,
  ),
  'operator.suspend': rule(operation({ changes: true, params: z.strictObject({ name: accountName, reason }), result: none }), narrows),
  'operator.resume': rule(
    operation({ changes: true, params: z.strictObject({ name: accountName, reason }), result: none }),
    always('security-officer'),
  ),

  /**
   * Allows one operator to do these operations without a second one:
   * once, for `hours` hours, beginning within `validDays` days.
   */
  'break-glass.prepare': rule(
    operation({
      changes: true,
      params: z.strictObject({
        operator: accountName,
        operations: z.array(z.string().max(64)).min(1).max(40),
        hours: z.number().int().min(1).max(24),
        validDays: z.number().int().min(1).max(90),
        reason,
      }),
      result: z.strictObject({ breakGlass: uuid, validUntil: instant }),
    }),
    always('security-officer'),
  ),
  'break-glass.end': rule(
    operation({ changes: true, params: z.strictObject({ breakGlass: listed('break-glass'), reason }), result: none }),
    narrows,
  ),
  'break-glass.review': rule(
    operation({ changes: true, params: z.strictObject({ breakGlass: listed('break-glass'), finding: reason }), result: none }),
    always('operator'),
  ),
  'break-glass.list': rule(
    operation({ changes: false, params: none, result: z.strictObject({ breakGlasses: z.array(breakGlassRow), more }) }),
    reads(),
  ),
} as const;
