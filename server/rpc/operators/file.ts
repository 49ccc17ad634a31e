// Owns: the operations of operators on files and their receipts.
// Must never: return the content of a file.
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

const fileRow = z.strictObject({
  version: uuid,
  customer: z.string(),
  folder: z.string(),
  path: z.string(),
  number: z.number(),
  state: z.string(),
  /** Why the version was withdrawn: window, reads, removed or operator. */
  withdrawnWhy: z.string().nullable(),
  size: z.number(),
  sha256: z.string().nullable(),
  account: z.string(),
  closedAt: instant.nullable(),
  publishedAt: instant.nullable(),
  /** The accounts that are done with the version, and since when: at most 20, the first ones. */
  done: z.array(z.strictObject({ account: z.string(), at: instant })),
});
const days = (max: number) => z.number().int().min(1).max(max);

export const fileOperations = {
  'file.list': rule(
    operation({
      changes: false,
      params: z.strictObject({
        customer: accountName,
        folder: text(255).optional(),
        limit: z.number().int().min(1).max(500).optional(),
      }),
      result: z.strictObject({ files: z.array(fileRow), more }),
    }),
    reads(),
  ),
  /**
   * Returns the signed receipt of one version, selected by the version's id,
   * or by customer and path; the latter selects the newest closed version.
   */
  'file.receipt': rule(
    operation({
      changes: false,
      params: z.strictObject({
        version: listed('file').optional(),
        customer: accountName.optional(),
        path: text(4096).optional(),
      }),
      result: z.strictObject({ receipt: z.string(), publicKey: z.string() }),
    }),
    reads(),
  ),
  /**
   * Lists the keys with which receipts are signed, the newest
   * first. With them anybody can check a receipt that a bank shows.
   */
  'file.receipt-keys': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        keys: z.array(z.strictObject({ id: z.string(), publicKey: z.string(), since: instant })),
      }),
    }),
    reads(),
  ),
  'file.withdraw': rule(
    operation({ changes: true, params: z.strictObject({ version: listed('file'), reason: text(200) }), result: none }),
    narrows,
  ),
  /** Lists a version in its folder again for an account that was done with it. Nobody else sees a difference. */
  'file.reopen': rule(
    operation({
      changes: true,
      params: z.strictObject({ version: listed('file'), account: accountName, reason: text(200) }),
      result: none,
    }),
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
} as const;
