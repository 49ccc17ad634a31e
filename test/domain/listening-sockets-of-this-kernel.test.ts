// The tables of listening sockets of the running kernel are read as they are.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { endianness } from 'node:os';
import { test } from 'tap';
import { parseNetSockets, parseUnixSockets } from '../../server/domain/listening-sockets.ts';

test('the sockets of this test are found in the tables of the running kernel', async (t) => {
  for (const [host, table] of [
    ['127.0.0.1', 'tcp'],
    ['0.0.0.0', 'tcp'],
    ['::1', 'tcp6'],
    ['::', 'tcp6'],
  ] as const) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const { port } = server.address() as { port: number };
    const found = (): boolean =>
      parseNetSockets(readFileSync(`/proc/self/net/${table}`, 'utf8'), endianness()).some(
        (one) =>
          one.address === host && one.port === port && one.state === 'listening' && one.uid === process.getuid?.(),
      );
    t.equal(found(), true, host);
    await new Promise((resolve) => server.close(resolve));
    t.equal(found(), false, `${host} is gone`);
  }
  t.ok(parseUnixSockets(readFileSync('/proc/self/net/unix', 'utf8')).length >= 0);
});
