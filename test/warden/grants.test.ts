// Charges as the database makes them: what is counted where, every refusal, windows, halves, headroom, and races.
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import type { ScopeKind } from '../../server/domain/budgets/words.ts';
import { idOf, type SessionId } from '../../server/domain/ids.ts';
import { type ChargeAnswer, type ChargeRequest, callChargeBatch } from '../../server/warden/budgets/charge-queries.ts';
import { lockForWithdrawal } from '../../server/warden/sessions/withdrawal-queries.ts';
import { Bank, type Reader, startBankDatabase } from '../support/bank.ts';
import type { TestDatabase } from '../support/database.ts';

const extentBytes = 1000;
type Column = `cap_${'hour' | 'day' | 'week'}_${'bytes' | 'items'}`;
const ranks: Record<ScopeKind, number> = { credential: 1, account: 2, customer: 3, plane: 4, gateway: 5 };

async function setUp(
  t: Parameters<typeof startBankDatabase>[0],
  extents: readonly number[],
): Promise<{ bank: Bank; reader: Reader }> {
  const bank = await Bank.create(await startBankDatabase(t), 'acme', extentBytes);
  for (const count of extents) await bank.addFile(count);
  return { bank, reader: await bank.addReader() };
}

const setCap = (bank: Bank, scope: ScopeKind, column: Column, value: number, direction = 'out'): Promise<unknown> =>
  bank.sql.query(`update budget set ${column} = $1 where rank = $2 and direction = $3`, [
    value,
    ranks[scope],
    direction,
  ]);

const extentsOf = (reader: Reader, indexes: readonly number[], file = 0): readonly ChargeRequest[] =>
  indexes.map((index) => ({ session: reader.session, download: reader.downloads[file] ?? '', index }));

const answers = (bank: Bank, items: readonly ChargeRequest[]): Promise<readonly ChargeAnswer[]> =>
  callChargeBatch(bank.warden, items);
async function ask(bank: Bank, reader: Reader, indexes: readonly number[], file = 0): Promise<readonly string[]> {
  return (await answers(bank, extentsOf(reader, indexes, file))).map((answer) => answer.outcome);
}
async function totals(sql: TestDatabase, direction = 'out'): Promise<Record<string, readonly [number, number]>> {
  const rows = await sql.query<{ rank: number; bytes: string; items: string }>(
    'select rank, sum(total_bytes) as bytes, sum(total_items) as items from budget where direction = $1 group by rank',
    [direction],
  );
  return Object.fromEntries(rows.map((row) => [row.rank, [Number(row.bytes), Number(row.items)]]));
}
const everyScope = (bytes: number, items: number): Record<string, readonly [number, number]> =>
  Object.fromEntries([1, 2, 3, 4, 5].map((rank) => [rank, [bytes, items]]));
const shifted = (
  before: Record<string, readonly [number, number]>,
  bytes: number,
  items: number,
): Record<string, readonly [number, number]> =>
  Object.fromEntries(Object.entries(before).map(([rank, [b, i]]) => [rank, [b + bytes, i + items]]));
const recorded = async (sql: TestDatabase, kind: string): Promise<number> =>
  Number((await sql.query<{ n: string }>('select count(*) as n from ledger where kind = $1', [kind]))[0]?.n);

