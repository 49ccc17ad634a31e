// Owns: the operations of operators on customers.
import { z } from 'zod';
import { transferRowNames } from '../../domain/authentication-policy.ts';
import { accountRow } from './account.ts';
import {
  accountName,
  instant,
  mayWiden,
  more,
  narrows,
  none,
  operation,
  page,
  prepares,
  reads,
  reason,
  rule,
  text,
  uuid,
  widens,
} from './words.ts';

const customerRow = z.strictObject({
  id: uuid,
  name: z.string(),
  state: z.string(),
  accounts: z.number(),
  folders: z.number(),
  files: z.number(),
  createdAt: instant,
  /** The rows of the authentication policy that the customer allows; null when it allows all of them. */
  allowedProofs: z.array(z.string()).nullable(),
  /** The names that it had before, oldest first. */
  formerNames: z.array(z.string()),
});

const folderRow = z.strictObject({
  name: z.string(),
  direction: z.string(),
  publishRule: z.string(),
  marker: z.string(),
  settleMs: z.number(),
  replaceAllowed: z.boolean(),
  directoriesAllowed: z.boolean(),
  readBack: z.boolean(),
  windowDays: z.number().nullable(),
  readsMax: z.number().nullable(),
  retentionDays: z.number().nullable(),
  files: z.number(),
});

export const customerOperations = {
  'customer.create': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason: text(200) }),
      result: z.strictObject({ name: z.string(), folders: z.array(z.string()) }),
    }),
    prepares,
  ),
  /** Lists customers by name. `after` is the last name of the page before. */
  'customer.list': rule(
    operation({
      changes: false,
      params: page.extend({ after: accountName.optional() }),
      result: z.strictObject({ customers: z.array(customerRow), more }),
    }),
    reads(),
  ),
  'customer.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ name: accountName }),
      result: z.strictObject({ customer: customerRow, folders: z.array(folderRow), accounts: z.array(accountRow) }),
    }),
    reads(),
  ),
  /**
   * Gives a customer another name, which no other customer has or had. Ends the open sessions, internal ones included.
   */
  'customer.rename': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, to: accountName, reason }),
      result: z.strictObject({
        sessionsEnded: z.number(),
        /**
         * Our own accounts that reach the customer's folders, by a path that begins with its name; the first 100 by
         * name.
         */
        internalAccounts: z.array(z.string()),
      }),
    }),
    widens,
  ),
  'customer.suspend': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason: text(200) }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  'customer.resume': rule(
    operation({ changes: true, params: z.strictObject({ name: accountName, reason: text(200) }), result: none }),
    widens,
  ),
  /** Sets the sets of proofs that this customer allows; null allows all that the policy has. Ends the open sessions. */
  'customer.policy': rule(
    operation({
      changes: true,
      params: z.strictObject({
        name: accountName,
        allow: z
          .array(z.enum(transferRowNames as [string, ...string[]]))
          .min(1)
          .nullable(),
        reason,
      }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    mayWiden,
  ),
} as const;
