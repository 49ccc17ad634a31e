// The text of a checkpoint: each checkpoint has one text, which is read back exactly, and nothing else is accepted.
import { test } from 'tap';
import {
  type Checkpoint,
  checkpointBody,
  noteText,
  originOf,
  parseNote,
} from '../../../server/domain/ledger/checkpoint.ts';

const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
const checkpoint: Checkpoint = {
  origin,
  size: 4711,
  root: Buffer.alloc(32, 7).toString('base64'),
  era: 2,
  time: '2026-11-29T08:00:00.123Z',
};
const body = checkpointBody(checkpoint);
const signature = Buffer.alloc(68, 5).toString('base64');
const note = noteText(body, origin, signature);

test('the text of a note, word by word', (t) => {
  t.equal(origin, 'cofferdam/6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
  t.equal(body, `${origin}\n4711\n${checkpoint.root}\nera 2\ntime 2026-11-29T08:00:00.123Z\n`);
  t.equal(note, `${body}\n\u2014 ${origin} ${signature}\n`);
  t.same(parseNote(note), { body, checkpoint, signature });
  const most = { ...checkpoint, size: Number.MAX_SAFE_INTEGER };
  t.same(parseNote(noteText(checkpointBody(most), origin, signature)).checkpoint, most);
  t.end();
});

test('whatever is not exactly such a note is refused', (t) => {
  for (const [why, text] of [
    ['nothing', ''],
    ['no signature', body],
    ['two signatures', `${note}\u2014 ${origin} ${signature}\n`],
    ['something before', `\n${note}`],
    ['something behind', `${note}\n`],
    [
      'signed in another name',
      note.replace(`\u2014 ${origin}`, `\u2014 ${originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a12')}`),
    ],
    ['a size with a zero before it', note.replace('\n4711\n', '\n04711\n')],
    ['a size that is no exact number', note.replace('\n4711\n', '\n9007199254740992\n')],
    ['an era of nothing', note.replace('era 2', 'era 0')],
    ['a time without milliseconds', note.replace('.123Z', 'Z')],
    ['a root that is too short', note.replace(checkpoint.root, checkpoint.root.slice(4))],
    ['a signature that is too long', note.replace(signature, `BQUF${signature}`)],
    ['carriage returns', note.replaceAll('\n', '\r\n')],
    ['a hyphen for the dash', note.replace('\u2014', '-')],
  ] as const)
    t.throws(() => parseNote(text), { code: 'invalid', message: 'this is not a checkpoint of this gateway' }, why);
  t.end();
});