test('an extent is charged once to every scope, recorded each time; a file counts once', async (t) => {
  const { bank, reader } = await setUp(t, [10, 2]);
  const [first] = await answers(bank, extentsOf(reader, [0]));
  t.match(first, {
    outcome: 'granted',
    isSlow: false,
    customer: bank.id,
    extent: { bytes: extentBytes, content: bank.files[0]?.content },
  });
  t.same(await totals(bank.sql), everyScope(extentBytes, 1), 'charged to all five');
  t.same(await ask(bank, reader, [0]), ['repeat']);
  t.same(await ask(bank, reader, [1, 1, 2]), ['granted', 'repeat', 'granted'], 'inside one batch too');
  t.same(await totals(bank.sql), everyScope(3 * extentBytes, 1), 'still one file');
  t.same(
    (await answers(bank, [...extentsOf(reader, [0, 1], 1), ...extentsOf(reader, [3])])).map((answer) => answer.outcome),
    ['granted', 'granted', 'granted'],
  );
  t.same(await totals(bank.sql), everyScope(6 * extentBytes, 2));
  t.equal(await recorded(bank.sql, 'extent.granted'), 8);
  const other = await bank.addReader();
  t.same(await ask(bank, other, [0]), ['granted'], 'another credential pays for itself');
  const again = await bank.addSession(reader.account, reader.credential);
  t.same(await ask(bank, again, [0]), ['repeat'], 'another session of the same credential does not');
  await bank.sql.query("update charged_item set charged_at = charged_at - interval '24 hours'");
  t.same(await ask(bank, reader, [0, 1, 0]), ['granted', 'granted', 'repeat'], 'after a day it is paid for again');
  const paid = await totals(bank.sql);
  t.same(await ask(bank, reader, [0, 1]), ['repeat', 'repeat'], 'and that was for a day again');
  t.same(await totals(bank.sql), paid, 'charged to nobody');
  t.same(await ask(bank, reader, [2]), ['granted']);
  t.same(await totals(bank.sql), shifted(paid, extentBytes, 0), 'nor is the file counted again');
});

for (const scope of ['credential', 'account', 'customer'] as const)
  for (const unit of ['bytes', 'items'] as const)
    for (const window of ['hour', 'day', 'week'] as const)
      test(`${scope}, ${unit}, ${window}: refuses at the cap, and nothing is charged for a refusal`, async (t) => {
        const { bank, reader } = await setUp(t, [6, 1, 1, 1]);
        await setCap(bank, scope, `cap_${window}_${unit}`, unit === 'bytes' ? 3 * extentBytes : 2);
        if (unit === 'bytes')
          t.same(await ask(bank, reader, [0, 1, 2, 3, 4]), [
            'granted',
            'granted',
            'granted',
            'over-limit',
            'over-limit',
          ]);
        else {
          t.same(await ask(bank, reader, [0, 1], 0), ['granted', 'granted']);
          t.same(await ask(bank, reader, [0], 1), ['granted']);
          t.same(await ask(bank, reader, [0], 2), ['over-limit']);
          t.same(await ask(bank, reader, [2], 0), ['granted'], 'what counts already goes on');
        }
        t.same(
          await totals(bank.sql),
          everyScope((unit === 'bytes' ? 3 : 4) * extentBytes, unit === 'bytes' ? 1 : 2),
          'exactly the cap, in all scopes',
        );
        const [refusal] = await answers(bank, extentsOf(reader, [0], 3));
        t.match(refusal, { outcome: 'over-limit', scope, unit, window, cap: unit === 'bytes' ? 3 * extentBytes : 2 });
        const freeAt = refusal?.outcome === 'over-limit' ? (refusal.freeAt?.getTime() ?? 0) : 0;
        const minutes = { hour: 60, day: 1440, week: 10_080 }[window];
        t.ok(
          freeAt > Date.now() + (minutes - 1) * 60_000 && freeAt <= Date.now() + (minutes + 2) * 60_000,
          'and says when there is more',
        );
      });

