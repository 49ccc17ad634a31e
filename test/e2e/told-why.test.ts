// What real clients, and the people behind them, are told: why a request was refused, why a connection ended, whose
// code is asked for, and what to use instead of what is not served.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import { plainPacket } from '../support/attacks.ts';
import { disconnectText, message, RawClient, textAt } from '../support/raw-client.ts';
import { makeKey, sshCommand, sshConnection } from '../support/ssh.ts';
import { type Done, run, startWorld, type World } from '../support/world.ts';

const disconnect = 1;

/** The words of SSH_MSG_DISCONNECT that come before there are keys, after these bytes were sent. */
function toldInTheClear(port: number, sent: string | Buffer, localAddress = '127.0.0.1'): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    let heard = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => (heard = Buffer.concat([heard, chunk])));
    socket.on('error', () => {});
    socket.once('close', () => {
      let rest = heard.subarray(heard.indexOf(10) + 1);
      while (rest.length >= 5) {
        const end = 4 + rest.readUInt32BE(0);
        const payload = rest.subarray(5, end - (rest[4] ?? 0));
        if (payload[0] === disconnect) return resolve(textAt(payload, 5));
        rest = rest.subarray(end);
      }
      resolve('');
    });
    socket.write(sent);
  });
}

/** Runs OpenSSH's programs as a person would, with these keys and what `askpass` says. */
async function asPerson(
  world: World,
  program: 'ssh' | 'scp',
  given: {
    readonly keys?: readonly string[];
    readonly code?: string;
    readonly from?: string;
    readonly options?: readonly string[];
  },
  rest: readonly string[],
): Promise<Done & { readonly prompts: string }> {
  const [script, prompts] = [join(world.directory, 'person.sh'), join(world.directory, 'prompts')];
  writeFileSync(script, `#!/bin/sh\nprintf '%s\\n' "$1" >> ${prompts}\necho "$T_CODE"\n`, { mode: 0o755 });
  writeFileSync(prompts, '');
  const options = [
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${join(world.directory, 'demo', 'known_hosts')}`,
    ...(given.from === undefined ? [] : [`BindAddress=${given.from}`]),
    ...(given.options ?? []),
  ];
  const done = await run(
    program,
    [
      '-F',
      '/dev/null',
      ...options.flatMap((one) => ['-o', one]),
      ...(given.keys ?? []).flatMap((one) => ['-i', one]),
      program === 'ssh' ? '-p' : '-P',
      String(world.demo.partner.port),
      ...rest,
    ],
    { env: { SSH_ASKPASS: script, SSH_ASKPASS_REQUIRE: 'force', T_CODE: given.code ?? '' } },
  );
  return { ...done, prompts: readFileSync(prompts, 'utf8') };
}

test('what is refused is said in words, and what to use instead', async (t) => {
  const world = await startWorld(t);
  const host = world.demo.partner.host;
  const keys = [world.keyFile('acme-batch')];
  const batch = `acme-batch@${host}`;

  const refused = await world.sftp('acme-batch', [
    '-rm collect/none',
    '-mkdir /deposit',
    '-put /etc/hostname collect/x',
  ]);
  t.match(refused.err, /^\S.* .*$/m);
  const sentences = refused.err.split('\n').filter((one) => one !== '' && !/^(?:remote|Couldn't|dest)/.test(one));
  t.ok(sentences.length >= 1, `OpenSSH's sftp shows the sentences: ${refused.err}`);

  const local = join(world.directory, 'some-file');
  writeFileSync(local, 'x');
  for (const args of [
    ['-O', local, `${batch}:deposit/`],
    ['-O', `${batch}:deposit/x`, local],
  ]) {
    const done = await asPerson(world, 'scp', { keys }, args);
    t.not(done.code, 0);
    t.match(done.err, /the old protocol of scp is not served here; use sftp, or scp without -O/, args.join(' '));
  }
  t.equal((await asPerson(world, 'scp', { keys }, [local, `${batch}:deposit/`])).code, 0, 'and that works');
  for (const [command, words] of [
    ['rsync --server -vlogDtpre.iLsfxCIvu . deposit/', /rsync is not served here; use sftp/],
    ['/usr/lib/openssh/sftp-server', /let your program ask for the subsystem sftp/],
    ['ls -l', /there is no such command, and no shell; files are exchanged by sftp/],
    [`scp -t ${'x'.repeat(600)}`, /too long for a command; files are exchanged by sftp/],
  ] as const) {
    const done = await asPerson(world, 'ssh', { keys }, [batch, command]);
    t.not(done.code, 0);
    t.match(done.err, words, command.slice(0, 30));
    t.equal(done.out, '', 'a program that speaks its own protocol is told nothing on its stream');
  }
  t.match((await asPerson(world, 'ssh', { keys }, ['-T', batch])).out, /exchanged by sftp; there is no shell here/);

  const kept = await sshConnection(world, { account: 'acme-batch', keyFile: world.keyFile('acme-batch') });
  const all = await Promise.all(Array.from({ length: 5 }, () => kept.say('whoami')));
  t.same(
    all.map((one) => one.code),
    [0, 0, 0, 0, 0],
    'several commands at once on one connection',
  );
  await kept.close();
});

