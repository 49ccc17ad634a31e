// Owns: the operations of operators on legal holds.
import { z } from 'zod';
import {
  accountName,
  instant,
  listed,
  more,
  narrows,
  none,
  operation,
  reads,
  rule,
  text,
  uuid,
  widens,
} from './words.ts';

export const holdOperations = {
  /** Keeps the keys of the content of a customer, a folder or one version beyond the retention. */
  'hold.place': rule(
    operation({
      changes: true,
      params: z.strictObject({
        customer: accountName,
        folder: text(255).optional(),
        version: listed('file').optional(),
        reason: text(200),
      }),
      result: z.strictObject({ hold: uuid }),
    }),
    narrows,
  ),
  'hold.lift': rule(
    operation({ changes: true, params: z.strictObject({ hold: listed('hold'), reason: text(200) }), result: none }),
    widens,
  ),
  'hold.list': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        holds: z.array(
          z.strictObject({
            hold: uuid,
            customer: z.string(),
            folder: z.string().nullable(),
            version: z.string().nullable(),
            reason: z.string(),
            placedBy: z.string(),
            placedAt: instant,
          }),
        ),
        more,
      }),
    }),
    reads(),
  ),
} as const;
