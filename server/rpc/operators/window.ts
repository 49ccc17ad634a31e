// Owns: the operations of operators on activation windows.
import { z } from 'zod';
import { accountName, instant, more, narrows, operation, reads, reason, rule, widens } from './words.ts';

export const windowRow = z.strictObject({
  account: z.string(),
  customer: z.string().nullable(),
  /** The name of a standing window (a weekly schedule); null for a window that was opened once. */
  name: z.string().nullable(),
  schedule: z.string().nullable(),
  /** Of a standing window: from when on, and until when, its schedule is in force. */
  opensAt: instant,
  closesAt: instant,
  isOpenNow: z.boolean(),
  openedBy: z.string(),
  reason: z.string(),
});
const timeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'a time of day looks like 08:30');
const standing = z.strictObject({
  name: accountName,
  /** ISO days of the week; 1 is Monday. */
  days: z.array(z.number().int().min(1).max(7)).min(1).max(7),
  /** Times of day. A closing time before the opening time is on the next day; equal times are refused. */
  opens: timeOfDay,
  closes: timeOfDay,
  /** The name of an IANA time zone. */
  zone: z.string().regex(/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/, 'a time zone looks like Europe/Zurich'),
  forDays: z.number().int().min(1).max(90),
});

export const windowOperations = {
  'window.open': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, hours: z.number().int().min(1).max(24), reason }),
      result: z.strictObject({ closesAt: instant }),
    }),
    widens,
  ),
  /** Opens a standing window: a weekly schedule with a name. Reports list it under exceptions. */
  'window.open-standing': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, schedule: standing, reason }),
      result: z.strictObject({ validUntil: instant }),
    }),
    widens,
  ),
  /**
   * Closes the standing window of this name; without a name, all windows of the account, standing or not. Sessions that
   * were opened by them end.
   */
  'window.close': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, name: accountName.optional() }),
      result: z.strictObject({ closed: z.number(), sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  'window.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ account: accountName.optional() }),
      result: z.strictObject({ windows: z.array(windowRow), more }),
    }),
    reads(),
  ),
} as const;
