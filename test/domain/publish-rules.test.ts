// When a file is published, by the rule of its folder and by its name.
import { test } from 'tap';
import { afterClose, afterRename, isTemporaryName, markedName } from '../../server/domain/publish-rules.ts';

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
  ]) {
    t.ok(isTemporaryName(name), name);
    for (const publishRule of ['on-close', 'on-rename', 'on-marker'] as const)
      t.same(afterClose({ publishRule, settleMs: 0 }, name), { state: 'held' });
  }
  for (const name of ['a.xml', 'part', 'tmp.xml', 'a.partner']) t.notOk(isTemporaryName(name), name);
});

test('a close publishes after the settle time, at once when that is zero, and never under on-marker', async (t) => {
  t.same(afterClose({ publishRule: 'on-close', settleMs: 0 }, 'a'), { state: 'published' });
  t.same(afterClose({ publishRule: 'on-close', settleMs: 5 }, 'a'), { state: 'settling', settleMs: 5 });
  t.same(afterClose({ publishRule: 'on-rename', settleMs: 5 }, 'a'), { state: 'settling', settleMs: 5 });
  t.same(afterClose({ publishRule: 'on-marker', settleMs: 0 }, 'a'), { state: 'held' });
});

test('renaming from a temporary name publishes under on-rename; renaming between final names settles', async (t) => {
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, 'a.tmp', 'a'), { state: 'published' });
  t.same(afterRename({ publishRule: 'on-close', settleMs: 5 }, 'a.tmp', 'a'), { state: 'settling', settleMs: 5 });
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, 'a', 'a.tmp'), { state: 'held' });
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, 'a', 'b'), { state: 'settling', settleMs: 5 });
  t.same(afterRename({ publishRule: 'on-marker', settleMs: 5 }, 'a.tmp', 'a'), { state: 'held' });
  t.equal(markedName('a.xml.done'), 'a.xml');
  t.equal(markedName('.done'), undefined);
  t.equal(markedName('a.done'), 'a', 'the shortest');
  t.equal(markedName('a.doner'), undefined);
  t.same(afterRename({ publishRule: 'on-close', settleMs: 0 }, 'a', 'b'), { state: 'published' });
  t.same(afterRename({ publishRule: 'on-marker', settleMs: 5 }, 'a', 'b'), { state: 'held' });
  t.same(afterRename({ publishRule: 'on-rename', settleMs: 5 }, 'a.tmp', 'b.tmp'), { state: 'held' });
  t.same(afterClose({ publishRule: 'on-close', settleMs: 1 }, 'a'), { state: 'settling', settleMs: 1 });
});
