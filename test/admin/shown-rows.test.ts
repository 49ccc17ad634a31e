// Rows about the record that the owner of the database planted break no view of an operator, and do not take the place
// of the real ones.
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'tap';
import { showEntry } from '../../server/admin/ledger/reading.ts';
import { ledgerStatus } from '../../server/admin/ledger/status-queries.ts';
import { Verifications } from '../../server/admin/ledger/verification.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { Database } from '../../server/postgres/database.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { createTestDatabase } from '../support/database.ts';
import { TestSealer, writeEntries } from '../support/record.ts';

test('planted freezes and keys are not shown as real ones, and break no view', async (t) => {
  const sql = await createTestDatabase(t);
  const [warden, admin] = [sql.wardenUrl, sql.adminUrl].map(
    (url) => new Database({ url, applicationName: 'test', connectionsMax: 2 }),
  ) as [Database, Database];
  t.teardown(() => warden.close());
  t.teardown(() => admin.close());
  const sealer = new TestSealer(warden);
  await writeEntries(sql, null, 3);
  await sealer.seal();
  const real = (await sealer.signing()).signer.verifierKey;
  const status = () => admin.withSystem((tx) => ledgerStatus(tx, []));
  t.match(await status(), { verifierKeys: [real], freeze: null }, 'twin: nothing was planted');

  await sql.query(
    "insert into ledger_key (id, verifier_key) select 'x' || i, 'planted ' || i from generate_series(1, 1500) i",
  );
  t.same((await status()).verifierKeys, [real], 'what is no key');
  const [installation] = await sql.query<{ id: string }>('select id from installation');
  const others = Array.from(
    { length: 21 },
    () => checkpointSigner(generateKeyPairSync('ed25519').privateKey, originOf(installation?.id ?? '')).verifierKey,
  );
  for (const one of others)
    await sql.query("insert into ledger_key (id, verifier_key) values (split_part($1, '+', 2), $1)", [one]);
  const { verifierKeys } = await status();
  t.equal(verifierKeys[0], real, 'keys of somebody else stand behind the one that signed the newest checkpoint');
  t.equal(verifierKeys.length, 20);
  t.equal((await showEntry(admin, 1)).verifierKeys[0], real, 'also beside an entry');
  const verifications = new Verifications(admin, { total: 4, each: 4 } as never);
  t.throws(() => verifications.take({ keys: ['planted 1'], notes: [], maxAgeSeconds: 0 }, 'x' as never), {
    code: 'invalid',
    message: /not a verifier key/,
  });

  await sql.query("insert into ledger_freeze (id, why, text, facts) values (gen_random_uuid(), 'behind', 'x', '{}')");
  t.match((await status()).freeze, { why: 'behind', text: /^x \(no warden wrote this row/, witnessedSize: 0 });
  const names = {
    witnessedEra: 1,
    witnessedSize: 1,
    witnessedRoot: 'r',
    witnessedAt: '2026-01-01T00:00:00.000Z',
    heads: 2,
    era: 1,
  };
  await sql.query('update ledger_freeze set facts = $1', [{ ...names, more: 'x' }]);
  t.match((await status()).freeze, { why: 'behind', text: /^x$/, ...names }, 'twin');
});
