// Owns: the ledger entry of a change to a name: who, where, what became of it.
import { formatPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { OpenSession } from '../context.ts';
import { record } from '../ledger/ledger-queries.ts';
import type { InFolder } from './locate.ts';

export async function recordName(
  tx: Transaction,
  session: OpenSession,
  place: InFolder,
  kind: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await record(tx, {
    kind,
    customer: place.customer.id,
    account: session.account.id,
    session: session.id,
    node: session.node,
    observer: 'warden',
    public: { folder: place.folder.name, path: formatPath(place.rest), ...more },
  });
}
