// Owns: the operations of operators on operators.
import { z } from 'zod';
import {
  accountName,
  always,
  instant,
  more,
  narrows,
  none,
  operation,
  operatorRoles,
  reads,
  reason,
  rule,
  sha256,
} from './words.ts';

/** The DER encoding of a SubjectPublicKeyInfo, in base64. */
const publicKey = z.base64().min(40).max(512);
const role = z.enum(operatorRoles);
const operatorRow = z.strictObject({
  name: z.string(),
  role: z.string(),
  state: z.string(),
  createdAt: instant,
  keys: z.array(z.strictObject({ fingerprint: z.string(), since: instant, endedAt: instant.nullable() })),
});

export const operatorOperations = {
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
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, fingerprint: sha256, reason }),
      result: none,
    }),
    narrows,
  ),
  'operator.suspend': rule(
    operation({ changes: true, params: z.strictObject({ name: accountName, reason }), result: none }),
    narrows,
  ),
  'operator.resume': rule(
    operation({ changes: true, params: z.strictObject({ name: accountName, reason }), result: none }),
    always('security-officer'),
  ),
} as const;