for (const scope of ['plane', 'gateway'] as const)
  test(`${scope}: slows down past its cap, refuses at its ceiling`, async (t) => {
    const { bank, reader } = await setUp(t, [20]);
    await setCap(bank, scope, 'cap_hour_bytes', 4 * extentBytes);
    t.same(await ask(bank, reader, [0, 1, 2, 3]), ['granted', 'granted', 'granted', 'granted']);
    const [slow, later] = await answers(bank, extentsOf(reader, [4, 5]));
    t.match(slow, { outcome: 'granted', isSlow: true }, 'one goes at once');
    // The 4,000 bytes from cap to ceiling are stretched over the hour: 1,000 bytes take 900 s.
    t.equal(later?.outcome, 'later');
    if (later?.outcome === 'later')
      t.ok(later.afterMs > 890_000 && later.afterMs <= 900_000, `the next one after ${later.afterMs} ms`);
    t.equal((await totals(bank.sql))[5]?.[0], 5 * extentBytes, 'what waits is not charged');
    t.equal(await recorded(bank.sql, 'extent.granted'), 5, 'nor recorded');
    const forward = (): Promise<unknown> => bank.sql.query("update budget set slow_until = '-infinity'");
    for (const index of [5, 6, 7]) {
      await forward();
      t.same(await ask(bank, reader, [index]), ['granted']);
    }
    await forward();
    t.match(
      (await answers(bank, extentsOf(reader, [8])))[0],
      { outcome: 'over-limit', scope, window: 'hour', cap: 8 * extentBytes },
      'the ceiling',
    );
  });

test('without a row, a right or a valid state nothing is charged', async (t) => {
  const { bank, reader } = await setUp(t, [3]);
  const { sql } = bank;
  t.same(await ask(bank, reader, [3, 99]), ['missing', 'missing'], 'beyond the version');
  const stranger = await answers(bank, [
    { session: idOf<SessionId>(randomUUID()), download: reader.downloads[0] ?? '', index: 0 },
  ]);
  t.same(stranger[0]?.outcome, 'missing', "another session's handle");
  const deny = async (name: string, change: string, undo: string): Promise<void> => {
    await sql.query(change);
    t.match((await ask(bank, reader, [0]))[0], /^(session|missing)$/, name);
    await sql.query(undo);
  };
  await deny('session ended', "update session set state = 'ended'", "update session set state = 'open'");
  await deny(
    'session expired',
    'update session set expires_at = now()',
    "update session set expires_at = now() + interval '1 hour'",
  );
  await deny('account suspended', "update account set state = 'suspended'", "update account set state = 'active'");
  await deny('account expired', 'update account set expires_at = now()', 'update account set expires_at = null');
  await deny('customer suspended', "update customer set state = 'suspended'", "update customer set state = 'active'");
  await deny('key suspended', "update credential set state = 'suspended'", "update credential set state = 'active'");
  await deny(
    'key expired',
    'update credential set expires_at = now()',
    'update credential set expires_at = issued_until',
  );
  await deny('handle closed', 'update download set closed_at = now()', 'update download set closed_at = null');
  t.same(await totals(sql), everyScope(0, 0), 'nothing was charged');
  t.same(await ask(bank, reader, [0]), ['granted'], 'and with everything in order it is granted');
  await sql.query('delete from budget_snapshot');
  for (const rank of [1, 2, 3, 4, 5]) {
    await sql.query(
      'create temporary table kept on commit preserve rows as select * from budget where rank = $1'.replace(
        '$1',
        String(rank),
      ),
    );
    await sql.query('delete from budget where rank = $1', [rank]);
    t.same(await ask(bank, reader, [1]), ['missing'], `without the budget of rank ${rank}: no`);
    await sql.query('insert into budget overriding system value select * from kept');
    await sql.query('drop table kept');
  }
  t.same(await ask(bank, reader, [1]), ['granted']);
  await sql.query("update credential set state = 'revoked'");
  t.same(await ask(bank, reader, [2]), ['session'], 'key revoked');
  await t.rejects(sql.query("update credential set state = 'active'"), /stays revoked/, 'for good');
  await t.rejects(sql.query("update credential set fingerprint = 'other'"), /not rewritten/, 'under its own name');
});

