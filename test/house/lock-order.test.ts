// The list of locks has every lock that the product takes and no other, and it refuses what is against its order.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { advisoryLocks, namedAdvisoryLocks } from '../../server/postgres/advisory-locks.ts';
import { lockExceptions, lockOrder } from '../../server/postgres/lock-order.ts';
import { LockSequence } from '../support/lock-sequence.ts';
import { lockReader, storedFunctions } from '../support/lock-texts.ts';
import { statementsOf } from '../support/statements.ts';

const root = join(import.meta.dirname, '..', '..');
const read = lockReader();

/** Every statement of the product, and the body of every function of the database, with the place of each. */
function statements(): readonly { readonly at: string; readonly text: string }[] {
  const server = readdirSync(join(root, 'server'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && path !== 'postgres/lock-order.ts')
    .flatMap((path) =>
      statementsOf(readFileSync(join(root, 'server', path), 'utf8')).map(({ at, text }) => ({
        at: `${path} ${at}`,
        text: text.replace(/\$\{rowLock\}/, 'for update'),
      })),
    );
  return [...server, ...[...storedFunctions()].map(([name, text]) => ({ at: `function ${name}`, text }))];
}

test('the list has every lock of the product, and no other', (t) => {
  const names = lockOrder.map((one) => one.on);
  t.same([...new Set(names)], names, 'each once');
  const taken = statements().flatMap(({ at, text }) => read(text).locks.map((one) => ({ at, on: one.on })));
  t.ok(taken.length > 50, `${taken.length} locks are found`);
  const listed: readonly string[] = names;
  t.same(
    taken.filter((one) => !listed.includes(one.on)),
    [],
    'a lock that is not in the list: where does it stand?',
  );
  // The keys of these two are hashes: `migrations/functions/holds.sql` and `ledger-months.sql`.
  const advisory = [...Object.keys(advisoryLocks), ...Object.keys(namedAdvisoryLocks), 'hold', 'ledgerMonth'].map(
    (one) => `advisory ${one}`,
  );
  t.same(
    listed.filter((one) => !advisory.includes(one) && !taken.some((lock) => lock.on === one)),
    [],
    'nobody takes these',
  );
  t.same(listed.filter((one) => one.startsWith('advisory ')).sort(), advisory.sort());
  for (const { held, taken: later } of lockExceptions)
    t.ok(listed.indexOf(held) > listed.indexOf(later), `${held}, ${later}: an exception is against the list`);
  t.end();
});

test('which locks a statement takes is read from its text', (t) => {
  const waiting = (...names: readonly string[]) => names.map((on) => ({ on, waits: true }));
  for (const [text, locks] of [
    ['select id from version where id = $1', []],
    ['select id from version where id = $1 for update', waiting('version')],
    ['select 1 from credential where id = any ($1) order by id for key share', waiting('credential for key share')],
    ['select v.id from file f, version v\n where v.file_id = f.id for update of v', waiting('version')],
    [
      'select b.id from flow f join budget b on b.id = f.lane / 2 order by b.rank for update',
      waiting('flow', 'budget'),
    ],
    [
      'select id from session where (a in (select 1 from node) or b) order by id for no key update skip locked',
      [{ on: 'session', waits: false }],
    ],
    ['with due as (select id from session for share) update version v set x = 1 from due, file', waiting('session')],
    ['select take_guess($1, $2)', waiting('login_penalty')],
    [
      "select charge_batch($1) from (select 1 from account where name = 'x' for update) a",
      waiting('budget', 'account'),
    ],
    ['lock table only customer in share row exclusive mode nowait', [{ on: 'table customer', waits: false }]],
  ] as const)
    t.same(read(text).locks, locks, text);
  for (const [text, is] of [
    ['select pg_advisory_xact_lock($1)', true],
    ['select ledger_month($1)', true],
    ['update version set state = $1', true],
    ['insert into legal_hold (id) values ($1)', true],
    ['insert into version (id) values ($1)', false],
    ['select 1 from budget for update', false],
  ] as const)
    t.equal(read(text).mayBeAdvisory, is, text);
  t.end();
});

test('locks against the list are told, and no others', (t) => {
  const lock = (on: string, is = '', waits = true) => ({ on, is, waits });
  const sequence = new LockSequence();
  const take = (one: ReturnType<typeof lock>): string | undefined => {
    const fault = sequence.faultOf(one);
    sequence.take(one);
    return fault;
  };
  t.equal(take(lock('rotation')), undefined);
  t.equal(take(lock('version')), undefined, 'in order');
  t.equal(take(lock('version', 'another')), undefined, 'rows of one table');
  t.equal(take(lock('budget')), 'budget after version');
  t.equal(take(lock('rotation')), undefined, 'the transaction holds it already');
  t.equal(take(lock('rotation', 'another')), 'rotation after version');
  t.equal(take(lock('credential', '', false)), undefined, 'it passes over what somebody else has locked');
  t.equal(take(lock('customer')), 'customer is not in the list');
  for (const { held, taken } of lockExceptions) {
    sequence.clear();
    take(lock(held));
    t.equal(take(lock(taken)), undefined, 'an exception');
  }
  sequence.clear();
  t.equal(take(lock('budget')), undefined, 'another transaction');
  sequence.savepoint('part');
  take(lock('version'));
  sequence.rollbackTo('part');
  t.equal(take(lock('session')), undefined, 'the version was released');
  take(lock('version'));
  sequence.rollbackTo('part');
  t.equal(take(lock('session', 'another')), undefined, 'the savepoint stays');
  t.equal(
    take(lock('advisory sessionOpening')),
    'advisory sessionOpening after budget',
    'the budget is held as before',
  );
  t.end();
});
