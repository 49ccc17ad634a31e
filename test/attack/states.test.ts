// T-15, T-16, T-19: messages in the wrong state, weak key exchanges, floods of failed logins.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { t as file, test } from 'tap';
import { endsWithin, plainPacket, rawSocket } from '../support/attacks.ts';
import { wideAllowancesEnv } from '../support/bank.ts';
import { message, RawClient, textAt, u32 } from '../support/raw-client.ts';
import { sshCommand } from '../support/ssh.ts';
import { memoryOf, peakMemoryOf } from '../support/stall.ts';
import { run, startWorld } from '../support/world.ts';

/**
 * Of the tests without settings of their own. A thousand clients of one address exchange keys here within two seconds,
 * which is more than the allowance of strangers.
 */
const world = await startWorld(file, { limits: { unauthenticatedPerSourceMax: 200 }, env: wideAllowancesEnv });

test('every message number in every state before a session: obeyed where it belongs, the end of the connection elsewhere', async (t) => {
  const { port } = world.demo.partner;
  const [pid] = world.pidsOf('partner-1');
  const pem = readFileSync(world.keyFile('acme'), 'utf8');
  const body = Buffer.concat([u32(0), u32(0), u32(0), Buffer.alloc(40)]);
  const anyway = [1, 2, 3, 4];
  /** A client after its key exchange and these steps; the test decides what it then sends. */
  const after = (steps: (client: RawClient) => Promise<unknown>) => async () => {
    const client = await RawClient.open({ port });
    // Otherwise it would not be the message that ends the connection.
    await client.exchanged();
    await steps(client);
    return {
      send: (number: number) => void client.send(message(number, body)),
      closed: client.closed,
      inbox: client.inbox,
      close: () => client.close(),
    };
  };
  const login = (client: RawClient): Promise<void> => client.beginLogin();
  type Entered = Awaited<ReturnType<ReturnType<typeof after>>>;
  const inTheClear = async (): Promise<Entered> => {
    const { socket, closed } = rawSocket({ port, account: '', key: '', localAddress: '127.0.0.1' });
    socket.write('SSH-2.0-x\r\n');
    return {
      send: (number) => void socket.write(plainPacket(Buffer.concat([Buffer.of(number), body]))),
      closed,
      inbox: [],
      close: () => socket.destroy(),
    };
  };
  const states: readonly (readonly [string, readonly number[], () => Promise<Entered>])[] = [
    ['before the key exchange', [20], inTheClear],
    ['before the service request', [...anyway, 5], after(async () => {})],
    ['before the login', anyway, after(login)],
    [
      'between two factors',
      anyway,
      after(async (client) => {
        await login(client);
        client.send(client.authRequest('acme', pem));
        await client.next(51);
      }),
    ],
  ];
  for (const [state, harmless, enter] of states) {
    let ended = 0;
    let obeyed = 0;
    const all = Array.from({ length: 256 }, (_, number) => number).filter((number) => !harmless.includes(number));
    for (let at = 0; at < all.length; at += 16)
      await Promise.all(
        all.slice(at, at + 16).map(async (number) => {
          const one = await enter();
          one.send(number);
          if (await endsWithin(8000, one.closed)) ended += 1;
          else t.fail(`${state}: message ${number} did not end the connection`);
          if (one.inbox.some((payload) => [52, 81, 91, 99].includes(payload[0] ?? 0))) obeyed += 1;
          one.close();
        }),
      );
    t.equal(ended, all.length, `${state}: ${all.length} of ${all.length} numbers end the connection`);
    t.equal(obeyed, 0, `${state}: none is obeyed`);
  }
  t.equal((await world.sftp('acme-batch', ['pwd'])).code, 0, 'the right order opens a session');
  t.equal(world.pidsOf('partner-1')[0], pid, 'the same process');
});

test('key exchanges that are not good enough are refused', async (t) => {
  const { port } = world.demo.partner;
  const ready = async (more: object): Promise<string | undefined> => {
    const client = await RawClient.open({ port, ...more });
    const isReady = await Promise.race([
      client.ready,
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 5000)),
    ]);
    client.close();
    return isReady ? client.negotiated?.kex : undefined;
  };
  t.equal(await ready({}), 'curve25519-sha256', 'the allow twin');
  t.equal(await ready({ keyExchange: ['ecdh-sha2-nistp384'] }), 'ecdh-sha2-nistp384');
  t.equal(await ready({ keyExchange: ['ecdh-sha2-nistp256'] }), 'ecdh-sha2-nistp256');
  t.equal(await ready({ ciphers: ['aes256-ctr'] }), 'curve25519-sha256', 'AES-CTR with encrypt-then-MAC');
  t.equal(await ready({ isStrict: false }), 'curve25519-sha256', 'without strict key exchange there are keys');
  const loose = await RawClient.open({ port, isStrict: false });
  await t.rejects(loose.beginLogin(), /turned away before the login/, 'and nothing else');
  await loose.closed;
  t.same(
    loose.inbox.map((one) => one[0]),
    [1],
    'but the refusal',
  );
  t.equal(await ready({ ciphers: ['chacha20-poly1305@openssh.com'] }), undefined, 'a mode that Terrapin needs');
  t.equal(await ready({ ciphers: ['aes128-cbc'] }), undefined, 'CBC');
  t.equal(await ready({ keyExchange: ['diffie-hellman-group14-sha256'] }), undefined, 'a finite-field group');
  t.equal(await ready({ keyExchange: ['diffie-hellman-group14-sha1'] }), undefined, 'SHA-1');
  const short = join(world.directory, 'short');
  await run('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', short]);
  const added = await world.cofferctl(['key', 'add', 'acme-batch', '--file', `${short}.pub`]);
  t.equal(added.code, 2, 'an RSA key of 2048 bits is refused');
  t.match(added.err, /3072/);
});