test('amounts: what is stored and what is listed has caps of its own', async (t) => {
  const { bank, reader } = await setUp(t, [1]);
  await setCap(bank, 'account', 'cap_day_bytes', 500, 'in');
  await setCap(bank, 'customer', 'cap_hour_items', 2, 'in');
  await setCap(bank, 'credential', 'cap_hour_items', 100, 'list');
  const amount = async (direction: 'in' | 'list', bytes: number, items: number): Promise<ChargeAnswer | undefined> =>
    (await answers(bank, [{ session: reader.session, customer: reader.customer, direction, bytes, items }]))[0];
  t.match(await amount('in', 300, 1), { outcome: 'granted', extent: null });
  t.match(await amount('in', 201, 0), {
    outcome: 'over-limit',
    scope: 'account',
    unit: 'bytes',
    window: 'day',
    direction: 'in',
    cap: 500,
  });
  t.match(await amount('in', 200, 1), { outcome: 'granted' });
  t.match(await amount('in', 0, 1), {
    outcome: 'over-limit',
    scope: 'customer',
    unit: 'items',
    window: 'hour',
    cap: 2,
  });
  t.match(await amount('list', 0, 100), { outcome: 'granted' });
  t.match(await amount('list', 0, 1), { outcome: 'over-limit', scope: 'credential', unit: 'items', direction: 'list' });
  t.match(await amount('list', 0, 101), { outcome: 'over-limit', freeAt: null }, 'more than the cap at once: never');
  t.same(
    [(await totals(bank.sql, 'in'))[3], (await totals(bank.sql, 'list'))[5]],
    [
      [500, 2],
      [0, 100],
    ],
  );
  t.same(await totals(bank.sql), everyScope(0, 0), 'the other direction is untouched');
  t.match(await amount('in', -1, 0), { outcome: 'missing' }, 'a negative amount gives nothing back');
  t.match(
    (
      await answers(bank, [
        { session: reader.session, customer: idOf(randomUUID()), direction: 'in', bytes: 1, items: 0 },
      ])
    )[0]?.outcome,
    /session|missing/,
    'an unknown customer',
  );
});

test('one credential gets at most half of what its customer may use, when there are several', async (t) => {
  const { bank, reader } = await setUp(t, [20]);
  await setCap(bank, 'customer', 'cap_day_bytes', 10 * extentBytes);
  t.same(
    (await ask(bank, reader, [0, 1, 2, 3, 4, 5])).filter((one) => one === 'granted').length,
    6,
    'alone it may use more than half',
  );
  const second = await bank.addCredential(reader.account);
  t.match((await answers(bank, extentsOf(reader, [6])))[0], {
    outcome: 'over-limit',
    scope: 'credential',
    window: 'day',
    cap: 5 * extentBytes,
  });
  t.same(
    await ask(bank, second, [0, 1, 2, 3, 4]),
    ['granted', 'granted', 'granted', 'granted', 'over-limit'],
    'the other one has what is left',
  );
  await bank.sql.query("update credential set state = 'revoked' where id = $1", [second.credential]);
  await setCap(bank, 'customer', 'cap_day_bytes', 20 * extentBytes);
  t.same(await ask(bank, reader, [6, 7, 8, 9, 10]), Array(5).fill('granted'), 'alone again');
  const ours = await bank.addReader({ isInternal: true });
  t.match(
    (await answers(bank, extentsOf(reader, [11])))[0],
    { outcome: 'over-limit', cap: 10 * extentBytes },
    'our own credential counts as one',
  );
  const { length: got } = (
    await ask(
      bank,
      ours,
      Array.from({ length: 20 }, (_, i) => i),
    )
  ).filter((one) => one === 'granted');
  t.equal(got, 5, 'and has no more than what is left of the customer');
});

