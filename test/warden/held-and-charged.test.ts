// What a hold applies to, and how the last bytes of an ended session are charged.
import { test } from 'tap';
import { createBudgets } from '../../server/warden/budgets/create-budgets.ts';
import { Bank, startBankDatabase, wideBudgets } from '../support/bank.ts';
import { addFolder } from '../support/rows.ts';

test('a hold applies to a customer, a folder or a version: to that one, and until it is lifted', async (t) => {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1024);
  const other = await Bank.create(given, 'globex', 1024);
  for (const one of [bank, bank, other]) await one.addFile(1);
  const [first, second] = bank.files.map((file) => file.version);
  const [foreign] = other.files.map((file) => file.version);
  const { sql } = given;
  const isHeld = async (version: string | undefined): Promise<boolean | undefined> =>
    (await sql.query<{ held: boolean }>('select is_held(v) as held from version v where id = $1', [version]))[0]?.held;
  const held = async (): Promise<readonly unknown[]> => [
    await isHeld(first),
    await isHeld(second),
    await isHeld(foreign),
  ];
  const folder = await addFolder(sql, { customer: bank.id, name: 'another' });
  t.same(await held(), [false, false, false]);
  for (const [what, of, lies] of [
    ['the customer', {}, [true, true, false]],
    ['its folder', { folder: bank.folder }, [true, true, false]],
    ['another folder', { folder }, [false, false, false]],
    ['one version', { version: first }, [true, false, false]],
  ] as const) {
    const { folder: onFolder = null, version: onVersion = null } = of as { folder?: string; version?: string };
    await sql.query(
      "insert into legal_hold (customer_id, folder_id, version_id, reason, placed_by) values ($1, $2, $3, 'r', 'x')",
      [bank.id, onFolder, onVersion],
    );
    t.same(await held(), lies, what);
    await sql.query("update legal_hold set lifted_at = clock_timestamp(), lifted_by = 'x' where lifted_at is null");
    t.same(await held(), [false, false, false], `${what}: lifted`);
  }
});

test('the last bytes of an ended session: to the byte of each cap, with the headroom that is released now', async (t) => {
  const given = await startBankDatabase(t);
  const bank = await Bank.create(given, 'acme', 1024);
  const reader = await bank.addReader();
  const { sql } = given;
  const charge = async (bytes: number): Promise<boolean | undefined> =>
    (
      await sql.query<{ charged: boolean }>('select charge_ending($1, $2, $3, 30000) as charged', [
        reader.session,
        bank.id,
        bytes,
      ])
    )[0]?.charged;
  const ofAccount = (set: string) =>
    sql.query(`update budget set ${set} where direction = 'in' and account_id = $1 and customer_id = $2`, [
      reader.account,
      bank.id,
    ]);
  const spent = async (): Promise<number> =>
    Number(
      (
        await sql.query<{ n: string }>("select max(total_bytes) as n from budget where direction = 'in' and rank = 5")
      )[0]?.n,
    );

  t.equal(await charge(1), false, 'not while it is open');
  await sql.query("update session set state = 'ended', ended_at = clock_timestamp() where id = $1", [reader.session]);
  await ofAccount('cap_hour_bytes = 1000');
  t.equal(await charge(1001), false);
  t.equal(await spent(), 0, 'refused by one, charged to none');
  t.equal(await charge(1000), true, 'the whole cap');
  t.equal(await charge(1), false);
  t.equal(await spent(), 1000);
  await ofAccount("headroom_percent = 50, headroom_until = clock_timestamp() + interval '1 hour'");
  t.equal(await charge(501), false);
  t.equal(await charge(500), true, 'half as much again, while it was given');
  await ofAccount("headroom_percent = 100, headroom_until = clock_timestamp() - interval '1 second'");
  t.equal(await charge(1), false, 'and nothing when that is over');
  await ofAccount('headroom_percent = 0, cap_hour_bytes = 1000000');
  // Plane and gateway slow down at their caps, and refuse at a ceiling beyond.
  await sql.query('update budget set ceiling_percent = 100');
  const scopes = {
    credential: `rank = 1 and credential_id = '${reader.credential}'`,
    account: `rank = 2 and account_id = '${reader.account}'`,
    customer: `rank = 3 and customer_id = '${bank.id}'`,
    plane: "rank = 4 and plane = 'partner'",
    gateway: 'rank = 5',
  };
  for (const [scope, where] of Object.entries(scopes))
    for (const window of ['hour', 'day', 'week']) {
      const set = (cap: number) =>
        sql.query(`update budget set cap_${window}_bytes = $1 where direction = 'in' and ${where}`, [cap]);
      await set(await spent());
      t.equal(await charge(1), false, `the ${window} of the ${scope} counts`);
      await set((await spent()) + 1);
      t.equal(await charge(1), true, 'to its last byte');
      await set(1_000_000);
    }
  t.equal(await charge(-1), false, 'nothing is given back');
  t.equal(await charge(1), true);
  await sql.query("update session set ended_at = clock_timestamp() - interval '31 seconds' where id = $1", [
    reader.session,
  ]);
  t.equal(await charge(1), false, 'beyond the grace period');
});

test('the last bytes of an account that serves several customers are charged at the one whose file it is', async (t) => {
  const given = await startBankDatabase(t);
  const { sql, warden } = given;
  const [bank, other] = [await Bank.create(given, 'acme', 1024), await Bank.create(given, 'globex', 1024)];
  const ours = await bank.addReader({ isInternal: true });
  await warden.withSystem((tx) =>
    createBudgets(tx, { kind: 'account', account: ours.account, customer: other.id, isInternal: true }, wideBudgets),
  );
  await sql.query("update session set state = 'ended', ended_at = clock_timestamp() where id = $1", [ours.session]);
  const charged = async (customer: string, bytes: number): Promise<unknown> =>
    (await sql.query('select charge_ending($1, $2, $3, 30000) as charged', [ours.session, customer, bytes]))[0]
      ?.charged;
  const spent = async (): Promise<unknown> =>
    (
      await sql.query<{ n: string }>(
        `select coalesce(c.name, b.rank::text) || ' ' || b.rank || ' ' || b.total_bytes as n from budget b left join customer c on c.id = b.customer_id
         where b.direction = 'in' and (b.plane is null or b.plane = 'internal') order by b.rank, c.name`,
      )
    ).map((row) => row.n);
  t.equal(await charged(bank.id, 10), true);
  t.equal(await charged(other.id, 7), true);
  t.same(
    await spent(),
    ['1 1 17', 'acme 2 10', 'globex 2 7', 'acme 3 10', 'globex 3 7', '4 4 17', '5 5 17'],
    'the account and the customer each by itself; key, plane and gateway together',
  );
  await sql.query('update budget set cap_hour_bytes = 10 where rank = 2 and customer_id = $1', [bank.id]);
  t.equal(await charged(bank.id, 1), false, 'its cap at one customer');
  t.equal(await charged(other.id, 1), true, 'is not that at the other one');
});
