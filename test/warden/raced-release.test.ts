// A release that two operators sign while a warden looks at the freeze ends it. What the warden saw a moment
// before does not undo it: neither as the row of its own freeze, nor as a row of another warden that said the same. A
// release gives up no more than it names.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { createLogger } from '../../server/observability/logger.ts';
import { LedgerAlarms } from '../../server/warden/ledger/alarms.ts';
import { compare, freezeOf, type Vouched } from '../../server/warden/ledger/comparison.ts';
import { FoundFreeze } from '../../server/warden/ledger/found-freeze.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { releaseUseCase } from '../../server/warden/ledger/ledger-commands.ts';
import { OwnMemory } from '../../server/warden/ledger/own-memory.ts';
import { namesOf } from '../../server/warden/ledger/releases.ts';
import { type Freeze, type Look, look } from '../../server/warden/ledger/seal-queries.ts';
import { temporaryDirectory } from '../support/database.ts';
import { hourMs, startTwoOperators } from '../support/two-operators.ts';

const log = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'test');
const behind: Omit<Freeze, 'id'> = { why: 'behind', text: 'it is older than what was witnessed', facts: { heads: 0 } };

async function setUp(t: Test) {
  const release = releaseUseCase(new LedgerGuard())['ledger.release'];
  const operators = await startTwoOperators(
    t,
    (doing) =>
      (_operation, params, by, { change }) =>
        release(params as Parameters<typeof release>[0], { ...doing, operator: by.operator, change }),
  );
  const { sql, bob, propose, approve } = operators;
  const { database, keys } = operators.warden;
  const alarms = new LedgerAlarms(database, log);
  const warden = async () => {
    const path = join(temporaryDirectory(t), 'memory.json');
    const own = new OwnMemory(path);
    await own.load();
    return { own, path, found: new FoundFreeze(database, keys, own, alarms, log) };
  };
  const seen = (): Promise<Look> => database.withSystem(look);
  const rows = (): Promise<readonly { id: string; isReleased: boolean }[]> =>
    sql.query('select id, released_at is not null as "isReleased" from ledger_freeze order by at');
  const releaseByTwo = async (freeze: Freeze): Promise<void> => {
    const proposal = await propose(hourMs, {
      operation: 'ledger.release',
      params: { ...namesOf(freeze), reason: 'a test' },
    });
    await approve(proposal, bob);
  };
  return { sql, database, keys, warden, seen, rows, releaseByTwo };
}

test('a release that comes between the look of a warden and what it does about its freeze ends the freeze', async (t) => {
  const { sql, warden, seen, rows, releaseByTwo } = await setUp(t);
  const { found, own } = await warden();
  await found.find(await seen(), behind, undefined);
  const stands = await found.standing(await seen());
  if (stands === undefined) throw new Error('it does not stand');
  await releaseByTwo(stands);
  await found.keep(stands);
  t.equal((await rows()).length, 1, 'nothing is added');
  t.match(await rows(), [{ id: stands.id, isReleased: true }], 'the row stays released');
  t.equal(await found.standing(await seen()), undefined, 'and the next look finds nothing that stands');
  t.same(
    await sql.query("select text from alert where text like '%no two operators%'"),
    [],
    'no alarm calls it forged',
  );

  await own.froze(null);
  await found.find(await seen(), behind, undefined);
  const second = await found.standing(await seen());
  if (second === undefined) throw new Error('the second does not stand');
  await sql.query('set session_replication_role = replica');
  await sql.query(
    `update ledger_freeze set released_at = clock_timestamp(), era = 3, change_id = (select id from change limit 1) where id = '${second.id}'`,
  );
  await sql.query('set session_replication_role = origin');
  await found.keep(second);
  t.match(
    await rows(),
    [{ isReleased: true }, { id: second.id, isReleased: false }],
    'twin: a forged release is written back',
  );
});

test('the freeze of another warden that says the same is released at that moment', async (t) => {
  const { warden, seen, rows, releaseByTwo } = await setUp(t);
  const [first, second] = [await warden(), await warden()];
  await first.found.find(await seen(), behind, undefined);
  await second.found.find(await seen(), behind, undefined);
  const [a, b] = [await first.found.standing(await seen()), await second.found.standing(await seen())];
  if (a === undefined || b === undefined) throw new Error('they do not stand');
  t.equal((await rows()).length, 1, 'one row for both');
  await second.found.keep(b);
  t.equal((await rows()).length, 1, 'twin: while it stands, the second adds none');
  await releaseByTwo(a);
  await second.found.keep(b);
  t.same(await rows(), [{ id: a.id, isReleased: true }], 'none is added after the release of both');
  t.equal(await second.found.standing(await seen()), undefined);
});

test('the release of a freeze that somebody else wrote gives up only what it names', async (t) => {
  const { sql, database, keys, warden, seen, releaseByTwo } = await setUp(t);
  const witnessed: Vouched = {
    by: 'the witness',
    witness: 'w',
    era: 1,
    size: 5,
    root: 'r',
    time: '2026-05-01T10:00:00.000Z',
  };
  const compared = async () => {
    const now = await seen();
    return database.withSystem((tx) => compare(tx, keys, now, [witnessed], 60_000));
  };
  t.match(await compared(), { is: 'behind' }, 'all five heads are gone');
  const { id: _id, ...found } = freezeOf('', { is: 'behind', text: 'one head is gone', witnessed }, await seen());
  const small: Freeze = { ...found, id: randomUUID(), facts: { ...found.facts, heads: 4 } };
  await sql.query('insert into ledger_freeze (id, why, text, facts) values ($1, $2, $3, $4)', [
    small.id,
    small.why,
    small.text,
    small.facts,
  ]);
  await releaseByTwo(small);
  t.match(
    await compared(),
    { is: 'behind', text: /fewer than the record had when two operators released it/ },
    'the rest is not given up with it',
  );
  const { found: own } = await warden();
  const { id: _small, ...whole } = freezeOf('', { is: 'behind', text: 'the rest is gone', witnessed }, await seen());
  await own.find(await seen(), whole, undefined);
  const stands = await own.standing(await seen());
  if (stands === undefined) throw new Error('it does not stand');
  t.match(stands.facts, { heads: 0, witnessedSize: 5 }, 'operators are shown the whole loss');
  await releaseByTwo(stands);
  t.same(await compared(), { is: 'good', unnamed: [] }, 'twin: a release that names it');
});

test('what a freeze quotes of the database, however long, can be read again at the next start', async (t) => {
  const { warden, seen } = await setUp(t);
  const { found, path } = await warden();
  const long = 'x'.repeat(100_000);
  await found.find(
    await seen(),
    { why: 'diverged', text: `it says ${long}`, facts: { missed: 1, identity: long } },
    undefined,
  );
  const again = new OwnMemory(path);
  await again.load();
  t.match(
    again.freeze,
    { why: 'diverged', text: /^it says x+$/, facts: { missed: 1 } },
    'the freeze stands after a start',
  );
  t.same(again.freeze, await found.standing(await seen()), 'as it stood before');
});
