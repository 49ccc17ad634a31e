// The standing verification reads as the auditor and reports what it found; the gateway puts the verdict on the record.
// A bad verdict, and silence, raise an alert.
import { appendFileSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import { loadVerifySettings } from '../../server/verify/settings.ts';
import { verifyOnce } from '../../server/verify/verify.ts';
import { recordVerdicts } from '../../server/warden/ledger/verdicts.ts';
import { createTestDatabase, temporaryDirectory, testPasswords } from '../support/database.ts';
import { TestSealer, writeEntries } from '../support/record.ts';

const customer = '11111111-1111-4111-8111-111111111111';

test('its verdict is reported by the role that only reads, recorded by the warden, and an alarm when it is bad or missing', async (t) => {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => warden.close());
  const databaseUrl = withCredentials(sql.migrateUrl, 'cofferdam_auditor', testPasswords.auditor);
  const auditor = new Database({ url: databaseUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => auditor.close());
  const sealer = new TestSealer(warden);
  const witness = join(directory, 'witness');
  mkdirSync(witness);
  const seal = async (): Promise<void> =>
    appendFileSync(
      join(witness, `checkpoints-${new Date().toISOString().slice(0, 10)}.jsonl`),
      `${JSON.stringify(await sealer.seal())}\n`,
    );
  await writeEntries(sql, customer, 400);
  await writeEntries(sql, null, 20);
  await seal();
  const file = join(directory, 'verify.json');
  const keys = [(await sealer.signing()).signer.verifierKey];
  writeFileSync(file, JSON.stringify({ databaseUrl, keys, witnesses: [witness] }), { mode: 0o644 });
  t.throws(
    () => loadVerifySettings(file),
    { code: 'configuration' },
    'a file with a password that others may read is refused',
  );
  chmodSync(file, 0o400);
  const given = loadVerifySettings(file);

  t.match(await verifyOnce(auditor, given), { verdict: 'good', entries: 420 });
  await recordVerdicts(warden, { any: 24, full: 26 });
  t.match(await sql.query("select sensitive from ledger where kind = 'ledger.verified'"), [
    { sensitive: { verdict: 'good', entries: 420 } },
  ]);
  await recordVerdicts(warden, { any: 24, full: 26 });
  t.equal((await sql.query("select 1 from ledger where kind = 'ledger.verified'")).length, 1, 'once');
  t.same(await sql.query('select 1 from alert'), [], 'and nobody is alarmed');

  await sql.query("update ledger_verdict set at = at - interval '25 hours'");
  await recordVerdicts(warden, { any: null, full: null });
  t.same(await sql.query('select 1 from alert'), [], 'where none is set up, silence is no alarm');
  await recordVerdicts(warden, { any: 24, full: 26 });
  t.match(await sql.query('select kind, text from alert'), [
    { kind: 'ledger.not-verified', text: /nobody has verified the record for 25 h/ },
  ]);

  t.match(await verifyOnce(auditor, { ...given, witnesses: [join(directory, 'nowhere')] }), {
    verdict: 'failed',
    text: /nothing was verified/,
  });
  const table = await sql.query<{ name: string }>('select tableoid::regclass::text as name from ledger_sealed limit 1');
  await sql.query(`alter table ${table[0]?.name} disable trigger ledger_is_insert_only`);
  await sql.query(`update ${table[0]?.name} set bytes = 1 where number = 7`);
  t.match(await verifyOnce(auditor, given), { verdict: 'bad' }, 'an entry that was changed');
  await recordVerdicts(warden, { any: 24, full: 26 });
  t.match(await sql.query("select text from alert where text like 'the record does not verify%'"), [{ text: /.+/ }]);

  await t.rejects(
    auditor.withSystem((tx) =>
      tx.query(
        "insert into ledger_verdict (host, verdict, heads, entries, findings, text) values ('h', 'good', 0, 0, 0, '')",
      ),
    ),
    'it writes in no other way',
  );
  await sql.query(
    "insert into ledger_verdict (host, verdict, heads, entries, findings, text, run) select 'h', 'bad', 0, 0, 0, '', 'full' from generate_series(1, 60)",
  );
  await t.rejects(verifyOnce(auditor, given), { code: 'unavailable' }, 'nor more than a few an hour');
});
