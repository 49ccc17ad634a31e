// T-10, T-11, T-19, T-24: guessing, distinguishing accounts, and what a compromised edge can do to credentials.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { fingerprintOf } from '../../server/warden/credentials/ssh-signature.ts';
import { attempt, connectAs, hashOf, keyFromOpenSsh, transcript, UserKey } from '../support/impostor.ts';
import { keyRequestText } from '../support/key-requests.ts';
import { message, RawClient } from '../support/raw-client.ts';
import { makeKey, sftpLines, sshCommand } from '../support/ssh.ts';
import { run, startWorld, type World } from '../support/world.ts';

async function query<T extends pg.QueryResultRow>(world: World, text: string): Promise<readonly T[]> {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

const guessed = `abcdefgh-${'a'.repeat(32)}`;

test('unknown, locked, expired, of the other plane, from elsewhere, or a wrong proof: one dialogue, and the same work', async (t) => {
  const world = await startWorld(t, { limits: { freeGuesses: 100_000, unauthenticatedPerSourceMax: 200 } });
  const ok = async (...args: readonly string[]): Promise<void> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, 0, `${args.slice(0, 3).join(' ')} ${done.err}`);
  };
  await ok('account', 'lock', 'acme-2', '--reason', 'test');
  await ok('account', 'expire', 'globex', '--days', '0', '--reason', 'test');
  await ok('account', 'set', 'acme-batch', '--networks', '192.0.2.0/24', '--reason', 'test');
  await ok('password', 'issue', 'acme', '--out', join(world.directory, 'password'));
  const stranger = makeKey(world, 'stranger');
  const cases: readonly (readonly [string, string, string])[] = [
    ['nobody has this name', 'nobody', stranger.privateText],
    ['a name that cannot be', 'No Such Name', stranger.privateText],
    ['locked, with its own key', 'acme-2', readFileSync(world.keyFile('acme-2'), 'utf8')],
    ['expired, with its own key', 'globex', readFileSync(world.keyFile('globex'), 'utf8')],
    ['of the other plane, with its own key', 'processor', readFileSync(world.keyFile('processor'), 'utf8')],
    ['from elsewhere, with its own key', 'acme-batch', readFileSync(world.keyFile('acme-batch'), 'utf8')],
    ['a key that is not its own', 'acme', stranger.privateText],
    ["somebody else's key", 'acme', readFileSync(world.keyFile('globex-batch'), 'utf8')],
  ];
  const { port } = world.demo.partner;
  const times = new Map<string, { readonly key: number[]; readonly password: number[] }>();
  const dialogue = async (name: string, pem: string, label: string): Promise<string> => {
    const client = await RawClient.open({ port });
    await client.beginLogin();
    const heard: string[] = [];
    const taken = times.get(label) ?? { key: [], password: [] };
    times.set(label, taken);
    const say = async (payload: Buffer, into?: number[]): Promise<void> => {
      const asked = performance.now();
      client.send(payload);
      const answer = await client.next(51, 52, 60);
      into?.push(performance.now() - asked);
      heard.push(answer?.toString('latin1') ?? 'closed');
    };
    await say(message(50, name, 'ssh-connection', 'none'));
    await say(client.authRequest(name, pem), taken.key);
    await say(message(50, name, 'ssh-connection', 'keyboard-interactive', '', ''));
    await say(message(50, name, 'ssh-connection', 'password', Uint8Array.of(0), guessed), taken.password);
    await say(message(50, name, 'ssh-connection', 'password', Uint8Array.of(0), 'short'), taken.password);
    client.close();
    return JSON.stringify(heard);
  };
  const [first] = cases;
  const wanted = await dialogue(first?.[1] ?? '', first?.[2] ?? '', 'warm-up');
  for (let repeat = 0; repeat < 4; repeat += 1)
    for (const [label, name, pem] of cases) {
      const heard = await dialogue(name, pem, label);
      if (heard !== wanted) t.fail(`${label}: ${heard}`);
    }
  t.match(wanted, /publickey,password/, 'one dialogue for all of them, and it offers what a stranger may try');
  const median = (values: readonly number[]): string =>
    ([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0).toFixed(1);
  for (const [label, { key, password }] of times)
    if (label !== 'warm-up') t.comment(`median: key ${median(key)} ms, password ${median(password)} ms: ${label}`);
  const client = await RawClient.open({ port });
  await client.beginLogin();
  client.send(client.authRequest('acme', readFileSync(world.keyFile('acme'), 'utf8')));
  const partial = await client.next(51, 52);
  t.equal(
    partial?.subarray(-21).toString('latin1'),
    `keyboard-interactive${String.fromCharCode(1)}`,
    'the right key of a good account gets further',
  );
  client.close();
});

