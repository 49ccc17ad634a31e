// When a file is published, by the rule of its folder and by its name.
import { test } from 'tap';
import { afterClose, afterRename, isTemporary, markedBy } from '../../server/domain/publish-rules.ts';

test('temporary names are held under every rule', async (t) => {
  for (const name of [
    'a.filepart',
    'A.PART',
    '.hidden',
    'x.tmp',
    'x.partial',
    'x.temp',
    'x.crdownload',
    '.x.swp',
    'x.swp',
    'a.writing',
    'a.INPROGRESS',
    'a.in-progress',
    'a.in_progress',
    'a.uploading',
    'a.upload',
    'a.incomplete',
    'a.temporary',
    'a.download',
    'a.opdownload',
    'a.in',
    'a~',
    '_tmp_a',
    '_TMP_a',
  ]) {
    t.ok(isTemporary([name]), name);
    for (const publishRule of ['on-close', 'on-rename', 'on-marker'] as const)
      t.same(afterClose({ publishRule, settleMs: 0 }, [name]), { state: 'held' });
  }
  for (const name of ['a.xml', 'part', 'tmp.xml', 'a.partner', 'in', '~', 'upload', 'a.writing.xml', 'tmp_a', 'a~b'])
    t.notOk(isTemporary([name]), name);
});

test('whatever is below a directory with a leading dot is held under every rule, until it is moved elsewhere', async (t) => {
  const [from, to] = [
    ['d', '.uploading', 'e', 'a.xml'],
    ['d', 'a.xml'],
  ];
  for (const publishRule of ['on-close', 'on-rename', 'on-marker'] as const) {
    t.same(afterClose({ publishRule, settleMs: 0 }, from), { state: 'held' });
    t.same(afterRename({ publishRule, settleMs: 0 }, to, from), { state: 'held' });
  }
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, from, to), { state: 'published' });
  t.same(afterRename({ publishRule: 'on-close', settleMs: 5 }, from, to), { state: 'settling', settleMs: 5 });
  for (const path of [
    ['uploading', 'a.xml'],
    ['a.tmp', 'a.xml'],
    ['d.e', 'a.xml'],
  ])
    t.notOk(isTemporary(path), path.join('/'));
});

test('a close publishes after the settle time, at once when that is zero, and never under on-marker', async (t) => {
  t.same(afterClose({ publishRule: 'on-close', settleMs: 0 }, ['a']), { state: 'published' });
  t.same(afterClose({ publishRule: 'on-close', settleMs: 5 }, ['a']), { state: 'settling', settleMs: 5 });
  t.same(afterClose({ publishRule: 'on-rename', settleMs: 5 }, ['a']), { state: 'settling', settleMs: 5 });
  t.same(afterClose({ publishRule: 'on-marker', settleMs: 0 }, ['a']), { state: 'held' });
});

test('renaming from a temporary name publishes under on-rename; renaming between final names settles', async (t) => {
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, ['a.tmp'], ['a']), { state: 'published' });
  t.same(afterRename({ publishRule: 'on-close', settleMs: 5 }, ['a.tmp'], ['a']), { state: 'settling', settleMs: 5 });
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, ['a'], ['a.tmp']), { state: 'held' });
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, ['a'], ['b']), { state: 'settling', settleMs: 5 });
  t.same(afterRename({ publishRule: 'on-marker', settleMs: 5 }, ['a.tmp'], ['a']), { state: 'held' });
  t.same(afterRename({ publishRule: 'on-close', settleMs: 0 }, ['a'], ['b']), { state: 'published' });
  t.same(afterRename({ publishRule: 'on-marker', settleMs: 5 }, ['a'], ['b']), { state: 'held' });
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, ['a.tmp'], ['b.tmp']), { state: 'held' });
  t.same(afterClose({ publishRule: 'on-close', settleMs: 1 }, ['a']), { state: 'settling', settleMs: 1 });
});

test('a marker is an empty file under a final name with the ending of the folder, in a folder that publishes by marker', async (t) => {
  const folder = { publishRule: 'on-marker', marker: '.done' } as const;
  t.equal(markedBy(folder, ['a.xml.done'], 0), 'a.xml');
  t.equal(markedBy(folder, ['d', 'a.done'], 0), 'a', 'the shortest');
  t.equal(markedBy({ ...folder, marker: '.ok' }, ['a.ok'], 0), 'a');
  t.equal(markedBy(folder, ['a.tmp.done'], 0), 'a.tmp', 'which is refused by whoever releases it');
  t.equal(markedBy(folder, ['a.done'], 1), undefined, 'it has bytes');
  for (const path of [['.done'], ['a.doner'], ['a.done.partial'], ['.a.done'], ['.uploading', 'a.done']])
    t.equal(markedBy(folder, path, 0), undefined, path.join('/'));
  for (const publishRule of ['on-close', 'on-rename'] as const)
    t.equal(markedBy({ ...folder, publishRule }, ['a.done'], 0), undefined, publishRule);
});
