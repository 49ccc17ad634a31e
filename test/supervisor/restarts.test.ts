// The pauses between the restarts of a role: longer each time while it dies young, short again after it has served.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { Child } from '../../server/supervisor/child.ts';
import { temporaryDirectory } from '../support/database.ts';

const log = createLogger({ log: { level: 'silent', pretty: false } } as never, 'supervisor');

test('a role that dies as soon as it is ready is started with growing pauses; one that has served begins with the shortest', async (t) => {
  const place = join(temporaryDirectory(t), 'lives');
  writeFileSync(place, '');
  // Lives of the role, in milliseconds: six short ones, a steady one, and one that lasts.
  const script = `const fs = require('node:fs');
const nth = fs.readFileSync(${JSON.stringify(place)}, 'utf8').split('\\n').length - 1;
process.send({ is: 'ready' });
fs.appendFileSync(${JSON.stringify(place)}, 'begins ' + Date.now());
setTimeout(() => {
  fs.appendFileSync(${JSON.stringify(place)}, ' ends ' + Date.now() + '\\n');
  process.exit(1);
}, [1, 1, 1, 1, 1, 1, 2500][nth] ?? 1_000_000);
process.on('SIGTERM', () => process.exit(0));`;
  const child = new Child(
    'role',
    { program: process.execPath, args: ['-e', script], env: { PATH: process.env.PATH ?? '' } },
    log,
  );
  t.teardown(() => child.stop(1000));
  await child.start();
  const begins = (): readonly number[] =>
    [...readFileSync(place, 'utf8').matchAll(/begins (\d+)/g)].map(([, at]) => Number(at));
  for (const end = Date.now() + 60_000; begins().length < 8 && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 20));
  const began = begins();
  const ended = [...readFileSync(place, 'utf8').matchAll(/ends (\d+)/g)].map(([, at]) => Number(at));
  t.equal(began.length, 8, 'it is started again each time');
  const pauses = ended.map((at, i) => (began[i + 1] ?? 0) - at);
  for (const [i, atLeast] of [100, 200, 400, 800, 1600, 3200].entries())
    t.ok((pauses[i] ?? 0) >= atLeast - 5, `${pauses[i]} ms after death ${i + 1}`);
  // Without a new beginning it would be 5000 ms; the rest is the time in which the process starts.
  t.ok((pauses[6] ?? Number.POSITIVE_INFINITY) < 5000, `${pauses[6]} ms after a steady life`);
});
