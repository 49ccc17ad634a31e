// What a transaction did goes back with it to its savepoints, as the database keeps them: the innermost of a name
// counts, and whoever leaves one leaves those within it.
import { test } from 'tap';
import { SavepointList } from '../../server/domain/savepoints.ts';

/** Each step is a statement, or `+` and a name that is added. */
function after(...steps: readonly string[]): string {
  const list = new SavepointList<string>();
  for (const step of steps) {
    if (step.startsWith('+')) list.add(step.slice(1));
    else list.heard(step);
  }
  return list.items.join(' ');
}

test('each statement about a savepoint undoes what the database undoes', (t) => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['nothing is undone', 'a b', ['+a', 'savepoint s', '+b']],
    ['back to it', 'a', ['+a', 'savepoint s', '+b', 'rollback to savepoint s']],
    [
      'it stands after that',
      'a d',
      ['+a', 'savepoint s', '+b', 'rollback to savepoint s', '+c', 'rollback to savepoint s', '+d'],
    ],
    ['a release keeps what was done', 'a b', ['+a', 'savepoint s', '+b', 'release savepoint s']],
    [
      'a released one is none any more',
      'a b c',
      ['+a', 'savepoint s', '+b', 'release savepoint s', '+c', 'rollback to savepoint s'],
    ],
    ['the outer one of two', 'a', ['+a', 'savepoint s', '+b', 'savepoint t', '+c', 'rollback to savepoint s']],
    ['the inner one of two', 'a b', ['+a', 'savepoint s', '+b', 'savepoint t', '+c', 'rollback to savepoint t']],
    [
      'those within are left, too',
      'a d',
      ['+a', 'savepoint s', 'savepoint t', 'rollback to savepoint s', '+d', 'rollback to savepoint t'],
    ],
    [
      'a release leaves those within, too',
      'a b',
      ['+a', 'savepoint s', 'savepoint t', 'release savepoint s', '+b', 'rollback to savepoint t'],
    ],
    [
      'a release keeps those around',
      'a',
      ['+a', 'savepoint s', '+b', 'savepoint t', 'release savepoint t', 'rollback to savepoint s'],
    ],
    [
      'two of one name: the inner one',
      'a b',
      ['+a', 'savepoint s', '+b', 'savepoint s', '+c', 'rollback to savepoint s'],
    ],
    [
      'two of one name: the outer one, when the inner one was released',
      'a',
      ['+a', 'savepoint s', '+b', 'savepoint s', '+c', 'release savepoint s', 'rollback to savepoint s'],
    ],
    ['one that nobody made', 'a b', ['+a', 'savepoint s', '+b', 'rollback to savepoint t', 'release savepoint t']],
    [
      'other statements',
      'a b',
      ['+a', 'savepoint s', '+b', 'rollback to savepoint s;', 'rollback', 'select 1', 'SAVEPOINT t'],
    ],
  ];
  for (const [what, items, steps] of cases) t.equal(after(...steps), items, what);
  t.end();
});

test('when the transaction has ended, nothing is left', (t) => {
  const list = new SavepointList<string>();
  for (const item of ['a', 'b']) list.add(item);
  t.same(list.items, ['a', 'b']);
  list.clear();
  t.same(list.items, []);
  list.add('c');
  t.same(list.items, ['c']);
  t.end();
});
