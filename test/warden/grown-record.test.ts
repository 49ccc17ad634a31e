// What a sealer had proved and nobody had signed yet is not forgotten when it comes into doubt: the record may only
// have grown since.
import { test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { Rounds } from '../../server/warden/ledger/rounds.ts';
import { Sealer } from '../../server/warden/ledger/sealer.ts';
import { createTestDatabase } from '../support/database.ts';
import { newCustomer, sealWithin, TestSealer, writeEntries } from '../support/record.ts';

const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
const tables = ['ledger_head', 'ledger_state', 'ledger_tree', 'ledger_sealed', 'ledger_block', 'ledger_fresh'];

test('a head that was proved and never signed, and that is gone after a doubt: nothing is sealed in its place', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query("set cofferdam.customers = '*'");
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 3 });
  t.teardown(() => database.close());
  const acme = await newCustomer(sql, 'acme');
  const sealer = new TestSealer(database);
  const signing = await sealer.signing();
  await writeEntries(sql, acme, 3);
  await sealer.seal();
  for (const table of tables) await sql.query(`create temp table was_${table} as table ${table}`);

  // Another warden seals, and ends before it signs.
  await writeEntries(sql, acme, 2);
  await database.withSystem((tx) => sealWithin(tx, signing));
  let isLost = true;
  const rounds = new Rounds(database, log);
  const seal = rounds.seal.bind(rounds);
  rounds.seal = async (...args) => {
    if (isLost) throw new Error('the connection was lost');
    return seal(...args);
  };
  const leader = new Sealer(database, log, rounds);
  const round = (one = leader) => one.round(signing, { isSignDue: true, now: Date.now() });
  await t.rejects(round(), /the connection was lost/, 'it was proved, and the outcome of the round is unknown');
  isLost = false;

  // As the owner of the database sets it back: to what was signed, of which no checkpoint says that it is old.
  await sql.query('set session_replication_role = replica');
  for (const table of tables) {
    await sql.query(`delete from ${table}`);
    const [row] = await sql.query<{ columns: string }>(
      "select string_agg(quote_ident(attname), ', ') as columns from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
      [table],
    );
    await sql.query(
      `insert into ${table} (${row?.columns}) overriding system value select ${row?.columns} from was_${table}`,
    );
  }
  await sql.query('set session_replication_role = origin');
  await t.rejects(round(), /had 5 entries, and has 3 since another warden sealed/);
  await t.rejects(round(), /had 5 entries, and has 3 since another warden sealed/, 'however often it tries');
  await t.resolves(round(new Sealer(database, log)), 'the twin: whoever never saw it cannot know');
});
