// Owns: the operations of operators on prepared emergencies.
import { z } from 'zod';
import {
  accountName,
  always,
  instant,
  listed,
  more,
  narrows,
  none,
  operation,
  reads,
  reason,
  rule,
  uuid,
} from './words.ts';

const breakGlassRow = z.strictObject({
  breakGlass: uuid,
  operator: z.string(),
  operations: z.array(z.string()),
  hours: z.number(),
  reason: z.string(),
  validUntil: instant,
  /** One of prepared, open, used, expired, ended and reviewed. */
  state: z.string(),
  openedAt: instant.nullable(),
  closesAt: instant.nullable(),
  changes: z.number(),
  reviewedAt: instant.nullable(),
  finding: z.string().nullable(),
});

export const breakGlassOperations = {
  /**
   * Allows one operator to do these operations without a second one:
   * once, for `hours` hours, beginning within `validDays` days.
   */
  'break-glass.prepare': rule(
    operation({
      changes: true,
      params: z.strictObject({
        operator: accountName,
        operations: z.array(z.string().max(64)).min(1).max(40),
        hours: z.number().int().min(1).max(24),
        validDays: z.number().int().min(1).max(90),
        reason,
      }),
      result: z.strictObject({ breakGlass: uuid, validUntil: instant }),
    }),
    always('security-officer'),
  ),
  'break-glass.end': rule(
    operation({ changes: true, params: z.strictObject({ breakGlass: listed('break-glass'), reason }), result: none }),
    narrows,
  ),
  'break-glass.review': rule(
    operation({
      changes: true,
      params: z.strictObject({ breakGlass: listed('break-glass'), finding: reason }),
      result: none,
    }),
    always('operator'),
  ),
  'break-glass.list': rule(
    operation({ changes: false, params: none, result: z.strictObject({ breakGlasses: z.array(breakGlassRow), more }) }),
    reads(),
  ),
} as const;
