// The listener of metrics: what it serves, and that nobody can block it.
import { connect } from 'node:net';
import { test } from 'tap';
import { expose, serveMetrics } from '../../server/observability/metrics.ts';

test('metrics are served on loopback, and nothing else is served', async (t) => {
  const { port, stop } = await serveMetrics(0, () => [{ name: 'x_total', help: 'X.', kind: 'counter', value: 3 }]);
  t.teardown(stop);
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  t.match(text, /# TYPE cofferdam_x_total counter\ncofferdam_x_total 3\n/);
  t.match(text, /cofferdam_process_resident_bytes \d+/);
  for (const [path, method] of [
    ['/', 'GET'],
    ['/metrics', 'POST'],
    ['/metrics?x', 'GET'],
  ] as const)
    t.equal((await fetch(`http://127.0.0.1:${port}${path}`, { method })).status, 404, `${method} ${path}`);
  await t.rejects(
    serveMetrics(port, () => []),
    { code: 'configuration' },
    'a port in use is a clear fault',
  );
  t.equal((await serveMetrics(null, () => [])).port, null, 'no port, no server');
  t.match(expose([{ name: 'y', help: 'Y.', kind: 'gauge', value: Number.NaN }]), /cofferdam_y 0\n/);
});

test('silent connections do not keep others out: the oldest one is closed', async (t) => {
  const { port, stop } = await serveMetrics(0, () => []);
  t.teardown(stop);
  const silent = Array.from({ length: 40 }, () => connect(port ?? 0, '127.0.0.1').on('error', () => {}));
  t.teardown(() => {
    for (const socket of silent) socket.destroy();
  });
  await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(5000),
  });
  t.equal(answer.status, 200);
});

test('a client that has not finished its request does not delay the stop', async (t) => {
  const { port, stop } = await serveMetrics(0, () => []);
  const slow = connect(port ?? 0, '127.0.0.1').on('error', () => {});
  t.teardown(() => void slow.destroy());
  await new Promise((resolve) => slow.once('connect', resolve));
  slow.write('GET /metrics HTTP/1.1\r\nhost: x');
  t.ok(
    (await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } })).ok,
    'it serves meanwhile',
  );
  const began = performance.now();
  await stop();
  // Without this, the stop takes as long as a request may take.
  t.ok(performance.now() - began < 1500, `stopped in ${Math.round(performance.now() - began)} ms`);
});
