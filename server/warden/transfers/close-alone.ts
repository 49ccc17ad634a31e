// Owns: closing one handle for reading in a transaction of its own: one that counts as a read of its version, and one
// of which the record has to be asked whether a key was released.
// Must never: record more bytes than can have been sent.
import { bySession, record } from '../ledger/entries/record.ts';
import { alarmImpossible } from '../sessions/impossible-words.ts';
import type { OpenSession, Sessions } from '../sessions/open-session.ts';
import { handleClosed } from '../versions/counted-reads.ts';
import { closeDownload, type OpenDownload } from './download-queries.ts';

/**
 * Closes a handle, unless it is closed. `known` is the number of extents of which this process knows that they were
 * released through it, from the first one on.
 */
export function closeAlone(
  { sessions }: { readonly sessions: Sessions },
  session: OpenSession,
  open: OpenDownload,
  said: { readonly download: string; readonly sentBytes: number; readonly by: 'client' | 'cut' },
  known: number,
): Promise<void> {
  return sessions.within(session, [open.customer], async (tx) => {
    const { download, sentBytes, by } = said;
    const closed = await closeDownload(tx, download, session.id, sentBytes, known > 0);
    if (closed === undefined) return;
    if (closed.sentBytes < sentBytes) await alarmImpossible(tx, session, sentBytes);
    await record(tx, {
      kind: 'download.closed',
      customer: open.customer,
      ...bySession(session),
      observer: 'edge',
      handle: download,
      version: open.version,
      bytes: closed.sentBytes,
      public: { by },
    });
    await handleClosed(tx, { download, session: session.id }, known);
  });
}
