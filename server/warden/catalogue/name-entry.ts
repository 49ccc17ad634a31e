// Owns: the ledger entry of a change to a name: who, where, what became of it.
import type { VersionId } from '../../domain/ids.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import { formatPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { OpenSession } from '../context.ts';
import { bySession, record } from '../ledger/ledger-queries.ts';
import type { InFolder } from './locate.ts';

export async function recordName(
  tx: Transaction,
  session: OpenSession,
  place: InFolder,
  kind: EntryKind,
  version: VersionId | null = null,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await record(tx, {
    kind,
    customer: place.customer.id,
    ...bySession(session),
    version,
    public: { folder: place.folder.name, path: formatPath(place.rest), ...more },
  });
}
