// Owns: when a version leaves the tree and when its key is destroyed, on the record.
// Must never: destroy a key before retention has ended, or under a hold.
import type { Transaction } from '../../postgres/database.ts';
import type { Warden } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import { countCompleteRead, destroyDue, destroyKeys, type ReadHandle, withdrawDue, withdrawVersion } from './retention-queries.ts';

const passMax = 500;

/** A handle was closed, by its client or with its session: a complete read counts, and the last one of the folder's number withdraws. */
export async function handleClosed(tx: Transaction, handle: ReadHandle): Promise<void> {
  const read = await countCompleteRead(tx, handle);
  if (read === undefined) return;
  const { version, customer, account, completeReads, readsMax } = read;
  const entry = { customer, account, session: handle.session, observer: 'warden' } as const;
  await record(tx, { ...entry, kind: 'file.read-completely', version, handle: handle.download, public: { completeReads, readsMax } });
  if (completeReads < readsMax) return;
  for (const gone of await withdrawVersion(tx, version, 'reads'))
    await record(tx, { ...entry, kind: 'file.withdrawn', version: gone, public: { why: 'reads' } });
}

/** One pass: windows that are over, retentions that have ended, keys that nobody needs. */
export async function applyRetention(warden: Pick<Warden, 'database'>): Promise<void> {
  await warden.database.withSystem(async (tx) => {
    for (const { version, customer } of await withdrawDue(tx, passMax))
      await record(tx, { kind: 'file.withdrawn', customer, observer: 'warden', version, public: { why: 'window' } });
  });
  await warden.database.withSystem(async (tx) => {
    for (const { version, customer } of await destroyDue(tx, passMax))
      await record(tx, { kind: 'file.destroyed', customer, observer: 'warden', version });
    await destroyKeys(tx, passMax);
  });
}
