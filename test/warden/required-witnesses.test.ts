// Several required witnesses: what all of them have is the smallest of what each has; and a witness that lost what it
// had.
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { commonOf } from '../../server/warden/ledger/witness/rank.ts';
import type { Witness } from '../../server/warden/ledger/witness/witness.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { until } from '../support/until.ts';
import { makeRecord, makeSigner, noteFor } from '../verifier/make-record.ts';

const patience = { withinMs: 40_000, everyMs: 10 };

async function setUp(t: Test, limits: Readonly<Record<string, number>> = {}) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const config = ledgerConfig(directory, { sealEveryMs: 25, ...limits });
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => database.close());
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  const start = async (witnesses: readonly Witness[]) => {
    const guard = new LedgerGuard();
    const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
    const ledger = new Ledger({ config, url: sql.wardenUrl, keys: createKeyRing(config), guard, witnesses, log });
    await ledger.start();
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => (stopping ??= ledger.stop());
    t.teardown(stop);
    return { guard, stop };
  };
  const folder = (name: string): string => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  };
  return { sql, write, start, folder };
}

test('of two required witnesses one is always slower: nothing stops, and what both have advances', async (t) => {
  const { sql, write, start, folder } = await setUp(t, {
    witnessAlarmMs: 20_000,
    witnessStopMs: 40_000,
    checkpointEveryMs: 50,
  });
  const fast = new FileWitness('fast', true, folder('fast'));
  const slow = new FileWitness('slow', true, folder('slow'));
  let isHeld = false;
  const waiting: (() => void)[] = [];
  const slower: Witness = {
    name: 'slow',
    isRequired: true,
    newest: slow.newest,
    keep: async (note) => {
      if (isHeld) await new Promise<void>((resolve) => waiting.push(resolve));
      await slow.keep(note);
    },
  };
  const { guard } = await start([fast, slower]);
  isHeld = true;
  const witnessed = async (): Promise<number> =>
    (await sql.query<{ n: number }>('select witnessed_size::int as n from ledger_state'))[0]?.n ?? 0;
  const sizeOf = async (one: FileWitness): Promise<number> => {
    const note = await one.newest();
    return note === undefined ? 0 : parseNote(note).checkpoint.size;
  };
  for (let round = 0; round < 6; round += 1) {
    // The fast one is ahead whenever the slow one is asked: at no moment do both have the same note.
    const before = await sizeOf(fast);
    await write();
    await until('the fast one has the next one', async () => (await sizeOf(fast)) > before, patience);
    await until('the slow one is at one', () => waiting.length > 0, patience);
    waiting.shift()?.();
    const has = await (async () => {
      await until('the slow one has one more', () => waiting.length > 0, patience);
      return sizeOf(slow);
    })();
    t.ok(has < (await sizeOf(fast)) || round === 0 || has > 0);
    await until(`what both have is counted, round ${round}`, async () => (await witnessed()) >= has, patience);
    t.same(guard.state, { is: 'open' });
  }
  isHeld = false;
  for (const one of waiting) one();
});

test('what all have is the oldest of the newest, by era, then size, then time; nothing, while one of them has none', (t) => {
  const signer = makeSigner();
  const made = makeRecord(signer);
  const [small, large, again, next] = [
    noteFor(made, signer, 3),
    noteFor(made, signer, 9),
    noteFor(made, signer, 9, 1, 900),
    noteFor(made, signer, 2, 2),
  ];
  t.equal(commonOf([large, small, again]), small);
  t.equal(commonOf([again, large]), large);
  t.equal(commonOf([next, large]), large, 'an era that is over is older, however large');
  t.equal(commonOf([large, undefined]), undefined);
  t.equal(commonOf([]), undefined);
  t.end();
});

