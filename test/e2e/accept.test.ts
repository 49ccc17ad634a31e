// The door of an edge, seen from outside: load balancers, the banner, deadlines, penalties.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'tap';
import { endsWithin, rawSocket } from '../support/attacks.ts';
import { message, RawClient } from '../support/raw-client.ts';
import { startWorld } from '../support/world.ts';

const kexInit = 20;
const anybody = { account: '', key: '' };

test('PROXY headers count only from load balancers; the banner is shown', async (t) => {
  const world = await startWorld(t, {
    env: { COFFERDAM_BALANCERS: '127.0.0.5', COFFERDAM_BANNER: 'Authorised use only.\n' },
  });
  const { port } = world.demo.partner;
  const key = readFileSync(world.keyFile('acme-batch'), 'utf8');
  const open = async (more: object): Promise<RawClient | undefined> => {
    const client = await RawClient.open({ port, ...more });
    const isOpen = await Promise.race([
      client.login('acme-batch', key),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 8000)),
    ]);
    if (isOpen) return client;
    client.close();
    return undefined;
  };
  const v1 = Buffer.from('PROXY TCP4 203.0.113.9 127.0.0.1 40000 22\r\n');
  const v2 = Buffer.concat([
    Buffer.from('0d0a0d0a000d0a515549540a2121', 'hex'),
    Buffer.from([0, 36]),
    Buffer.from('20010db8000000000000000000000009', 'hex'),
    Buffer.alloc(16),
    Buffer.from([0x9c, 0x40, 0, 22]),
  ]);
  const sources = async (): Promise<readonly string[]> =>
    (await world.cofferctlJson<{ sessions: { source: string }[] }>(['session', 'list'])).sessions.map(
      (one) => one.source,
    );
  const one = await open({ localAddress: '127.0.0.5', preamble: v1 });
  t.ok(one, 'version 1 from the balancer');
  const two = await open({ localAddress: '127.0.0.5', preamble: v2 });
  t.ok(two, 'version 2 from the balancer');
  const three = await open({});
  t.ok(three, 'a client beside the balancer needs no header');
  const seen = (await sources()).join(' ');
  t.match(seen, /203\.0\.113\.9/, 'the address of the client is on the record');
  t.match(seen, /2001:db8::9/);
  t.notMatch(seen, /127\.0\.0\.5/);
  t.equal(await open({ preamble: v1 }), undefined, 'a header from anybody else ends the connection');
  t.equal(await open({ localAddress: '127.0.0.5' }), undefined, 'the balancer without a header gets nothing');
  const banner = await RawClient.open({ port });
  await banner.exchanged();
  banner.send(message(5, 'ssh-userauth'));
  t.match((await banner.next(53))?.toString('latin1'), /Authorised use only\./);
  for (const client of [one, two, three, banner]) client?.close();
});

test('deadlines run from the first moment', async (t) => {
  const world = await startWorld(t, { limits: { identificationMs: 1000, keyExchangeMs: 1500, loginGraceMs: 3000 } });
  const target = { ...anybody, port: world.demo.partner.port, localAddress: '127.0.0.1' };
  const times: Record<string, number> = {};
  const lasting = async (name: string, work: () => Promise<void>): Promise<void> => {
    const started = performance.now();
    t.ok(await endsWithin(30_000, work()), `${name} ends`);
    times[name] = performance.now() - started;
  };
  await Promise.all([
    lasting('silence', async () => rawSocket(target).closed),
    lasting('half an identification', async () => {
      const { socket, closed } = rawSocket(target);
      const drip = setInterval(() => socket.write('S'), 200);
      void closed.then(() => clearInterval(drip));
      return closed;
    }),
    lasting('an identification and nothing', async () => {
      const { socket, closed } = rawSocket(target);
      socket.write('SSH-2.0-x\r\n');
      return closed;
    }),
    lasting('a key exchange and nothing', async () => {
      const client = await RawClient.open({ port: target.port });
      await client.exchanged();
      return client.closed;
    }),
    lasting('messages to be ignored, for ever', async () => {
      const client = await RawClient.open({ port: target.port });
      await client.exchanged();
      const drip = setInterval(() => client.send(message(2, 'x')), 100);
      void client.closed.then(() => clearInterval(drip));
      return client.closed;
    }),
  ]);
  for (const [name, ms] of Object.entries(times)) t.ok(ms < 30_000, `${name}: after ${Math.round(ms)} ms`);
  t.equal((await world.sftp('acme-batch', ['pwd'])).code, 0);
});

test('a source that misbehaves has to wait; others and exempt ones do not', async (t) => {
  const world = await startWorld(t, { limits: { penaltyLongestMs: 16_000 } });
  const { port } = world.demo.partner;
  const answers = (localAddress: string): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      let heard = Buffer.alloc(0);
      socket.write('SSH-2.0-x\r\n');
      socket.on('data', (chunk: Buffer) => {
        heard = Buffer.concat([heard, chunk]);
        // Behind the identification comes KEXINIT, or why nobody is served.
        const first = heard.includes(10) ? heard[heard.indexOf(10) + 6] : undefined;
        if (first === undefined) return;
        socket.destroy();
        resolve(first === kexInit);
      });
      socket.once('close', () => resolve(false));
      socket.on('error', () => {});
    });
  t.ok(await answers('127.0.0.66'), 'at first it is served');
  for (let i = 0; i < 8; i += 1) {
    const { socket, closed } = rawSocket({ ...anybody, port, localAddress: '127.0.0.66' });
    socket.write('GET / HTTP/1.0\r\n\r\n');
    await closed;
  }
  t.notOk(await answers('127.0.0.66'), 'then it is not');
  t.ok(await answers('127.0.0.67'), 'another source is');
  let polite = 0;
  while (polite < 60 && (await answers('127.0.0.70'))) polite += 1;
  t.ok(
    polite >= 10 && polite < 60,
    `who comes and goes without a login costs others a place as well (${polite} times)`,
  );
  // A good first proof earns no penalty, however many colleagues give one from behind one address; a wrong one does.
  const personKey = readFileSync(world.keyFile('acme'), 'utf8');
  const proves = async (localAddress: string, account: string): Promise<string> => {
    const client = await RawClient.open({ port, localAddress });
    if (!(await client.ready)) return 'turned away';
    client.send(message(5, 'ssh-userauth'));
    await client.next(6);
    client.send(client.authRequest(account, personKey));
    const answer = await client.next(51);
    client.close();
    await client.closed;
    return answer?.at(-1) === 1 ? 'partial' : 'refused';
  };
  const said: string[] = [];
  for (let i = 0; i < 6; i += 1) said.push(await proves('127.0.0.71', 'acme'));
  t.same(said, Array(6).fill('partial'));
  t.ok(await answers('127.0.0.71'), 'who proves his key and goes is served as before');
  let refused = 0;
  while (refused < 12 && (await proves('127.0.0.72', 'globex')) === 'refused') refused += 1;
  t.ok(refused >= 2 && refused < 12, `who proves what is not his is not (${refused} times)`);
  for (let i = 0; i < 8; i += 1) {
    const { socket, closed } = rawSocket({ ...anybody, port, localAddress: '127.0.0.1' });
    socket.write('GET / HTTP/1.0\r\n\r\n');
    await closed;
  }
  t.ok(await answers('127.0.0.1'), 'an exempt one always');
  let isBack = false;
  for (let waited = 0; !isBack && waited < 100_000; waited += 500) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    isBack = await answers('127.0.0.66');
  }
  t.ok(isBack, 'the penalty ends by itself');
});
