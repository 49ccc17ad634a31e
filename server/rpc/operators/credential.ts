// Owns: the operations of operators on keys and passwords of accounts.
import { z } from 'zod';
import {
  accountName,
  fingerprint,
  instant,
  moment,
  more,
  narrows,
  network,
  none,
  operation,
  reads,
  reason,
  rule,
  widens,
} from './words.ts';

/** Selects credentials. All conditions that are given must hold, and at least one must be given. */
export const selection = z
  .strictObject({
    customer: accountName.optional(),
    account: accountName.optional(),
    fingerprint: fingerprint.optional(),
    /** Issued before this instant (ISO 8601). */
    staleBefore: moment.optional(),
    /** Used at least once from this network. */
    usedFrom: network.optional(),
  })
  .refine((value) => Object.values(value).some((one) => one !== undefined), 'name at least one condition');
export type Selection = z.infer<typeof selection>;
const credentialRow = z.strictObject({
  fingerprint: z.string(),
  type: z.string(),
  account: z.string(),
  customer: z.string().nullable(),
  algorithm: z.string(),
  /** One of pending, active, retiring, expired, dormant, suspended and revoked. */
  state: z.string(),
  issuedBy: z.string(),
  createdAt: instant,
  validFrom: instant,
  expiresAt: instant,
  firstUsedAt: instant.nullable(),
  firstUsedFrom: z.string().nullable(),
  lastUsedAt: instant.nullable(),
  lastUsedFrom: z.string().nullable(),
  readOnly: z.boolean(),
  networks: z.array(z.string()),
  /** The key that replaces this one. */
  successor: z.string().nullable(),
  openSessions: z.number(),
  endedAt: instant.nullable(),
  endedBy: z.string().nullable(),
  endedWhy: z.string().nullable(),
});

export const credentialOperations = {
  'credential.list': rule(
    operation({
      changes: false,
      params: z.strictObject({
        customer: accountName.optional(),
        account: accountName.optional(),
        state: z.string().max(16).optional(),
      }),
      result: z.strictObject({ credentials: z.array(credentialRow), more }),
    }),
    reads(),
  ),
  /** Shows one credential and what happened to it, the newest first. */
  'credential.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ fingerprint }),
      result: z.strictObject({
        credential: credentialRow,
        history: z.array(
          z.strictObject({ at: instant, kind: z.string(), by: z.string().nullable(), text: z.string() }),
        ),
      }),
    }),
    reads(),
  ),
  /** Lists credentials that are dormant, will be dormant soon, or expire within the warning time. */
  'credential.stale': rule(
    operation({ changes: false, params: none, result: z.strictObject({ credentials: z.array(credentialRow), more }) }),
    reads(),
  ),
  /** Shows whom a revocation or rotation of this selection would concern. Changes nothing. */
  'credential.plan': rule(
    operation({
      changes: false,
      params: z.strictObject({ selection, what: z.enum(['revoke', 'rotate']) }),
      result: z.strictObject({
        credentials: z.array(credentialRow),
        more,
        count: z.number(),
        accounts: z.number(),
        openSessions: z.number(),
        /** The number of accounts that would be left without any usable credential. */
        locksOut: z.number(),
      }),
    }),
    reads(),
  ),
  'credential.revoke': rule(
    operation({
      changes: true,
      params: z.strictObject({ selection, reason }),
      result: z.strictObject({ revoked: z.number(), sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Makes a dormant credential usable again. */
  'credential.wake': rule(
    operation({ changes: true, params: z.strictObject({ fingerprint, reason }), result: none }),
    widens,
  ),
} as const;
