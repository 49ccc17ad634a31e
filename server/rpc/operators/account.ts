// Owns: the operations of operators on SFTP accounts.
import { z } from 'zod';
import { verbs } from '../../domain/rights.ts';
import {
  accountName,
  instant,
  mayWiden,
  more,
  narrows,
  network,
  operation,
  reads,
  reason,
  rule,
  text,
  widens,
} from './words.ts';

export const accountRow = z.strictObject({
  name: z.string(),
  customer: z.string().nullable(),
  contact: z.string().nullable(),
  kind: z.string(),
  plane: z.string(),
  state: z.string(),
  secondFactor: z.boolean(),
  keys: z.number(),
  windowOpenUntil: instant.nullable(),
  lastUsedAt: instant.nullable(),
  manages: z.boolean(),
  readOnly: z.boolean(),
  networks: z.array(z.string()),
  expiresAt: instant.nullable(),
  /** Where operators let it start: `root`, or customer/folder; null is what is usual. */
  startsIn: z.string().nullable(),
});

export const accountOperations = {
  'account.create': rule(
    operation({
      changes: true,
      params: z.discriminatedUnion('plane', [
        z.strictObject({
          plane: z.literal('partner'),
          name: accountName,
          customer: accountName,
          kind: z.enum(['person', 'machine']),
          contact: text(200).optional(),
          /**
           * True for a person who may open windows for the customer's
           * machine accounts, and manage their keys, over the console.
           */
          manages: z.boolean().optional(),
        }),
        z.strictObject({
          plane: z.literal('internal'),
          name: accountName,
          kind: z.enum(['person', 'machine']),
          contact: text(200).optional(),
          /** The customers in whose folders the account may work: it may read deposits and fill collect folders. */
          customers: z.array(accountName).min(1).max(500),
        }),
      ]),
      result: z.strictObject({ name: z.string() }),
    }),
    widens,
  ),
  'account.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ customer: accountName.optional() }),
      result: z.strictObject({ accounts: z.array(accountRow), more }),
    }),
    reads(),
  ),
  /** Shows one account with everything that it may do. */
  'account.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ name: accountName }),
      result: z.strictObject({
        account: accountRow,
        rights: z.array(
          z.strictObject({
            customer: z.string(),
            folder: z.string(),
            direction: z.string(),
            verbs: z.array(z.string()),
          }),
        ),
        more,
      }),
    }),
    reads(),
  ),
  'account.lock': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Ends every open session of the account. It may log in again at once. */
  'account.end-sessions': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Undoes a lock, and resets the counters of failed guesses. */
  'account.unlock': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason }),
      result: z.strictObject({ wasLocked: z.boolean(), countersCleared: z.number() }),
    }),
    widens,
  ),
  /** Ends the account in this many days; null means never. */
  'account.expire': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, inDays: z.number().int().min(0).max(3650).nullable(), reason }),
      result: z.strictObject({ expiresAt: instant.nullable(), sessionsEnded: z.number() }),
    }),
    mayWiden,
  ),
  'account.set': rule(
    operation({
      changes: true,
      params: z.strictObject({
        name: accountName,
        networks: z.array(network).max(64).optional(),
        readOnly: z.boolean().optional(),
        manages: z.boolean().optional(),
        contact: text(200).optional(),
        /** Where relative paths begin: in a folder, at the root, or where the rule says (decision 67). */
        start: z
          .union([z.enum(['root', 'usual']), z.strictObject({ customer: accountName, folder: text(255) })])
          .optional(),
        /**
         * Rights that are given or taken away, in this order. Without a folder all folders of the customer are meant.
         * Without verbs, those that a new account of this plane has there are given, or all are taken.
         */
        rights: z
          .array(
            z.strictObject({
              act: z.enum(['give', 'take']),
              customer: accountName,
              folder: text(255).optional(),
              verbs: z.array(z.enum(verbs)).min(1).max(verbs.length).optional(),
            }),
          )
          .min(1)
          .max(500)
          .optional(),
        reason,
      }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    mayWiden,
  ),
} as const;
