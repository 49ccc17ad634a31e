// The flow of a scope, measured while nothing else runs.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { SftpClient } from '../support/sftp-client.ts';
import { startWorld, type World } from '../support/world.ts';

const MiB = 1024 ** 2;

function put(world: World, name: string, bytes: number): string {
  const path = join(world.directory, name);
  writeFileSync(path, randomBytes(bytes));
  return path;
}

const client = (world: World, name: string): Promise<SftpClient> =>
  SftpClient.connect({
    port: world.demo.partner.port,
    username: name,
    privateKey: readFileSync(world.keyFile(name), 'utf8'),
  });

test('a scope has one steady flow, however many transfers share it', async (t) => {
  const rate = 2 * MiB;
  const world = await startWorld(t, {
    env: { COFFERDAM_BUDGETS: JSON.stringify({ account: { out: { rate }, in: { rate } } }) },
  });
  const big = put(world, 'big', 24 * MiB);
  t.equal((await world.sftp('processor', [`put ${put(world, 'small', 1000)} acme/collect/small`])).code, 0);
  // The processor has an account budget of its own: it is widened, so that the files are there soon.
  await world.cofferctl([
    'budget',
    'set',
    '--account',
    'processor',
    '--direction',
    'in',
    '--rate',
    '1GiB',
    '--reason',
    'test',
  ]);
  t.equal((await world.sftp('processor', [`put ${big} acme/collect/big`])).code, 0);
  const clients = await Promise.all(Array.from({ length: 4 }, () => client(world, 'acme-batch')));
  const arrivals: { readonly at: number; readonly bytes: number }[] = [];
  const end = performance.now() + 9500;
  await Promise.all(
    clients.map(async (one, i) => {
      const handle = await one.open('collect/big');
      for (let at = i * 4 * MiB; performance.now() < end && at < 24 * MiB; at += 32_768) {
        const bytes = (await one.read(handle, at, 32_768)).length;
        arrivals.push({ at: performance.now(), bytes });
      }
      one.end();
    }),
  );
  // Every whole second and every span of five seconds: what arrived, compared with the rate.
  const start = arrivals[0]?.at ?? 0;
  const inSpan = (from: number, seconds: number): number =>
    arrivals
      .filter((one) => one.at - start >= from * 1000 && one.at - start < (from + seconds) * 1000)
      .reduce((sum, one) => sum + one.bytes, 0) / seconds;
  const spans = [1, 2, 3, 4].map((from) => inSpan(from, 5));
  t.comment(
    `MiB/s over any 5 s: ${spans.map((one) => (one / MiB).toFixed(2)).join(' ')}; by second: ${[...Array(9).keys()].map((s) => (inSpan(s, 1) / MiB).toFixed(2)).join(' ')}`,
  );
  for (const span of spans) t.ok(span <= rate * 1.1, `at most the rate (${(span / MiB).toFixed(2)} MiB/s)`);
  // At least half of it: machines are noisy, but a stall of seconds is not noise.
  for (const span of spans) t.ok(span >= rate * 0.5, 'and no stall');

  const started = performance.now();
  t.equal((await world.sftp('acme-batch', [`put ${put(world, 'six', 6 * MiB)} deposit/six`])).code, 0);
  const seconds = (performance.now() - started) / 1000;
  t.ok(seconds >= 2, `an upload is paced too (6 MiB in ${seconds.toFixed(1)} s)`);
});
