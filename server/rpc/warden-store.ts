// Owns: every operation that a warden may call in the store, one row for each. The store calls nothing: it decides
// nothing by itself.
// Must never: carry a key of customers, a name of a file, or anything else that tells what an object contains.
import { z } from 'zod';
import { type OperationTable, operation } from './operation.ts';

const objectId = z.string().regex(/^[0-9a-f]{32}$/);
const bytes = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const ok = z.strictObject({});
/** How many objects one call may name. */
export const objectsMax = 500;
const objects = z.array(objectId).max(objectsMax);
/** A name of a directory as it was found, in base64, because it may be any bytes. */
const name = z.base64().max(340);
const prefix = z.string().regex(/^[0-9a-f]{2}$/);
/** How many entries one listing returns; 250 of the longest names fit into a frame. */
export const entriesMax = 250;

export const wardenToStore = {
  /**
   * Greets the store with the key under which tickets are issued from now on. `run` names this run of the store: what
   * it remembers of unsettled objects began with it, `runMs` milliseconds ago.
   */
  'store.hello': operation({
    changes: false,
    params: z.strictObject({ protocol: z.literal(1), key: z.base64().length(44) }),
    result: z.strictObject({ run: z.uuid(), runMs: z.number().min(0) }),
  }),
  /** Returns the free space, and what each node has put that no warden has settled. */
  'store.room': operation({
    changes: false,
    params: ok,
    result: z.strictObject({
      freeBytes: bytes,
      held: z.array(z.strictObject({ node: z.string().max(64), bytes })).max(4096),
    }),
  }),
  /** Tells the store that rows name these objects. */
  'store.settle': operation({ changes: false, params: z.strictObject({ objects }), result: ok }),
  /** Returns objects that are whole and were not settled for `ageMs` milliseconds; the oldest ones. */
  'store.unsettled': operation({
    changes: false,
    params: z.strictObject({
      ageMs: z
        .number()
        .int()
        .min(0)
        .max(2 ** 31 - 1),
    }),
    result: z.strictObject({ objects }),
  }),
  /** Deletes objects. That one does not exist is a success. */
  'store.delete': operation({ changes: true, params: z.strictObject({ objects }), result: ok }),
  /** Lists a part of one of the 256 groups of objects, after the name `after`. */
  'store.list': operation({
    changes: false,
    params: z.strictObject({ prefix, after: name.nullable() }),
    result: z.strictObject({
      found: z
        .array(z.strictObject({ name, kind: z.enum(['file', 'other']), ageMs: z.number().min(-(2 ** 53)), bytes }))
        .max(entriesMax),
      next: name.nullable(),
      fault: z.string().max(32).nullable(),
    }),
  }),
} as const satisfies OperationTable;
export type WardenToStore = typeof wardenToStore;

export const storeToWarden = {} as const satisfies OperationTable;
export type StoreToWarden = typeof storeToWarden;
