// T-36: the second factor, the ticket by which it is enrolled, and the codes that were used: their rows count only as
// the warden wrote them, and what had ended stays ended.
import { createHash, randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { type AccountId, type CustomerId, idOf, type NodeName } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { insertCustomer } from '../../server/warden/customers/customer-queries.ts';
import {
  endFactor,
  endTickets,
  insertSecondFactor,
  replaceSeed,
  useTicket,
} from '../../server/warden/factors/factor-queries.ts';
import { newSeed } from '../../server/warden/factors/totp.ts';
import { countedCodesOf, takeStep } from '../../server/warden/factors/used-codes.ts';
import type { Maker } from '../../server/warden/seals/provenance.ts';
import { readRows, type SealKind } from '../../server/warden/seals/seal-queries.ts';
import { firstBroken, sealing, verifiedBehind } from '../../server/warden/seals/seals.ts';
import { twoOfficers } from '../support/agreed.ts';
import { withWardensKeys } from '../support/as-warden.ts';
import { keptSeal, startSealBench } from '../support/seal-bench.ts';

async function setUp(t: Test) {
  const { sql, warden, config } = await startSealBench(t);
  const { database, keys } = warden;
  const customer = idOf<CustomerId>(randomUUID());
  const account = idOf<AccountId>(randomUUID());
  const doing = <T>(maker: Maker, work: (tx: Transaction) => Promise<T>): Promise<T> =>
    database.withSystem((tx) => sealing(tx, warden, { maker, change: () => null }, () => work(tx)));
  await doing('operator', (tx) => insertCustomer(tx, customer, 'acme'));
  const person = { kind: 'person', plane: 'partner', contact: null, isDemo: false, manages: false } as const;
  await (await twoOfficers(warden)).account({ id: account, name: 'north', customer, ...person });
  const enrol = (): Promise<boolean> =>
    doing('console', (tx) => insertSecondFactor(tx, account, keys.sealSecret('totp', account, newSeed())));
  const reset = (): Promise<void> => doing('operator', (tx) => endFactor(tx, account));
  const issue = async (): Promise<string> => {
    const id = randomUUID();
    await withWardensKeys(config, sql.wardenUrl, async (tx) => {
      await tx.query(
        "insert into mfa_ticket (id, account_id, ticket_hash, issued_by, expires_at) values ($1, $2, $3, 'alice', clock_timestamp() + interval '1 hour')",
        [id, account, createHash('sha256').update(id).digest()],
      );
    });
    return id;
  };
  /** The kind of the first row behind a login that is not as the warden wrote it. */
  const broken = async (ticket: string | null = null): Promise<SealKind | undefined> =>
    (await database.withSystem((tx) => verifiedBehind(tx, keys, { account, credentials: [], window: null, ticket })))
      .broken?.kind;
  const isGood = async (kind: SealKind, id: string): Promise<boolean> =>
    (await database.withSystem((tx) => firstBroken(tx, keys, [{ kind, id }]))) === undefined;
  const generation = async (): Promise<number | undefined> =>
    (await database.withSystem((tx) => readRows(tx, [{ kind: 'second-factor', id: account }])))[0]?.generation;
  const alarms = async (): Promise<readonly string[]> =>
    (
      await sql.query<{ subject: string }>("select subject from alert where kind = 'row.broken-seal' order by subject")
    ).map(({ subject }) => subject.split('/')[0] ?? '');
  /** Written by somebody who leaves the triggers out. */
  const asOwner = async (text: string, values: readonly unknown[] = []): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query(text, values);
    await sql.query('set session_replication_role = origin');
  };
  return { sql, warden, customer, account, doing, enrol, reset, issue, broken, isGood, generation, alarms, asOwner };
}

