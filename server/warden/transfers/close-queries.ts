// Owns: the SQL of closing handles for reading in batches (`migrations/functions/gets.sql`, decision 69).
// Must never: believe that a CLOSE is recorded whose entry did not come back as it was sent (decision 42).
import type { CustomerId, SessionId, VersionId } from '../../domain/ids.ts';
import type { SentEntry } from '../../domain/ledger/written.ts';
import type { Database } from '../../postgres/database.ts';
import { requireWritten, watchedCall } from '../../postgres/watched-call.ts';
import { wireBytesPerSecondMax } from '../../rpc/edge-words.ts';
import type { AskedBy } from '../budgets/charge-entries.ts';

/** A handle that its client closed, or that was cut. Its bytes are those that the edge says it sent. */
export type Close = {
  readonly session: SessionId;
  readonly by: AskedBy;
  readonly customer: CustomerId;
  readonly version: VersionId;
  readonly download: string;
  readonly sentBytes: number;
  readonly how: 'client' | 'cut';
};
/** The bytes that can have been sent; null when nothing was done, because the handle was not open or is counted. */
export type CloseAnswer = { readonly sentBytes: number | null };

type Raw = { readonly sent: number | null; readonly entry: string | null };

const callBatch = (database: Database, items: readonly Close[]): Promise<readonly Raw[]> =>
  database.call<Raw>(
    'select sent, entry from close_batch($1::uuid[], $2::uuid[], $3::bigint[], $4, $5::text[]) order by item',
    [
      items.map((one) => one.session),
      items.map((one) => one.download),
      items.map((one) => one.sentBytes),
      wireBytesPerSecondMax,
      items.map(({ how }) => JSON.stringify({ by: how })),
    ],
  );

/** Returns what is sent for the entry of a handle that was closed. */
const sentFor = (item: Close, bytes: number | null): SentEntry => ({
  kind: 'download.closed',
  observer: 'edge',
  customer_id: item.customer,
  account_id: item.by.account,
  session_id: item.session,
  node: item.by.node,
  plane: item.by.plane,
  handle_id: item.download,
  version_id: item.version,
  bytes,
  public: JSON.stringify({ by: item.how }),
});

/** Closes a batch of handles. Returns one answer for each, in their order, and resolves after the commit. */
export const callCloseBatch = (database: Database, items: readonly Close[]): Promise<readonly CloseAnswer[]> =>
  watchedCall(database, async (watch) => {
    const rows = await callBatch(database, items);
    for (const [i, item] of items.entries()) {
      const { sent, entry } = rows[i] ?? { sent: null, entry: null };
      if (sent !== null || entry !== null) requireWritten(entry, sentFor(item, sent), watch);
    }
    return rows.map(({ sent }) => ({ sentBytes: sent }));
  });
