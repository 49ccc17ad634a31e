// Owns: the operations of operators on folders and their rules.
import { z } from 'zod';
import { accountName, mayWiden, operation, reason, rule, text, widens } from './words.ts';

const days = (max: number) => z.number().int().min(1).max(max);

const rules = {
  /**
   * When a closed file is published: after its settle time (`on-close`), at once when it is renamed away from a
   * temporary name (`on-rename`; otherwise after its settle time), or when its marker is put beside it (`on-marker`).
   */
  publish: z.enum(['on-close', 'on-rename', 'on-marker']),
  /** The ending of the names of markers. */
  marker: z.string().regex(/^[.][A-Za-z0-9_-]{1,31}$/, 'a marker is an ending such as .done'),
  /** How long a closed file may still be continued or discarded before it is published, in seconds. */
  settleSeconds: z.number().int().min(0).max(86_400),
  /** Whether a new version may be put onto a published name. */
  replace: z.boolean(),
  directories: z.boolean(),
  windowDays: days(3650).nullable(),
  readsMax: z.number().int().min(1).max(1000).nullable(),
  retentionDays: days(36_500).nullable(),
};
const optionalRules = z.strictObject(rules).partial().shape;
const toldRules = {
  publish: z.string(),
  marker: z.string(),
  settleSeconds: z.number(),
  replace: z.boolean(),
  directories: z.boolean(),
  windowDays: z.number().nullable(),
  readsMax: z.number().nullable(),
  retentionDays: z.number().nullable(),
};

export const folderOperations = {
  /**
   * Makes a folder. The accounts of the customer get the verbs that they have on any of its folders of this direction;
   * internal accounts get none (`account.set`). Rules that are absent are those of a new customer's folders.
   */
  'folder.create': rule(
    operation({
      changes: true,
      params: z.strictObject({
        customer: accountName,
        name: text(255),
        direction: z.enum(['deposit', 'collect']),
        ...optionalRules,
        reason,
      }),
      /** `accounts` has the first 100 accounts that got rights. */
      result: z.strictObject({ ...toldRules, accounts: z.array(z.string()) }),
    }),
    widens,
  ),
  /**
   * Sets rules of a folder. null removes a limit; a rule that is absent stays. When another publish rule or ending of
   * markers was set, `held` is the number of complete files that wait for a marker since then, and `settling` that of
   * the files that waited for one and settle now; otherwise both are 0.
   */
  'folder.set': rule(
    operation({
      changes: true,
      params: z.strictObject({ customer: accountName, folder: text(255), ...optionalRules, reason }),
      result: z.strictObject({ ...toldRules, sessionsEnded: z.number(), held: z.number(), settling: z.number() }),
    }),
    mayWiden,
  ),
} as const;
