import { connect, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase, type Teardown, testPasswords } from '../support/database.ts';

/** A way to the server that can be cut, without a word of farewell. */
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

test('a connection that dies under a call or a transaction is an error of that call, never of the process', async (t) => {
  const sql = await createTestDatabase(t);
  const way = await cuttable(t, sql.wardenUrl);
  const database = new Database({ url: way.url, applicationName: 'victim', connectionsMax: 1 });
  t.teardown(() => database.close());
  for (const work of [
    () => database.call('select pg_sleep(10)', []),
    () => database.call('select pg_sleep(10)', [], 'sleep'),
    () => database.withSystem((tx) => tx.query('select pg_sleep(10)')),
  ]) {
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
