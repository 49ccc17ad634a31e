// Owns: the operations of operators on the limits of a folder.
import { z } from 'zod';
import { accountName, mayWiden, operation, rule, text } from './words.ts';

const days = (max: number) => z.number().int().min(1).max(max);

export const folderOperations = {
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
      result: z.strictObject({
        windowDays: z.number().nullable(),
        readsMax: z.number().nullable(),
        retentionDays: z.number().nullable(),
      }),
    }),
    mayWiden,
  ),
} as const;