test('listeners of the profiles legacy and fips accept what their profile has, and nothing else', async (t) => {
  for (const [profile, good, bad] of [
    [
      'legacy',
      [{ keyExchange: ['diffie-hellman-group14-sha256'] }, { isStrict: false }, {}],
      [{ isStrict: false, ciphers: ['chacha20-poly1305@openssh.com'] }, { ciphers: ['aes128-cbc'] }],
    ],
    [
      'fips',
      [{ keyExchange: ['ecdh-sha2-nistp256'] }],
      [{}, { keyExchange: ['ecdh-sha2-nistp256'], ciphers: ['aes256-ctr'] }],
    ],
  ] as const) {
    const world = await startWorld(t, { env: { COFFERDAM_PROFILE: profile } });
    t.match(world.log, new RegExp(`"profile":"${profile}"`), `${profile} is logged`);
    for (const [type, bits, isGood] of profile === 'legacy'
      ? ([['rsa', 2048, true]] as const)
      : ([
          ['ecdsa', 256, true],
          ['ed25519', 256, false],
        ] as const)) {
      const file = join(world.directory, `${profile}-${type}`);
      await run('ssh-keygen', ['-q', '-t', type, '-b', String(bits), '-N', '', '-f', file]);
      t.equal(
        (await world.cofferctl(['key', 'add', 'acme-batch', '--file', `${file}.pub`])).code,
        0,
        `${profile}: a key of type ${type} is added`,
      );
      const args = world.sftpArguments('acme-batch').map((one) => (one === world.keyFile('acme-batch') ? file : one));
      const done = await run('sftp', [...args.slice(0, -1), '-b', '-', args.at(-1) ?? ''], { input: 'pwd\n' });
      t.equal(done.code === 0, isGood, `${profile}: and ${isGood ? 'opens a session' : 'opens nothing'}`);
    }
    for (const [expected, list] of [
      [true, good],
      [false, bad],
    ] as const)
      for (const more of list) {
        const client = await RawClient.open({ port: world.demo.partner.port, ...more });
        t.equal(await client.ready, expected, `${profile}: ${JSON.stringify(more)}`);
        client.close();
      }
  }
});

test('300 parallel failed logins: memory stays bounded, good ones succeed; six attempts for each connection', async (t) => {
  const world = await startWorld(t, {
    limits: {
      unauthenticatedPerSourceMax: 400,
      unauthenticatedConnectionsMax: 400,
      unauthenticatedDropFromPercent: 99,
    },
  });
  const { port } = world.demo.partner;
  const file = join(world.directory, 'password');
  t.equal((await world.cofferctl(['password', 'issue', 'acme', '--out', file])).code, 0);
  const password = readFileSync(file, 'utf8').trim();
  const withPassword = async (): Promise<number | null> =>
    (await sshCommand(world, { account: 'acme', password, code: await world.code('acme') }, 'whoami')).code;
  t.equal(await withPassword(), 0, 'password and code open a session');
  const pids = [world.pidsOf('partner-1')[0] ?? 0, world.pidsOf('warden')[0] ?? 0];
  const before = pids.map(memoryOf);
  let attempts = 0;
  const bad = Array.from({ length: 300 }, async (_, i) => {
    // From unknown sources: the bank's own address has counters of its own.
    const client = await RawClient.open({ port, localAddress: `127.0.1.${1 + (i % 200)}` });
    await client.beginLogin();
    // Names of their own, so that no counter saves the hashing; and one that is real.
    client.send(
      message(
        50,
        i % 10 === 0 ? 'acme' : `nobody-${i}`,
        'ssh-connection',
        'password',
        Uint8Array.of(0),
        `${'abcdefgh'}-${'a'.repeat(32)}`,
      ),
    );
    const answer = await client.next(51, 52);
    attempts += 1;
    client.close();
    return answer?.[0];
  });
  const good = world.sftp('globex-batch', ['pwd']);
  const known = withPassword();
  const answers = await Promise.all(bad);
  t.equal(attempts, 300);
  t.notOk(answers.includes(52), 'none got in');
  t.equal((await good).code, 0, 'a login with a key meanwhile');
  t.equal(await known, 0, 'and one with a password, from where it came before');
  for (const [i, pid] of pids.entries()) {
    const grown = peakMemoryOf(pid) - (before[i] ?? 0);
    t.comment(`${i === 0 ? 'edge' : 'warden'}: at most ${Math.round(grown / 2 ** 20)} MiB more`);
    t.ok(grown < (i === 0 ? 100 : 300) * 2 ** 20, 'memory stays: two passwords are hashed at once, with 64 MiB each');
  }

  const one = await RawClient.open({ port });
  await one.beginLogin();
  let refused = 0;
  for (let i = 0; i < 10; i += 1) {
    one.send(message(50, 'acme', 'ssh-connection', 'password', Uint8Array.of(0), 'guess'));
    const answer = await one.next(51, 52);
    if (answer === undefined) break;
    t.equal(textAt(answer, 1), 'publickey,password', 'the same methods each time');
    refused += 1;
  }
  t.equal(refused, 5, 'five refusals, and the sixth ends the connection');
});
