// Connections to the database that die at any moment.
import { connect, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase, type Teardown, testPasswords } from '../support/database.ts';

/** A connection to the server that can be cut, without a closing message. */
async function cuttable(t: Teardown, url: string): Promise<{ readonly url: string; cut(): void }> {
  const { host, port, database } = new pg.Client({ connectionString: url });
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  const own = (server.address() as { port: number }).port;
  return {
    url: `postgresql://cofferdam_warden:${testPasswords.warden}@127.0.0.1:${own}/${database}`,
    cut: () => {
      for (const socket of open) socket.destroy();
    },
  };
}

test('a connection that dies during a call or a transaction is an error of that call, never of the process', async (t) => {
  const sql = await createTestDatabase(t);
  const way = await cuttable(t, sql.wardenUrl);
  const [plain, preparing] = [false, true].map((isPreparing) => {
    const database = new Database({ url: way.url, applicationName: 'victim', connectionsMax: 1, isPreparing });
    t.teardown(() => database.close());
    return database;
  }) as [Database, Database];
  for (const [database, work] of [
    [plain, () => plain.call('select pg_sleep(10)', [])],
    [preparing, () => preparing.call('select pg_sleep(10)', [])],
    [plain, () => plain.withSystem((tx) => tx.query('select pg_sleep(10)'))],
    [preparing, () => preparing.withSystem((tx) => tx.query('select pg_sleep($1)', [10]))],
  ] as const) {
    const working = work().then(
      () => 'answered',
      (error: unknown) => error,
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    way.cut();
    const outcome = await working;
    t.match(outcome, CofferdamError, 'rejected');
    t.match(outcome, { code: 'unavailable' }, 'as unknown: nothing may be released on it');
    t.same(await database.call('select 1 as one', []), [{ one: 1 }], 'the next call has a connection again');
  }
});

test('a server that ends a connection at the moment at which it accepts it is an error of that call, too', async (t) => {
  // A server that is being shut down, or an operator's pg_terminate_backend, can put all of this into one packet:
  // authentication, ready, and the end.
  const frame = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.write(type, 0, 'latin1');
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const last = ['SFATAL', 'C57P01', 'Mterminating connection due to administrator command']
    .map((field) => `${field}\0`)
    .join('');
  const packet = Buffer.concat([
    frame('R', Buffer.alloc(4)),
    frame('Z', Buffer.from('I')),
    frame('E', Buffer.from(`${last}\0`)),
  ]);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(packet));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const database = new Database({
    url: `postgresql://u:p@127.0.0.1:${port}/d`,
    applicationName: 'victim',
    connectionsMax: 1,
  });
  t.teardown(() => database.close());
  for (let i = 0; i < 3; i += 1)
    await t.rejects(
      database.withSystem((tx) => tx.query('select 1')),
      { code: 'unavailable' },
      'and the process lives',
    );
});
