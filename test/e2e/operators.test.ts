// What operators do by the command line alone, from a new bank to its suspension.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { test } from 'tap';
import { totp } from '../../admin-cli/demo-otp.ts';
import { createAuthority } from '../../certs/authority.ts';
import { newOpenSshKeyPair } from '../../server/demo/openssh-key.ts';
import { issueOperatorCertificate } from '../support/issued.ts';
import { sshCommand } from '../support/ssh.ts';
import { sshLogin } from '../support/ssh-login.ts';
import { startWorld } from '../support/world.ts';

test('a bank is set up from nothing to its first login, by the command line alone', async (t) => {
  const world = await startWorld(t);
  world.startsEachCommand = true;
  const ok = async (...args: readonly string[]): Promise<string> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, 0, `cofferctl ${args.slice(0, 3).join(' ')}: ${done.err}`);
    return done.out;
  };
  const refused = async (code: number, text: RegExp, ...args: readonly string[]): Promise<void> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, code, `cofferctl ${args.slice(0, 3).join(' ')} is refused`);
    t.match(done.err, text);
  };
  t.match(await ok('whoami'), /alice \(security-officer\)/);
  t.match(await ok('status'), /everything serves/);
  t.match(await ok('doctor'), /ok +database grants/);
  await ok('customer', 'create', 'northbank', '--reason', 'x');
  await refused(5, /already a customer/, 'customer', 'create', 'northbank', '--reason', 'x');
  await refused(2, /wrong form|names are|parameters/, 'customer', 'create', 'North Bank', '--reason', 'x');
  await refused(3, /no customer named nobody/, 'account', 'create', 'x', '--customer', 'nobody', '--kind', 'person');
  await ok('account', 'create', 'north', '--customer', 'northbank', '--kind', 'person', '--contact', 'treasury');

  const pair = newOpenSshKeyPair('north');
  const keyFile = join(world.directory, 'north');
  writeFileSync(keyFile, pair.privateText, { mode: 0o600 });
  writeFileSync(`${keyFile}.pub`, pair.publicLine);
  await refused(2, /private key/, 'key', 'add', 'north', '--file', keyFile);
  await ok('key', 'add', 'north', '--file', `${keyFile}.pub`);
  await refused(5, /is or was registered/, 'key', 'add', 'acme', '--file', `${keyFile}.pub`);
  await refused(5, /for machine accounts/, 'window', 'open', 'north', '--hours', '1', '--reason', 'x');

  const ticketFile = join(world.directory, 'ticket');
  t.match(await ok('mfa', 'ticket', 'north', '--out', ticketFile), /ssh -p PORT north@HOST enroll/);
  const ticket = readFileSync(ticketFile, 'utf8').trim();
  t.match(ticket, /^[a-z2-7]{6}(-[a-z2-7]{6}){3}$/);
  t.equal(statSync(ticketFile).mode & 0o777, 0o600, 'for its owner only');
  const { port } = world.demo.partner;
  const wrong = await sshLogin({
    port,
    username: 'north',
    privateKey: pair.privateText,
    answer: () => 'aaaaaa-bbbbbb-cccccc-dddddd',
  });
  t.equal(wrong.isOpen, false, 'a wrong ticket opens nothing');
  let secret = '';
  const enrolled = await sshCommand(
    world,
    {
      account: 'north',
      keyFile,
      ticket,
      input: (out) => {
        secret = /Secret: ([A-Z2-7]{32})/.exec(out)?.[1] ?? '';
        return out.includes('type the code') ? `${totp(secret, Date.now() / 1000)}\n` : undefined;
      },
    },
    'enroll',
  );
  t.equal(enrolled.code, 0, enrolled.err);
  t.equal(
    (await sshLogin({ port, username: 'north', privateKey: pair.privateText, answer: () => ticket })).isOpen,
    false,
    'the ticket is good once',
  );
  t.equal(
    (
      await sshLogin({
        port,
        username: 'north',
        privateKey: pair.privateText,
        answer: () => totp(secret, Date.now() / 1000 + 30),
      })
    ).isOpen,
    true,
    'from now on key and code',
  );
  await refused(5, /has a second factor/, 'mfa', 'ticket', 'north', '--out', `${ticketFile}-2`);
  t.equal(
    (
      await sshLogin({
        port: world.demo.internal.port,
        username: 'north',
        privateKey: pair.privateText,
        answer: () => totp(secret, Date.now() / 1000 - 30),
      })
    ).isOpen,
    false,
    'not on the other plane',
  );

  t.match(await ok('account', 'list', '--customer', 'northbank'), /north +northbank +person +partner +active +1 +yes/);
  t.match(await ok('credential', 'list', '--account', 'north'), /SHA256:/);
  t.match(await ok('customer', 'show', 'northbank'), /deposit +deposit +on-close/);
  t.match(await ok('customer', 'list'), /northbank/);
});

