// What somebody else puts into the directory of a witness: links, pipes, directories, bombs, false notes, and a disk
// that does not answer.
import { ChildProcess, execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { bounded } from '../../server/domain/bounded.ts';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import type { Witness } from '../../server/warden/ledger/witness/witness.ts';
import { hangingMax, WitnessProcess } from '../../server/warden/ledger/witness/witness-process.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { until } from '../support/until.ts';
import { makeRecord, makeSigner, noteFor } from '../verifier/make-record.ts';

const patienceMs = 60_000;
const patience = { withinMs: patienceMs };

function filesWorld(t: Test) {
  const directory = temporaryDirectory(t);
  const place = join(directory, 'witness');
  mkdirSync(place);
  const witness = new FileWitness('far', false, place);
  t.teardown(() => witness.close());
  const signer = makeSigner();
  const made = makeRecord(signer);
  const note = noteFor(made, signer, 3);
  const day = `checkpoints-${parseNote(note).checkpoint.time.slice(0, 10)}.jsonl`;
  return { directory, place, witness, note, line: `${JSON.stringify(note)}\n`, day };
}

for (const [what, link] of [
  ['a symbolic link', symlinkSync],
  ['a second name', linkSync],
] as const)
  test(`${what} in the place of a file of a day is neither written nor cut`, async (t) => {
    const { directory, place, witness, note, line, day } = filesWorld(t);
    const victim = join(directory, 'host-key.pem');
    // Without a newline at its end: an honest file would be cut here.
    writeFileSync(victim, 'a key\nand more');
    link(victim, join(place, day));
    await t.rejects(witness.keep(note), { code: 'unavailable', message: /the witness far in / });
    t.equal(readFileSync(victim, 'utf8'), 'a key\nand more');
    await t.rejects(
      witness.newest(),
      { code: 'unavailable', message: /the witness far in .*checkpoints-/ },
      'nor read',
    );
    rmSync(join(place, day));
    await witness.keep(note);
    t.equal(readFileSync(join(place, day), 'utf8'), line, 'twin: a file of its own');
  });

test('what is no file of checkpoints ends in a message with the name of the witness', async (t) => {
  const { place, witness, note, line } = filesWorld(t);
  const odd = join(place, 'checkpoints-2026-01-01.jsonl.gz');
  const plain = join(place, 'checkpoints-2026-01-02.jsonl');
  const bad: Readonly<Record<string, () => void>> = {
    'a directory': () => mkdirSync(odd),
    'a broken archive': () => writeFileSync(odd, 'this is no gzip'),
    'an archive that ends early': () => writeFileSync(odd, gzipSync(line.repeat(500)).subarray(0, 60)),
    'a bomb of one line': () => writeFileSync(odd, gzipSync(Buffer.alloc(600 * 2 ** 20, 0x61))),
    'a pipe': () => void execFileSync('mkfifo', [plain]),
    'a long line without an end': () => writeFileSync(plain, 'x'.repeat(70_000)),
  };
  for (const [what, put] of Object.entries(bad)) {
    put();
    await t.rejects(
      bounded(patienceMs, what, witness.newest()),
      { code: 'unavailable', message: /the witness far in .*checkpoints-2026-01-0/ },
      what,
    );
    for (const path of [odd, plain]) rmSync(path, { recursive: true, force: true });
  }
  writeFileSync(odd, gzipSync(line));
  t.equal(await witness.newest(), note, 'twin: an honest archive');
});

test('a pipe, or a long line without an end, in the place of the file of a day accepts no note', async (t) => {
  const { place, witness, note, line, day } = filesWorld(t);
  const path = join(place, day);
  execFileSync('mkfifo', [path]);
  await t.rejects(bounded(patienceMs, 'a pipe', witness.keep(note)), { code: 'unavailable', message: /far/ });
  rmSync(path);
  const long = 'x'.repeat(70_000);
  writeFileSync(path, long);
  await t.rejects(witness.keep(note), { code: 'unavailable', message: /without a newline/ });
  t.ok(readFileSync(path, 'utf8') === long, 'it is left as it is');
  writeFileSync(path, `${line}"cut of`);
  await witness.keep(note);
  t.equal(readFileSync(path, 'utf8'), line + line, 'twin: a line that a crash has cut off is replaced');
});

test('notes that are overwritten in their place are noticed as lost; what another warden wrote is not', async (t) => {
  const { directory, place, witness, note, line, day } = filesWorld(t);
  await witness.keep(note);
  await witness.check();
  const other = new FileWitness('far', false, place);
  t.teardown(() => other.close());
  await other.keep(note);
  await witness.check();
  t.equal(readFileSync(join(place, day), 'utf8'), line + line, 'twin: it is longer, and nothing is lost');
  const zeros = join(directory, 'zeros');
  writeFileSync(zeros, '0'.repeat(2 * line.length));
  execFileSync('dd', [`if=${zeros}`, `of=${join(place, day)}`, 'conv=notrunc', 'status=none']);
  await t.rejects(witness.check(), { code: 'corrupt', message: /the witness far has lost what it had/ });
});

async function setUp(t: Test, limits: Readonly<Record<string, number>> = {}) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const config = ledgerConfig(directory, { sealEveryMs: 25, ...limits });
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => database.close());
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  const keys = createKeyRing(config);
  const begin = (witnesses: readonly Witness[]) => {
    const guard = new LedgerGuard();
    const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
    const ledger = new Ledger({ config, url: sql.wardenUrl, keys, guard, witnesses, log });
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => (stopping ??= ledger.stop());
    t.teardown(stop);
    return { guard, start: () => ledger.start(), stop };
  };
  const folder = (name: string): string => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  };
  const faults = () =>
    sql.query<{ subject: string; text: string }>("select subject, text from alert where kind = 'ledger.witness-fault'");
  return { sql, write, begin, folder, faults };
}

