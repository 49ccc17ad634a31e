// Owns: when a version is withdrawn, and when it is destroyed together with its key, with the entries of both.
// Must never: destroy a key before retention has ended, or under a hold.
import type { Warden } from '../context/context.ts';
import { record } from '../ledger/entries/record.ts';
import { eachInTurn, extentsMax, passOverRows } from '../passes/row-passes.ts';
import {
  deleteDoomedExtents,
  destroyDue,
  findDoomedContents,
  findRetentionsOver,
  findWindowsOver,
  withdrawDue,
} from './retention-queries.ts';

/**
 * Runs the three passes of retention: windows that are over, retentions that have ended, and extents whose key is
 * destroyed.
 */
export async function applyRetention(warden: Pick<Warden, 'database' | 'log'>): Promise<void> {
  await eachInTurn(
    () =>
      passOverRows(warden, 'window', {
        find: findWindowsOver,
        work: async (tx, ids) => {
          for (const { version, customer } of await withdrawDue(tx, ids))
            await record(tx, {
              kind: 'file.withdrawn',
              customer,
              observer: 'warden',
              version,
              public: { why: 'window' },
            });
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
    () =>
      passOverRows(warden, 'extents', {
        find: findDoomedContents,
        work: (tx, ids) => deleteDoomedExtents(tx, ids, extentsMax),
      }),
  );
}
