// T-34: the reason for which a connection was ended is one of a closed list in the log. A client without a credential
// cannot choose the number of subjects, and takes nobody else's lines.
import { test } from 'tap';
import { failReasons } from '../../server/edge/seam/fail-reasons.ts';
import { LineBounds } from '../../server/observability/line-bounds.ts';
import { plainPacket, rawSocket } from '../support/attacks.ts';
import { message, RawClient, u32 } from '../support/raw-client.ts';
import { startWorld } from '../support/world.ts';

type Line = { readonly msg: string; readonly reason?: string; readonly messageType?: number; readonly detail?: string };

test('strangers with every possible first message: the reasons are ours, and the guesser has a line in the same minute', async (t) => {
  const world = await startWorld(t, { limits: { unauthenticatedPerSourceMax: 200 } });
  const { port } = world.demo.partner;
  const ends = (): readonly Line[] =>
    world.log
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes('connection ended by us'))
      .map((line) => JSON.parse(line) as Line);
  const first = async (type: number): Promise<void> => {
    const { socket, closed } = rawSocket({ port, account: '', key: '', localAddress: '127.0.0.1' });
    socket.write('SSH-2.0-x\r\n');
    socket.write(plainPacket(Buffer.concat([Buffer.of(type), u32(0), u32(0), Buffer.alloc(40)])));
    await closed;
  };
  // Each alone: what a connection says about a type is seen before its kind has used up its lines.
  await first(30);
  await world.logged(/connection ended by us/);
  t.match(
    ends()[0],
    { reason: 'unexpected message in this state', messageType: 30 },
    'before any key exchange was agreed on',
  );
  t.notMatch(world.log, /Cannot read properties/, 'and no error of a library');
  for (let type = 0; type < 256; type += 16)
    await Promise.all(Array.from({ length: 16 }, (_, i) => (type + i === 1 ? undefined : first(type + i))));
  const guesser = await RawClient.open({ port });
  await guesser.beginLogin();
  for (let i = 0; i < 6; i += 1) {
    guesser.send(message(50, 'globex', 'ssh-connection', 'password', Uint8Array.of(0), 'guess'));
    await guesser.next(51, 52);
  }
  await guesser.closed;
  await world.logged(/too many login attempts/);
  const known: readonly (string | undefined)[] = failReasons;
  for (const line of ends()) t.ok(known.includes(line.reason), JSON.stringify(line));
  const reasons = new Set(ends().map((line) => line.reason));
  t.ok(reasons.size <= 6, [...reasons].join(', '));
  t.notMatch(world.log, /"others":true/, 'nobody was left without a subject of his own');
  t.equal((await world.sftpWhenServed('globex-batch', ['pwd'])).code, 0, 'everybody else is served');
});

test('all reasons have room in one minute, and strangers take no line of a session', async (t) => {
  const bounds = new LineBounds();
  const info = 30;
  for (const reason of failReasons)
    for (let i = 0; i < 20; i += 1)
      bounds.take(info, 'connection ended by us', { reason, messageType: i, detail: `d${i}` });
  const unwritten = bounds.flush();
  t.equal(unwritten.length, failReasons.length, 'each has its own number, and what a stranger chose is no part of it');
  t.notOk(unwritten.some(({ of }) => of === 'others'));
  for (let i = 0; i < 5000; i += 1) bounds.take(info, 'connection ended by us', { reason: `odd ${i}` });
  t.equal(
    bounds.take(info, 'connection ended by us', { reason: 'odd 1000000' }),
    false,
    'the subjects of strangers are full',
  );
  t.equal(
    bounds.take(info, 'connection ended by us', { reason: 'unknown channel', account: 'acme' }),
    true,
    'those of sessions are not',
  );
  t.same(
    bounds.flush().map(({ message, of, more }) => ({ message, of, more })),
    [{ message: 'connection ended by us', of: 'others', more: 4941 }],
  );
});
