// Owns: the operations that an operator may call about one edge: what a drain would wait for, and the drain itself.
import { z } from 'zod';
import { instant, more, narrows, operation, reads, rule, text, uuid } from './operator-words.ts';

export const drainMinutesMax = 24 * 60;
const node = text(64);

export const operatorNodes = {
  /** Lists the open sessions of a node; those that transfer come first. */
  'node.drain-plan': rule(
    operation({
      changes: false,
      params: z.strictObject({ node }),
      result: z.strictObject({
        plane: z.string(),
        alive: z.boolean(),
        drainingUntil: instant.nullable(),
        sessions: z.array(
          z.strictObject({
            session: uuid,
            account: z.string(),
            source: z.string(),
            startedAt: instant,
            /** The number of files that the session is writing now, and of those that it is reading. */
            uploads: z.number(),
            downloads: z.number(),
          }),
        ),
        more,
      }),
    }),
    reads(),
  ),
  /**
   * Ends the run of the node that is connected now; whatever starts the process
   * starts the next run. A second order replaces the time bound of the first.
   */
  'node.drain': rule(
    operation({
      changes: true,
      params: z.strictObject({ node, reason: text(200), withinMinutes: z.number().int().min(0).max(drainMinutesMax) }),
      result: z.strictObject({ until: instant, sessions: z.number() }),
    }),
    narrows,
  ),
} as const;