test('half of the customer counts in files and names as it does in bytes', async (t) => {
  const { bank, reader } = await setUp(t, [1, 1, 1, 1, 1, 1]);
  await setCap(bank, 'customer', 'cap_day_items', 10, 'list');
  await setCap(bank, 'customer', 'cap_day_items', 6);
  const names = async (who: Reader, items: number): Promise<string | undefined> =>
    (await answers(bank, [{ session: who.session, customer: who.customer, direction: 'list', bytes: 0, items }]))[0]
      ?.outcome;
  const file = async (who: Reader, one: number): Promise<string | undefined> => (await ask(bank, who, [0], one))[0];
  t.equal(await names(reader, 6), 'granted', 'alone it may use more than half');
  const second = await bank.addCredential(reader.account);
  t.match(
    (
      await answers(bank, [
        { session: reader.session, customer: reader.customer, direction: 'list', bytes: 0, items: 1 },
      ])
    )[0],
    { outcome: 'over-limit', scope: 'credential', unit: 'items', window: 'day', cap: 5 },
    'with a second one it has had its half, of names',
  );
  t.equal(await names(second, 4), 'granted', 'the other one has what is left');
  t.same([await file(second, 0), await file(second, 1), await file(second, 2)], ['granted', 'granted', 'granted']);
  t.match(
    (await answers(bank, extentsOf(second, [0], 3)))[0],
    { outcome: 'over-limit', scope: 'credential', unit: 'items', cap: 3 },
    'and of files',
  );
  t.equal(await file(reader, 3), 'granted', 'the twin: the first one has its half of files yet');
});

test('half of the customer is half of what it may use now: with headroom that was released to it, and not to another scope', async (t) => {
  const { bank, reader } = await setUp(t, [20]);
  await bank.addCredential(reader.account);
  await setCap(bank, 'customer', 'cap_day_bytes', 8 * extentBytes);
  await setCap(bank, 'customer', 'cap_day_items', 8, 'list');
  const all = Array.from({ length: 8 }, (_, i) => i);
  const bytes = async (): Promise<number> => (await ask(bank, reader, all)).filter((one) => one === 'granted').length;
  const names = async (items: number): Promise<ChargeAnswer | undefined> =>
    (
      await answers(bank, [{ session: reader.session, customer: reader.customer, direction: 'list', bytes: 0, items }])
    )[0];
  const refusal = (cap: number) => ({ outcome: 'over-limit', scope: 'credential', window: 'day', cap });
  t.equal(await bytes(), 4, 'half');
  t.match(await names(5), refusal(4));
  await bank.sql.query(
    "update budget set headroom_percent = 50, headroom_until = now() + interval '1 hour' where rank in (1, 2)",
  );
  t.equal(await bytes(), 0, 'what was released to the credential and its account is no more of the customer');
  await bank.sql.query('update budget set headroom_percent = 50 where rank = 3');
  t.equal(await bytes(), 0, 'approved is not released');
  t.match(
    (await answers(bank, extentsOf(reader, [7])))[0],
    refusal(4 * extentBytes),
    'nor is it said, though the credential has some',
  );
  await bank.sql.query("update budget set headroom_until = now() + interval '1 hour' where rank = 3");
  t.equal(await bytes(), 2, 'half of half as much again');
  t.match((await answers(bank, extentsOf(reader, [7])))[0], refusal(6 * extentBytes));
  t.match(await names(7), refusal(6), 'of names, too');
  t.match(await names(6), { outcome: 'granted' });
  await bank.sql.query("update budget set headroom_until = now() - interval '1 second' where rank = 3");
  t.match((await answers(bank, extentsOf(reader, [7])))[0], refusal(4 * extentBytes), 'and it ends');
});

test('headroom widens every cap while it is released', async (t) => {
  const { bank, reader } = await setUp(t, [20]);
  await setCap(bank, 'account', 'cap_hour_bytes', 4 * extentBytes);
  await bank.sql.query('update budget set headroom_percent = 50 where rank = 2');
  const all = Array.from({ length: 8 }, (_, i) => i);
  t.equal((await ask(bank, reader, all)).filter((one) => one === 'granted').length, 4, 'approved is not released');
  await bank.sql.query("update budget set headroom_until = now() + interval '1 hour' where rank = 2");
  t.equal((await ask(bank, reader, all)).filter((one) => one === 'granted').length, 2, 'half as much again');
  t.match((await answers(bank, extentsOf(reader, [7])))[0], { outcome: 'over-limit', cap: 6 * extentBytes });
  await bank.sql.query("update budget set headroom_until = now() - interval '1 second' where rank = 2");
  t.match(
    (await answers(bank, extentsOf(reader, [7])))[0],
    { outcome: 'over-limit', cap: 4 * extentBytes },
    'and it ends',
  );
});