test('sessions end, customers are suspended, windows close: at once, and only those', async (t) => {
  const world = await startWorld(t);
  const { port } = world.demo.partner;
  const key = (name: string): string => world.keyFile(name);
  const login = (username: string): ReturnType<typeof sshLogin> =>
    sshLogin({ port, username, privateKey: readFileSync(key(username), 'utf8'), answer: () => '', keepOpen: true });
  const [acme, globex] = await Promise.all([login('acme-batch'), login('globex-batch')]);
  t.ok(acme.isOpen && globex.isOpen);
  const { sessions } = await world.cofferctlJson<{ sessions: readonly { session: string; account: string }[] }>([
    'session',
    'list',
  ]);
  t.same(sessions.map((one) => one.account).sort(), ['acme-batch', 'globex-batch']);
  const mine = sessions.find((one) => one.account === 'globex-batch')?.session ?? '';
  t.equal((await world.cofferctl(['session', 'end', mine, '--reason', 'test'])).code, 0);
  await globex.closed;
  t.pass('the ended session is closed');
  t.equal((await world.cofferctl(['session', 'end', mine, '--reason', 'test'])).code, 3, 'it cannot be ended twice');
  t.match((await world.cofferctl(['customer', 'suspend', 'acme', '--reason', 'test'])).out, /1 sessions ended/);
  await acme.closed;
  t.equal((await login('acme-batch')).isOpen, false, 'no new session of a suspended customer');
  const twin = await login('acme-2-batch');
  t.equal(twin.isOpen, true, 'the customer with the similar name works');
  twin.close();
  t.equal((await world.cofferctl(['customer', 'resume', 'acme', '--reason', 'test'])).code, 0);
  const again = await login('acme-batch');
  t.equal(again.isOpen, true);
  again.close();
  t.match((await world.cofferctl(['window', 'close', 'acme-batch'])).out, /1 open windows/);
  t.equal((await login('acme-batch')).isOpen, false, 'no window, no session with the key alone');
  t.equal((await world.cofferctl(['window', 'open', 'acme-batch', '--hours', '1', '--reason', 'test'])).code, 0);
  const third = await login('acme-batch');
  t.equal(third.isOpen, true);
  third.close();
});

test('the operators’ socket: no certificate, a foreign one, a lesser role', async (t) => {
  const world = await startWorld(t);
  const socketPath = join(world.directory, 'run', 'admin', 'admin.sock');
  const handshake = (options: { cert?: string; key?: string; maxVersion?: 'TLSv1.2' }): Promise<string> =>
    new Promise((resolve) => {
      const stream = connectTls({
        socket: connect(socketPath),
        rejectUnauthorized: false,
        servername: 'cofferdam-admin',
        ...options,
      });
      stream.on('error', (error) => resolve(`refused: ${error.message}`));
      // TLS 1.3 lets the client finish before the server has examined its certificate: only an answer counts.
      stream.on('secureConnect', () => stream.write(Buffer.from('\0\0\0\x27{"id":0,"op":"whoami","params":{}}      ')));
      stream.on('data', () => resolve('answered'));
      stream.on('close', () => resolve('refused: closed'));
    });
  t.match(await handshake({}), /refused/, 'no certificate');
  const foreign = await createAuthority('somebody else', 1);
  const alice = await issueOperatorCertificate(foreign, 'alice', 1);
  t.match(await handshake({ cert: alice.certificate, key: alice.key }), /refused/, "another authority's alice");
  const own = {
    cert: readFileSync(join(world.directory, 'operators', 'carol', 'cert.pem'), 'utf8'),
    key: readFileSync(join(world.directory, 'operators', 'carol', 'key.pem'), 'utf8'),
  };
  t.match(await handshake({ ...own, maxVersion: 'TLSv1.2' }), /refused/, 'TLS 1.2');
  t.equal(await handshake(own), 'answered', "and the installation's carol is heard");

  const asCarol = (...args: readonly string[]): ReturnType<typeof world.cofferctl> =>
    world.cofferctl([...args, '--operator', 'carol']);
  t.equal((await asCarol('status')).code, 0, 'an operator reads');
  const denied = await asCarol('customer', 'create', 'carolsbank', '--reason', 'x');
  t.equal(denied.code, 4, 'and does not widen access');
  t.match(denied.err, /needs the role security-officer; you are operator/);
  t.equal((await asCarol('customer', 'suspend', 'globex', '--reason', 'x')).code, 0, 'but may narrow it');
  t.notMatch((await world.cofferctl(['customer', 'list'])).out, /carolsbank/, 'nothing was made');

  for (const [args, code] of [
    [['nonsense'], 2],
    [['customer', 'create'], 2],
    [['status', '--wrong'], 2],
    [['status', '--socket', '/nowhere'], 7],
    [['status', '--identity', '/nowhere'], 78],
  ] as const)
    t.equal((await world.cofferctl(args)).code, code, args.join(' '));
  t.match((await world.cofferctl(['--help'])).out, /Exit codes:/);
  t.match((await world.cofferctl(['key', 'add', '--help'])).out, /Example: cofferctl key add/);
});

