// Owns: the operations on download windows, retention and holds that an
// operator may call. They are a part of the table in operator-admin.ts.
import { z } from 'zod';
import {
  accountName,
  instant,
  listed,
  mayWiden,
  more,
  narrows,
  none,
  operation,
  reads,
  rule,
  text,
  uuid,
  widens,
} from './operator-words.ts';

const days = (max: number) => z.number().int().min(1).max(max);

export const operatorRetention = {
  /** Sets the limits of a folder. null removes a limit; a limit that is absent keeps its value. */
  'folder.set': rule(
    operation({
      changes: true,
      params: z.strictObject({
        customer: accountName,
        folder: text(255),
        windowDays: days(3650).nullable().optional(),
        readsMax: z.number().int().min(1).max(1000).nullable().optional(),
        retentionDays: days(36_500).nullable().optional(),
        reason: text(200),
      }),
      result: z.strictObject({ windowDays: z.number().nullable(), readsMax: z.number().nullable(), retentionDays: z.number().nullable() }),
    }),
    mayWiden,
  ),
  'file.withdraw': rule(
    operation({ changes: true, params: z.strictObject({ version: listed('file'), reason: text(200) }), result: none }),
    narrows,
  ),
  /** Puts a withdrawn version back into its tree, for the same readers and under the same budgets. */
  'file.release': rule(
    operation({
      changes: true,
      params: z.strictObject({ version: listed('file'), days: days(90), reason: text(200) }),
      result: z.strictObject({ until: instant }),
    }),
    widens,
  ),
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
