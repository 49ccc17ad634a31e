// Witnesses elsewhere: one behind HTTPS that is required, so that service depends on it; and one behind syslog, which
// only listens.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { createAuthority } from '../../certs/authority.ts';
import { ledgerStatus } from '../../server/admin/ledger/status-queries.ts';
import { originOf, parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { HttpsWitness } from '../../server/warden/ledger/witness/https-witness.ts';
import { SyslogWitness } from '../../server/warden/ledger/witness/syslog-witness.ts';
import { Delivery, type Witness } from '../../server/warden/ledger/witness/witness.ts';
import { installationId } from '../../server/warden/seals/seal-queries.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { issueServerCertificate } from '../support/issued.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { NoteServer } from '../support/note-server.ts';
import { sealWithin } from '../support/record.ts';
import { parseSyslog } from '../support/syslog.ts';
import { Receiver } from '../support/syslog-receiver.ts';
import { until } from '../support/until.ts';
import { freePorts } from '../support/world.ts';

const token = 'a-token-of-the-test';
const note = `cofferdam/6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11\n3\n${'A'.repeat(43)}=\nera 1\ntime 2026-11-24T18:00:00.000Z\n\n\u2014 cofferdam/6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11 ${'B'.repeat(91)}=\n`;

async function serve(t: Test) {
  const directory = temporaryDirectory(t);
  const authority = await createAuthority('test', 2);
  const { certificate: cert, key } = await issueServerCertificate(authority, 'localhost', 2);
  const ca = join(directory, 'ca.pem');
  writeFileSync(ca, authority.certificate);
  const tokenFile = join(directory, 'token');
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o400 });
  const server = new NoteServer({ key, cert }, token);
  await server.start();
  t.teardown(() => server.stop());
  const config = { type: 'https', name: 'far', isRequired: true, url: server.url, ca, token: tokenFile } as const;
  return { directory, server, config, witness: new HttpsWitness(config) };
}

test('a witness behind HTTPS: it keeps and tells notes, and every way in which it may fail', async (t) => {
  const { directory, server, config, witness } = await serve(t);
  t.equal(await witness.newest(), undefined, '404: it has none');
  await witness.keep(note);
  t.same(server.notes, [note], 'byte by byte');
  t.equal(await witness.newest(), note);
  for (const [behaves, error] of [
    ['refuses', { code: 'unavailable', message: /answered 507/ }],
    ['redirects', { code: 'unavailable', message: /answered 307/ }],
  ] as const) {
    server.behaves = behaves;
    await t.rejects(witness.keep(note), error, behaves);
    await t.rejects(witness.newest(), error, behaves);
  }
  server.behaves = 'babbles';
  await t.rejects(witness.newest(), { code: 'unavailable', message: /too long/ });
  server.behaves = 'lies';
  await t.rejects(witness.newest(), { code: 'corrupt' }, 'what is no checkpoint is not "none"');
  server.behaves = 'silent';
  const started = performance.now();
  await t.rejects(witness.keep(note), { code: 'unavailable', message: /no answer in time/ });
  t.ok(performance.now() - started < 15_000);
  server.behaves = 'none';
  t.equal(server.notes.length, 1, 'none of these was kept');

  const foreign = join(directory, 'foreign.pem');
  writeFileSync(foreign, (await createAuthority('foreign', 2)).certificate);
  const before = server.requests;
  await t.rejects(
    new HttpsWitness({ ...config, ca: foreign }).keep(note),
    { code: 'unavailable' },
    'another authority',
  );
  await t.rejects(
    new HttpsWitness({ ...config, ca: null }).keep(note),
    { code: 'unavailable' },
    'an authority that the system does not know',
  );
  await t.rejects(
    new HttpsWitness({ ...config, url: config.url.replace('localhost', '127.0.0.1') }).keep(note),
    { code: 'unavailable' },
    'another name',
  );
  t.equal(server.requests, before, 'nothing was said to any of them');

  const other = join(directory, 'other-token');
  writeFileSync(other, 'another', { mode: 0o400 });
  await t.rejects(new HttpsWitness({ ...config, token: other }).keep(note), {
    code: 'unavailable',
    message: /answered 401/,
  });
  await t.rejects(new HttpsWitness({ ...config, token: null }).newest(), {
    code: 'unavailable',
    message: /answered 401/,
  });
  chmodSync(other, 0o444);
  await t.rejects(new HttpsWitness({ ...config, token: other }).keep(note), {
    code: 'configuration',
    message: /read by others/,
  });
  writeFileSync(join(directory, 'odd'), 'two\nlines', { mode: 0o400 });
  await t.rejects(new HttpsWitness({ ...config, token: join(directory, 'odd') }).keep(note), { code: 'configuration' });
  await t.rejects(new HttpsWitness({ ...config, token: join(directory, 'nowhere') }).keep(note), {
    code: 'unavailable',
  });
  await server.stop();
  await t.rejects(witness.keep(note), { code: 'unavailable' });
  await t.rejects(witness.newest(), { code: 'unavailable' });
  await server.start();
  await witness.keep(note);
});

