// Whoever stops a process waits for as long as the process itself may wait: the supervisor, and with the default
// `drainMs` the units of systemd and the containers. Edges are stopped before the warden.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { defaultLimits } from '../../server/config/config.ts';
import { lastPutsMs, lastWordsMs, stopGraceMs, transfersMs, wardenLeaves } from '../../server/config/stop-times.ts';
import { project } from '../support/world.ts';

const read = (...path: readonly string[]): string => readFileSync(join(project, ...path), 'utf8');
const grace = stopGraceMs(defaultLimits);

test('an edge, a warden and a store get more time than they themselves wait for clients', (t) => {
  for (const drainMs of [0, 2000, 60_000])
    t.ok(stopGraceMs({ drainMs }).edge > transfersMs({ drainMs }) + lastWordsMs, `drainMs ${drainMs}`);
  t.ok(grace.warden > wardenLeaves.edgeMs + wardenLeaves.answersMs, 'a warden');
  t.ok(grace.store > lastPutsMs, 'a store');
  t.end();
});

test('units of systemd wait as long, and stop edges before the warden', (t) => {
  for (const [unit, role] of [
    ['edge-partner', 'edge'],
    ['edge-internal', 'edge'],
    ['admin', 'admin'],
    ['warden', 'warden'],
    ['store', 'store'],
  ] as const) {
    const text = read('deploy', 'systemd', `cofferdam-${unit}.service`);
    const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1]);
    t.ok(seconds * 1000 >= grace[role], `${unit}: ${seconds} s`);
    // A unit that is started after another unit is stopped before it.
    if (role === 'edge') t.match(text, /^After=.*\bcofferdam-warden\.service\b/m, `${unit} goes first`);
  }
  t.end();
});

test('containers wait as long, and stop edges before the warden', (t) => {
  const text = read('compose.yaml');
  const [head = '', ...services] = text.split(/^ {2}(?=[a-z-]+:\n)/m);
  const seconds = Number(/^ {2}stop_grace_period: (\d+)s$/m.exec(head)?.[1]);
  t.ok(seconds * 1000 >= Math.max(...Object.values(grace)), `${seconds} s`);
  const roles = services.filter((one) => /^(?:warden|admin|edge-)/.test(one));
  t.equal(roles.length, 4);
  for (const one of roles) {
    t.match(one, /<<: \*role/);
    t.notMatch(one, /stop_grace_period/);
    if (one.startsWith('edge-')) t.match(one, /^ {4}depends_on: \[warden\]$/m, 'its warden outlives it');
  }
  t.end();
});
