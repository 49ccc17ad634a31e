// Owns: what an operator may ask about changes, operators and emergencies: a part of the table in operator-admin.ts.
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
/** DER of a SubjectPublicKeyInfo. */
const publicKey = z.base64().min(40).max(512);
const role = z.enum(operatorRoles);

const changeRow = z.strictObject({
  change: uuid,
  operation: z.string(),
  /** proposed, applied, rejected, expired. */
  state: z.string(),
  proposer: z.string(),
  proposedAt: instant,
  expiresAt: instant,
  reason: z.string(),
  decidedBy: z.string().nullable(),
  decidedAt: instant.nullable(),
  /** Applied without an approval, in an emergency that was prepared. */
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
  /** prepared, open, used, expired, ended, reviewed. */
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
  /** Runs an operation and undoes it: what it would do, to whom, and whether it needs a second operator. Changes nothing. */
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
        /** Not null: applied at once, by a prepared emergency. */
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
  /** The text that was signed, with its signatures: whoever shows it reads the text, and nothing beside it. */
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
  /** Everything operators changed: signed changes and commands, newest first. */
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
            /** Who approved; null: it needed nobody else. */
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
  /** One more key; the former ones stay good until `operator.end-key`. */
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

  /** Lets one operator do these operations alone for some hours, once, within so many days. */
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
