// Which checkpoints of a witness are sent to be verified: every different one, the newest copy of each.
import { test } from 'tap';
import { DistinctNotes } from '../../admin-cli/ledger/witness.ts';
import { checkpointBody, noteText, originOf } from '../../server/domain/ledger/checkpoint.ts';
import { parseNote } from '../../verifier/index.js';

const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
const note = (era: number, size: number, seconds = 0, root = 'A'): string => {
  const time = new Date(Date.UTC(2026, 10, 24, 18) + seconds * 1000).toISOString();
  const body = checkpointBody({ origin, size, root: `${root.repeat(43)}=`, era, time });
  return noteText(body, origin, Buffer.alloc(68, 1).toString('base64'));
};

function distinctNotes(notes: readonly string[]): readonly string[] {
  const distinct = new DistinctNotes();
  for (const one of notes) distinct.add(one, parseNote(one));
  return distinct.inOrder();
}

test('none is left out, however long a witness is, and also a different root in the middle', (t) => {
  const sizes = Array.from({ length: 2000 }, (_, i) => note(1, i + 1));
  t.same(distinctNotes(sizes), sizes);
  const other = note(1, 1000, 5, 'E');
  t.ok(distinctNotes([...sizes, other]).includes(other));
  const again = Array.from({ length: 60 }, (_, i) => note(1, 2000, 60 * (i + 1)));
  t.same(
    distinctNotes([...sizes, ...again.toReversed()]),
    [...sizes.slice(0, -1), again.at(-1)],
    'signed again: the newest',
  );
  t.same(distinctNotes([note(2, 5), note(1, 9)]), [note(1, 9), note(2, 5)]);
  t.end();
});