test('a witness behind HTTPS that no longer has what it had says so; one that does not answer has lost nothing', async (t) => {
  const { server, config } = await serve(t);
  const witness = new HttpsWitness(config, { ms: 0, lostMs: 0 });
  await witness.check();
  await witness.keep(note);
  await witness.check();
  server.notes.length = 0;
  await t.rejects(witness.check(), {
    code: 'corrupt',
    message: /far has lost what it had: it knows no checkpoint of 3 heads, era 1/,
  });
  await server.stop();
  await t.rejects(witness.check(), { code: 'unavailable' });
  await server.start();
  await t.rejects(witness.check(), { code: 'corrupt' }, 'still');
  server.notes.push(note);
  await witness.check();
});

async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  const { directory, server, witness } = await serve(t);
  const config = ledgerConfig(directory, {
    sealEveryMs: 25,
    witnessAlarmMs: 300,
    witnessStopMs: 1500,
    checkpointEveryMs: 500,
  });
  const keys = createKeyRing(config);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => database.close());
  const write = (): Promise<void> =>
    database.withSystem((tx) => record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'x' } }));
  const ledger = (others: readonly Witness[] = []) => {
    const guard = new LedgerGuard();
    const one = new Ledger({
      config,
      url: sql.wardenUrl,
      keys,
      guard,
      witnesses: [...others, witness],
      log: createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test'),
    });
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => (stopping ??= one.stop());
    t.teardown(stop);
    return { guard, start: () => one.start(), stop };
  };
  return { sql, directory, server, keys, database, write, ledger };
}

test('a required witness goes away: first an alarm, then nothing is served, then it comes back', async (t) => {
  const { sql, server, write, ledger } = await setUp(t);
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => admin.close());
  const { guard, start } = ledger();
  await start();
  await write();
  await until('it is witnessed', () => server.notes.length > 0);
  t.same(guard.state, { is: 'open' });
  const stateAt = async (): Promise<string> => (guard.state.is === 'open' ? 'open' : guard.state.why);
  await server.stop();
  await write();
  const alarm = () => sql.query<{ text: string }>("select text from alert where kind = 'ledger.late'");
  await until('the alarm', async () => (await alarm()).length === 1);
  await until('nothing is served', async () => (await stateAt()) === 'late');
  t.throws(() => guard.require(), { code: 'unavailable' });
  const status = () => admin.withSystem((tx) => ledgerStatus(tx, []));
  await until('it names who is behind', async () =>
    /\(behind is far: the witness far .* cannot be reached/.test((await alarm())[0]?.text ?? ''),
  );
  t.match((await status()).late, { behind: /^far: /, stopMs: 1500 }, 'and so does ledger status');
  await server.start();
  await until('it serves again', async () => (await stateAt()) === 'open');
  guard.require();
  await until('ledger status has nothing to say', async () => (await status()).late === null);
  const [row] = await sql.query<{ heads: string }>('select count(*) as heads from ledger_head');
  await until(
    'and the witness has everything',
    () => parseNote(server.notes.at(-1) ?? note).checkpoint.size >= Number(row?.heads),
  );
});