test('a factor that was taken away does not come back with the seal that it had', async (t) => {
  const { sql, account, enrol, reset, broken, generation } = await setUp(t);
  t.equal(await enrol(), true);
  t.equal(await broken(), undefined, 'as it was enrolled');
  t.equal(await enrol(), false, 'an account has one');
  const seal = await keptSeal(sql, 'second-factor', account);
  const [old] = await sql.query<{ sealed_seed: Buffer }>(
    'select sealed_seed, sealed_by, enrolled_at from second_factor',
  );
  await reset();
  t.match(await sql.query('select sealed_seed from second_factor'), [{ sealed_seed: null }], 'the seed is gone');
  t.equal(await broken(), undefined, 'an empty row is as good as any');
  const putBack = (): Promise<unknown> =>
    sql.query(
      'update second_factor set (sealed_seed, sealed_by, enrolled_at) = (select sealed_seed, sealed_by, enrolled_at from jsonb_populate_record(null::second_factor, $1))',
      [JSON.stringify({ ...old, sealed_seed: `\\x${old?.sealed_seed.toString('hex')}` })],
    );
  await putBack();
  t.equal(await broken(), 'second-factor', 'the seed without a seal');
  await seal();
  t.equal(await broken(), 'second-factor', 'nor with the one that it had');
  await reset();
  t.equal(await broken(), undefined, 'an operator takes it away once more, whatever stands there');
  t.equal(await generation(), 3);
  t.equal(await enrol(), true);
  t.equal(await broken(), undefined, 'the twin: the holder enrols again');
  await putBack();
  await seal();
  t.equal(await broken(), 'second-factor', 'and the first one is as lost as before');
});

test('it is known that there was a factor, though the row and its seal are gone', async (t) => {
  const { enrol, reset, broken, alarms, asOwner, generation } = await setUp(t);
  await enrol();
  await asOwner('delete from second_factor');
  await asOwner("delete from seal where kind = 'second-factor'");
  await t.rejects(
    enrol(),
    { code: 'denied', message: /second-factor .* its generation is not the one that was declared/ },
    'nobody begins anew',
  );
  t.same(await alarms(), ['second-factor']);
  await reset();
  t.equal(await generation(), 2, 'an operator begins anew, and counts on');
  t.equal(await enrol(), true);
  t.equal(await broken(), undefined);
});

test('only an end is sealed over an altered row', async (t) => {
  const { sql, account, doing, enrol, reset, broken, isGood, alarms } = await setUp(t);
  await enrol();
  await sql.query("update second_factor set sealed_by = 'x'");
  const altered = { code: 'denied', message: /second-factor .* was altered before/ };
  await t.rejects(
    doing('self-test', (tx) => replaceSeed(tx, account, { sealed: Buffer.from('s'), sealedBy: 'k' })),
    altered,
  );
  t.equal(await broken(), 'second-factor');
  await sql.query(
    "create function more() returns trigger language plpgsql as $$ begin new.sealed_seed := 's'; new.sealed_by := 'k'; new.enrolled_at := now(); return new; end $$",
  );
  await sql.query('create trigger more before update on second_factor for each row execute function more()');
  await t.rejects(
    reset(),
    { code: 'denied', message: /(?:sealed_seed|sealed_by) is not what was declared/ },
    'what a trigger makes of an end is none',
  );
  await sql.query('drop trigger more on second_factor');
  t.equal(await isGood('second-factor', account), false);
  t.same(await alarms(), ['second-factor']);
  await reset();
  t.equal(await isGood('second-factor', account), true, 'the twin');
});

test('a ticket is valid once, until its end, whatever its row is made to say', async (t) => {
  const { sql, doing, account, issue, broken, isGood, asOwner } = await setUp(t);
  const ticket = await issue();
  t.equal(await broken(ticket), undefined, 'as it was issued');
  const seal = await keptSeal(sql, 'ticket', ticket);
  t.equal(await doing('console', (tx) => useTicket(tx, account, ticket)), true);
  await asOwner('update mfa_ticket set used_at = null');
  await seal();
  t.equal(await broken(ticket), 'ticket', 'at once: what another warden used a moment ago is not waited for');
  await doing('operator', (tx) => endTickets(tx, account));
  t.equal(await isGood('ticket', ticket), true, 'an operator ends it whatever it says');
  t.equal(await doing('console', (tx) => useTicket(tx, account, ticket)), false, 'once');
  for (const [what, set] of [
    ['unused', 'used_at = null'],
    ['longer', "expires_at = expires_at + interval '1 day'"],
    ['fewer wrong trials', 'failed_trials = -1'],
  ] as const) {
    await sql.query(`update mfa_ticket set ${set} where id = $1`, [ticket]);
    t.equal(await broken(ticket), 'ticket', what);
    await seal();
    t.equal(await broken(ticket), 'ticket', `${what}, with the seal that it had`);
  }
  await doing('operator', (tx) => endTickets(tx, account));
  t.match(await sql.query('select expires_at <= clock_timestamp() as is_over from mfa_ticket'), [{ is_over: true }]);
  t.equal(await isGood('ticket', ticket), true);
});

