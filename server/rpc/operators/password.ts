// Owns: the operations of operators on passwords of accounts.
// Must never: carry a password. cofferctl makes it; only its SHA-256 is sent.
import { z } from 'zod';
import { accountName, instant, operation, rule, sha256, widens } from './words.ts';

export const passwordOperations = {
  /**
   * Registers a password that cofferctl made and showed once. Its name finds the row; its SHA-256 is stored under
   * Argon2id.
   */
  'password.issue': rule(
    operation({
      changes: true,
      params: z.strictObject({
        account: accountName,
        name: z.string().regex(/^password:[a-z2-7]{8}$/, 'the name of a password looks like password:abcdefgh'),
        digest: sha256,
        expiresInDays: z.number().int().min(1).max(366).optional(),
      }),
      result: z.strictObject({ expiresAt: instant }),
    }),
    widens,
  ),
} as const;