test('simultaneous connections never exceed the cap', async (t) => {
  const extents = 200;
  const { bank, reader } = await setUp(t, [extents]);
  const other = await bank.addReader();
  await setCap(bank, 'customer', 'cap_day_bytes', 50 * extentBytes);
  const outcomes = (
    await Promise.all(
      Array.from({ length: extents }, (_, index) =>
        ask(bank, index % 2 === 0 ? reader : other, [index, (index * 7) % extents]),
      ),
    )
  ).flat();
  t.equal(outcomes.filter((outcome) => outcome === 'granted').length, 50, 'exactly the cap');
  t.same((await totals(bank.sql))[3]?.[0], 50 * extentBytes);
  t.equal(
    outcomes.filter((outcome) => !['granted', 'repeat', 'over-limit'].includes(outcome)).length,
    0,
    'every other one is a repeat or a refusal',
  );
});

test('a window slides: what left it no longer counts, what is in it does', async (t) => {
  const { bank, reader } = await setUp(t, [20]);
  await setCap(bank, 'account', 'cap_hour_bytes', 5 * extentBytes);
  t.same(await ask(bank, reader, [0, 1, 2, 3, 4, 5]), [
    'granted',
    'granted',
    'granted',
    'granted',
    'granted',
    'over-limit',
  ]);
  const back = async (minutes: number): Promise<void> => {
    await bank.sql.query('alter table budget disable trigger budget_guard');
    await bank.sql.query('update budget set minute = minute - $1', [minutes]);
    await bank.sql.query('update budget_snapshot set minute = minute - $1', [minutes]);
    await bank.sql.query('alter table budget enable trigger budget_guard');
  };
  await back(30);
  t.same(await ask(bank, reader, [6]), ['over-limit'], 'half an hour later');
  await back(28);
  t.same(await ask(bank, reader, [6]), ['over-limit'], 'in the 58th minute');
  const charged = async (): Promise<number> =>
    Number(
      (
        await bank.sql.query<{ m: number }>(
          'select floor(extract(epoch from clock_timestamp()) / 60)::int - min(minute) as m from budget_snapshot where minute > 0',
        )
      )[0]?.m,
    );
  // What was charged in a minute is in the snapshot of the next minute: that snapshot decides when it leaves the
  // window. The test avoids the turn of a minute.
  await new Promise((resolve) =>
    setTimeout(resolve, Date.now() % 60_000 > 50_000 ? 60_000 - (Date.now() % 60_000) : 0),
  );
  await back(59 - (await charged()));
  const in59 = await ask(bank, reader, [6]);
  t.equal(await charged(), 59, 'it was asked in the 59th minute');
  t.same(in59, ['over-limit'], 'in the 59th minute, too');
  await back(4);
  t.same(
    await ask(bank, reader, [6, 7, 8, 9, 10, 11]),
    ['granted', 'granted', 'granted', 'granted', 'granted', 'over-limit'],
    'after the hour',
  );
  t.equal((await totals(bank.sql))[2]?.[0], 10 * extentBytes, 'the total only grows');
});

test('one item that fails leaves the others alone', async (t) => {
  const { bank, reader } = await setUp(t, [3]);
  const odd = { session: reader.session, download: randomUUID(), index: 0 };
  const outcomes = await answers(bank, [...extentsOf(reader, [0]), odd, ...extentsOf(reader, [1])]);
  t.same(
    outcomes.map((one) => one.outcome),
    ['granted', 'missing', 'granted'],
  );
});