test('the newest note is the newest, whatever its file is called, and whether or not it is compressed', async (t) => {
  const directory = temporaryDirectory(t);
  const signer = makeSigner();
  const made = makeRecord(signer);
  const line = (size: number, era = 1): string => `${JSON.stringify(noteFor(made, signer, size, era))}\n`;
  const witness = new FileWitness('local', true, directory);
  writeFileSync(join(directory, 'checkpoints-2026-11-24.jsonl'), line(20) + line(21));
  writeFileSync(join(directory, 'checkpoints-2099-01-01.jsonl'), line(4));
  writeFileSync(join(directory, 'checkpoints-2098-01-01.jsonl.gz'), gzipSync(line(5)));
  t.equal(
    parseNote((await witness.newest()) ?? '').checkpoint.size,
    21,
    'a planted file with a later name hides nothing',
  );
  writeFileSync(join(directory, 'checkpoints-2026-11-20.jsonl.gz'), gzipSync(line(22) + line(3)));
  t.equal(parseNote((await witness.newest()) ?? '').checkpoint.size, 22, 'nor does an older name');
  writeFileSync(join(directory, 'checkpoints-2026-11-19.jsonl'), line(2, 2));
  t.match(parseNote((await witness.newest()) ?? '').checkpoint, { era: 2, size: 2 });
  for (const name of readdirSync(directory)) rmSync(join(directory, name));
  t.equal(await witness.newest(), undefined, 'twin: an empty one has none');
});

const losses = {
  'its directory is removed': (directory: string) => rmSync(directory, { recursive: true }),
  'its files are removed': (directory: string) => {
    for (const name of readdirSync(directory)) rmSync(join(directory, name));
  },
  'its files are emptied': (directory: string) => {
    for (const name of readdirSync(directory)) truncateSync(join(directory, name));
  },
} as const;
for (const [what, lose] of Object.entries(losses))
  test(`${what}: noticed at the next beat, and nothing is served until it remembers again`, async (t) => {
    const { sql, write, start, folder } = await setUp(t);
    const directory = folder('near');
    const kept = new FileWitness('copy', false, folder('copy'));
    const { guard } = await start([new FileWitness('near', true, directory), kept]);
    await write();
    await until(
      'both have it',
      async () => readdirSync(directory).length > 0 && (await kept.newest()) !== undefined,
      patience,
    );
    await delay(200);
    t.same(guard.state, { is: 'open' });
    lose(directory);
    await until('nothing is served', () => guard.state.is === 'closed', patience);
    t.match(guard.state, { is: 'closed', why: 'unsure', text: /the witness near has lost what it had/ });
    const alarms = () =>
      sql.query<{ severity: string; text: string }>(
        "select severity, text from alert where kind = 'ledger.witness-lost'",
      );
    await until('the alarm', async () => (await alarms()).length > 0, patience);
    t.match(await alarms(), [{ severity: 'critical', text: /near/ }]);
    await delay(300);
    t.match(guard.state, { is: 'closed', why: 'unsure' }, 'it does not heal by itself: a person vouches');
    mkdirSync(directory, { recursive: true });
    const note = (await sql.query<{ checkpoint: string }>('select checkpoint from ledger_state'))[0]?.checkpoint ?? '';
    writeFileSync(join(directory, 'checkpoints-2026-01-01.jsonl'), `${JSON.stringify(note)}\n`);
    await until('twin: what it had is there again', () => guard.state.is === 'open', patience);
    await write();
    await until('and it takes more', async () => readdirSync(directory).length > 1, patience);
  });

test('a witness that is not required lost what it had: an alarm, and everything continues', async (t) => {
  const { sql, write, start, folder } = await setUp(t);
  const directory = folder('far');
  const { guard } = await start([
    new FileWitness('near', true, folder('near')),
    new FileWitness('far', false, directory),
  ]);
  await write();
  await until('it has it', () => readdirSync(directory).length > 0, patience);
  await delay(200);
  losses['its files are removed'](directory);
  await until(
    'the alarm',
    async () => (await sql.query("select 1 from alert where kind = 'ledger.witness-lost'")).length > 0,
    patience,
  );
  t.same(guard.state, { is: 'open' });
  await write();
  await until('it takes what comes', () => readdirSync(directory).length > 0, patience);
});
