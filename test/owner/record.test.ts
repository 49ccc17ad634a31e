// Each touch of a column or row of the record that must be found is found by the verifier, with the witness; after it
// was put back, the verifier finds nothing.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { Database } from '../../server/postgres/database.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { parseVerifierKey, type Report, readWitness, Verification } from '../../verifier/index.js';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { newCustomer, TestSealer, writeEntries } from '../support/record.ts';
import { classes, classOf } from './classes.ts';
import { nameOf, OwnersRows, type Touch } from './rows.ts';

const isOfRecord = ({ table, verb, column }: Touch): boolean =>
  (column === undefined ? classes[table]?.[verb === 'deleted' ? 'deleted' : 'inserted'] : classOf(table, column)) ===
  'record';

test('each touch of the record is found by the verifier', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const [acme, bank] = [await newCustomer(sql, 'acme'), await newCustomer(sql, 'bank')];
  const sealer = new TestSealer(database);
  let note: string | undefined;
  for (const [customer, count] of [
    [acme, 3],
    [bank, 2],
    [acme, 300],
    [null, 1],
    [bank, 1],
  ] as const) {
    await writeEntries(sql, customer, count);
    note = (await sealer.seal(true)) ?? note;
  }
  const directory = join(temporaryDirectory(t), 'witness');
  mkdirSync(directory);
  const file = new FileWitness('local', true, directory);
  t.teardown(() => file.close());
  await file.keep(note ?? '');
  const { signer } = await sealer.signing();
  const client = new pg.Client({ connectionString: sql.migrateUrl });
  await client.connect();
  t.teardown(() => client.end());
  const verify = async (): Promise<Report> => {
    // It keeps what it found with the witness.
    const witness = await readWitness([directory], [parseVerifierKey(signer.verifierKey)]);
    const verification = new Verification({ witness, now: Date.now(), maxAgeSeconds: 0 });
    const { rows } = await client.query<{ line: string }>('select line from ledger_dump order by part, tree, position');
    for (const [i, { line }] of rows.entries()) verification.line(JSON.parse(line), `line ${i + 1}`);
    return verification.finish();
  };
  t.same((await verify()).findings, [], 'as it is, nothing is found');
  const rows = new OwnersRows(client);
  let touched = 0;
  for (const touch of (await rows.touches()).filter(isOfRecord))
    for (const nth of [1, 4]) {
      const done = await rows.touch(touch, { nth });
      if (done === undefined) continue;
      touched += 1;
      t.notOk((await verify()).ok, `${nameOf(touch)}, row ${nth}`);
      await done.undo();
      t.same((await verify()).findings, [], `${nameOf(touch)}, row ${nth}, put back`);
    }
  t.ok(touched > 50, `${touched} touches`);
});