test('ssh-keyscan collects the keys; a client without strict key exchange hears why, and nothing else', async (t) => {
  const world = await startWorld(t);
  const { host, port } = world.demo.partner;
  const scan = await run('ssh-keyscan', ['-p', String(port), host]);
  const known = readFileSync(join(world.directory, 'demo', 'known_hosts'), 'utf8');
  for (const type of ['ssh-ed25519', 'ecdsa-sha2-nistp256']) {
    const blob = new RegExp(`${type} (\\S+)`).exec(scan.out)?.[1] ?? 'none';
    t.ok(known.includes(blob), `${type}: ${scan.err}`);
  }
  const old = await RawClient.open({ port, isStrict: false });
  await old.exchanged();
  // Whatever it says now is not obeyed.
  old.send(message(5, 'ssh-userauth'));
  const said = await old.next(disconnect);
  t.match(disconnectText(said), /this server requires strict key exchange.*OpenSSH 9\.6, PuTTY 0\.80/);
  await old.closed;
  t.same(
    old.inbox.map((one) => one[0]),
    [],
    'nothing but the refusal, no list of extensions either',
  );
  const strict = await RawClient.open({ port });
  await strict.beginLogin();
  strict.close();
  t.equal((await world.sftp('acme-batch', ['pwd'])).code, 0);
});

test('every end is told, also before there are keys', async (t) => {
  const world = await startWorld(t, {
    limits: { identificationMs: 1500, keyExchangeMs: 1500, fingerprintMs: 2500, loginGraceMs: 2500 },
  });
  const { port } = world.demo.partner;
  const ident = 'SSH-2.0-x\r\n';
  t.match(await toldInTheClear(port, 'SSH-2.0-half'), /did not say in time which version/);
  t.match(await toldInTheClear(port, ident), /the key exchange took too long; connect again/);
  t.match(
    await toldInTheClear(port, Buffer.concat([Buffer.from(ident), plainPacket(message(50))])),
    /^protocol error: /,
  );
  const kexInit = message(
    20,
    Buffer.alloc(16, 7),
    'curve25519-sha256,kex-strict-c-v00@openssh.com',
    'ssh-ed25519',
    'aes256-ctr',
    'aes256-ctr',
    'hmac-sha1',
    'hmac-sha1',
    'none',
    'none',
    '',
    '',
    Buffer.alloc(5),
  );
  t.match(
    await toldInTheClear(port, Buffer.concat([Buffer.from(ident), plainPacket(kexInit)])),
    /no MAC in common: this server has hmac-sha2-256-etm@openssh.com/,
  );
  const comparing = await RawClient.open({ port, acceptsNoKey: true });
  t.match(disconnectText(await comparing.next(disconnect)), /the key of this server was not accepted in time/);
  const silent = await RawClient.open({ port });
  await silent.beginLogin();
  t.match(disconnectText(await silent.next(disconnect)), /the login took too long; connect again when you are ready/);

  const from = '127.0.0.77';
  for (let i = 0; i < 8; i += 1) await toldInTheClear(port, 'GET / HTTP/1.0\r\n\r\n', from);
  t.match(
    await toldInTheClear(port, ident, from),
    /too many connections from your address failed; connect again in \d+ s/,
  );
  const real = await asPerson(world, 'ssh', { keys: [world.keyFile('acme-batch')], from }, [
    `acme-batch@${world.demo.partner.host}`,
    'whoami',
  ]);
  t.match(real.err, /too many connections from your address failed/, "OpenSSH's client shows it");
});

test('a used code is said to be used, and the question says whose code is asked for', async (t) => {
  const world = await startWorld(t);
  const host = world.demo.partner.host;
  const keys = [world.keyFile('acme')];
  const code = await world.code('acme');
  const login = (): ReturnType<typeof asPerson> =>
    asPerson(world, 'ssh', { keys, code, options: ['NumberOfPasswordPrompts=2'] }, [`acme@${host}`, 'help']);
  const first = await login();
  t.equal(first.code, 0, first.err);
  const installation = /^installation (\S+)/m.exec(first.out)?.[1] ?? 'none';
  t.match(first.prompts, `of acme at Cofferdam ${installation.slice(0, 8)}:`);
  t.notMatch(first.err, /used/);
  const again = await login();
  t.not(again.code, 0);
  t.match(again.err, /this code was used already; wait for the next one/);
  const wrong = await asPerson(world, 'ssh', { keys, code: '000', options: ['NumberOfPasswordPrompts=1'] }, [
    `acme@${host}`,
    'help',
  ]);
  t.notMatch(wrong.err, /used already/, 'a wrong code is only refused');
});

test('many keys: refused ones are no misdeed of whoever then logs in; too many are told what to do', async (t) => {
  const world = await startWorld(t);
  const host = world.demo.partner.host;
  mkdirSync(join(world.directory, 'keys'), { recursive: true });
  const others = Array.from({ length: 6 }, (_, i) => makeKey(world, `other-${i}`).file);
  const from = '127.0.0.91';
  const keys = [...others.slice(0, 5), world.keyFile('acme-batch')];
  for (let i = 0; i < 4; i += 1) {
    const done = await asPerson(world, 'ssh', { keys, from }, [`acme-batch@${host}`, 'whoami']);
    t.equal(done.code, 0, `five others, then the right one: ${done.err}`);
  }
  const batch = { account: 'acme-batch', keyFile: world.keyFile('acme-batch'), from };
  t.equal((await sshCommand(world, batch, 'whoami')).code, 0, 'the next one from there is served');
  const many = await asPerson(world, 'ssh', { keys: [...others, world.keyFile('acme-batch')], from }, [
    `acme-batch@${host}`,
    'whoami',
  ]);
  t.not(many.code, 0);
  t.match(many.err, /too many keys were tried; name one: -i FILE, and IdentitiesOnly=yes/);
  t.equal((await sshCommand(world, batch, 'whoami')).code, 0, 'once is forgiven');
  for (let i = 0; i < 3; i += 1)
    await asPerson(world, 'ssh', { keys: [others[0] ?? ''], from }, [`acme-batch@${host}`, 'whoami']);
  t.match(
    (await sshCommand(world, batch, 'whoami')).err,
    /too many connections from your address failed/,
    'who only tries is not',
  );
});
