// A database that one version filled becomes one of the next version: with the code, the rights and the bounds of that
// version, with every row that it had, and in working order. The next version is this tree with one more numbered
// migration, a changed function and a new one.
import { randomBytes, randomUUID } from 'node:crypto';
import { appendFileSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { grantCatalogue } from '../../server/admin/doctor/catalogue-queries.ts';
import { loadConfig } from '../../server/config/load.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { catalogueDifferences } from '../../server/postgres/catalogue.ts';
import { Database } from '../../server/postgres/database.ts';
import { compareGrants, readGrants } from '../../server/postgres/grant-matrix.ts';
import { migrate } from '../../server/postgres/migrate.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import { settingsOf } from '../../server/warden/context/context.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { applyRetention } from '../../server/warden/retention/retention.ts';
import { collect, publish } from '../../server/warden/transfers/sweeps.ts';
import { createEmptyDatabase, migrations, temporaryDirectory, testPasswords } from '../support/database.ts';
import { startTestStore } from '../support/store.ts';

const states = ['partial', 'held', 'settling', 'published', 'withdrawn', 'discarded'] as const;

/** Whether it was used, and its state. */
const proofs = [
  ['used', true, 'active'],
  ['used and stolen', true, 'revoked'],
  ['never used', false, 'active'],
] as const;

async function fill(client: pg.Client): Promise<void> {
  const [customer, key, account, credential, folder] = Array.from({ length: 5 }, () => randomUUID());
  await client.query("set cofferdam.customers = '*'");
  await client.query("insert into customer (id, name) values ($1, 'acme')", [customer]);
  await client.query("insert into customer_key values ($1, $2, '', 'k')", [key, customer]);
  await client.query(
    "insert into account (id, customer_id, name, kind, plane) values ($1, $2, 'acme', 'machine', 'partner')",
    [account, customer],
  );
  await client.query(
    "insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at) values ($1::uuid, $2, 'public-key', 'x', 'x', $1::text, 'x', now() + interval '1 day')",
    [credential, account],
  );
  for (const [name, used, state] of proofs)
    await client.query(
      "insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at, first_used_at, proved_at, state) select gen_random_uuid(), $1, 'public-key', 'x', 'x', $2, 'x', now() + interval '1 day', u, u, $4 from (select case when $3 then now() end as u) used",
      [account, name, used, state],
    );
  await client.query("insert into second_factor (account_id, sealed_seed, sealed_by) values ($1, 's', 'k')", [account]);
  await client.query("insert into node (name, plane) values ('n', 'partner')");
  await client.query(
    "insert into folder (id, customer_id, name, direction, retention_days) values ($1, $2, 'deposit', 'deposit', 1)",
    [folder, customer],
  );
  await client.query(
    `insert into session (id, token_hash, account_id, credential_id, node, start_id, expires_at, idle_ms)
     values (gen_random_uuid(), $1, $2, $3, 'n', gen_random_uuid(), now() + interval '1 hour', 1000000)`,
    [randomBytes(32), account, credential],
  );
  for (const state of states) {
    const [file, content] = [randomUUID(), randomUUID()];
    await client.query('insert into file (id, customer_id, folder_id, name) values ($1, $2, $3, $4)', [
      file,
      customer,
      folder,
      state,
    ]);
    await client.query("insert into content values ($1, $2, $3, 'w')", [content, customer, key]);
    await client.query(
      "insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, node) values ($1, 0, $2, $3, 0, 10, 10, sha256('x'), 'n')",
      [content, customer, randomBytes(16).toString('hex')],
    );
    await client.query(
      `insert into version (id, customer_id, file_id, number, content_id, state, extent_count, size, account_id, session_id, node, opened_at, sha256, closed_at, receipt, publish_at, published_at, withdrawn_at)
       select gen_random_uuid(), $1, $2, 1, $3, $4, 1, 10, $5, gen_random_uuid(), 'n', now() - interval '9 days', c.sha, c.at, c.receipt,
         case when $4 = 'settling' then now() - interval '1 minute' end, case when $4 in ('published', 'withdrawn') then now() - interval '2 days' end,
         case when $4 = 'withdrawn' then now() - interval '1 day' end
       from (select case when $4 in ('partial', 'discarded') then null else sha256('x') end as sha, case when $4 in ('partial', 'discarded') then null else now() end as at,
         case when $4 in ('partial', 'discarded') then null else 'r' end as receipt) c`,
      [customer, file, content, state, account],
    );
  }
  await client.query("insert into ledger_fresh (kind, observer, customer_id) values ('upload.closed', 'warden', $1)", [
    customer,
  ]);
}

const counted = [
  'customer',
  'account',
  'credential',
  'second_factor',
  'session',
  'folder',
  'file',
  'content',
  'extent',
  'version',
  'ledger_fresh',
];

/** A column with an instant and a changed row, beside a changed function and a new one. */
function nextVersion(directory: string): void {
  cpSync(migrations, directory, { recursive: true });
  writeFileSync(
    join(directory, '9000_next.sql'),
    'alter table folder add column seen_at timestamptz; update node set drain_reason = null;\n',
  );
  appendFileSync(join(directory, 'functions', 'instants.sql'), '-- Changed.\n');
  writeFileSync(
    join(directory, 'functions', 'next.sql'),
    `create or replace function folder_is_seen() returns trigger language plpgsql as $$ begin new.seen_at := clock_timestamp(); return new; end $$;
     create or replace trigger folder_is_seen before update of name on folder for each row execute function folder_is_seen();\n`,
  );
}

test('a database that one version filled, under the next one', async (t) => {
  const url = await createEmptyDatabase(t);
  await migrate(url, migrations, testPasswords);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  t.teardown(() => client.end());
  await fill(client);
  const rows = async (): Promise<readonly unknown[]> =>
    Promise.all(
      counted.map(async (table) => [table, (await client.query(`select count(*)::int as n from ${table}`)).rows[0]?.n]),
    );
  const before = await rows();
  const next = join(temporaryDirectory(t), 'm');
  nextVersion(next);
  t.same(
    await migrate(url, next, testPasswords, { isCompared: false }),
    ['9000_next.sql', 'functions/instants.sql', 'functions/next.sql'],
    'what is new and what changed, and nothing else',
  );
  t.same(await migrate(url, next, testPasswords, { isCompared: false }), [], 'once');
  t.same(await rows(), before, 'every row that it had');
  const query = async (text: string, values?: readonly unknown[]) =>
    (await client.query(text, values as unknown[])).rows;
  t.same(
    (await catalogueDifferences(query as never)).map((one) => one.replace(/(?<=another one).*|: .*/, '')),
    [
      'column public.folder.seen_at is unknown',
      'constraint public.folder.folder_finite is another one',
      'function public.folder_is_seen() is unknown',
      'trigger public.folder.folder_is_seen is unknown',
    ],
    'the catalogue of the next version, and the new instant has bounds',
  );
  await t.rejects(
    migrate(url, migrations, testPasswords),
    /9000_next\.sql, which this version does not know: it is newer/,
  );
  const registered = async (name: string): Promise<number | null> =>
    (
      await client.query(
        `insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at, issued_until)
         select gen_random_uuid(), id, 'public-key', 'x', 'x', $1, 'x', u, u from account, (select now() + interval '1 day' as u) x on conflict do nothing`,
        [name],
      )
    ).rowCount;
  t.same(
    await Promise.all(['used and stolen', 'used', 'never used', 'another'].map(registered)),
    [0, 0, 0, 1],
    'and is registered once',
  );
  const admin = new Database({
    url: withCredentials(url, 'cofferdam_admin', testPasswords.admin),
    applicationName: 'test',
    connectionsMax: 1,
  });
  t.teardown(() => admin.close());
  const expected = readGrants();
  const functions = expected.filter((one) => one.kind === 'function' && one.name !== '*').map((one) => one.name);
  t.same(
    compareGrants(expected, await admin.withSystem((tx) => grantCatalogue(tx, functions))),
    { excess: [], missing: [] },
    'its rights',
  );

  const config = loadConfig({
    file: undefined,
    env: { COFFERDAM_VAR: temporaryDirectory(t) },
    isRoot: false,
    isTerminal: false,
    projectDirectory: '/',
  });
  const database = new Database({
    url: withCredentials(url, 'cofferdam_warden', testPasswords.warden),
    applicationName: 'test',
    connectionsMax: 2,
  });
  t.teardown(() => database.close());
  const warden = {
    ...settingsOf(config),
    store: await startTestStore(t, config),
    keys: createKeyRing(config),
    database,
    log: createLogger({ log: { level: 'error', pretty: false } }, 'test'),
  };
  await publish(warden);
  await collect(warden);
  await applyRetention(warden);
  const { rows: found } = await client.query<{ name: string; state: string }>(
    'select f.name, v.state from version v join file f on f.id = v.file_id',
  );
  t.same(
    Object.fromEntries(found.map((one) => [one.name, one.state])),
    {
      partial: 'discarded',
      held: 'held',
      settling: 'published',
      published: 'destroyed',
      withdrawn: 'destroyed',
      discarded: 'discarded',
    },
    'and its passes do to the old rows what they do to new ones',
  );
  t.same((await client.query('select kind, text from alert')).rows, [], 'without a row that cannot be done');
});
