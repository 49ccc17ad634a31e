// The file of grants, and the rights that a database has, compared in both directions.
import { test } from 'tap';
import { grantCatalogue, rolePowers, rowSecurity, triggerFacts } from '../../server/admin/doctor/catalogue-queries.ts';
import {
  grantFindings,
  roleFindings,
  rowSecurityFindings,
  triggerFindings,
} from '../../server/admin/doctor/database.ts';
import { Database } from '../../server/postgres/database.ts';
import { parseGrants, readGrants } from '../../server/postgres/grant-matrix.ts';
import { createTestDatabase } from '../support/database.ts';

test('every statement of the file of grants is understood, or refused', async (t) => {
  t.same(parseGrants('-- nothing\nrevoke all on all tables in schema public from a;\n'), []);
  t.same(parseGrants('grant select, update (x, y) on one, two to a, b;').length, 2 * 2 + 2 * 2 * 2);
  t.same(parseGrants('grant execute on function f(bigint, int), g() to a'), [
    { role: 'a', privilege: 'EXECUTE', kind: 'function', name: 'f(bigint, int)' },
    { role: 'a', privilege: 'EXECUTE', kind: 'function', name: 'g()' },
  ]);
  t.same(parseGrants('grant usage on all sequences in schema public to a;grant usage on schema public to a'), [
    { role: 'a', privilege: 'USAGE', kind: 'sequence', name: '*' },
    { role: 'a', privilege: 'USAGE', kind: 'schema', name: 'public' },
  ]);
  for (const odd of [
    'grant all on x to a',
    'grant select on x to a with grant option',
    'grant select on all tables in schema public to a',
    'grant select on x to a; revoke select on x from a',
    'grant a to b',
    'grant select on other.x to a',
    'grant execute (x) on function f() to a',
    'alter table x owner to a',
    'grant select on "X" to a',
  ])
    t.throws(() => parseGrants(odd), { code: 'configuration' }, odd);
  t.ok(readGrants().length > 100);
});

