// Which connection is that of the self-test: one from this machine and from one of its ports. Any other client from the
// same port is not.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'tap';
import { isFromHere } from '../../server/edge/self-test/self-test.ts';

test('a connection of this machine is recognised by its real addresses and ports', async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const arriving = once(server, 'connection') as Promise<[Socket]>;
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(client, 'connect');
  const [arrived] = await arriving;
  t.teardown(() => {
    client.destroy();
    arrived.destroy();
  });
  const port = client.localPort ?? 0;
  t.ok(isFromHere(new Set([port]), arrived));
  t.notOk(isFromHere(new Set([port + 1]), arrived), 'another port');
  const stranger = { remotePort: port, remoteAddress: '192.0.2.7', localAddress: arrived.localAddress };
  t.notOk(isFromHere(new Set([port]), stranger), 'a stranger from the same port');
  t.notOk(isFromHere(new Set([port]), { remotePort: port }), 'a connection that has gone');
});
