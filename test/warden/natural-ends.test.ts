// The natural ends of time, to the minute or the instant: windows of budgets, windows of machines, tickets.
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type AccountId, idOf } from '../../server/domain/ids.ts';
import { findAccount } from '../../server/warden/authentication/login-queries.ts';
import { callChargeBatch } from '../../server/warden/budgets/charge-queries.ts';
import { useTicket } from '../../server/warden/factors/factor-queries.ts';
import { closeWindows } from '../../server/warden/windows/window-queries.ts';
import { Bank, type Reader, startBankDatabase } from '../support/bank.ts';
import type { TestDatabase } from '../support/database.ts';
import { Shelf } from '../support/shelf.ts';

const extentBytes = 1000;
const spans = { hour: 60, day: 1440, week: 10_080 } as const;

/** Minutes since the minute of the only charge so far. */
const age = async (sql: TestDatabase): Promise<number> => {
  const [row] = await sql.query<{ age: number }>(
    'select floor(extract(epoch from clock_timestamp()) / 60)::int - $1::int as age',
    [charged.get(sql)],
  );
  return Number(row?.age);
};
const charged = new Map<TestDatabase, number>();
/** What was charged is by now this many minutes old. */
async function becomeOld(sql: TestDatabase, minutes: number): Promise<void> {
  const by = minutes - (await age(sql));
  charged.set(sql, (charged.get(sql) ?? 0) - by);
  await sql.query('alter table budget disable trigger budget_guard');
  await sql.query('update budget set minute = minute - $1', [by]);
  await sql.query('update budget_snapshot set minute = minute - $1', [by]);
  await sql.query('alter table budget enable trigger budget_guard');
}

for (const [window, minutes] of Object.entries(spans))
  for (const unit of ['bytes', 'items'] as const)
    test(`${unit} of a ${window}: they count for ${minutes} minutes, and not in the next one`, async (t) => {
      const bank = await Bank.create(await startBankDatabase(t), 'acme', extentBytes);
      for (let files = 0; files < 6; files += 1) await bank.addFile(1);
      const reader: Reader = await bank.addReader();
      const ask = async (file: number): Promise<string | undefined> =>
        (
          await callChargeBatch(bank.warden, [
            { session: reader.session, download: reader.downloads[file] ?? '', index: 0 },
          ])
        )[0]?.outcome;
      await bank.sql.query(`update budget set cap_${window}_${unit} = $1 where rank = 2 and direction = 'out'`, [
        unit === 'bytes' ? extentBytes : 1,
      ]);
      t.equal(await ask(0), 'granted');
      const [row] = await bank.sql.query<{ minute: number }>(
        "select minute from budget where rank = 2 and direction = 'out'",
      );
      charged.set(bank.sql, row?.minute ?? 0);
      t.equal(await ask(1), 'over-limit', 'it is used up');
      // The test avoids the turn of a minute: a charge is asked for in the minute that it is about.
      for (const [old, outcome] of [
        [minutes - 1, 'over-limit'],
        [minutes, 'over-limit'],
        [minutes + 1, 'granted'],
      ] as const) {
        await new Promise((resolve) =>
          setTimeout(resolve, Date.now() % 60_000 > 50_000 ? 60_000 - (Date.now() % 60_000) : 0),
        );
        await becomeOld(bank.sql, old);
        const said = await ask(2);
        t.same([await age(bank.sql), said], [old, outcome]);
      }
    });