test('a fresh database has exactly the matrix; each change is found, and nothing else', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const expected = readGrants();
  const functions = expected.filter((one) => one.kind === 'function' && one.name !== '*').map((one) => one.name);
  const look = (): Promise<readonly { verdict: string; check: string; text: string; next: string | null }[]> =>
    database.withSystem(async (tx) => [
      ...grantFindings(expected, await grantCatalogue(tx, functions)),
      ...rowSecurityFindings(await rowSecurity(tx)),
      ...triggerFindings(await triggerFacts(tx)),
    ]);
  const clean = async (when: string): Promise<void> => {
    const wrong = (await look()).filter((one) => one.verdict !== 'ok');
    t.same(wrong, [], when);
  };
  await clean('as it was migrated');
  const broken = [
    [
      'grant select on customer_key to cofferdam_admin',
      'revoke select on customer_key from cofferdam_admin',
      /cofferdam_admin: SELECT on table customer_key/,
    ],
    [
      'grant select (password_hash) on credential to cofferdam_admin',
      'revoke select (password_hash) on credential from cofferdam_admin',
      /cofferdam_admin: SELECT on column credential\.password_hash/,
    ],
    [
      'grant select (inline) on extent to cofferdam_auditor',
      'revoke select (inline) on extent from cofferdam_auditor',
      /cofferdam_auditor: SELECT on column extent\.inline/,
    ],
    [
      'grant update on ledger to cofferdam_warden',
      'revoke update on ledger from cofferdam_warden',
      /cofferdam_warden: UPDATE on table ledger/,
    ],
    [
      'grant truncate on version to cofferdam_warden',
      'revoke truncate on version from cofferdam_warden',
      /cofferdam_warden: TRUNCATE on table version/,
    ],
    ['grant select on file to public', 'revoke select on file from public', /public: SELECT on table file/],
    [
      'grant execute on function take_guess(text[], int, int, int, bigint) to public',
      'revoke execute on function take_guess(text[], int, int, int, bigint) from public',
      /public: EXECUTE on function take_guess/,
    ],
    [
      'grant usage on all sequences in schema public to cofferdam_admin',
      'revoke usage on all sequences in schema public from cofferdam_admin',
      /cofferdam_admin: USAGE on sequence revocation_epoch/,
    ],
    [
      'grant create on schema public to cofferdam_admin',
      'revoke create on schema public from cofferdam_admin',
      /cofferdam_admin: CREATE on schema public/,
    ],
    [
      'grant select on customer to cofferdam_admin with grant option',
      'revoke grant option for select on customer from cofferdam_admin',
      /SELECT with grant option on table customer/,
    ],
    [
      'create table stray (x int); grant select on stray to cofferdam_admin',
      'drop table stray',
      /cofferdam_admin: SELECT on table stray/,
    ],
    [
      'create function stray() returns int language sql as $$ select 1 $$',
      'drop function stray()',
      /public: EXECUTE on function stray\(\)/,
    ],
    [
      'revoke select on session from cofferdam_admin',
      'grant select on session to cofferdam_admin',
      /missing: cofferdam_admin: SELECT on table session/,
    ],
    [
      'revoke select (id) on credential from cofferdam_auditor',
      'grant select (id) on credential to cofferdam_auditor',
      /missing: cofferdam_auditor: SELECT on column credential\.id/,
    ],
    [
      'alter table file disable row level security',
      'alter table file enable row level security',
      /file is not enabled/,
    ],
    [
      'alter table account no force row level security',
      'alter table account force row level security',
      /account is not forced/,
    ],
    ['create policy wide on version using (true)', 'drop policy wide on version', /version has 2 policies/],
    [
      'alter policy scope on folder using (true)',
      'alter policy scope on folder using (in_scope(customer_id))',
      /folder has a policy without in_scope/,
    ],
    [
      'alter policy scope on folder with check (true)',
      'alter policy scope on folder with check (in_scope(customer_id))',
      /folder has a policy without in_scope/,
    ],
    ['create table kept (customer_id uuid)', 'drop table kept', /kept is not enabled/],
    [
      'alter table ledger_sealed disable trigger ledger_is_insert_only',
      'alter table ledger_sealed enable trigger ledger_is_insert_only',
      /nothing keeps the record from being changed or deleted: ledger_sealed/,
    ],
    [
      'alter table credential disable trigger credential_guard',
      'alter table credential enable trigger credential_guard',
      /disabled: credential\.credential_guard/,
    ],
  ] as const;
  for (const [wrong, right, text] of broken) {
    await sql.query(wrong);
    const found = (await look()).filter((one) => one.verdict === 'fault');
    t.match(found.map((one) => one.text).join('\n'), text, wrong);
    t.ok(
      found.every((one) => (one.next ?? '').length > 20),
      'with what to do next',
    );
    await sql.query(right);
    await clean(right);
  }
  await sql.query('drop trigger ledger_is_insert_only on ledger_sealed');
  t.match(
    (await look()).find((one) => one.check === 'ledger trigger'),
    { verdict: 'fault' },
    'a trigger that is gone',
  );
  await sql.query(
    'create trigger ledger_is_insert_only before update on ledger_sealed for each statement execute function ledger_is_insert_only()',
  );
  t.match(
    (await look()).find((one) => one.check === 'ledger trigger'),
    { verdict: 'fault' },
    'or that does less',
  );
  await sql.query('create function ledger_nothing() returns trigger language plpgsql as $$ begin return null; end $$');
  await sql.query('drop trigger ledger_is_insert_only on ledger_sealed');
  await sql.query(
    'create trigger ledger_is_insert_only before update or delete or truncate on ledger_sealed for each statement execute function ledger_nothing()',
  );
  t.match(
    (await look()).find((one) => one.check === 'ledger trigger'),
    { verdict: 'fault' },
    'or something else',
  );

  await sql.query('create table own (x int); alter table own owner to cofferdam_admin');
  const roles = await database.withSystem((tx) => rolePowers(tx));
  t.match(
    roleFindings(roles).map((one) => `${one.verdict} ${one.text}`),
    [/^fault cofferdam_admin: owner of own$/],
    'an object of its own',
  );
  await sql.query('drop table own');
  t.match(roleFindings(await database.withSystem((tx) => rolePowers(tx))), [{ verdict: 'ok' }], 'and without');
});

test('the database role of the admin process cannot hide what it was granted', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => database.close());
  await sql.query('grant select on customer_key to cofferdam_admin');
  // As in a database where nobody revoked it: temporary objects with names of the catalogue are looked up first.
  const [{ name = '' } = {}] = await sql.query<{ name: string }>('select quote_ident(current_database()) as name');
  await sql.query(`grant temporary on database ${name} to cofferdam_admin`);
  const expected = readGrants();
  const functions = expected.filter((one) => one.kind === 'function' && one.name !== '*').map((one) => one.name);
  const found = await database.withSystem(async (tx) => {
    await tx.query('create temporary table pg_class (x int)');
    await tx.query('create temporary table pg_attribute (x int)');
    await tx.query('create temporary table pg_proc (x int)');
    await tx.query('create temporary table pg_roles (x int)');
    return grantFindings(expected, await grantCatalogue(tx, functions));
  });
  t.same(
    found.map((one) => one.text),
    ['1 too many: cofferdam_admin: SELECT on table customer_key'],
  );
});
