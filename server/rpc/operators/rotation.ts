// Owns: the operations of operators on rotations of keys.
import { z } from 'zod';
import { selection } from './credential.ts';
import {
  accountName,
  fingerprint,
  instant,
  listed,
  mayWiden,
  more,
  narrows,
  none,
  operation,
  publicKey,
  reads,
  reason,
  rule,
  uuid,
  widens,
} from './words.ts';

const days = (max: number) => z.number().int().min(0).max(max);
const rotationRow = z.strictObject({
  rotation: uuid,
  selection: z.string(),
  reason: z.string(),
  startedBy: z.string(),
  startedAt: instant,
  deadline: instant.nullable(),
  undoneAt: instant.nullable(),
  keys: z.number(),
  planned: z.number(),
  staged: z.number(),
  moved: z.number(),
  retired: z.number(),
  laggards: z.number(),
});
const rotationItem = z.strictObject({
  account: z.string(),
  customer: z.string().nullable(),
  fingerprint: z.string(),
  successor: z.string().nullable(),
  state: z.string(),
  retiresAt: instant.nullable(),
  movedAt: instant.nullable(),
  /**
   * True when the overlap has begun or the old key has retired, and the new key was not used before the old key's end.
   */
  isLaggard: z.boolean(),
  contact: z.string().nullable(),
});

export const rotationOperations = {
  /** Plans a rotation: which keys are to end, and when. Nothing happens to them before `rotation.advance`. */
  'rotation.start': rule(
    operation({
      changes: true,
      params: z.strictObject({ selection, overlapDays: days(90), reason }),
      result: z.strictObject({ rotation: uuid, keys: z.number(), deadline: instant }),
    }),
    narrows,
  ),
  /**
   * Begins the overlap of at most 100 planned keys, and registers new keys for their accounts. Repeated until nothing
   * remains.
   */
  'rotation.advance': rule(
    operation({
      changes: true,
      params: z.strictObject({
        rotation: listed('rotation'),
        keys: z.array(z.strictObject({ account: accountName, publicKey })).max(100),
      }),
      result: z.strictObject({
        remaining: z.number(),
        opened: z.number(),
        staged: z.number(),
        refused: z.array(z.strictObject({ account: z.string(), why: z.string() })),
      }),
    }),
    mayWiden,
  ),
  'rotation.list': rule(
    operation({ changes: false, params: none, result: z.strictObject({ rotations: z.array(rotationRow), more }) }),
    reads(),
  ),
  'rotation.show': rule(
    operation({
      changes: false,
      params: z.strictObject({
        rotation: uuid,
        /** Only the laggards. */
        laggards: z.boolean().optional(),
        /** The last item of the page before. */
        after: z.strictObject({ account: z.string().max(64), fingerprint }).optional(),
      }),
      result: z.strictObject({ rotation: rotationRow, items: z.array(rotationItem), more }),
    }),
    reads(),
  ),
  /** Ends the old keys of all accounts that moved, now; with `laggards` the old keys of all accounts. */
  'rotation.finish': rule(
    operation({
      changes: true,
      params: z.strictObject({ rotation: listed('rotation'), laggards: z.boolean(), reason }),
      result: z.strictObject({ retired: z.number(), sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Gives old keys that have not retired their former end back. New keys stay. */
  'rotation.undo': rule(
    operation({
      changes: true,
      params: z.strictObject({ rotation: listed('rotation'), reason }),
      result: z.strictObject({ restored: z.number() }),
    }),
    widens,
  ),
} as const;
