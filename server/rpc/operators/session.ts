// Owns: the operations of operators on sessions.
import { z } from 'zod';
import { instant, listed, more, narrows, operation, reads, rule, text, uuid } from './words.ts';

const sessionRow = z.strictObject({
  session: uuid,
  account: z.string(),
  customer: z.string().nullable(),
  node: z.string(),
  source: z.string(),
  client: z.string(),
  state: z.string(),
  startedAt: instant,
  lastSeenAt: instant,
  endedAt: instant.nullable(),
  endReason: z.string().nullable(),
});

export const sessionOperations = {
  'session.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ all: z.boolean().optional(), limit: z.number().int().min(1).max(500).optional() }),
      result: z.strictObject({ sessions: z.array(sessionRow), more }),
    }),
    reads(),
  ),
  'session.end': rule(
    operation({
      changes: true,
      params: z.strictObject({ session: listed('session'), reason: text(200) }),
      result: z.strictObject({ ended: z.boolean() }),
    }),
    narrows,
  ),
} as const;
