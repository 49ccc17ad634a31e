// From where a socket comes when a load balancer may say it: its header is waited for, only for so long, and no longer
// than until it is there.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type Test, test } from 'tap';
import { type Network, parseNetwork } from '../../server/domain/addresses.ts';
import { whenSourceKnown } from '../../server/edge/accept/balanced.ts';
import type { ProxySource } from '../../server/edge/accept/proxy-protocol.ts';
import { SocketReader } from '../../server/rpc/own-buffer.ts';
import { until } from '../support/until.ts';

const waitMs = 200;
const noMemory = { take: () => true, need: () => {}, give: () => {} };

/** A connection from 127.0.0.1, which is a load balancer when `balancer` says so. */
async function connected(t: Test, balancer: string) {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(server.address() as { port: number });
  client.on('error', () => {});
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const reader = new SocketReader(accepted, noMemory, true);
  reader.socket.on('error', () => {});
  const sources: ProxySource[] = [];
  const networks = [parseNetwork(balancer)].filter((one): one is Network => one !== undefined);
  whenSourceKnown(reader, networks, (source) => sources.push(source), waitMs);
  t.teardown(async () => {
    client.destroy();
    reader.socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { client, reader, sources };
}

test('a connection lives on when the header has come, however long after it', async (t) => {
  const { client, reader, sources } = await connected(t, '127.0.0.0/8');
  client.write('PROXY TCP4 192.0.2.7 198.51.100.1 50000 22\r\nSSH');
  await until('the source', () => sources.length > 0);
  t.same(sources, [{ address: '192.0.2.7', port: 50_000 }]);
  await new Promise((resolve) => setTimeout(resolve, 3 * waitMs));
  t.notOk(reader.socket.destroyed, 'the header is waited for no longer');
  let text = '';
  reader.read((bytes) => {
    text += bytes.toString();
    return bytes.length;
  });
  reader.resume();
  await until('what came behind the header', () => text === 'SSH');
});

test('a header that does not come in time ends the connection', async (t) => {
  const { client, reader, sources } = await connected(t, '127.0.0.0/8');
  client.write('PROXY TCP4 192.0.2.7');
  await until('its end', () => reader.socket.destroyed);
  t.same(sources, [], 'it came from nowhere');
});

test('nobody else is asked for a header', async (t) => {
  const { client, reader, sources } = await connected(t, '192.0.2.0/24');
  t.match(sources, [{ address: '127.0.0.1' }], 'at once');
  client.write('PROXY TCP4 192.0.2.7 198.51.100.1 50000 22\r\n');
  await new Promise((resolve) => setTimeout(resolve, 3 * waitMs));
  t.notOk(reader.socket.destroyed);
});
