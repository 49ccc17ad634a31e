// Owns: the SQL of first reads: one call enters and records the opening of each handle, and charges and records its
// extent (`migrations/functions/gets.sql`, decision 69).
// Must never: release anything of a batch of which an entry did not come back as it was sent (decision 42).
import type { FolderId } from '../../domain/ids.ts';
import type { Database } from '../../postgres/database.ts';
import { sqlState } from '../../postgres/database-errors.ts';
import { requireWritten, type Watch, watchedCall } from '../../postgres/watched-call.ts';
import { type AskedBy, requireEntries } from './charge-entries.ts';
import {
  type ChargeAnswer,
  type ChargedExtent,
  chargeAnswer,
  type RawExtentCharge,
  releasedExtent,
} from './charge-queries.ts';

/** A handle that was opened and of which nothing is written yet. */
export type Opening = {
  readonly folder: FolderId;
  /** The seal of the row of the handle. */
  readonly mac: Buffer;
  /** The size of the file, in bytes. */
  readonly size: number;
  /** The public fields of the entry `download.opened`. */
  readonly says: object;
  /** Whether its entry is paid for, or has a place. */
  isPaid: boolean;
  /** Whether it is known to be on the record: then it is not recorded again. */
  isRecorded: boolean;
  /** Whether it may be on the record, because an answer was lost or not believed: then nothing is read through it. */
  isDoubtful: boolean;
};
/** An extent that is read first through its handle. */
export type FirstRead = ChargedExtent & { readonly by: AskedBy; readonly opening: Opening };

type Raw = RawExtentCharge & { readonly opened: string | null };

const callBatch = (database: Database, items: readonly FirstRead[]): Promise<readonly Raw[]> =>
  database.call<Raw>(
    `select outcome, budget, rank, unit, window_name, cap, free_at, after_ms, is_slow, customer, content, object, bytes, sealed_bytes, inline, customer_key, wrapped_key,
       entry, opened
     from first_read_batch($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::uuid[], $6::uuid[], $7::bytea[], $8::text[]) order by item`,
    [
      items.map((one) => one.session),
      items.map((one) => one.download),
      items.map((one) => one.index),
      items.map((one) => one.by.customer),
      items.map((one) => one.by.version ?? null),
      items.map((one) => one.opening.folder),
      items.map((one) => one.opening.mac),
      items.map((one) => JSON.stringify(one.opening.says)),
    ],
  );

/** Runs a batch. When it fails, and the server did not undo it, nobody knows what of its openings is recorded. */
async function undoubted<T>(items: readonly FirstRead[], run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const isUndone = sqlState(error) !== undefined;
    for (const { opening } of items) opening.isDoubtful ||= !isUndone;
    throw error;
  }
}

/** The outcomes with which a handle may not have been entered. */
const unopened: ReadonlySet<string> = new Set(['session', 'missing']);

/** Throws `unavailable` unless the entry of each opening that is recorded now came back as it was sent. */
function requireOpenings(items: readonly FirstRead[], rows: readonly Raw[], watch: Watch): void {
  for (const [i, { session, by, download, opening }] of items.entries()) {
    const { opened: text = null, outcome = '' } = rows[i] ?? {};
    if (text === null && (opening.isRecorded || unopened.has(outcome))) continue;
    const sent = {
      kind: 'download.opened',
      observer: 'warden',
      customer_id: by.customer,
      account_id: by.account,
      session_id: session,
      node: by.node,
      plane: by.plane,
      handle_id: download,
      version_id: by.version ?? null,
      bytes: opening.size,
      public: JSON.stringify(opening.says),
    };
    requireWritten(text, sent, watch);
  }
}

/**
 * Charges a batch of first reads. Returns one answer for each item, in their order, and resolves after the commit.
 * Throws `unavailable` when an entry did not come back as it was sent; nothing of the batch is released then.
 */
export const callFirstReadBatch = (database: Database, items: readonly FirstRead[]): Promise<readonly ChargeAnswer[]> =>
  watchedCall(database, async (watch) => {
    const rows = await undoubted(items, async () => {
      const answers = await callBatch(database, items);
      requireEntries(items, answers, watch);
      requireOpenings(items, answers, watch);
      return answers;
    });
    for (const [i, { opening }] of items.entries()) if (rows[i]?.opened != null) opening.isRecorded = true;
    return rows.map((row) => chargeAnswer(row, 'out', releasedExtent(row)));
  });
