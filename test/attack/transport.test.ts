// T-15, T-17, T-18 (first part): what a stranger, or a client after login, can send; others go on meanwhile.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'tap';
import { sshLogin } from '../support/ssh-login.ts';
import { startWorld, type World } from '../support/world.ts';

function raw(world: World): { readonly socket: Socket; readonly closed: Promise<void> } {
  const socket = connect(world.demo.partner.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  return { socket, closed: new Promise((resolve) => socket.once('close', () => resolve())) };
}

const within = (ms: number, work: Promise<unknown>): Promise<boolean> =>
  Promise.race([work.then(() => true), new Promise<boolean>((resolve) => setTimeout(() => resolve(false), ms))]);
const rssOf = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

test('before login: nonsense is cut off at once, memory stays, others log in', async (t) => {
  const world = await startWorld(t, { limits: { loginGraceMs: 3000 } });
  const [pid] = world.pidsOf('partner-1');
  const before = rssOf(pid ?? 0);
  const ident = 'SSH-2.0-test\r\n';
  const huge = Buffer.from([0x7f, 0xff, 0xff, 0xff, 4, 20]);
  const attacks: readonly (readonly [string, readonly (string | Buffer)[]])[] = [
    ['no identification but HTTP', ['GET / HTTP/1.0\r\n\r\n']],
    ['an endless identification', ['SSH-2.0-', 'x'.repeat(100_000)]],
    ['a packet of 2 GB', [ident, huge, Buffer.alloc(1000)]],
    ['a packet of length 0', [ident, Buffer.alloc(64)]],
    ['random bytes', [ident, Buffer.from('89ab'.repeat(200), 'hex')]],
    ...[1, 5, 50, 61, 80, 90, 94, 98, 192, 255].map(
      (number) =>
        [
          `message ${number} before the key exchange`,
          [ident, Buffer.concat([Buffer.from([0, 0, 0, 12, 10, number]), Buffer.alloc(10)])],
        ] as const,
    ),
  ];
  for (const [name, parts] of attacks) {
    const { socket, closed } = raw(world);
    for (const part of parts) socket.write(part);
    t.ok(await within(10_000, closed), `${name}: closed`);
  }
  const many = Array.from({ length: 120 }, () => raw(world));
  t.ok(
    await within(10_000, Promise.all(many.slice(60).map((one) => one.closed))),
    'of 120 silent connections of one source most are refused at once',
  );
  t.ok(await within(20_000, Promise.all(many.map((one) => one.closed))), 'and none outlives the login grace');
  t.equal((await world.sftp('acme-batch', ['pwd'])).code, 0, 'a good login works');
  const grown = rssOf(pid ?? 0) - before;
  t.comment(`memory grew by ${Math.round(grown / 2 ** 20)} MiB`);
  t.ok(grown < 100 * 2 ** 20, 'memory stays');
  t.equal(world.pidsOf('partner-1')[0], pid, 'the same process serves');
});

test('an identification in many small pieces is a good one', async (t) => {
  const world = await startWorld(t);
  const socket = connect(world.demo.partner.port, '127.0.0.1');
  socket.on('error', () => {});
  const answered = new Promise<boolean>((resolve) => {
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      // Its identification is short; a key exchange offer follows only for a client that was understood.
      if (bytes > 300) resolve(true);
    });
    socket.on('close', () => resolve(false));
  });
  for (const letter of 'SSH-2.0-slow_1.0\r\n') {
    socket.write(letter);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  t.equal(await answered, true);
  socket.destroy();
});

test('after login: floods, lies about lengths and unread replies end or hold that session only', async (t) => {
  const world = await startWorld(t);
  const [pid] = world.pidsOf('partner-1');
  const before = rssOf(pid ?? 0);
  const login = (name: string): ReturnType<typeof sshLogin> =>
    sshLogin({
      port: world.demo.partner.port,
      username: name,
      privateKey: readFileSync(world.keyFile(name), 'utf8'),
      answer: () => '',
      keepOpen: true,
    });
  const init = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);
  const lies: readonly (readonly [string, Buffer])[] = [
    ['a packet of 2 GB', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['a packet of length 0', Buffer.alloc(4)],
    ['a WRITE before INIT', Buffer.from([0, 0, 0, 5, 6, 0, 0, 0, 1])],
  ];
  for (const [name, bytes] of lies) {
    const session = await login('acme-batch');
    const stream = await session.sftpStream();
    stream.on('error', () => {});
    if (!name.includes('INIT')) stream.write(init);
    stream.write(bytes);
    t.ok(await within(10_000, session.closed), `${name}: the connection is ended`);
  }
  const deaf = await login('acme-batch');
  const stream = await deaf.sftpStream();
  stream.on('error', () => {});
  stream.pause();
  stream.write(init);
  const realpath = Buffer.concat([Buffer.from([0, 0, 0, 10, 16, 0, 0, 0, 1, 0, 0, 0, 1]), Buffer.from('/')]);
  const flood = Buffer.concat(Array.from({ length: 2000 }, () => realpath));
  for (let i = 0; i < 100; i += 1) stream.write(flood);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  t.equal((await world.sftp('globex-batch', ['ls'])).code, 0, 'others are served meanwhile');
  const grown = rssOf(pid ?? 0) - before;
  t.comment(`memory grew by ${Math.round(grown / 2 ** 20)} MiB`);
  t.ok(grown < 150 * 2 ** 20, 'what one deaf client costs is bounded');
  deaf.close();
  t.equal(world.pidsOf('partner-1')[0], pid, 'the same process serves');
});