test('a withdrawal and a grant: what commits after the withdrawal is refused', async (t) => {
  const { bank, reader } = await setUp(t, [100]);
  let late = 0;
  for (let round = 0; round < 40; round += 1) {
    const indexes = Array.from({ length: 2 }, (_, i) => (round * 2 + i) % 100);
    let isWithdrawn = false;
    const withdrawal = bank.warden
      .withSystem(async (tx) => {
        await lockForWithdrawal(tx, { session: reader.session });
        await tx.query("update session set state = 'ended' where id = $1", [reader.session]);
      })
      .then(() => (isWithdrawn = true));
    const asked = [ask(bank, reader, indexes), withdrawal.then(() => ask(bank, reader, indexes))];
    const [, after] = await Promise.all(asked);
    if (after?.some((one) => one !== 'session') === true || !isWithdrawn) late += 1;
    await bank.sql.query("update session set state = 'open' where id = $1", [reader.session]);
  }
  t.equal(late, 0, 'nothing was granted after a withdrawal had committed');
  // The other order: while a withdrawal holds its locks, a grant waits, and then sees it.
  const others = AsyncLocalStorage.snapshot();
  const pending = await bank.warden.withSystem(async (tx) => {
    await lockForWithdrawal(tx, { credential: reader.credential });
    await tx.query("update credential set state = 'suspended' where id = $1", [reader.credential]);
    const waiting = others(() => ask(bank, reader, [99]));
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { waiting };
  });
  t.same(await pending.waiting, ['session'], 'the grant that waited for the lock sees the withdrawal');
});

test('neither warden nor owner can refund, move or forget a charge', async (t) => {
  const { bank, reader } = await setUp(t, [1]);
  await ask(bank, reader, [0]);
  const refused = (name: string, text: string): Promise<unknown> =>
    t.rejects(
      bank.warden.withSystem((tx) => tx.query(text)),
      name,
    );
  await refused('delete the record', 'delete from ledger_fresh');
  await refused('change the record', "update ledger_fresh set kind = 'x'");
  await refused('change what is sealed', "update ledger_sealed set kind = 'x'");
  await refused('refund bytes', 'update budget set total_bytes = 0');
  await refused('refund files', 'update budget set total_items = total_items - 1 where rank = 2');
  for (const amount of ['total_bytes', 'total_items'])
    for (const scope of [1, 2, 3, 4, 5])
      await t.rejects(
        bank.sql.query(
          `update budget set ${amount} = ${amount} - 1 where direction = 'out' and rank = ${scope} and ${amount} > 0`,
        ),
        /never refunded/,
        `one of ${amount} of rank ${scope}, of what was charged`,
      );
  await refused('turn time back', 'update budget set minute = minute - 1');
  await refused('delete a budget', 'delete from budget');
  await refused('an infinite cap', 'update budget set cap_day_bytes = 9007199254740991');
  await refused('a customer that slows down', 'update budget set ceiling_percent = 200 where rank = 3');
  await t.rejects(bank.sql.query('delete from ledger_fresh'), /insert only/, 'not even the owner');
  await t.rejects(bank.sql.query('update budget set total_bytes = 0'), /never refunded/, 'not even the owner');
  const other = idOf<never>(randomUUID());
  t.equal(
    (await bank.warden.withCustomers([other], (tx) => tx.query('select 1 from version'))).length,
    0,
    'another scope sees nothing',
  );
  t.equal(
    (await bank.warden.withCustomers([bank.id], (tx) => tx.query('select 1 from version'))).length,
    1,
    'its own sees it',
  );
  t.equal((await bank.warden.call('select 1 from version', [])).length, 0, 'without a scope nothing is visible');
  await t.rejects(
    bank.warden.withCustomers([other], (tx) =>
      tx.query("insert into folder (id, customer_id, name, direction) values (gen_random_uuid(), $1, 'x', 'deposit')", [
        bank.id,
      ]),
    ),
    'nor written',
  );
});
