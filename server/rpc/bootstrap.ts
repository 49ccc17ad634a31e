// Owns: the one thing that may be asked of a new installation without being an operator: to make the first two.
// Must never: be served on anything but a socket in a directory that only the machine's root and the warden may enter (T-06).
import { z } from 'zod';
import { operation } from './operation.ts';
import { accountName } from './operator-words.ts';

export const bootstrapOperations = {
  /** Two security officers, by the public halves of keys that they made themselves. Once; refused ever after. */
  bootstrap: operation({
    changes: true,
    params: z.strictObject({
      operators: z.array(z.strictObject({ name: accountName, publicKey: z.base64().min(40).max(512) })).length(2),
    }),
    result: z.strictObject({ operators: z.array(z.strictObject({ name: z.string(), fingerprint: z.string() })) }),
  }),
} as const;
export type BootstrapOperations = typeof bootstrapOperations;
