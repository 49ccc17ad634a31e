// Owns: the handlers of what operators may read about the record.
import type { Result } from '../../rpc/operation.ts';
import type { ledgerOperations } from '../../rpc/operators/ledger.ts';
import type { ledgerEntryOperations } from '../../rpc/operators/ledger-entries.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { searchLedger, showEntry, tailLedger } from './reading.ts';
import { ledgerStatus } from './status-queries.ts';
import type { Verifications } from './verification.ts';

type Archive = Result<OperatorToAdmin, 'ledger.archives'>['archives'][number];

/** What verifies the record, and which months are in archives. */
type RecordParts = { readonly verifications: Verifications; readonly archives: () => Promise<readonly Archive[]> };

export const ledgerReads = (
  { config, database, read }: Reading,
  { verifications, archives }: RecordParts,
): Reads<typeof ledgerOperations & typeof ledgerEntryOperations> => ({
  'ledger.status': () => {
    const forwards = config.ledger.forwards.map((one) => one.name);
    return read((tx) => ledgerStatus(tx, forwards));
  },
  'ledger.archives': async () => ({ archives: [...(await archives())] }),
  'ledger.tail': (params) => tailLedger(database, params),
  'ledger.search': (params) => searchLedger(database, params),
  'ledger.show': ({ number }) => showEntry(database, number),
  'ledger.verify': async (wish, caller) => verifications.take(wish, await caller.claim),
  'ledger.verification': async ({ verification }) => verifications.state(verification),
});
