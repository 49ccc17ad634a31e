// Owns: the operations of operators on alerts.
import { z } from 'zod';
import { instant, more, operation, reads, rule } from './words.ts';

export const alertOperations = {
  'alert.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ limit: z.number().int().min(1).max(500).optional() }),
      result: z.strictObject({
        alerts: z.array(
          z.strictObject({
            id: z.string(),
            kind: z.string(),
            severity: z.string(),
            text: z.string(),
            nextCommand: z.string(),
            firstAt: instant,
            lastAt: instant,
            count: z.number(),
          }),
        ),
        more,
      }),
    }),
    reads(),
  ),
} as const;