test('guesses are counted before they are examined; a stranger cannot lock a bank out', async (t) => {
  const world = await startWorld(t, {
    limits: { freeGuesses: 3, guessPauseFirstMs: 60_000, unauthenticatedPerSourceMax: 200, loginAttemptsMax: 6 },
  });
  const file = join(world.directory, 'password');
  t.equal((await world.cofferctl(['password', 'issue', 'acme', '--out', file])).code, 0);
  const password = readFileSync(file, 'utf8').trim();
  const { port } = world.demo.partner;
  const login = async (from: string): Promise<number | null> =>
    (await sftpLines(world, { account: 'acme', password, code: await world.code('acme'), from }, ['pwd'])).code;
  /** Returns whether the right password counts as the first of two factors, for a client at that source. */
  const isPasswordHeard = async (localAddress: string): Promise<boolean> => {
    const client = await RawClient.open({ port, localAddress });
    await client.beginLogin();
    client.send(message(50, 'acme', 'ssh-connection', 'password', Uint8Array.of(0), password));
    const answer = await client.next(51, 52);
    client.close();
    return answer?.at(-1) === 1;
  };
  t.equal(await login('127.0.0.1'), 0, 'the bank, from where it will be known');
  const guess = async (localAddress: string): Promise<void> => {
    const client = await RawClient.open({ port, localAddress });
    await client.beginLogin();
    client.send(message(50, 'acme', 'ssh-connection', 'password', Uint8Array.of(0), guessed));
    await client.next(51, 52);
    client.close();
  };
  await Promise.all(Array.from({ length: 40 }, (_, i) => guess(`127.0.1.${1 + (i % 8)}`)));
  const [looked] = await query<{ examined: number; all: number }>(
    world,
    "select count(*) filter (where public ->> 'examined' = 'true')::int as examined, count(*)::int as all from ledger where kind = 'login.refused' and public ->> 'evidence' = 'password'",
  );
  t.equal(looked?.all, 40, 'each of 40 parallel guesses is on record');
  t.ok((looked?.examined ?? 99) <= 4, `and ${looked?.examined} of them were looked at`);
  t.equal(await login('127.0.0.1'), 0, 'the bank works as before, from where it is known');
  t.equal(await isPasswordHeard('127.0.0.77'), false, 'from a place it never came from it waits');
  t.match((await world.cofferctl(['alert', 'list'])).out, /guesses against acme come faster than the limit allows/);
  t.equal(
    (
      await sshCommand(
        world,
        { account: 'acme', keyFile: world.keyFile('acme'), code: await world.code('acme'), from: '127.0.0.77' },
        'whoami',
      )
    ).code,
    0,
    'with key and code it need not: those counters are their own',
  );
  world.kill('warden');
  for (
    let tries = 0;
    tries < 100 &&
    (await sftpLines(world, { account: 'globex-batch', keyFile: world.keyFile('globex-batch') }, ['pwd'])).code !== 0;
    tries += 1
  )
    await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(await isPasswordHeard('127.0.0.78'), false, 'a warden that starts again remembers');
  t.match((await world.cofferctl(['account', 'unlock', 'acme', '--reason', 'test'])).out, /countersCleared [1-9]/);
  t.equal(await isPasswordHeard('127.0.0.79'), true, "until an operator's word");
});

