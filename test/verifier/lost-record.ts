// Owns: a record whose first era was abandoned: what it had sealed last is lost.
// Must never: be good of what was lost.
import { acme, bank, copyRecord, emptyRecord, makeSigner, noteFor, seal, startMs } from './make-record.ts';

export const signer = makeSigner();
/** When the last checkpoint that was kept was signed, and what was lost sealed, in seconds after the start. */
export const [earlySeconds, lostSeconds] = [2000, 2010];

/**
 * Heads 0, 1, 2 and, in era 2, heads 3 to 5; era 1 had ten entries of acme in heads 3 and 4, about 33 minutes later
 * than head 2.
 */
function lostWorld() {
  const first = emptyRecord();
  seal(first, { [acme]: 2, [bank]: 1 });
  seal(first, { [acme]: 1 }, { epoch: true });
  first.clockMs += 300_000;
  seal(first, { [bank]: 1 }, { epoch: true });
  const kept = [1, 2].map((size) => noteFor(first, signer, size));
  kept.push(noteFor(first, signer, 3, 1, earlySeconds));
  const record = copyRecord(first);
  first.clockMs = startMs + lostSeconds * 1000;
  seal(first, { [acme]: 5 });
  seal(first, { [acme]: 5 });
  const lost = [4, 5].map((size) => noteFor(first, signer, size, 1, lostSeconds + size));
  const begun = noteFor(record, signer, 3, 2, 3000);
  record.clockMs = startMs + 3_001_000;
  seal(record, { [bank]: 1 });
  seal(record, { [bank]: 1 }, { epoch: true });
  record.clockMs = startMs + 3_601_000;
  seal(record, { [acme]: 1 }, { epoch: true });
  const after = [4, 5, 6].map((size) => noteFor(record, signer, size, 2, 3000 + size));
  record.notes = [...kept.slice(0, 2), begun, ...after];
  return { record, notes: [...kept, ...lost, begun, ...after] };
}
export const { record, notes } = lostWorld();
