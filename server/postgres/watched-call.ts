// Owns: calls of functions of the database that write entries themselves: their draft of the record, and the comparison
// of each entry that comes back with what was sent (decision 42).
// Must never: let a call count as done whose entries are not those that were sent.
import type { Draft, End } from '../domain/ledger/births.ts';
import { faultOf, notWritten, parseEntry, type SentEntry } from '../domain/ledger/written.ts';
import type { Database } from './database.ts';

/** The draft of one call, undefined when nobody watches its pool, and when it was begun (milliseconds of its clock). */
export type Watch = { readonly draft: Draft | undefined; readonly askedAt: number };

/**
 * Runs a call that is a transaction of its own. Its draft counts as committed when `work` resolves, which it may only
 * do when the entries were compared. Throws `unavailable` when the draft accepts no more entries.
 */
export async function watchedCall<T>(database: Database, work: (watch: Watch) => Promise<T>): Promise<T> {
  const draft = database.beginDraft();
  let end: End = 'undone';
  try {
    draft?.requireRoom();
    const result = await work({ draft, askedAt: draft?.now() ?? 0 });
    end = 'committed';
    return result;
  } finally {
    draft?.end(end);
  }
}

/** Remembers an entry that came back. Throws `unavailable` when it did not, or does not say what was sent. */
export function requireWritten(text: string | null, sent: SentEntry, { draft, askedAt }: Watch): void {
  const written = parseEntry(text ?? '');
  const fault = faultOf(written, sent) ?? (written && draft?.faultOf(written, askedAt));
  if (written !== undefined && fault === undefined) return draft?.add(written);
  refuseWritten(String(sent.kind), fault ?? 'did not come back', { draft });
}

/** Throws that an entry of this kind is not as it was sent, and tells whoever watches the draft why. */
export function refuseWritten(kind: string, fault: string, { draft }: Pick<Watch, 'draft'>): never {
  draft?.refuse(kind, fault);
  throw notWritten(kind, fault);
}
