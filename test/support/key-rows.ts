// Owns: a key ring whose rows are in memory.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Transaction } from '../../server/postgres/database.ts';
import type { Read } from '../../server/warden/keys/key-ring.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { type Teardown, temporaryDirectory } from './temporary-directory.ts';

export type KeyRow = {
  readonly id: string;
  readonly customer: string;
  readonly wrapped: Buffer;
  readonly wrapped_by: string;
};

/**
 * A key ring with keys of its own. `again` makes another one of the same keys; `seen.reads` counts the reading
 * transactions.
 */
export function keyRingOverRows(t: Teardown) {
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  mkdirSync(runtimeDirectory);
  const config = { mode: 'development', runtimeDirectory, storeDirectory: runtimeDirectory } as const;
  const rows: KeyRow[] = [];
  const seen = { reads: 0 };
  /** The three statements of key-queries, over an array. */
  const tx = {
    query: async (text: string, [first, second, wrapped, wrappedBy]: readonly (string | Buffer)[]) => {
      await null;
      if (text.startsWith('insert'))
        rows.push({
          id: String(first),
          customer: String(second),
          wrapped: wrapped as Buffer,
          wrapped_by: String(wrappedBy),
        });
      else if (second === undefined) return rows.filter((row) => row.customer === first).slice(-1);
      else return rows.filter((row) => row.customer === first && row.id === second);
      return [];
    },
  } as unknown as Transaction;
  const read: Read = (work) => {
    seen.reads += 1;
    return work(tx);
  };
  return { keys: createKeyRing(config), again: () => createKeyRing(config), tx, read, rows, seen };
}
