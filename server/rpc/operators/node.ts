// Owns: the operations of operators on one edge: what a drain would wait for, and the drain itself.
import { z } from 'zod';
import { instant, more, narrows, operation, reads, rule, text, uuid } from './words.ts';

const drainMinutesMax = 24 * 60;
const node = text(64);

export const nodeOperations = {
  /** Lists the open sessions of a node; those that transfer come first. */
  'node.drain-plan': rule(
    operation({
      changes: false,
      params: z.strictObject({ node }),
      result: z.strictObject({
        plane: z.string(),
        /** Whether the node renewed its lease within the last three seconds. */
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
   * Ends the present run of the node, that is its process, when its transfers are done or `withinMinutes` are over. The
   * supervisor, or whatever else started that process, starts the next one. A second order replaces the time bound of
   * the first.
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
