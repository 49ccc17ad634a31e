// Owns: the SQL of closing handles for reading in batches (`migrations/functions/gets.sql`, decision 69).
// Must never: believe that a CLOSE is recorded whose entry did not come back as it was sent (decision 42).
import type { CustomerId, SessionId, VersionId } from '../../domain/ids.ts';
import type { Draft, End } from '../../domain/ledger/births.ts';
import { faultOf, notWritten, parseEntry } from '../../domain/ledger/written.ts';
import type { Database } from '../../postgres/database.ts';
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

function requireEntry(item: Close, { sent, entry }: Raw, draft: Draft | undefined, askedAt: number): void {
  if (sent === null && entry === null) return;
  const written = parseEntry(entry ?? '');
  const due = {
    kind: 'download.closed',
    observer: 'edge',
    customer_id: item.customer,
    account_id: item.by.account,
    session_id: item.session,
    node: item.by.node,
    plane: item.by.plane,
    handle_id: item.download,
    version_id: item.version,
    bytes: sent,
    public: JSON.stringify({ by: item.how }),
  };
  const fault = faultOf(written, due) ?? (written && draft?.faultOf(written, askedAt));
  if (written === undefined || fault !== undefined) {
    draft?.refuse(due.kind, fault ?? 'did not come back');
    throw notWritten(due.kind, fault ?? 'did not come back');
  }
  draft?.add(written);
}

/** Closes a batch of handles. Returns one answer for each, in their order, and resolves after the commit. */
export async function callCloseBatch(database: Database, items: readonly Close[]): Promise<readonly CloseAnswer[]> {
  const draft = database.beginDraft();
  let end: End = 'undone';
  try {
    draft?.requireRoom();
    const askedAt = draft?.now() ?? 0;
    const rows = await callBatch(database, items);
    for (const [i, item] of items.entries()) requireEntry(item, rows[i] ?? { sent: null, entry: null }, draft, askedAt);
    end = 'committed';
    return rows.map(({ sent }) => ({ sentBytes: sent }));
  } finally {
    draft?.end(end);
  }
}
