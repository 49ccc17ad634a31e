// T-34, T-35, T-38: somebody opens a socket of ours again and again, and sends something wrong or nothing. The log has
// a few lines about it and the number of the others; who it was, and what else happens, stays legible.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { encodeFrame } from '../../server/rpc/framing.ts';
import { startWorld } from '../support/world.ts';

const times = 200;
/** Ten lines a minute, two minutes on a slow machine, and a line with the number of each. */
const linesMax = 30;

/**
 * One after the other, a few at once: each sends its bytes, and is over when the other side ends it or a moment has
 * passed.
 */
async function again(open: () => Socket, words: string | Buffer): Promise<void> {
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = open();
      const timer = setTimeout(() => socket.destroy(), 500);
      socket.on('error', () => {});
      socket.once('connect', () => socket.end(words));
      socket.resume();
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  const worker = async (): Promise<void> => {
    for (let i = 0; i < times / 8; i += 1) await one();
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

test('what is wrong again and again takes a few lines of the log', async (t) => {
  const world = await startWorld(t);
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const { host, port } = world.demo.partner;
  const floods: readonly (readonly [string, RegExp, () => Socket, string | Buffer])[] = [
    [
      'no TLS at the operators',
      /an operator connection was refused/g,
      () => connect(paths.adminSocket),
      'GET / HTTP/1.0\r\n\r\n',
    ],
    ['no SSH at an edge', /connection ended by us/g, () => connect(port, host), 'GET / HTTP/1.0\r\n\r\n'],
    [
      'a wrong form at the warden',
      /sent a malformed message/g,
      () => connect(paths.wardenSocket('partner-1')),
      encodeFrame({ id: 1, op: 'tree.list', params: {} }),
    ],
    [
      'no form at the warden',
      /edge disconnected/g,
      () => connect(paths.wardenSocket('partner-1')),
      'nothing that is a frame',
    ],
  ];
  for (const [what, line, open, words] of floods) {
    const before = world.log.length;
    await again(open, words);
    await world.logged(line, before);
    const lines = world.log.slice(before).match(line)?.length ?? 0;
    t.ok(lines > 0 && lines <= linesMax, `${what}: ${times} times, ${lines} lines`);
  }
  const before = world.log.length;
  await world.cofferctl(['account', 'lock', 'globex', '--reason', 'test', '--execute']);
  t.equal((await world.sftpWhenServed('acme-batch', ['ls'])).code, 0, 'everybody else is served');
  t.equal(await world.stop(), 0);
  t.match(
    world.log.slice(before),
    /an operator connection was refused \(\d+ more times within a minute\)|"unwritten":\d+/,
    'and what was not written is counted',
  );
  t.match(world.log, /edge stopped/, 'what happens once is written');
});
