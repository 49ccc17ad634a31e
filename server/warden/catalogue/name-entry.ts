// Owns: the ledger entry of a change to a name (who, where, and what became of it), and the one way in which a sender
// gives an unpublished version up.
import type { VersionId } from '../../domain/ids.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import { formatPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import type { InFolder } from './locate.ts';
import { setVersionState, type VersionRow } from './tree-queries.ts';

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

/** Discards an unpublished version on behalf of its sender, and records it. */
export async function giveUp(
  tx: Transaction,
  session: OpenSession,
  place: InFolder,
  version: VersionRow,
): Promise<void> {
  await setVersionState(tx, version.id, 'discarded', null);
  await recordName(tx, session, place, version.state === 'partial' ? 'upload.given-up' : 'file.discarded', version.id);
}
