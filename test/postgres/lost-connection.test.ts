import { test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { Database } from '../../server/postgres/database.ts';
import { createTestDatabase } from '../support/database.ts';

test('a connection that dies under a call or a transaction is an error of that call, never of the process', async (t) => {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'victim', connectionsMax: 1 });
  t.teardown(() => database.close());
  const strike = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    await sql.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim'");
  };
  for (const work of [
    () => database.call('select pg_sleep(10)', []),
    () => database.call('select pg_sleep(10)', [], 'sleep'),
    () => database.withSystem((tx) => tx.query('select pg_sleep(10)')),
  ]) {
    const [outcome] = await Promise.all([
      work().then(
        () => 'answered',
        (error: unknown) => error,
      ),
      strike(),
    ]);
    t.match(outcome, CofferdamError, 'rejected');
    t.match(outcome, { code: 'unavailable' }, 'as unknown: nothing may be released on it');
    t.same(await database.call('select 1 as one', []), [{ one: 1 }], 'the next call has a connection again');
  }
});