test('a compromised edge with the session of a manager adds no key', async (t) => {
  const world = await startWorld(t);
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const person = keyFromOpenSsh(readFileSync(world.keyFile('acme'), 'utf8'));
  const [edge] = world.pidsOf('partner-1');
  process.kill(edge ?? 0, 'SIGSTOP');
  t.teardown(() => process.kill(edge ?? 0, 'SIGCONT'));
  const thief = connectAs(paths.wardenSocket('partner-1'));
  t.teardown(() => thief.close());
  const hello = await thief.call('node.hello', { protocol: 1, startId: randomUUID() });
  const exchange = transcript(hello.challenge);
  const identifier = hashOf(exchange, await thief.call('exchange.sign', exchange));
  await attempt(thief, exchange.connection, 'acme', person.evidence('acme', identifier));
  await attempt(thief, exchange.connection, 'acme', { type: 'keyboard-interactive' });
  const login = await attempt(thief, exchange.connection, 'acme', {
    type: 'answers',
    answers: [await world.code('acme')],
  });
  if (login.outcome !== 'accepted') throw new Error(`no session: ${login.outcome}`);
  const { token } = login.session;
  const own = new UserKey();
  const expires = new Date(Date.now() + 100 * 86_400_000).toISOString().slice(0, 10);
  const { verifierKeys } = await world.cofferctlJson<{ verifierKeys: readonly string[] }>(['ledger', 'status']);
  const installation = /^cofferdam\/([0-9a-f-]{36})\+/.exec(verifierKeys[0] ?? '')?.[1] ?? '';
  const request = (account: string, key: UserKey): string =>
    keyRequestText({ installation, account, fingerprint: fingerprintOf(key.blob), expires, publicKey: key.line });
  /**
   * As `ssh-keygen -Y sign` would sign, with a key that the thief has; or around a signature that passed through the
   * edge.
   */
  const sign = async (text: string, keyFile: string): Promise<string> => {
    const file = join(world.directory, `request-${randomUUID()}`);
    const { writeFileSync } = await import('node:fs');
    writeFileSync(file, text);
    const done = await run('ssh-keygen', ['-Y', 'sign', '-n', 'cofferdam-key', '-f', keyFile, file]);
    if (done.code !== 0) throw new Error(done.err);
    return readFileSync(`${file}.sig`, 'utf8');
  };
  const stolen = makeKey(world, 'thief');
  const holders = makeKey(world, 'holder');
  const holder = keyFromOpenSsh(holders.privateText);
  const wish = request('acme-batch', holder);
  const seen = (await sign(wish, world.keyFile('acme-batch'))) + (await sign(wish, holders.file));
  const before = await query<{ n: number }>(world, 'select count(*)::int as n from credential');
  for (const [why, text] of [
    [
      'signed by his own key',
      request('acme-batch', own) + (await sign(request('acme-batch', own), stolen.file)).repeat(2),
    ],
    ['with a signature that he saw for another key', request('acme-batch', own) + seen],
    ['with that signature for another account', request('acme', own) + seen],
    [
      'with one of them, and one of his own',
      request('acme-batch', own) +
        (await sign(wish, world.keyFile('acme-batch'))) +
        (await sign(request('acme-batch', own), stolen.file)),
    ],
    ['no signature', request('acme-batch', own)],
  ] as const) {
    await thief.call('console.run', { token, line: 'keys add' });
    const said = await thief.call('console.input', { token, text });
    t.match(said, { outcome: 'done', exitStatus: 1 }, why);
  }
  const unasked = await thief.call('console.input', { token, text: request('acme-batch', holder) + seen });
  t.match(unasked, { outcome: 'done', exitStatus: 1, text: /no input is expected/ }, 'an answer that nobody asked for');
  t.same(await query(world, 'select count(*)::int as n from credential'), before, 'not one key more');
  await thief.call('console.run', { token, line: 'keys add' });
  const twin = await thief.call('console.input', { token, text: request('acme-batch', holder) + seen });
  t.match(
    twin,
    { outcome: 'done', exitStatus: 0 },
    'what its holder signed is registered, whoever carries it: and only that',
  );
  const [waiting] = await query<{ waits: boolean }>(
    world,
    "select valid_from > now() + interval '23 hours' as waits from credential order by created_at desc limit 1",
  );
  t.equal(waiting?.waits, true, 'and it waits');
  t.match(
    await thief.call('console.run', { token, line: `keys confirm ${fingerprintOf(holder.blob)}` }),
    { exitStatus: 1 },
    'he cannot confirm it',
  );
  t.match(
    await thief.call('console.run', { token, line: 'enroll' }),
    { exitStatus: 1 },
    'nor enrol a factor of his own',
  );
});