test('no clock decides the end of a ticket, and it keeps nothing of the altered row', async (t) => {
  const { sql, doing, account, issue, broken, isGood, alarms, asOwner } = await setUp(t);
  const end = (): Promise<void> => doing('operator', (tx) => endTickets(tx, account));
  const isUsable = (id: string): Promise<boolean> => doing('console', (tx) => useTicket(tx, account, id));
  const read = () => sql.query('select id, ticket_hash, expires_at, used_at from mfa_ticket order by id');
  await sql.query(
    "create function keeps() returns trigger language plpgsql as $$ begin new.expires_at := clock_timestamp() + interval '9 minutes'; return new; end $$",
  );
  const keep = 'create trigger keeps before update of expires_at on mfa_ticket for each row execute function keeps()';
  const good = await issue();
  await sql.query(keep);
  const before = await read();
  await t.rejects(
    end(),
    { code: 'denied', message: /ticket .* expires_at is not what was declared/ },
    'a good one is not kept alive',
  );
  t.same(await read(), before, 'nothing was done');
  t.same(await alarms(), ['ticket'], 'and everybody is told');
  await sql.query('drop trigger keeps on mfa_ticket');
  await end();
  t.equal(await isGood('ticket', good), true);
  t.match(await read(), [{ id: good, ticket_hash: null }], 'the twin: ended, there is nothing that could be shown');
  t.equal(await isUsable(good), false);
  const planted = randomUUID();
  await sql.query(
    "insert into mfa_ticket (id, account_id, ticket_hash, issued_by, expires_at) values ($1, $2, sha256('mine'), 'alice', clock_timestamp() + interval '1 hour')",
    [planted, account],
  );
  await sql.query(keep);
  await t.rejects(end(), { code: 'denied' }, 'nor is one sealed that nobody issued');
  t.equal(await broken(planted), 'ticket');
  await sql.query('drop trigger keeps on mfa_ticket');
  await sql.query('delete from alert');
  await end();
  t.match(await sql.query('select ticket_hash from mfa_ticket where id = $1', [planted]), [{ ticket_hash: null }]);
  t.equal(await isGood('ticket', planted), true, 'its end is sealed, whatever stood there');
  t.same(await alarms(), ['ticket'], 'and is an alarm: somebody wrote it');
  const hidden = await issue();
  const seal = await keptSeal(sql, 'ticket', hidden);
  const [{ hash, until } = { hash: '', until: '' }] = await sql.query<{ hash: string; until: string }>(
    "select encode(ticket_hash, 'hex') as hash, expires_at::text as until from mfa_ticket where id = $1",
    [hidden],
  );
  await asOwner("update mfa_ticket set expires_at = expires_at - interval '1 day' where id = $1", [hidden]);
  await end();
  await asOwner("update mfa_ticket set ticket_hash = decode($2, 'hex'), expires_at = $3 where id = $1", [
    hidden,
    hash,
    until,
  ]);
  await seal();
  t.equal(await broken(hidden), 'ticket', 'one that looked over for a moment ended, too');
});

test('a code counts once, though the row that says so is deleted', async (t) => {
  const { sql, warden, account, customer, alarms, asOwner } = await setUp(t);
  const use = { account, customer, node: idOf<NodeName>('n'), plane: 'partner' } as const;
  const take = (step: number): Promise<boolean> =>
    warden.database.withSystem((tx) => takeStep(tx, warden.keys, use, step));
  t.equal(await take(100), true);
  t.equal(await take(100), false, 'by the row');
  t.same(await alarms(), [], 'which is no alarm: people type a code twice');
  await sql.query('delete from totp_step');
  t.equal(await take(100), false, 'by the record');
  t.same(await alarms(), ['used-code'], 'and that is one');
  t.equal(await take(101), true, 'the twin: another step');
  // What the record is asked for is a row, too: it can be hidden for a moment.
  const hide = async (): Promise<unknown> => {
    await asOwner('delete from totp_step');
    return asOwner(
      "update ledger_fresh set kind = 'second-factor.enrolled' where kind = 'second-factor.used' and (sensitive ->> 'step')::int = 101",
    );
  };
  countedCodesOf(warden.keys).learn({ account, step: 101 });
  await hide();
  t.equal(await take(101), false, 'by memory');
  await asOwner("update ledger_fresh set kind = 'second-factor.used' where kind = 'second-factor.enrolled'");
  t.equal(await take(102), true, 'the twin: a step that nobody remembers');
  t.match(
    await sql.query("select account_id, sensitive from ledger where kind = 'second-factor.used' order by id"),
    [{ account_id: account, sensitive: { step: 100 } }, { sensitive: { step: 101 } }, { sensitive: { step: 102 } }],
    'each on the record',
  );
});
