// Owns: the access review as operators may ask for it, page by page: a part of the table in operator-admin.ts.
// Must never: carry a key, a hash or a name of a file.
import { z } from 'zod';
import { accountName, instant, more, operation, reads, rule } from './operator-words.ts';

const use = z.strictObject({ at: instant, from: z.string().nullable() });
const credential = z.strictObject({
  fingerprint: z.string(),
  type: z.string(),
  algorithm: z.string(),
  /** pending, active, retiring, dormant or suspended; what has ended is counted, not listed. */
  state: z.string(),
  issuedBy: z.string(),
  issuedAt: instant,
  validFrom: instant,
  expiresAt: instant,
  firstUsed: use.nullable(),
  lastUsed: use.nullable(),
  readOnly: z.boolean(),
  networks: z.array(z.string()),
  /** Whole days since its last use, or since it became valid when it was never used. */
  unusedDays: z.number(),
});
const window = z.strictObject({
  /** null: a single window; else a standing one, which is an exception. */
  name: z.string().nullable(),
  schedule: z.string().nullable(),
  opensAt: instant,
  closesAt: instant,
  isOpenNow: z.boolean(),
  openedBy: z.string(),
  reason: z.string(),
});
const accessRow = z.strictObject({
  account: z.string(),
  kind: z.string(),
  plane: z.string(),
  state: z.string(),
  expiresAt: instant.nullable(),
  contact: z.string().nullable(),
  manages: z.boolean(),
  readOnly: z.boolean(),
  networks: z.array(z.string()),
  secondFactor: z.boolean(),
  /** Keys and passwords of the account that were revoked or have expired. */
  endedCredentials: z.number(),
  /** Windows that are open or will open; the first ten, and how many there are. */
  windows: z.array(window),
  windowCount: z.number(),
  /** null: an account of our own that has no rights. */
  customer: z.string().nullable(),
  customerState: z.string().nullable(),
  /** null: it reaches nothing. */
  folder: z.string().nullable(),
  direction: z.string().nullable(),
  /** What it may do there with this credential. */
  verbs: z.array(z.string()),
  /** null: the account has no usable credential. */
  credential: credential.nullable(),
  /** Sets of proofs with this credential that gateway and customer both allow. */
  allowedProofs: z.array(z.string()),
  /** Those of them whose other proofs exist: the ways in. */
  opensWith: z.array(z.string()),
  /** Why nothing opens with it at present; null: it opens a session. */
  blocked: z.string().nullable(),
});
export type AccessRow = z.infer<typeof accessRow>;

export const operatorAccess = {
  /** Who may reach what, by which credential: one row for each account, folder and credential, in the order of their names. */
  'report.access': rule(
    operation({
      changes: false,
      params: z.strictObject({
        customer: accountName.optional(),
        account: accountName.optional(),
        /** The last row of the page before. */
        after: z
          .strictObject({
            account: z.string().max(64),
            customer: z.string().max(64).nullable(),
            folder: z.string().max(255).nullable(),
            fingerprint: z.string().max(64).nullable(),
          })
          .optional(),
      }),
      result: z.strictObject({ rows: z.array(accessRow), more }),
    }),
    reads(),
  ),
} as const;
