import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { idOf, type SessionId } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { callGrantExtents } from '../../server/warden/budgets/grant-queries.ts';
import { refusalText } from '../../server/warden/budgets/refusal-text.ts';
import { createTestDatabase, type Teardown, type TestDatabase } from '../support/database.ts';

type Setup = {
  readonly sql: TestDatabase;
  readonly warden: Database;
  readonly session: SessionId;
  readonly download: string;
  readonly ids: Readonly<Record<'customer' | 'account' | 'credential' | 'version' | 'content', string>>;
};
const extentBytes = 1000;

/** One customer, one account with a key and a session, one published file of `extents` extents, one open read handle. */
async function setUp(t: Teardown, extents: number, caps: { hour: number; day: number; week: number }): Promise<Setup> {
  const sql = await createTestDatabase(t);
  const id = Object.fromEntries(
    ['customer', 'key', 'account', 'credential', 'folder', 'file', 'content', 'version', 'session', 'download'].map((name) => [
      name,
      randomUUID(),
    ]),
  ) as Record<string, string>;
  await sql.query('insert into customer (id, name) values ($1, $2)', [id.customer, 'acme']);
  await sql.query("insert into customer_key values ($1, $2, '', 'k')", [id.key, id.customer]);
  await sql.query("insert into account (id, customer_id, name, kind, plane) values ($1, $2, 'acme', 'person', 'partner')", [
    id.account,
    id.customer,
  ]);
  await sql.query(
    "insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at) values ($1, $2, 'public-key', 'x', 'x', 'x', 'x', now() + interval '1 day')",
    [id.credential, id.account],
  );
  await sql.query("insert into folder (id, customer_id, name, direction) values ($1, $2, 'collect', 'collect')", [id.folder, id.customer]);
  await sql.query("insert into file (id, customer_id, folder_id, name) values ($1, $2, $3, 'f')", [id.file, id.customer, id.folder]);
  await sql.query("insert into content values ($1, $2, $3, 'w')", [id.content, id.customer, id.key]);
  await sql.query(
    "insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, node) select $1, i, $2, md5(i::text), i * $3::int, $3, $3, sha256('x'), 'n' from generate_series(0, $4 - 1) i",
    [id.content, id.customer, extentBytes, extents],
  );
  await sql.query(
    "insert into version (id, customer_id, file_id, number, content_id, state, extent_count, size, sha256, account_id, session_id, node, closed_at, published_at) values ($1, $2, $3, 1, $4, 'published', $5, $5 * $6::int, sha256('x'), $7, $8, 'n', now(), now())",
    [id.version, id.customer, id.file, id.content, extents, extentBytes, id.account, id.session],
  );
  await sql.query("insert into node (name, plane) values ('n', 'partner')");
  await sql.query(
    "insert into session (id, token_hash, account_id, credential_id, node, start_id, expires_at, idle_ms) values ($1, 'h', $2, $3, 'n', $1, now() + interval '1 hour', 1000)",
    [id.session, id.account, id.credential],
  );
  await sql.query('insert into download (id, customer_id, session_id, version_id) values ($1, $2, $3, $4)', [
    id.download,
    id.customer,
    id.session,
    id.version,
  ]);
  await sql.query('insert into budget (rank, account_id, customer_id, cap_hour, cap_day, cap_week) values (2, $1, $2, $3, $4, $5)', [
    id.account,
    id.customer,
    caps.hour,
    caps.day,
    caps.week,
  ]);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 4 });
  t.teardown(() => warden.close());
  return { sql, warden, session: idOf<SessionId>(id.session ?? ''), download: id.download ?? '', ids: id as Setup['ids'] };
}

const large = { hour: 1e9, day: 1e9, week: 1e9 };

async function ask(setup: Setup, indexes: readonly number[]): Promise<readonly string[]> {
  const answers = await callGrantExtents(
    setup.warden,
    indexes.map((index) => ({ session: setup.session, download: setup.download, index })),
  );
  return answers.map((answer) => answer.outcome);
}

async function total(setup: Setup): Promise<number> {
  return Number((await setup.sql.query<{ total: string }>('select total from budget'))[0]?.total);
}

async function recorded(setup: Setup): Promise<number> {
  return Number((await setup.sql.query<{ n: string }>("select count(*) as n from ledger where kind = 'extent.granted'"))[0]?.n);
}

test('an extent is charged once, recorded each time, and refused beyond the cap', async (t) => {
  const setup = await setUp(t, 10, { ...large, hour: 3 * extentBytes });
  t.same(await ask(setup, [0]), ['granted']);
  t.same(await ask(setup, [0]), ['repeat'], 'again: recorded, not charged');
  t.equal(await total(setup), extentBytes);
  t.equal(await recorded(setup), 2);
  t.same(await ask(setup, [1, 1, 2, 3, 4]), ['granted', 'repeat', 'granted', 'over-limit', 'over-limit'], 'inside one batch too');
  t.equal(await total(setup), 3 * extentBytes, 'never above the cap');
  t.same(await ask(setup, [2, 0]), ['repeat', 'repeat'], 'what was paid for stays readable');
  const [refusal] = await callGrantExtents(setup.warden, [{ session: setup.session, download: setup.download, index: 5 }]);
  t.match(refusal, { outcome: 'over-limit', window: 'hour', cap: 3 * extentBytes });
  if (refusal?.outcome === 'over-limit') {
    t.match(refusalText('person', refusal), /^hourly limit of 2\.9 KiB reached; more at \d\d:\d\d UTC$/);
    t.equal(refusalText('machine', refusal), 'COFFERDAM-BUDGET-HOUR');
    t.ok(
      refusal.freeAt !== null &&
        refusal.freeAt.getTime() > Date.now() + 59 * 60_000 &&
        refusal.freeAt.getTime() <= Date.now() + 62 * 60_000,
      'about an hour from now',
    );
  }
});

