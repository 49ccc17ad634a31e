// What `df` tells a client is what it may store: no byte and no file less, none more, and nothing about anybody else.
import { type Test, test } from 'tap';
import { type CustomerId, idOf } from '../../server/domain/ids.ts';
import { uploadRoom } from '../../server/warden/budgets/room-queries.ts';
import { Bank, type Reader, startBankDatabase } from '../support/bank.ts';

async function setUp(t: Test) {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const acme = await Bank.create(given, 'acme', 1000);
  const set = async (rank: number, change: string): Promise<void> => {
    await sql.query('set session_replication_role = replica');
    await sql.query(`update budget set ${change} where direction = 'in' and rank = ${rank}`);
    await sql.query('set session_replication_role = origin');
  };
  const room = ({ credential, account }: Reader, customer: CustomerId | null = acme.id) =>
    warden.withSystem((tx) => uploadRoom(tx, { credential, account, customer, plane: 'partner' }));
  /** Returns what becomes of an amount that is charged: `granted`, or why it is not. */
  const take = async ({ session }: Reader, bytes: number, items: number): Promise<string | undefined> => {
    const [charged] = await warden.withSystem((tx) =>
      tx.query<{ outcome: string }>(
        "select outcome from charge_batch(array[$1::uuid], array[null::uuid], array[null::int], array[$2::uuid], array['in'], array[$3::bigint], array[$4::bigint])",
        [session, acme.id, bytes, items],
      ),
    );
    return charged?.outcome;
  };
  return { sql, acme, set, room, take };
}

const all = (bytes: number): string => `cap_hour_bytes = ${bytes}, cap_day_bytes = ${bytes}, cap_week_bytes = ${bytes}`;

test('what is told fits to the last byte and the last file, whichever budget is the tightest', async (t) => {
  const { acme, set, room, take } = await setUp(t);
  const reader = await acme.addReader();
  for (const [rank, bytes] of [
    [3, 100_000],
    [2, 50_000],
    [1, 20_000],
  ] as const) {
    await set(rank, all(bytes));
    await set(rank, `cap_day_items = ${rank * 10}`);
    t.match(
      await room(reader),
      { capBytes: bytes, freeBytes: bytes, capFiles: rank * 10, freeFiles: rank * 10 },
      `rank ${rank}`,
    );
  }
  t.equal(await take(reader, 5000, 3), 'granted');
  t.same(await room(reader), { capBytes: 20_000, freeBytes: 15_000, capFiles: 10, freeFiles: 7 });
  t.equal(await take(reader, 15_001, 1), 'over-limit', 'not one byte more');
  t.equal(await take(reader, 1, 8), 'over-limit', 'not one file more');
  t.equal(await take(reader, 15_000, 7), 'granted');
  t.match(await room(reader), { freeBytes: 0, freeFiles: 0 }, 'then it is full');
  await set(1, "headroom_percent = 50, headroom_until = now() + interval '1 hour'");
  t.match(await room(reader), { capBytes: 30_000, freeBytes: 10_000, freeFiles: 5 }, 'what operators release is there');
  t.equal(await take(reader, 10_000, 5), 'granted');
  t.equal(await take(reader, 1, 0), 'over-limit');
});

test('half of the caps of a customer, as soon as there is a second credential', async (t) => {
  const { acme, set, room, take } = await setUp(t);
  const reader = await acme.addReader();
  await set(3, all(1000));
  t.match(await room(reader), { capBytes: 1000, freeBytes: 1000 }, 'twin: alone');
  const other = await acme.addCredential(reader.account);
  for (const one of [reader, other]) t.match(await room(one), { capBytes: 500, freeBytes: 500 });
  t.equal(await take(reader, 501, 0), 'over-limit');
  t.equal(await take(reader, 500, 0), 'granted');
  t.match(await room(reader), { freeBytes: 0 });
  t.match(await room(other), { freeBytes: 500 }, 'the half of the other one');
});

test('a window that is over is told at once, although nothing was charged since', async (t) => {
  const { acme, set, room, take } = await setUp(t);
  const reader = await acme.addReader();
  await set(1, 'cap_hour_bytes = 1000');
  t.equal(await take(reader, 900, 1), 'granted');
  t.match(await room(reader), { freeBytes: 100 });
  await set(1, 'minute = minute - 61');
  t.match(await room(reader), { freeBytes: 1000 }, 'an hour later');
  t.equal(await take(reader, 1000, 1), 'granted');
});

test('plane, gateway and missing budgets: no room, and never how much', async (t) => {
  const { sql, acme, set, room, take } = await setUp(t);
  const reader = await acme.addReader();
  await set(1, all(1000));
  for (const rank of [4, 5]) {
    await set(rank, all(5000));
    t.match(await room(reader), { capBytes: 1000, freeBytes: 1000 }, `rank ${rank}: what others may use is not told`);
    await set(rank, 'ceiling_percent = 100, cap_week_bytes = 0');
    t.match(await room(reader), { capBytes: 1000, freeBytes: 0, freeFiles: 0 }, `rank ${rank} is full`);
    t.equal(await take(reader, 1, 0), 'over-limit');
    await set(rank, 'cap_week_bytes = 5000');
  }
  t.match(await room(reader, null), { freeBytes: 1000 }, 'above all customers: the credential');
  t.match(await room(reader, idOf<CustomerId>(reader.account)), { freeBytes: 0 }, 'a customer without budgets');
  await sql.query('set session_replication_role = replica');
  await sql.query("delete from budget where direction = 'in' and rank = 5");
  await sql.query('set session_replication_role = origin');
  t.match(await room(reader), { freeBytes: 0, freeFiles: 0 }, 'a budget that is missing grants nothing');
});
