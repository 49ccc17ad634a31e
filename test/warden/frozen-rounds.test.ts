// A round that began before a freeze was written does not seal on top of it: its release names the heads that are
// there.
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'tap';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { Database } from '../../server/postgres/database.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { createTestDatabase } from '../support/database.ts';
import { sealOnce } from '../support/record.ts';

test('nothing is sealed while a freeze stands', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
  const signing = { origin, signer: checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin) };
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  const heads = async (): Promise<number> => (await sql.query('select 1 from ledger_head')).length;
  await write();
  await sealOnce(database, signing);
  t.equal(await heads(), 1, 'twin: no freeze');
  // Another warden found that the clock jumped.
  await sql.query(
    'insert into ledger_freeze (id, why, text, facts) values (gen_random_uuid(), \'clock\', \'jumped\', \'{"heads":1,"witnessedSize":1,"witnessedRoot":"","era":1}\')',
  );
  await write();
  await sealOnce(database, signing).catch(() => {});
  t.equal(await heads(), 1);
  await sql.query('set session_replication_role = replica');
  await sql.query('delete from ledger_freeze');
  await sealOnce(database, signing);
  t.equal(await heads(), 2, 'twin: it is over');
});
