// An entry is sealed when a signed head contains it: a row among the sealed ones proves nothing, whoever seals.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { createBirths } from '../../server/warden/ledger/born.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { ProvedEntries } from '../../server/warden/ledger/proved-entries.ts';
import type { Signing } from '../../server/warden/ledger/seal.ts';
import { look } from '../../server/warden/ledger/seal-queries.ts';
import { FileWitness } from '../../server/warden/ledger/witness/file-witness.ts';
import { installationId } from '../../server/warden/seals/seal-queries.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { newCustomer, sealOnce, writeEntries } from '../support/record.ts';
import { until } from '../support/until.ts';

/**
 * Between the effect and its seal the entry is removed, and a row like it is put among the sealed ones, with the number
 * that comes next.
 */
const taken = (instead: string): string => `create function take() returns trigger language plpgsql security definer
  set session_replication_role = replica set cofferdam.customers = '*' as $$
  begin
    if new.kind = 'file.published' then
      delete from ledger_fresh where id = new.id;
      insert into ledger_sealed select s.number + 1, '00000000-0000-0000-0000-000000000000', 1000000000 + new.id, sha256('a'), sha256('b'), (new).* from ledger_state s;
      ${instead}
    end if;
    return null;
  end $$`;
const another =
  "insert into ledger_fresh (at, kind, observer, public) values (new.at, 'extent.stored', 'warden', new.public);";

for (const [what, instead] of [
  ['is taken out', ''],
  ['is exchanged for another one, which the warden signs,', another],
] as const)
  test(`an entry that ${what} while a forged row says that it was sealed is missed by the warden that seals`, async (t) => {
    const sql = await createTestDatabase(t);
    const directory = temporaryDirectory(t);
    mkdirSync(join(directory, 'witness'));
    const config = ledgerConfig(directory, { sealEveryMs: 20, witnessStopMs: 600_000, witnessAlarmMs: 600_000 });
    const births = createBirths(config.limits);
    const database = new Database({
      url: sql.wardenUrl,
      applicationName: 'test',
      connectionsMax: 1,
      drafts: () => births.begin(),
    });
    t.teardown(() => database.close());
    const guard = new LedgerGuard();
    const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
    const witnesses = [new FileWitness('local', true, join(directory, 'witness'))];
    const ledger = new Ledger({
      config,
      url: sql.wardenUrl,
      keys: createKeyRing(config),
      guard,
      births,
      witnesses,
      log,
    });
    await ledger.start();
    t.teardown(() => ledger.stop());
    const publish = (): Promise<void> =>
      database.withSystem((tx) => record(tx, { kind: 'file.published', observer: 'warden' }));
    for (let i = 0; i < 3; i += 1) await publish();
    await until('twin: all are seen sealed', () => births.size === 0);
    t.same(guard.state, { is: 'open' });
    await sql.query(taken(instead));
    await sql.query('create trigger take after insert on ledger_fresh for each row execute function take()');
    await publish();
    const freezes = (): Promise<readonly { why: string; text: string }[]> =>
      sql.query('select why, text from ledger_freeze');
    await until('it is frozen', async () => (await freezes()).length === 1);
    t.match(await freezes(), [
      {
        why: 'diverged',
        text: /^the entry \d+ \(file\.published\) that this warden wrote is neither waiting nor sealed: the record was touched$/,
      },
    ]);
    t.match(guard.state, { is: 'closed', why: 'frozen' });
  });

async function setUp(t: Test) {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => database.close());
  const origin = await database.withSystem(async (tx) => originOf((await installationId(tx)).id));
  const signing: Signing = { origin, signer: checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin) };
  const stranger: Signing = { origin, signer: checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin) };
  const customers = [await newCustomer(sql, 'acme'), await newCustomer(sql, 'globex'), null];
  const grow = async (by = signing): Promise<void> => {
    for (const customer of customers) await writeEntries(sql, customer, 3);
    await sealOnce(database, by);
  };
  await grow();
  const proved = new ProvedEntries(database);
  await proved.begin(signing, []);
  const follow = async (by = signing): Promise<void> => proved.follow(await database.withSystem(look), by);
  const ids = async (): Promise<readonly number[]> =>
    (await sql.query<{ id: string }>('select id from ledger_sealed order by number')).map((row) => Number(row.id));
  return { sql, proved, grow, follow, ids, stranger };
}

test('behind another sealer: what its signed heads contain is sealed, also in steps', async (t) => {
  const { sql, proved, grow, follow, ids, stranger } = await setUp(t);
  t.equal(proved.number, 9);
  t.same(proved.find(await ids(), 0), [], 'nobody asks for what was sealed before');
  await grow();
  t.equal(proved.number, 9, 'not before it was followed');
  await follow(stranger);
  t.equal(proved.number, 9, 'a checkpoint that is none of ours proves nothing');
  await follow();
  t.equal(proved.number, 18);
  t.same(
    proved
      .find(await ids(), 9)
      .map(({ id }) => id)
      .sort((a, b) => a - b),
    (await ids()).slice(9),
  );
  t.same(proved.find(await ids(), 18), []);
  for (let i = 0; i < 70; i += 1) {
    await writeEntries(sql, null, 1);
    await grow();
  }
  await follow();
  t.equal(proved.number, 18, 'more heads than one look follows: they are not vouched for yet');
  await follow();
  t.equal(proved.number, 18 + 70 * 10);
  t.equal(proved.find(await ids(), 18).length, 700);
  proved.forgetUpTo(700);
  t.equal(proved.find(await ids(), 0).length, 18);
});

const touches: Readonly<Record<string, string>> = {
  'an entry says something else': `update ledger_sealed set public = '{"outcome": "x"}' where number = 12`,
  'an entry is gone': 'delete from ledger_sealed where number = 12',
  'an entry stands at another place': 'update ledger_sealed set position = 1000000000 where number = 12',
  'there is one entry more': `insert into ledger_sealed (number, tree, position, salt, leaf, id, at, kind, observer, public, sensitive)
     select number, tree, 1000000000, salt, leaf, 5000, at, kind, observer, public, sensitive from ledger_sealed where number = 12`,
  'a head counts another number': 'update ledger_head set number = number - 1 where position = 1',
  'a head has another map': `update ledger_head set map_root = sha256('x') where position = 1`,
  'a head is gone': 'delete from ledger_head where position = 1',
};
for (const [what, touch] of Object.entries(touches))
  test(`a warden that does not seal finds, among what another sealer sealed, that ${what}`, async (t) => {
    const { sql, proved, grow, follow } = await setUp(t);
    await grow();
    await sql.query('set session_replication_role = replica');
    await sql.query(touch);
    await sql.query('set session_replication_role = origin');
    await t.rejects(follow(), { name: 'RecordDiverged' });
    t.equal(proved.number, 9);
  });
