// `cofferctl report access` on a running gateway: who reaches which folder with what, before and after changes; to whom
// it is shown; and that no row is lost or doubled when there are many pages.
import pg from 'pg';
import { test } from 'tap';
import type { AccessRow } from '../../server/rpc/operators/report.ts';
import { addOperator } from '../support/operators.ts';
import { startWorld } from '../support/world.ts';

type Review = { readonly rows: readonly AccessRow[] };

test('the access review of a running gateway says who reaches what, before and after changes', async (t) => {
  const world = await startWorld(t);
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  t.teardown(() => client.end());
  const ok = async (...args: readonly string[]): Promise<string> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, 0, `cofferctl ${args.slice(0, 3).join(' ')}: ${done.err}`);
    return done.out;
  };
  const review = async (...args: readonly string[]): Promise<readonly AccessRow[]> =>
    (JSON.parse(await ok('report', 'access', '--json', ...args)) as Review).rows;

  const before = await review();
  t.same(
    [...new Set(before.flatMap((row) => (row.customer === null ? [] : [row.customer])))].sort(),
    ['acme', 'acme-2', 'globex'],
    'three customers',
  );
  t.ok(before.some((row) => row.account === 'processor' && row.plane === 'internal' && row.customer === 'globex'));
  const batch = before.find((row) => row.account === 'acme-batch' && row.folder === 'deposit');
  t.match(batch, { kind: 'machine', direction: 'deposit', blocked: null });
  t.ok(batch?.opensWith.includes('key+window'), 'its window is open');
  t.match(
    before.find((row) => row.account === 'acme'),
    { kind: 'person', secondFactor: true, opensWith: ['key+code'], blocked: null },
  );

  await ok('account', 'set', 'acme-2-batch', '--read-only', 'yes', '--contact', '=cmd|calc', '--reason', 'review');
  await ok(
    'window',
    'open',
    'globex-batch',
    '--standing',
    'mo-fr 02:00-04:00',
    '--name',
    'nightly',
    '--days',
    '30',
    '--reason',
    'run',
  );
  await ok('credential', 'revoke', '--account', 'acme-2', '--reason', 'left', '--execute');
  await client.query(
    "update credential set expires_at = clock_timestamp() - interval '1 second' where account_id = (select id from account where name = 'globex')",
  );
  const after = await review();
  t.equal(after.length, before.length, 'nobody has vanished');
  const of = (name: string): readonly AccessRow[] => after.filter((row) => row.account === name);
  t.ok(
    of('acme-2-batch').every((row) => !row.verbs.includes('write') && !row.verbs.includes('remove') && row.readOnly),
    'a read-only account changes nothing',
  );
  t.match(
    of('globex-batch')[0]?.windows.find((one) => one.name !== null),
    { name: 'nightly', schedule: 'mo,tu,we,th,fr 02:00-04:00 UTC' },
  );
  for (const name of ['acme-2', 'globex'])
    t.ok(
      of(name).length > 0 &&
        of(name).every(
          (row) => row.credential === null && row.blocked === 'no usable credential' && row.endedCredentials === 1,
        ),
      `${name} has no usable credential`,
    );
  const text = await ok('report', 'access', '--customer', 'globex');
  t.match(text, /EXCEPTION nightly: mo,tu,we,th,fr 02:00-04:00 UTC/);
  t.match(text, /^globex {2}\(person, partner plane, globex\)\n.*\n {2}no usable credential \(1 have ended\)/m);
  t.match(text, /^processor {2}\(/m, 'our own account reaches it too');
  t.notMatch(text, /acme/, 'and nobody else stands there');
  t.match(
    await ok('report', 'access', '--account', 'acme-batch'),
    /opens with key\+window[\s\S]*acme\/deposit {2}deposit: list, write/,
  );
  const csv = await ok('report', 'access', '--csv');
  t.match(csv, /^account,kind,plane,state,ends,contact,/);
  t.match(csv, /,'=cmd\|calc,/, 'no formula reaches a spreadsheet');
  t.equal(csv.split('\r\n').length - 2, after.length, 'a line for each row');
  t.equal((await world.cofferctl(['report', 'access', '--account', 'Nobody'])).code, 2);
  for (const option of ['--account', '--customer']) {
    const unknown = await world.cofferctl(['report', 'access', option, 'nobody']);
    t.equal(unknown.code, 3, 'a name that nobody has is no empty review');
    t.match(unknown.err, /there is no (?:account|customer) named nobody/);
  }
  t.match(
    await ok('report', 'access', '--account', 'acme', '--customer', 'globex'),
    /^nobody\n$/,
    'an account that does not reach the customer is not listed',
  );

  for (const role of ['viewer', 'auditor']) {
    const identity = ['--identity', await addOperator(world, `${role}-1`, role)];
    t.same((await review(...identity)).length, after.length, `a ${role} reads it`);
    t.equal(
      (await world.cofferctl(['account', 'lock', 'acme', '--reason', 'x', ...identity])).code,
      4,
      `and a ${role} changes nothing`,
    );
  }

  // More rows than one answer holds, so that cofferctl asks for page after page. The setting lets this connection see
  // the rows of all customers.
  await client.query("select set_config('cofferdam.customers', '*', false)");
  await client.query(`with made as (
      insert into account (id, customer_id, name, kind, plane, contact)
      select gen_random_uuid(), c.id, 'many-' || lpad(i::text, 5, '0'), 'machine', 'partner', repeat('c', 200) from generate_series(1, 2000) i, customer c where c.name = 'acme' returning id, name, customer_id
    ), rights as (
      insert into folder_right select m.id, f.customer_id, f.id, '{list}' from made m join folder f on f.customer_id = m.customer_id returning 1)
    insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at)
      select gen_random_uuid(), id, 'public-key', 'ssh-ed25519', 'x', 'SHA256:' || rpad(replace(name::text, '-', ''), 43, '0'), 'test', now() + interval '1 year' from made`);
  const expected = await client.query<{ key: string }>(
    `select a.name || '/' || f.name as key from account a join folder_right r on r.account_id = a.id join folder f on f.id = r.folder_id where a.name::text like 'many-%' order by 1`,
  );
  t.equal(expected.rows.length, 4000);
  const whole = await review();
  const keys = whole.filter((row) => row.account.startsWith('many-')).map((row) => `${row.account}/${row.folder}`);
  t.same([...keys].sort(), expected.rows.map((row) => row.key).sort(), 'every account and folder, each once');
  t.equal(whole.length, after.length + 4000);
  t.equal((await ok('report', 'access', '--csv')).split('\r\n').length - 2, whole.length, 'in CSV too');
});
