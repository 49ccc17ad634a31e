// 200 hostile clients at once: half of them ask for files and never read, half of them write what can never be
// accepted. Memory is bounded for all of them together.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { defaultLimits } from '../../server/config/config.ts';
import { wideBudgetsEnv } from '../support/bank.ts';
import { RawClient, sftpPacket, u32 } from '../support/raw-client.ts';
import { memoryOf } from '../support/stall.ts';
import { startWorld } from '../support/world.ts';

const clientsMax = 200;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** The configured reserve, and what sockets, sessions and garbage that is not collected yet add for so many clients. */
const boundBytes = defaultLimits.bufferBytesMax + clientsMax * 1.5 * 2 ** 20;

test('clients that never read, and floods of writes', async (t) => {
  const world = await startWorld(t, {
    limits: { unauthenticatedPerSourceMax: 400, unauthenticatedConnectionsMax: 400 },
    env: wideBudgetsEnv,
  });
  const { port } = world.demo.partner;
  const [pid] = world.pidsOf('partner-1');
  if (pid === undefined) throw new Error('no edge');
  const local = join(world.directory, 'big');
  writeFileSync(local, randomBytes(40_000_000));
  t.equal((await world.sftp('processor', [`put ${local} globex/collect/big`])).code, 0);
  const key = readFileSync(world.keyFile('globex-batch'), 'utf8');
  const before = memoryOf(pid);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(pid));
  }, 50);
  const clients: RawClient[] = [];
  let served = 0;
  for (let i = 0; i < clientsMax; i += 20)
    await Promise.all(
      Array.from({ length: 20 }, async (_, j) => {
        const client = await RawClient.open({ port });
        clients.push(client);
        if (!(await client.login('globex-batch', key)) || !(await client.sftp())) return;
        served += 1;
        if ((i + j) % 2 === 0) {
          const opened = await client.ask(3, '/collect/big', u32(1), u32(0));
          if (opened?.[0] !== 102) throw new Error('the file could not be opened');
          const handle = opened.subarray(5);
          client.socket.pause();
          for (let at = 0; at < 150; at += 1)
            client.data(sftpPacket(5, u32(at), Buffer.from(handle), u32(0), u32(at * 262_144), u32(262_144)));
          return;
        }
        // A packet whose rest never comes: the part that was sent waits.
        client.data(Buffer.concat([u32(262_000), Buffer.of(6)]));
        const piece = Buffer.alloc(32_000, 1);
        for (let k = 0; k < 8; k += 1) client.data(piece.subarray(0, k === 7 ? 30_000 : 32_000));
      }),
    );
  t.equal(served, clientsMax, `${clientsMax} sessions at once`);
  const good = await world.sftp('acme-batch', [`put ${local} deposit/good`, 'ls -l deposit/good']);
  t.ok(good.code === 0 && good.out.includes('40000000'), 'a good upload goes through beside them');
  await sleep(3000);
  clearInterval(watch);
  const grown = most - before;
  t.comment(
    `${clientsMax} hostile clients: ${Math.round(grown / 2 ** 20)} MiB more at most; the bound is ${Math.round(boundBytes / 2 ** 20)} MiB`,
  );
  t.ok(grown < boundBytes, 'within the bound of the process');
  for (const client of clients) client.close();
  t.equal(world.pidsOf('partner-1')[0], pid, 'the same process');
});
