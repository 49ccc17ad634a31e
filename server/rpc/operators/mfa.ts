// Owns: the operations of operators on second factors.
// Must never: carry a ticket. cofferctl makes it; only its SHA-256 is sent.
import { z } from 'zod';
import { accountName, instant, narrows, operation, reason, rule, sha256, widens } from './words.ts';

export const mfaOperations = {
  /** Registers a one-time ticket that cofferctl made and showed once. Only its SHA-256 is sent and stored. */
  'mfa.ticket': rule(
    operation({
      changes: true,
      params: z.strictObject({
        account: accountName,
        ticketHash: sha256,
        hours: z.number().int().min(1).max(72).optional(),
      }),
      result: z.strictObject({ expiresAt: instant }),
    }),
    widens,
  ),
  /** Removes the second factor, and ends its open tickets and the account's sessions. */
  'mfa.reset': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, reason }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    narrows,
  ),
} as const;
