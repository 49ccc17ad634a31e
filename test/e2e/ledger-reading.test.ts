// Operators read the record through cofferctl while a receiver gets it over syslog. A receiver that does not read slows
// nobody down.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { parseSyslog } from '../support/syslog.ts';
import { Receiver } from '../support/syslog-receiver.ts';
import { until } from '../support/until.ts';
import { project, startWorld } from '../support/world.ts';

type Entry = {
  readonly number: number;
  readonly kind: string;
  readonly account: string | null;
  readonly customer: string | null;
  readonly public: { readonly path?: string };
};
type Forward = {
  readonly name: string;
  readonly number: number | null;
  readonly sent: number | null;
  readonly behindEntries: number;
  readonly behindMs: number;
};

const patience = { withinMs: 60_000, everyMs: 200 };

test('tail, search, show, and the same entries at a receiver', async (t) => {
  const receiver = await Receiver.listen({ port: 0 });
  t.teardown(() => receiver.close());
  const forwards = [
    { name: 'siem', format: 'rfc5424', destination: { transport: 'tcp', host: '127.0.0.1', port: receiver.port } },
  ];
  const world = await startWorld(t, {
    limits: { forwardAlarmMs: 2000 },
    env: { COFFERDAM_LEDGER: JSON.stringify({ forwards }) },
  });
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  await owner.query("select set_config('cofferdam.customers', '*', false)");
  const content = join(world.directory, 'content');
  writeFileSync(content, randomBytes(5000));
  const env = { ...process.env, COFFERDAM_VAR: world.directory };
  const tail = (...args: readonly string[]) => {
    const child = spawn(process.execPath, [join(project, 'admin-cli', 'main.ts'), 'ledger', 'tail', ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    t.teardown(() => void child.kill('SIGKILL'));
    return { child, gone: once(child, 'exit'), out: () => out, err: () => err };
  };
  const newest = async (): Promise<number> =>
    Number((await owner.query('select number from ledger_state')).rows[0]?.number);

  const start = await newest();
  const following = tail(
    '--customer',
    'acme',
    '--kind',
    'upload.*',
    '--after',
    String(start),
    '--count',
    '2',
    '--json',
  );
  const endless = tail('--after', String(start));
  // Text that would reverse a terminal's line.
  const name = 'in\u202evoice-\u2067.xml';
  t.equal((await world.sftp('acme', [`put ${content} deposit/${name}`])).code, 0);
  t.same(await following.gone, [0, null], following.err());
  const lines = following
    .out()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry);
  t.match(
    lines.map((one) => one.kind),
    ['upload.opened', 'upload.closed'],
    'each once, in order',
  );
  t.match(lines[1], { customer: 'acme', account: 'acme' });
  const closed = lines[1]?.number ?? 0;

  await until('the other shows it too', () => endless.out().includes('upload.closed'), patience);
  endless.child.kill('SIGINT');
  t.same(await endless.gone, [0, null], 'Ctrl-C is a clean end');
  const numbers = endless
    .out()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Number(line.trim().split(' ')[0]));
  t.same(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  );
  t.notMatch(endless.out(), /ledger\.tail/, 'its own calls wake nobody');
  t.notMatch(endless.out(), /[\u202e\u2067]/, 'foreign text does not steer the terminal');

  const found = await world.cofferctlJson<{ entries: Entry[]; isAll: boolean }>([
    'ledger',
    'search',
    '--customer',
    'acme',
    '--kind',
    'upload.closed',
  ]);
  t.same([found.entries.map((one) => one.number), found.isAll], [[closed], true]);
  const text = (await world.cofferctl(['ledger', 'search', '--account', 'acme', '--limit', '2'])).out;
  t.match(text, /There may be more/);
  t.equal(text.split('\n').length, 4);
  const csv = (await world.cofferctl(['ledger', 'search', '--text', 'voice', '--csv'])).out.split('\r\n');
  t.match(csv[0], /^number,at,kind,observer,customer,account,session,/);
  t.ok(csv.length > 2);
  t.match(
    (await world.cofferctl(['ledger', 'search', '--session', '00000000-0000-4000-8000-000000000000'])).out,
    /nothing in the database matches/,
  );
  const unknown = await world.cofferctl(['ledger', 'search', '--customer', 'acmee']);
  t.match([unknown.code === 0, unknown.err], [false, /there is no customer named acmee/]);
  t.match((await world.cofferctl(['ledger', 'search', '--credential', 'x'])).err, /a credential looks like/);

  await until(
    'it is witnessed',
    async () => (await world.cofferctl(['ledger', 'show', String(closed)])).out.includes('witnessed   yes'),
    patience,
  );
  const shown = (await world.cofferctl(['ledger', 'show', String(closed)])).out;
  t.match(shown, new RegExp(`^Entry ${closed}: upload\\.closed \\(an upload is whole`));
  t.match(shown, /file \/deposit\/in\ufffdvoice-\ufffd\.xml, version 1/);
  t.match(shown, /customer +acme \([0-9a-f-]{36}\) +\[public; reported by the warden\]/);
  t.match(shown, /Its session began with entry \d+/);
  t.match(shown, /source +127\.0\.0\.1 +\[sensitive; reported by the edge\]/);
  t.match(shown, /Proof: this entry is what was sealed \(computed here\)/);
  const none = await world.cofferctl(['ledger', 'show', '99999999']);
  t.match([none.code === 0, none.err], [false, /there is no entry 99999999/]);
  t.match((await world.cofferctl(['ledger', 'show', 'x'])).err, /entries have numbers/);

  // As the owner of the database, past every trigger: the proof of that entry fails, and the command says so with its
  // exit code.
  await owner.query('set session_replication_role = replica');
  await owner.query('update ledger_sealed set bytes = bytes + 1 where number = $1', [closed]);
  const bad = await world.cofferctl(['ledger', 'show', String(closed)]);
  t.match([bad.code, bad.out], [1, /IT IS NOT WHAT WAS SEALED/]);
  await owner.query('update ledger_sealed set bytes = bytes - 1 where number = $1', [closed]);
  t.equal((await world.cofferctl(['ledger', 'show', String(closed)])).code, 0);

  await t.test('the receiver', async (t) => {
    const siem = async (): Promise<Forward | undefined> =>
      (await world.cofferctlJson<{ forwards: Forward[] }>(['ledger', 'status'])).forwards.find(
        (one) => one.name === 'siem',
      );
    await until('it has the upload', () => receiver.numbers.includes(closed), patience);
    const message = receiver.messages.find((one) => parseSyslog(one).params.number === String(closed));
    t.match(parseSyslog(message ?? '').params, {
      kind: 'upload.closed',
      customerName: 'acme',
      accountName: 'acme',
      'public.path': /voice/,
    });

    receiver.stopReading();
    const rounds = 12;
    const started = performance.now();
    for (let i = 0; i < rounds; i += 1)
      t.equal((await world.sftp('processor', [`get acme/deposit/* ${content}.got`])).code, 0);
    t.comment(
      `${rounds} logins with a download each in ${Math.round(performance.now() - started)} ms while nobody read`,
    );
    await until(
      'an alarm',
      async () => (await world.cofferctl(['alert', 'list'])).out.includes('the receiver siem'),
      patience,
    );
    t.match((await world.cofferctl(['ledger', 'status'])).out, /forward siem +sent up to \d+, confirmed up to \d+/);
    receiver.readAgain();
    const end = await newest();
    await until('everything is received', async () => ((await siem())?.number ?? 0) >= end, patience);
    const got = new Set(receiver.numbers);
    const all = Array.from({ length: end - Math.min(...got) + 1 }, (_, i) => Math.min(...got) + i);
    t.same(
      all.filter((one) => !got.has(one)),
      [],
      'nothing is missing',
    );
    t.ok(Math.min(...got) < closed);
  });
});
