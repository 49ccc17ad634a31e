// Each required witness answers for itself at a start: one that is empty and had something stops it, whatever
// others have.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { createBirths } from '../../server/warden/ledger/born.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { createTestDatabase, type TestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { until } from '../support/until.ts';

const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');

function machine(t: Test) {
  const directory = temporaryDirectory(t);
  for (const one of ['witness', 'near']) mkdirSync(join(directory, one));
  const config = ledgerConfig(directory, { sealEveryMs: 200, witnessStopMs: 600_000, witnessAlarmMs: 600_000 });
  return {
    config,
    keys: createKeyRing(config),
    memoryFile: join(directory, 'memory.json'),
    far: join(directory, 'witness'),
    near: join(directory, 'near'),
  };
}

type One = { readonly name: string; readonly isRequired: boolean; readonly directory: string };

async function run(
  t: Test,
  { config, keys, memoryFile }: ReturnType<typeof machine>,
  sql: TestDatabase,
  places: readonly One[],
  isRemembering = false,
) {
  const births = createBirths(config.limits);
  const database = new Database({
    url: sql.wardenUrl,
    applicationName: 'test',
    connectionsMax: 1,
    drafts: () => births.begin(),
  });
  const guard = new LedgerGuard();
  const witnesses = places.map((one) => new FileWitness(one.name, one.isRequired, one.directory));
  const ledger = new Ledger({
    config,
    url: sql.wardenUrl,
    keys,
    guard,
    births,
    witnesses,
    ...(isRemembering ? { memoryFile } : {}),
    log,
  });
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await ledger.stop();
    await database.close();
  };
  t.teardown(stop);
  await ledger.start();
  const seal = async (): Promise<void> => {
    await database.withSystem((tx) =>
      record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }),
    );
    await until('sealed', () => births.size === 0);
  };
  return { guard, ledger, births, seal, stop, database };
}
const filesOf = (directory: string): readonly string[] => readdirSync(directory);
const empty = (directory: string): void => {
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
};

for (const [what, isNearRequired] of [
  ['one that is not required', false],
  ['another required one', true],
] as const)
  test(`a required witness whose mount is missing at the start is not made up for by ${what}`, async (t) => {
    const sql = await createTestDatabase(t);
    const here = machine(t);
    const places: readonly One[] = [
      { name: 'far', isRequired: true, directory: here.far },
      { name: 'near', isRequired: isNearRequired, directory: here.near },
    ];
    const first = await run(t, here, sql, places);
    for (let i = 0; i < 3; i += 1) await first.seal();
    await until(
      'witnessed',
      async () => (await sql.query('select 1 from ledger_state where witnessed_size > 0')).length === 1,
    );
    await first.stop();
    t.ok(filesOf(here.far).length > 0 && filesOf(here.near).length > 0);
    empty(here.far);
    const second = await run(t, here, sql, places).catch((error: unknown) => error as Error);
    t.match(second, {
      code: 'unavailable',
      message: /^the witness far has no checkpoint, though \d+ heads of this record were witnessed/,
    });
    t.same(filesOf(here.far), [], 'nothing was written into the empty directory');
  });

test('a warden that remembers which witnesses had something starts with a new one beside them, and not with an empty one', async (t) => {
  const sql = await createTestDatabase(t);
  const here = machine(t);
  const far: One = { name: 'far', isRequired: true, directory: here.far };
  const near: One = { name: 'near', isRequired: true, directory: here.near };
  const first = await run(t, here, sql, [far], true);
  t.same(first.guard.state, { is: 'open' }, 'twin: the very first start');
  for (let i = 0; i < 3; i += 1) await first.seal();
  await until(
    'witnessed',
    async () => (await sql.query('select 1 from ledger_state where witnessed_size > 0')).length === 1,
  );
  await first.stop();

  const both = await run(t, here, sql, [far, near], true);
  t.same(both.guard.state, { is: 'open' }, 'twin: a witness that this warden never saw is new');
  await both.seal();
  await until('the new one has it', () => filesOf(here.near).length > 0);
  await delay(500);
  await both.stop();

  empty(here.near);
  // Not even a database that says that nothing was ever witnessed helps.
  await sql.query('set session_replication_role = replica');
  await sql.query('update ledger_state set witnessed_size = 0');
  await sql.query('set session_replication_role = origin');
  await t.rejects(run(t, here, sql, [far, near], true), {
    code: 'unavailable',
    message: /^the witness near has no checkpoint/,
  });
  t.same(filesOf(here.near), []);
  await run(t, here, sql, [far, { ...near, isRequired: false }], true).then(({ guard, stop }) => {
    t.same(guard.state, { is: 'open' }, 'twin: it is not required any more');
    return stop();
  });
});
