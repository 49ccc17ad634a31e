// Owns: the operations by which operators read reports: the access review, changes, exceptions to the policy, and key
// exchange methods.
// Must never: let the access review carry a key, a hash or the name of a file.
import { z } from 'zod';
import { windowRow } from './window.ts';
import { accountName, instant, moment, more, none, operation, reads, rule, uuid } from './words.ts';

const use = z.strictObject({ at: instant, from: z.string().nullable() });
const credential = z.strictObject({
  fingerprint: z.string(),
  type: z.string(),
  algorithm: z.string(),
  /** One of pending, active, retiring, dormant and suspended. Credentials that have ended are counted, not listed. */
  state: z.string(),
  issuedBy: z.string(),
  issuedAt: instant,
  validFrom: instant,
  expiresAt: instant,
  firstUsed: use.nullable(),
  lastUsed: use.nullable(),
  readOnly: z.boolean(),
  networks: z.array(z.string()),
  /** The number of whole days since the last use, or since the credential became valid when it was never used. */
  unusedDays: z.number(),
});
const window = z.strictObject({
  /** null for a single window. A standing window has a name, and is an exception. */
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
  /** The number of keys and passwords of the account that were revoked or have expired. */
  endedCredentials: z.number(),
  /** The first ten of the windows that are open or will open; `windowCount` is the number of all of them. */
  windows: z.array(window),
  windowCount: z.number(),
  /** null for an internal account that has no rights. */
  customer: z.string().nullable(),
  customerState: z.string().nullable(),
  /** null when the account reaches no folder. */
  folder: z.string().nullable(),
  direction: z.string().nullable(),
  /** What the account may do in the folder with this credential. */
  verbs: z.array(z.string()),
  /** null when the account has no usable credential. */
  credential: credential.nullable(),
  /** The sets of proofs with this credential that both the gateway and the customer allow. */
  allowedProofs: z.array(z.string()),
  /** The allowed sets whose other proofs exist as well, so that a login is possible. */
  opensWith: z.array(z.string()),
  /** Why no session can be opened with this credential at present; null when one can. */
  blocked: z.string().nullable(),
});
export type AccessRow = z.infer<typeof accessRow>;

export const reportOperations = {
  /** Counts logins by key exchange method. Accounts that log in without a post-quantum method come first. */
  'report.key-exchange': rule(
    operation({
      changes: false,
      params: none,
      result: z.strictObject({
        accounts: z.array(
          z.strictObject({
            account: z.string(),
            customer: z.string().nullable(),
            withMlkem: z.number(),
            withoutMlkem: z.number(),
            lastWithoutAt: instant.nullable(),
            lastWithoutClient: z.string().nullable(),
          }),
        ),
        more,
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
  /**
   * Lists who may reach what with which credential: one row for each
   * account, folder and credential, in the order of their names.
   */
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
  /** Lists what the policy would rather not have: standing windows, with their ends. */
  'report.exceptions': rule(
    operation({ changes: false, params: none, result: z.strictObject({ exceptions: z.array(windowRow), more }) }),
    reads(),
  ),
} as const;
