// What the record states about an archive is what its file holds, not what the rows beside it say.
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { type ArchiveOptions, archiveDue } from '../../server/warden/ledger/archive.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { longAgo, sealLongAgo, witnessAll } from '../support/long-ago.ts';
import { sealOnce } from '../support/record.ts';

const customer = '11111111-1111-4111-8111-111111111111';

test('ranges that somebody rewrote before the statement are not stated', async (t) => {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
  const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  const witness = join(directory, 'witness');
  mkdirSync(witness);
  const keep = (note: string, time: string): void =>
    appendFileSync(join(witness, `checkpoints-${time.slice(0, 10)}.jsonl`), `${JSON.stringify(note)}\n`);
  const seal = async (): Promise<void> => {
    for (let isFull = true; isFull; ) {
      const round = await sealOnce(database, { signer, origin });
      if (round !== undefined) keep(round.note, round.checkpoint.time);
      isFull = round?.isFull === true;
    }
    await witnessAll(sql);
  };
  const write = (months: number, entries: number): Promise<unknown> =>
    sql.query(
      `insert into ledger_fresh (at, kind, observer, customer_id) select ${longAgo()} + i * interval '1 second', 'file.published', 'warden', $3
         from generate_series(1, $2::int) i`,
      [months, entries, customer],
    );
  await write(4, 20);
  for (const { note, checkpoint } of await sealLongAgo(database, sql, { signer, origin }, 4))
    keep(note, checkpoint.time);
  await sql.query(
    "insert into ledger_fresh (kind, observer, customer_id) select 'file.published', 'warden', $1 from generate_series(1, 10)",
    [customer],
  );
  await seal();
  const options: ArchiveOptions = {
    config: { archiveDirectory: join(directory, 'archive'), onlineMonths: 2, retentionMonths: 60, forwards: [] },
    database,
    log: createLogger({ log: { level: 'fatal' as 'error', pretty: false } } as Config, 'warden'),
  };
  await archiveDue({
    ...options,
    onStep: (step) => {
      if (step === 'named') throw new Error('killed');
    },
  });
  const honest = await sql.query<{ last: number }>('select last, entries from ledger_archive_range where tree = $1', [
    customer,
  ]);
  t.match(honest, [{ last: /^19$/ }]);
  await sql.query('set session_replication_role = replica');
  await sql.query('update ledger_archive_range set last = 29, entries = 30 where tree = $1', [customer]);
  await sql.query('update ledger_archive set entries = 30');
  const stated = (): Promise<readonly { readonly said: { readonly last: number } }[]> =>
    sql.query("select public as said from ledger where kind = 'ledger.archived' and customer_id = $1", [customer]);
  await archiveDue(options);
  t.same(await stated(), [], 'what the rows say beyond the file is not stated');
  const [left] = await sql.query<{ n: number }>(
    'select count(*)::int as n from ledger_archive_range where stated_at is null',
  );
  t.ok((left?.n ?? 0) > 0, 'and waits');
  await sql.query('update ledger_archive set entries = 20');
  await archiveDue(options);
  t.same(await stated(), [], 'nor when only the sum was put back');
  await sql.query('update ledger_archive_range set last = 19, entries = 20 where tree = $1', [customer]);
  await sql.query('set session_replication_role = origin');
  await archiveDue(options);
  t.match(await stated(), [{ said: { first: 0, last: 19, entries: 20 } }], 'twin: what the file holds is stated');
});
