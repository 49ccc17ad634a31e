// Owns: the operations of operators on public keys of accounts.
import { z } from 'zod';
import {
  accountName,
  fingerprint,
  instant,
  narrows,
  network,
  none,
  operation,
  publicKey,
  reason,
  rule,
  text,
  widens,
} from './words.ts';

const days = (max: number) => z.number().int().min(0).max(max);

export const keyOperations = {
  'key.add': rule(
    operation({
      changes: true,
      params: z.strictObject({
        account: accountName,
        publicKey,
        /**
         * The account's request for this key, followed by this key's signature of it. Without it nobody has proved to
         * have the key.
         */
        proof: text(16_384).optional(),
        expiresInDays: z.number().int().min(1).max(366).optional(),
        readOnly: z.boolean().optional(),
        networks: z.array(network).max(32).optional(),
        /** The key that this one replaces. Both are valid during the overlap. */
        replaces: fingerprint.optional(),
        overlapDays: days(90).optional(),
      }),
      result: z.strictObject({
        fingerprint: z.string(),
        isProved: z.boolean(),
        expiresAt: instant,
        retiresAt: instant.nullable(),
      }),
    }),
    widens,
  ),
  /** Ends the old key after the overlap, or at once. */
  'key.retire': rule(
    operation({
      changes: true,
      params: z.strictObject({ fingerprint, overlapDays: days(90), reason }),
      result: z.strictObject({ retiresAt: instant, sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Makes a key that its customer asked for valid now, without the waiting time. */
  'key.confirm': rule(
    operation({ changes: true, params: z.strictObject({ fingerprint, reason }), result: none }),
    widens,
  ),
  'key.suspend': rule(
    operation({
      changes: true,
      params: z.strictObject({ fingerprint, reason: text(200) }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  'key.resume': rule(
    operation({
      changes: true,
      params: z.strictObject({ fingerprint, reason: text(200) }),
      result: z.strictObject({}),
    }),
    widens,
  ),
} as const;
