import { test } from 'tap';
import { rightsIn } from '../../admin-cli/account/rights.ts';
import { afterChange, allowedVerbs, gained, verbs, verbsOn } from '../../server/domain/rights.ts';

test('a change of rights gives or takes what it names, and nothing else', async (t) => {
  t.same(afterChange([], { act: 'give', verbs: ['read', 'list'] }), ['list', 'read'], 'in the order of all verbs');
  t.same(afterChange(['list', 'read'], { act: 'give', verbs: ['read'] }), ['list', 'read'], 'nothing twice');
  t.same(afterChange(['list', 'write', 'remove'], { act: 'take', verbs: ['write'] }), ['list', 'remove']);
  t.same(afterChange(['list'], { act: 'take', verbs: [...verbs] }), [], 'everything');
  t.same(gained(['list'], ['list', 'read']), ['read']);
  t.same(gained(['list', 'read'], ['list']), [], 'what is lost is no gain');
});

test('no plane both fills a folder and reads it', async (t) => {
  for (const plane of ['partner', 'internal'] as const)
    for (const direction of ['deposit', 'collect'] as const) {
      const may = allowedVerbs(plane, direction);
      t.equal(may.includes('done'), may.includes('read'), 'whoever reads a folder may be done with its files');
      t.notOk(verbsOn[plane][direction].includes('done'), 'which operators give by name, and no new account has');
      t.notOk(may.includes('read') && may.includes('write'), `${plane} in ${direction}`);
      t.ok(may.includes('list'));
    }
});

test('rights on the command line', async (t) => {
  t.same(rightsIn('give', 'northbank/deposit:list+read,acme'), [
    { act: 'give', customer: 'northbank', folder: 'deposit', verbs: ['list', 'read'] },
    { act: 'give', customer: 'acme' },
  ]);
  t.same(rightsIn('take', 'a:list'), [{ act: 'take', customer: 'a', verbs: ['list'] }]);
  t.same(rightsIn('take', 'a/b c:read+read'), [{ act: 'take', customer: 'a', folder: 'b c', verbs: ['read'] }]);
  for (const wrong of ['/deposit', 'a/', 'a:', 'a/b:', 'a/b:own', '', 'a,,b'])
    t.throws(() => rightsIn('give', wrong), RangeError, `"${wrong}"`);
});