test('of several required witnesses each must have a note', async (t) => {
  const { sql, directory, server, write, ledger } = await setUp(t);
  mkdirSync(join(directory, 'near'));
  const { guard, start } = ledger([new FileWitness('near', true, join(directory, 'near'))]);
  await start();
  const isWitnessed = async (): Promise<boolean> =>
    (await sql.query('select 1 from ledger_state where unwitnessed_since is null and number > 0')).length === 1;
  const isOpen = (): boolean => guard.state.is === 'open';
  await write();
  await until('both have it', isWitnessed);
  await server.stop();
  await write();
  await until('nothing is served, though one of them has everything', () => !isOpen());
  t.match(guard.state, { is: 'closed', why: 'late', text: /checkpoint has no witness/ });
  t.notOk(await isWitnessed());
  await server.start();
  await until('the twin: both are there again', isOpen);
});

test('a slow witness skips notes that are not the newest, but never the first checkpoint of an era', async (t) => {
  const noteAt = (era: number, size: number): string =>
    note.replace('\nera 1\n', `\nera ${era}\n`).replace('\n3\n', `\n${size}\n`);
  const got: string[] = [];
  const waiting: (() => void)[] = [];
  const keep = (one: string): Promise<void> => {
    got.push(`${parseNote(one).checkpoint.era}/${parseNote(one).checkpoint.size}`);
    return new Promise((resolve) => waiting.push(resolve));
  };
  const delivery = new Delivery(
    { name: 'slow', isRequired: true, keep, newest: null },
    createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test'),
  );
  for (const [era, size] of [
    [1, 1],
    [1, 2],
    [1, 3],
    [2, 2],
    [2, 3],
    [2, 4],
  ] as const)
    delivery.offer(noteAt(era, size));
  for (let i = 1; i <= 4; i += 1) {
    await until(`note ${i}`, () => got.length === i);
    waiting.shift()?.();
  }
  await until('it has the newest', () => delivery.kept === noteAt(2, 4));
  t.same(got, ['1/1', '1/3', '2/2', '2/4']);
  await delivery.stop();
});

test('a database behind a witness behind HTTPS is frozen; one that is not serves; without the witness nobody knows', async (t) => {
  const { sql, server, keys, database, write, ledger } = await setUp(t);
  const first = ledger();
  await first.start();
  await write();
  await until('it is witnessed', () => server.notes.length > 0);
  await first.stop();
  const again = ledger();
  await again.start();
  t.same(again.guard.state, { is: 'open' }, 'the same database');
  await again.stop();

  await server.stop();
  const blind = ledger();
  await t.rejects(blind.start(), { code: 'unavailable' }, 'a required witness that does not answer');
  t.match(blind.guard.state, { is: 'closed', why: 'unsure' });
  await blind.stop();
  await server.start();

  // Sealed and witnessed, then lost: as after a restore.
  const signing = await database.withSystem(async (tx) => {
    const origin = originOf((await installationId(tx)).id);
    return { origin, signer: keys.checkpointSigner(origin) };
  });
  await write();
  await t.rejects(
    database.withSystem(async (tx) => {
      server.notes.push((await sealWithin(tx, signing)).note);
      throw new Error('lost');
    }),
    /lost/,
  );
  const restored = ledger();
  await restored.start();
  t.match(restored.guard.state, {
    is: 'closed',
    why: 'frozen',
    text: /the witness far .* older than what was witnessed/,
  });
  t.match(await sql.query('select why from ledger_freeze'), [{ why: 'behind' }]);
});

test('a witness that reads syslog gets each checkpoint; nothing depends on it', async (t) => {
  const receiver = await Receiver.listen({ port: 0 });
  t.teardown(() => receiver.close());
  const witness = new SyslogWitness('log', { transport: 'tcp', host: '127.0.0.1', port: receiver.port });
  t.equal(witness.isRequired, false);
  t.equal(witness.newest, null, 'it cannot tell');
  await witness.keep(note);
  const { params, messageId, pri } = parseSyslog(receiver.messages[0] ?? '');
  t.equal(messageId, 'ledger.checkpoint');
  t.equal(pri, 110);
  t.equal(params.note?.replaceAll('\\n', '\n'), note);
  const [port] = await freePorts(1);
  await t.rejects(new SyslogWitness('log', { transport: 'tcp', host: '127.0.0.1', port: port ?? 0 }).keep(note), {
    code: 'unavailable',
  });
});