test('what the folders allow: each rule with its twin', async (t) => {
  const world = await startWorld(t);
  const local = join(world.directory, 'local');
  mkdirSync(local);
  const put = (name: string, content: Buffer | string): string => {
    writeFileSync(join(local, name), content);
    return join(local, name);
  };
  const one = put('one', 'one');
  const two = put('two', 'two');
  const sftp = async (account: string, ...lines: readonly string[]): Promise<string> => {
    const done = await world.sftp(account, lines);
    return `${done.code} ${done.out
      .split('\n')
      .filter((line) => !line.startsWith('sftp>'))
      .join('\n')} ${done.err}`;
  };
  t.match(await sftp('acme-batch', `put ${one} deposit/a.xml`), /^0/);
  for (const line of [
    'rm deposit/a.xml',
    'rename deposit/a.xml deposit/b.xml',
    `put ${two} deposit/a.xml`,
    'get deposit/a.xml /dev/null',
    'rm collect/x',
    `put ${one} collect/x`,
  ])
    t.match(await sftp('acme-batch', line), /^1[\s\S]*(denied|not found|No such)/, `${line} is refused`);
  t.match(await sftp('acme-batch', 'ls -l deposit/a.xml'), / 3 /, 'and a.xml is as it was');

  t.match(await sftp('acme-batch', `put ${one} deposit/b.xml.filepart`), /^0/);
  t.notMatch(await sftp('processor', 'ls acme/deposit'), /b\.xml/, 'a temporary name is held');
  t.match(await sftp('acme-batch', 'rename deposit/b.xml.filepart deposit/b.xml'), /^0/);
  t.match(await sftp('processor', 'ls acme/deposit'), /b\.xml/, 'its final name is published');
  t.match(
    await sftp('acme-batch', `put ${one} deposit/c.tmp`, 'rm deposit/c.tmp', 'ls deposit'),
    /^0[^c]*$/m,
    'a held file may be taken back',
  );
  t.match(await sftp('acme-batch', 'mkdir deposit/d', `put ${one} deposit/d/x`, 'ls deposit/d'), /^0[\s\S]*x/);
  t.match(await sftp('acme-batch', 'rmdir deposit/d'), /^1/, 'not while something is in it');
  t.match(await sftp('acme-batch', 'mkdir deposit/e', 'rmdir deposit/e', 'mkdir deposit/e'), /^0/);
  t.match(await sftp('acme-batch', 'mkdir e'), /^1/, 'nor on the level of the folders');

  t.match(
    await sftp('processor', `put ${one} globex/collect/s.xml`, `put ${two} globex/collect/s.xml`),
    /^0/,
    'a statement may be replaced',
  );
  t.match(await sftp('globex-batch', `get collect/s.xml ${join(local, 'got')}`), /^0/);
  t.equal(readFileSync(join(local, 'got'), 'utf8'), 'two', 'the newest version is read');
  t.match(await sftp('processor', 'rm globex/collect/s.xml'), /^1[\s\S]*denied/, 'what was read stays');
  t.match(
    await sftp('processor', `put ${one} globex/collect/t.xml`, 'rm globex/collect/t.xml'),
    /^0/,
    'what was not may be withdrawn',
  );
  t.match(await sftp('processor', `put ${one} globex/deposit/x`), /^1[\s\S]*denied/, 'the processor does not deposit');
  t.match(await sftp('processor', 'get globex/collect/s.xml /dev/null'), /^1/, 'nor read what it gave');

  const odd = ['with space', 'ümläut-日本', 'x'.repeat(255), '-dash', "quo'te", '...'];
  for (const name of odd)
    t.match(await sftp('acme-2-batch', `put ${one} "deposit/${name}"`), /^0/, `a name like ${name.slice(0, 20)}`);
  t.equal(
    (await sftp('processor', 'ls -1 acme-2/deposit')).split('\n').filter((line) => line.includes('acme-2/deposit/'))
      .length,
    odd.length - 1,
    'all of them are there, but the one that begins with a dot: it is held',
  );
  t.match(await sftp('acme-2-batch', `put ${one} "deposit/${'x'.repeat(256)}"`), /^1/, 'one byte more is refused');

  const zero = put('zero', '');
  t.match(await sftp('acme-2-batch', `put ${zero} deposit/zero`, `put -p ${one} deposit/dated`), /^0/);
  t.match(await sftp('processor', `get acme-2/deposit/zero ${join(local, 'zero-got')}`), /^0/);
  t.equal(readFileSync(join(local, 'zero-got')).length, 0);
  const content = randomBytes(1_000_000);
  const again = put('again', content);
  t.match(await sftp('acme-2-batch', `put ${again} deposit/r1`, `put ${again} deposit/r2`), /^0/);
  t.match(
    (await world.cofferctl(['file', 'list', 'acme-2'])).out,
    new RegExp(createHash('sha256').update(content).digest('hex').slice(0, 16)),
  );
  t.ok(readdirSync(local).length > 3);
});
