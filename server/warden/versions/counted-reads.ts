// Owns: counting the complete reads of a version, and its withdrawal after the last one that its folder allows.
import type { Transaction } from '../../postgres/database.ts';
import { record } from '../ledger/entries/record.ts';
import {
  countCompleteRead,
  countReleased,
  findCountedHandle,
  type ReadHandle,
  withdrawVersion,
} from './version-queries.ts';

/**
 * Is called when a handle was closed, by its client or with its session. A read is complete when every extent was
 * released through this handle. A complete read is counted, and the last one that the folder allows withdraws the
 * version. `released` is the number of extents that the caller knows of. When these are not all, the record is asked
 * for those of this very handle.
 */
export async function handleClosed(tx: Transaction, handle: ReadHandle, released = 0): Promise<void> {
  const counted = await findCountedHandle(tx, handle);
  if (counted === undefined) return;
  const { version, extentCount, customer, account, readsMax } = counted;
  if (released < extentCount && (await countReleased(tx, handle)) < extentCount) return;
  const completeReads = await countCompleteRead(tx, version);
  if (completeReads === undefined) return;
  const entry = { customer, account, session: handle.session, observer: 'warden' } as const;
  await record(tx, {
    ...entry,
    kind: 'file.read-completely',
    version,
    handle: handle.download,
    public: { completeReads, readsMax },
  });
  if (completeReads < readsMax) return;
  for (const gone of await withdrawVersion(tx, version, 'reads'))
    await record(tx, { ...entry, kind: 'file.withdrawn', version: gone, public: { why: 'reads' } });
}