test('a standing window opens at its minute and closes at its end, also over midnight, on its days and in its time zone', async (t) => {
  const { sql, account } = await Shelf.create(t);
  const openUntil = async (
    at: string,
    opens: string,
    closes: string,
    zone = 'UTC',
    more = '',
  ): Promise<string | null> => {
    await sql.query('delete from standing_window');
    await sql.query(
      `insert into standing_window (id, account_id, name, days, opens, closes, zone, valid_from, valid_until, opened_by, reason)
       values (gen_random_uuid(), $1, 's', '{1}', $2, $3, $4, '2026-11-01', '2026-12-01 00:00:00Z', 'x', 'x')`,
      [account, opens, closes, zone],
    );
    if (more !== '') await sql.query(`update standing_window set ${more}`);
    const [row] = await sql.query<{ until: Date | null }>('select w.closes_at as until from open_window($1, $2) w', [
      account,
      at,
    ]);
    return row?.until?.toISOString() ?? null;
  };
  const night = ['22:00', '02:00'] as const;
  const end = '2026-11-17T02:00:00.000Z';
  // 2026-11-16 is a Monday.
  t.equal(await openUntil('2026-11-16 21:59:59.999Z', ...night), null, 'a moment before');
  t.equal(await openUntil('2026-11-16 22:00:00Z', ...night), end, 'from its minute on');
  t.equal(await openUntil('2026-11-16 23:59:59.999Z', ...night), end, 'before midnight');
  t.equal(await openUntil('2026-11-17 00:00:00Z', ...night), end, 'over midnight');
  t.equal(await openUntil('2026-11-17 01:59:59.999Z', ...night), end, 'to its last moment');
  t.equal(await openUntil('2026-11-17 02:00:00Z', ...night), null, 'not at its end');
  t.equal(await openUntil('2026-11-17 22:00:00Z', ...night), null, 'not on the day after');
  t.equal(await openUntil('2026-11-16 01:00:00Z', ...night), null, 'nor in the night that another day began');
  await t.rejects(
    openUntil('2026-11-17 00:00:00Z', '01:00', '01:00'),
    /standing_window_check/,
    'none opens and closes at one time',
  );
  t.equal(await openUntil('2026-11-16 03:59:59.999Z', '02:00', '04:00'), '2026-11-16T04:00:00.000Z', 'within one day');
  t.equal(await openUntil('2026-11-16 04:00:00Z', '02:00', '04:00'), null);
  t.equal(
    await openUntil('2026-11-15 23:30:00Z', '00:00', '02:00', 'Europe/Berlin'),
    '2026-11-16T01:00:00.000Z',
    'its zone says what Monday is',
  );
  t.equal(
    await openUntil('2026-11-16 22:30:00Z', ...night, 'UTC', "valid_until = '2026-11-16 23:00Z'"),
    '2026-11-16T23:00:00.000Z',
    'its life cuts it',
  );
  t.equal(await openUntil('2026-11-16 23:00:00Z', ...night, 'UTC', "valid_until = '2026-11-16 23:00Z'"), null);
  t.equal(
    await openUntil('2026-11-16 22:30:00Z', ...night, 'UTC', "valid_from = '2026-11-16 22:30:00.001Z'"),
    null,
    'nor before it was made',
  );
  t.equal(await openUntil('2026-11-16 22:30:00Z', ...night, 'UTC', 'closed_at = now()'), null, 'closed');
});

test('a window that was opened once is open from its first instant until before its last', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, account } = shelf;
  const id = randomUUID();
  await sql.query(
    "insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason) values ($1, $2, '2026-11-16 10:00Z', '2026-11-16 11:00Z', 'x', 'x')",
    [id, account],
  );
  const isOpen = async (at: string): Promise<boolean> =>
    (await sql.query('select 1 from open_window($1, $2)', [account, at])).length > 0;
  t.same(
    [
      await isOpen('2026-11-16 09:59:59.999Z'),
      await isOpen('2026-11-16 10:00:00Z'),
      await isOpen('2026-11-16 10:59:59.999Z'),
      await isOpen('2026-11-16 11:00:00Z'),
    ],
    [false, true, true, false],
  );
  await sql.query(
    "update activation_window set opens_at = now() - interval '1 hour', closes_at = now() + interval '1 hour' where id = $1",
    [id],
  );
  t.same(await shelf.warden.database.withSystem((tx) => closeWindows(tx, idOf<AccountId>(account), null)), [id]);
  t.equal(
    (await sql.query('select 1 from open_window($1, clock_timestamp())', [account])).length,
    0,
    'and shut when it was closed',
  );
});

test('a ticket is valid once, until its end', async (t) => {
  const { sql, account, warden } = await Shelf.create(t);
  const holder = idOf<AccountId>(account);
  const make = async (expires: string): Promise<string> => {
    await sql.query('update mfa_ticket set used_at = now() where used_at is null');
    const id = randomUUID();
    await sql.query(
      `insert into mfa_ticket (id, account_id, ticket_hash, issued_by, expires_at) values ($1::uuid, $2, $3, 'x', clock_timestamp() + interval '${expires}')`,
      [id, account, createHash('sha256').update(id).digest()],
    );
    return id;
  };
  const isOffered = (): Promise<boolean> =>
    warden.database.withSystem(async (tx) => (await findAccount(tx, 'acme')).account?.ticket !== null);
  const use = (ticket: string, of = holder): Promise<boolean> =>
    warden.database.withSystem((tx) => useTicket(tx, of, ticket));
  const good = await make('1 minute');
  t.equal(await isOffered(), true);
  t.equal(await use(good, idOf<AccountId>(randomUUID())), false, 'another account’s it is not');
  t.equal(await use(good), true, 'before its end');
  t.same([await use(good), await isOffered()], [false, false], 'once');
  const late = await make('-1 millisecond');
  t.same([await isOffered(), await use(late)], [false, false], 'a moment after its end');
  // It was valid when the login began, and is over when it is to be used up.
  const ending = await make('1 minute');
  t.equal(await isOffered(), true);
  await sql.query("update mfa_ticket set expires_at = clock_timestamp() - interval '1 millisecond' where id = $1", [
    ending,
  ]);
  t.equal(await use(ending), false, 'what was seen before its end is not used after it');
  const guessed = await make('1 minute');
  await sql.query('update mfa_ticket set failed_trials = 5 where id = $1', [guessed]);
  t.same([await isOffered(), await use(guessed)], [false, false], 'after five wrong ones');
});