test('notes that our key did not sign are named; a witness that is not required stops nothing, a required one refuses', async (t) => {
  const { write, begin, folder, faults } = await setUp(t);
  const [near, far] = [folder('near'), folder('far')];
  const first = begin([new FileWitness('near', true, near), new FileWitness('far', false, far)]);
  await first.start();
  await write();
  await until('both have it', () => readdirSync(near).length > 0 && readdirSync(far).length > 0, patience);
  await first.stop();
  t.same(await faults(), []);

  const stranger = makeSigner();
  const made = makeRecord(stranger);
  const own = JSON.parse(readFileSync(join(far, readdirSync(far)[0] ?? ''), 'utf8').split('\n')[0] ?? '') as string;
  // A note with our name and another key, about more heads than there will ever be.
  const huge = own.replace(/\n\d+\n/, '\n900000000000000\n');
  const signed = parseNote(noteFor(made, stranger, 3)).signature;
  const lines = [huge, huge.replace(/ [A-Za-z0-9+/]{91}=\n$/, ` ${signed}\n`)]
    .map((one) => `${JSON.stringify(one)}\n`)
    .join('');
  writeFileSync(join(far, 'checkpoints-2026-01-01.jsonl'), lines);
  const second = begin([new FileWitness('near', true, near), new FileWitness('far', false, far)]);
  await second.start();
  t.same(second.guard.state, { is: 'open' });
  t.match(await faults(), [
    { subject: 'far', text: /witness far .*checkpoints-2026-01-01.jsonl.*not signed by the ledger key/ },
  ]);
  await write();
  await second.stop();

  const third = begin([new FileWitness('far', true, far)]);
  await t.rejects(third.start(), { code: 'corrupt', message: /the witness far .*checkpoints-2026-01-01.jsonl/ });
  t.match(third.guard.state, { is: 'closed' });
  await third.stop();
  rmSync(join(far, 'checkpoints-2026-01-01.jsonl'));
  const fourth = begin([new FileWitness('far', true, far)]);
  await fourth.start();
  t.same(fourth.guard.state, { is: 'open' }, 'twin: with its own notes only');
});

test('a witness that does not answer delays nothing and is named when it is not required; a required one fails in time', async (t) => {
  const { sql, write, begin, folder, faults } = await setUp(t, { witnessAlarmMs: 500, witnessStopMs: 30_000 });
  const [near, far] = [folder('near'), folder('far')];
  const hung = new FileWitness('far', false, far, 20_000);
  await hung.newest();
  if (hung.pid === undefined) throw new Error('it has no process');
  process.kill(hung.pid, 'SIGSTOP');
  const one = begin([new FileWitness('near', true, near), hung]);
  await bounded(patienceMs, 'the start', one.start());
  t.same(one.guard.state, { is: 'open' });
  await write();
  await until(
    'it is sealed and witnessed',
    async () => readdirSync(near).length > 0 && (await sql.query('select 1 from ledger_fresh')).length === 0,
    patience,
  );
  await until('the alarm', async () => (await faults()).length > 0, patience);
  t.match(await faults(), [{ subject: 'far', text: /witness far/ }]);
  const from = performance.now();
  await bounded(patienceMs, 'the stop', one.stop());
  t.ok(performance.now() - from < 20_000, 'a stop does not wait for it');
  t.equal(existsSync(join(far, readdirSync(near)[0] ?? '')), false);

  const required = new FileWitness('near', true, near, 2000);
  await required.newest();
  if (required.pid === undefined) throw new Error('it has no process');
  process.kill(required.pid, 'SIGSTOP');
  const two = begin([required]);
  await t.rejects(bounded(patienceMs, 'the start', two.start()), {
    code: 'unavailable',
    message: /the witness near in .*did not answer/,
  });
  await two.stop();
  const three = begin([required, new FileWitness('far', false, far)]);
  await three.start();
  t.same(three.guard.state, { is: 'open' }, 'twin: another process in its place answers');
  await until('and the other one takes what comes', () => readdirSync(far).length > 0, patience);
});

test('processes that hang where no signal reaches them are counted: with too many of them none begins, until one ends', async (t) => {
  const directory = temporaryDirectory(t);
  const witness = new WitnessProcess('far', directory, 2000);
  t.teardown(() => witness.stop());
  const question = { op: 'newest', key: undefined } as const;
  const hung: number[] = [];
  // A process that waits for a disk in the kernel receives a signal only later. Here a stopped process takes its place.
  const { kill } = ChildProcess.prototype;
  ChildProcess.prototype.kill = (): boolean => true;
  try {
    for (let i = 0; i < hangingMax; i += 1) {
      await witness.ask(question);
      const { pid } = witness;
      if (pid === undefined) throw new Error('it has no process');
      process.kill(pid, 'SIGSTOP');
      hung.push(pid);
      await t.rejects(witness.ask(question), {
        code: 'unavailable',
        message: /the witness far in .*did not answer for 2 s/,
      });
    }
  } finally {
    ChildProcess.prototype.kill = kill;
  }
  t.equal(new Set(hung).size, hangingMax, 'each call after one that hung has a process of its own');
  await t.rejects(witness.ask(question), {
    code: 'unavailable',
    message: /its disk does not answer: 3 processes hang there/,
  });
  t.equal(witness.pid, undefined, 'no other one was begun');
  for (const pid of hung) process.kill(pid, 'SIGCONT');
  await until(
    'twin: when they have ended it answers',
    async () =>
      witness.ask(question).then(
        () => true,
        () => false,
      ),
    patience,
  );
});
