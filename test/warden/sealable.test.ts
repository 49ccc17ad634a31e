// What is sealed must be able to verify: odd rows that the owner of the database adds to what waits, through the real
// sealer, and the dump before both verifiers. What the sealer does not take is set aside, with an alert.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { logAt } from '../../server/warden/ledger/heads.ts';
import { lockState, saveTrees } from '../../server/warden/ledger/seal-queries.ts';
import { Sealer } from '../../server/warden/ledger/sealer.ts';
import { openNote } from '../../server/warden/ledger/signatures.ts';
import { loadStanding } from '../../server/warden/ledger/standing.ts';
import { createTestDatabase } from '../support/database.ts';
import { newCustomer, sealOnce, TestSealer, writeEntries } from '../support/record.ts';
import { chanceOf } from '../verifier/cases.ts';
import { firstOf, Second } from '../verifier/two-verifiers.ts';

const quiet = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
const common = '00000000-0000-0000-0000-000000000000';
const heads = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

async function ownerWorld(t: Test) {
  const sql = await createTestDatabase(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-test-'));
  t.teardown(async () => {
    await warden.close();
    rmSync(directory, { recursive: true, force: true });
  });
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  // Whoever owns the tables takes the constraint away.
  await sql.query('alter table ledger_fresh drop constraint ledger_fresh_sealable');
  const sealer = new TestSealer(warden);
  const notes: string[] = [];
  const seal = async (): Promise<void> => {
    const note = await sealer.seal();
    if (note !== undefined) notes.push(note);
  };
  const caseOf = async () => {
    const lines = await sql.query<{ line: string }>('select line from ledger_dump order by part, tree, position');
    const { signer } = await sealer.signing();
    return {
      name: 'dump',
      expected: undefined,
      keys: [signer.verifierKey],
      witness: [notes.map((one) => `${JSON.stringify(one)}\n`).join('')],
      dump: lines.map(({ line }) => `${line}\n`).join(''),
    };
  };
  const setAside = async (): Promise<readonly string[]> =>
    (await sql.query<{ why: string }>('select why from ledger_quarantine order by id')).map(({ why }) => why);
  /** So that more can be set aside. */
  const forget = async (): Promise<void> => {
    for (const table of ['ledger_quarantine', 'ledger_fresh']) {
      await sql.query(`alter table ${table} disable trigger all`);
      await sql.query(`delete from ${table}`);
      await sql.query(`alter table ${table} enable trigger all`);
    }
  };
  return { sql, warden, sealer, seal, caseOf, setAside, forget, acme: await newCustomer(sql, 'acme') };
}

const statement = '{"month": "2020-01", "first": 0, "last": 0, "entries": 1}';
const stated = `{"file": "ledger-2020-01.jsonl.gz", "sha256": "${'0'.repeat(64)}", "total": 1}`;
const rows: readonly (readonly [
  name: string,
  why: RegExp,
  kind: string,
  customer: string | null,
  shown: string,
  hidden: string,
])[] = [
  ['a statement that is none', /not which, or not rightly/, 'ledger.archived', null, '{}', '{}'],
  ['a statement of what no archiver wrote', /no warden has written/, 'ledger.archived', 'acme', statement, stated],
  [
    'the end of an archive that no archiver wrote',
    /no warden has written/,
    'ledger.archive-deleted',
    null,
    '{}',
    '{"month": "2020-01", "file": "ledger-2020-01.jsonl.gz"}',
  ],
  ['a customer that is called like the common tree', /name of the common tree/, 'session.opened', common, '{}', '{}'],
  ['a customer that is called like the heads log', /name of the heads log/, 'session.opened', heads, '{}', '{}'],
  ['public fields that are a list', /not an object/, 'login.refused', 'acme', '[1]', '{}'],
  ['attempts that are no number', /attempts is no count/, 'login.strangers', null, '{"attempts": "x"}', '{}'],
];

test('a row that would make every later verdict bad is set aside, and the record goes on', async (t) => {
  const { sql, warden, sealer, seal, caseOf, setAside, forget, acme } = await ownerWorld(t);
  await writeEntries(sql, acme, 3);
  await seal();
  for (const [name, why, kind, customer, shown, hidden] of rows) {
    await sql.query(
      "insert into ledger_fresh (kind, observer, customer_id, public, sensitive) values ($1, 'warden', $2, $3, $4)",
      [kind, customer === 'acme' ? acme : customer, shown, hidden],
    );
    await writeEntries(sql, acme, 2);
    await seal();
    t.match(await setAside(), [why], `${name}: set aside`);
    t.equal((await sql.query('select 1 from ledger_fresh')).length, 1, 'what is beside it is sealed');
    await forget();
  }
  t.match(
    await sql.query("select severity from alert where kind = 'ledger.unreadable'"),
    [{ severity: 'critical' }],
    'with an alarm',
  );
  t.match(await firstOf(await caseOf()), { verdict: 'good' });
  await writeEntries(sql, acme, 1);
  await t.resolves(sealOnce(warden, await sealer.signing()), 'a warden that starts goes on with it');
  await sql.query(
    "insert into ledger_fresh (kind, observer, public, sensitive) values ('kind.of-tomorrow', 'warden', '{\"attempts\": \"x\"}', '{}')",
  );
  await sealOnce(warden, await sealer.signing());
  t.equal(
    (await sql.query("select 1 from ledger_sealed where kind = 'kind.of-tomorrow'")).length,
    1,
    'twin: a kind that only another process knows is sealed',
  );
});

test('what the sealer takes of rows of any form verifies, for both verifiers', async (t) => {
  const { sql, seal, caseOf, setAside, forget, acme } = await ownerWorld(t);
  const second = new Second();
  t.teardown(() => second.stop());
  const chance = chanceOf(20261129);
  const texts = [
    '{}',
    '{}',
    '[1]',
    '"x"',
    'null',
    '7',
    statement,
    stated,
    '{"attempts": 1.5}',
    '{"names": -1}',
    '{"extentCount": 1e400}',
    '{"a": "\\u001f\\"\\\\ ä 𝄞 \\u2028"}',
    '{"month": "2026-00", "first": 0, "last": 0, "entries": 1}',
    '{"month": "0000-01", "first": 0, "last": 0, "entries": 1}',
    '{"month": "9999-12", "first": 0, "last": 0, "entries": 1}',
    '{"month": "2026-09", "first": 0.0, "last": 0, "entries": 1}',
    '{"month": "2026-09", "file": "ledger-2026-09.jsonl.gz"}',
  ];
  const kinds = [
    'ledger.archived',
    'ledger.archived',
    'ledger.archive-deleted',
    'login.strangers',
    'folder.listed',
    'download.opened',
    'file.published',
    'ä\n"',
    '',
  ];
  const times = [
    '0',
    '0',
    '0',
    "- interval '26 days'",
    "- interval '28 days'",
    "+ interval '30 seconds'",
    "+ interval '59 days'",
    "+ interval '61 days'",
    "- interval '20 years'",
  ];
  const numbers = [null, 0, 5, -5, '9007199254740991', '9007199254740993', '-9223372036854775808'];
  /** Three of four values are such as any writer writes: more than one odd value in a row tells nothing more. */
  const usually = <T>(plain: T, odd: readonly T[]): T => (chance.is(0.85) ? plain : chance.pick(odd));
  let refused = 0;
  for (let round = 0; round < 12; round += 1) {
    for (let i = 0; i < 10; i += 1) {
      const after = usually('0', times);
      await sql.query(
        `insert into ledger_fresh (at, kind, observer, customer_id, account_id, node, extent, bytes, public, source, source_port, client, sensitive)
         select clock_timestamp() ${after === '0' ? '' : after}, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12`,
        [
          usually('file.published', kinds),
          chance.pick(['warden', 'edge', 'admin']),
          usually(chance.pick([null, acme]), [common, heads, 'cccccccc-0000-4000-8000-000000000003']),
          chance.pick([null, common, heads]),
          chance.pick([null, '', 'n\u0001"']),
          usually(0, [null, -1, 2147483647]),
          usually(5, numbers),
          usually('{}', texts),
          chance.pick([null, '192.0.2.7', '2001:db8::/64', '192.0.2.0/24']),
          chance.pick([null, 0, -7, 2147483647]),
          chance.pick([null, '', '\u2028 \ud834\udd1e "']),
          usually('{}', texts),
        ],
      );
    }
    for (let i = 0; i < 10; i += 1) await seal();
    refused += (await setAside()).length;
    await forget();
  }
  const sealed = (await sql.query('select 1 from ledger_sealed')).length;
  t.ok(sealed > 15 && refused > 15, `${sealed} are sealed, ${refused} set aside`);
  const one = await caseOf();
  t.match(await firstOf(one), { verdict: 'good', found: [] });
  t.equal(await second.ask(one), 'good', 'and for the second verifier');
});

test('a head is not earlier than the head before it, nor than what it seals', async (t) => {
  const { sql, seal, sealer, warden, acme, caseOf } = await ownerWorld(t);
  await writeEntries(sql, acme, 2);
  await seal();
  // The owner holds the state and lets go without a change: an entry is written while the sealer waits.
  const owner = new pg.Client({ connectionString: sql.migrateUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  await owner.query('begin');
  await owner.query('select * from ledger_state for update');
  const sealing = seal();
  await new Promise((resolve) => setTimeout(resolve, 600));
  await writeEntries(sql, acme, 1, 'download.opened');
  await owner.query('commit');
  await sealing;
  await seal();
  await sql.query(
    "insert into ledger_fresh (at, kind, observer) select clock_timestamp() + interval '20 seconds', 'file.published', 'warden'",
  );
  await seal();
  await writeEntries(sql, acme, 1);
  await seal();
  const younger = await sql.query(
    `select 1 from ledger_sealed s join lateral (select * from ledger_head h where h.number >= s.number order by h.position limit 1) h on true where s.at > h.at`,
  );
  t.same(younger, [], 'no entry is younger than its head');
  t.same(
    await sql.query('select 1 from ledger_head a join ledger_head b on b.position = a.position + 1 where b.at < a.at'),
    [],
    'heads never go back',
  );
  t.match(await firstOf(await caseOf()), { verdict: 'good' });
  const ask = { isSignDue: false, isEpochAsked: true } as const;
  const begun = await new Sealer(warden, quiet).round(await sealer.signing(), { ...ask, now: Date.now() + 10_000 });
  const again = await new Sealer(warden, quiet).round(await sealer.signing(), { ...ask, now: Date.now() - 60_000 });
  t.ok(
    begun !== undefined && again !== undefined,
    'an epoch that is asked for begins also while the newest one is ahead of the clock',
  );
});

test('heads that were not signed are not signed when they are none of a sealer', async (t) => {
  const { sql, warden, sealer, seal, acme } = await ownerWorld(t);
  await writeEntries(sql, acme, 2);
  await seal();
  const signing = await sealer.signing();
  const prove = () =>
    warden.withSystem(async (tx) => {
      const state = await lockState(tx);
      const note = openNote(signing, state.checkpoint);
      return loadStanding(tx, state, note === undefined ? [] : [note]);
    });
  // A sealer that is killed between its commit and its signature leaves such a head.
  const before = await sql.query<{ checkpoint: string }>('select checkpoint from ledger_state');
  await writeEntries(sql, acme, 2);
  await new Sealer(warden, quiet).round(signing, { isSignDue: false, now: Date.now() });
  await sql.query('update ledger_state set checkpoint = $1', [before[0]?.checkpoint]);
  await t.resolves(prove(), 'as a sealer left it');
  await sql.query('alter table ledger_head disable trigger all');
  /** Everything that is computed from the heads fits again. */
  const fit = () =>
    warden.withSystem(async (tx) => {
      const { newest } = await lockState(tx);
      const log = await logAt(tx, (newest?.position ?? 0) + 1);
      if (log !== undefined) await saveTrees(tx, new Map([[heads, log]]), newest?.position ?? 0);
    });
  const [{ at = '' } = {}] = await sql.query<{ at: string }>(
    'select at::text as at from ledger_head order by position desc limit 1',
  );
  const move = async (to: string): Promise<void> => {
    await sql.query(
      `update ledger_head set at = $1::timestamptz ${to} where position = (select max(position) from ledger_head)`,
      [at],
    );
    await fit();
  };
  await move("- interval '1 day'");
  await t.rejects(prove(), { message: /earlier than the head before it/ });
  await move("+ interval '3 years'");
  await t.rejects(prove(), { message: /has not come yet/ });
  await move('');
  await t.resolves(prove(), 'and as it was');
});
