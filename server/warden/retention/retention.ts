// Owns: when a version leaves the tree and when its key is destroyed, with the entries of both.
// Must never: destroy a key before retention has ended, or under a hold.
import type { Transaction } from '../../postgres/database.ts';
import type { Warden } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import { eachInTurn, passOverRows } from '../row-passes.ts';
import {
  countCompleteRead,
  countReleased,
  destroyDue,
  destroyKeys,
  findCountedHandle,
  findKeysLeft,
  findRetentionsOver,
  findWindowsOver,
  type ReadHandle,
  withdrawDue,
  withdrawVersion,
} from './retention-queries.ts';

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
  await record(tx, { ...entry, kind: 'file.read-completely', version, handle: handle.download, public: { completeReads, readsMax } });
  if (completeReads < readsMax) return;
  for (const gone of await withdrawVersion(tx, version, 'reads'))
    await record(tx, { ...entry, kind: 'file.withdrawn', version: gone, public: { why: 'reads' } });
}

/**
 * Runs the three passes of retention: windows that are over, retentions that have ended, and keys that are no longer
 * needed.
 */
export async function applyRetention(warden: Pick<Warden, 'database' | 'log'>): Promise<void> {
  await eachInTurn(
    () =>
      passOverRows(warden, 'window', {
        find: findWindowsOver,
        work: async (tx, ids) => {
          for (const { version, customer } of await withdrawDue(tx, ids))
            await record(tx, { kind: 'file.withdrawn', customer, observer: 'warden', version, public: { why: 'window' } });
        },
      }),
    () =>
      passOverRows(warden, 'retention', {
        find: findRetentionsOver,
        work: async (tx, ids) => {
          for (const { version, customer } of await destroyDue(tx, ids))
            await record(tx, { kind: 'file.destroyed', customer, observer: 'warden', version });
        },
      }),
    () => passOverRows(warden, 'keys', { find: findKeysLeft, work: destroyKeys }),
  );
}