test('no row, no right, no life: nothing is charged', async (t) => {
  const setup = await setUp(t, 3, large);
  t.same(await ask(setup, [3, 99]), ['missing', 'missing'], 'beyond the version');
  const stranger = await callGrantExtents(setup.warden, [{ session: idOf<SessionId>(randomUUID()), download: setup.download, index: 0 }]);
  t.same(stranger[0]?.outcome, 'session', "another session's handle");
  const deny = async (name: string, change: string, undo: string): Promise<void> => {
    await setup.sql.query(change);
    t.not((await ask(setup, [0]))[0], 'granted', name);
    await setup.sql.query(undo);
  };
  await deny('session ended', "update session set state = 'ended'", "update session set state = 'open'");
  await deny('session expired', 'update session set expires_at = now()', "update session set expires_at = now() + interval '1 hour'");
  await deny('account suspended', "update account set state = 'suspended'", "update account set state = 'active'");
  await deny('customer suspended', "update customer set state = 'suspended'", "update customer set state = 'active'");
  await deny('key revoked', "update credential set state = 'revoked'", "update credential set state = 'active'");
  await deny('key expired', 'update credential set expires_at = now()', "update credential set expires_at = now() + interval '1 day'");
  await deny('handle closed', 'update download set closed_at = now()', 'update download set closed_at = null');
  t.equal(await total(setup), 0, 'nothing was charged');
  t.same(await ask(setup, [0]), ['granted'], 'and with everything in order it is granted');
  await setup.sql.query('delete from budget_snapshot');
  await setup.sql.query('delete from budget');
  t.same(await ask(setup, [1]), ['missing'], 'without a budget row: no');
});

test('two connections at once never exceed the cap', async (t) => {
  const extents = 200;
  const setup = await setUp(t, extents, { ...large, day: 50 * extentBytes });
  const outcomes = (await Promise.all(Array.from({ length: extents }, (_, index) => ask(setup, [index, (index * 7) % extents])))).flat();
  const granted = outcomes.filter((outcome) => outcome === 'granted').length;
  t.equal(granted, 50, 'exactly the cap');
  t.equal(await total(setup), 50 * extentBytes);
  t.equal(
    outcomes.filter((outcome) => !['granted', 'repeat', 'over-limit'].includes(outcome)).length,
    0,
    'every other one is a repeat or a refusal',
  );
});

test('a window slides: what left it counts no more, what is in it does', async (t) => {
  const setup = await setUp(t, 20, { ...large, hour: 5 * extentBytes });
  t.same(await ask(setup, [0, 1, 2, 3, 4, 5]), ['granted', 'granted', 'granted', 'granted', 'granted', 'over-limit']);
  const back = async (minutes: number): Promise<void> => {
    await setup.sql.query('update budget set minute = minute - $1', [minutes]);
    await setup.sql.query('update budget_snapshot set minute = minute - $1', [minutes]);
  };
  await back(30);
  t.same(await ask(setup, [6]), ['over-limit'], 'half an hour later');
  await back(28);
  t.same(await ask(setup, [6]), ['over-limit'], 'in the 58th minute');
  await back(4);
  t.same(await ask(setup, [6, 7, 8, 9, 10, 11]), ['granted', 'granted', 'granted', 'granted', 'granted', 'over-limit'], 'after the hour');
  t.equal(await total(setup), 10 * extentBytes, 'the total only grows');
});

test('the warden can neither change the record nor reach past the scope', async (t) => {
  const setup = await setUp(t, 1, large);
  await ask(setup, [0]);
  await t.rejects(
    setup.warden.withSystem((tx) => tx.query('delete from ledger')),
    'delete',
  );
  await t.rejects(
    setup.warden.withSystem((tx) => tx.query("update ledger set kind = 'x'")),
    'update',
  );
  await t.rejects(setup.sql.query('delete from ledger'), /insert only/, 'not even the owner');
  const other = idOf<never>(randomUUID());
  t.equal((await setup.warden.withCustomers([other], (tx) => tx.query('select 1 from version'))).length, 0, 'another scope sees nothing');
  t.equal(
    (await setup.warden.withCustomers([idOf<never>(setup.ids.customer)], (tx) => tx.query('select 1 from version'))).length,
    1,
    'its own sees it',
  );
  t.equal((await setup.warden.call('select 1 from version', [])).length, 0, 'without a scope nothing is visible');
  await t.rejects(
    setup.warden.withCustomers([other], (tx) =>
      tx.query("insert into folder (id, customer_id, name, direction) values (gen_random_uuid(), $1, 'x', 'deposit')", [
        setup.ids.customer,
      ]),
    ),
    'nor written',
  );
});
