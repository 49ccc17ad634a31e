// Two entries that came back with one number are not remembered as one: of a batch, of one transaction, and of
// two that run at once.
import { test } from 'tap';
import { type ChargeRequest, callChargeBatch } from '../../server/warden/budgets/charge-queries.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { Bank, startWatchedBank } from '../support/bank.ts';

test('two entries that come back with one number are not remembered as one', async (t) => {
  const { given, sql, births, database } = await startWatchedBank(t, 2);
  const bank = await Bank.create(given, 'acme', 1000);
  await bank.addFile(20);
  const reader = await bank.addReader();
  const by = { account: reader.account, node: 'n', plane: 'partner', customer: bank.id };
  const extent = (index: number): ChargeRequest =>
    ({ session: reader.session, by, download: reader.downloads[0] ?? '', index }) as unknown as ChargeRequest;
  await sql.query('alter table ledger_fresh drop constraint ledger_fresh_pkey');
  await sql.query(
    `create function other() returns trigger language plpgsql security definer as $$ begin new.id := 4711; return new; end $$`,
  );
  await sql.query('create trigger other before insert on ledger_fresh for each row execute function other()');

  await sql.query('set session_replication_role = replica');
  await sql.query('alter table ledger_fresh enable always trigger other');
  const anew = async (): Promise<void> => {
    births.forget(0);
    await sql.query('delete from ledger_fresh');
  };

  t.test('of one batch', async (t) => {
    // The answer to both is "granted"; only the first of them is remembered, and the row of the other can be taken out.
    await t.rejects(callChargeBatch(database, [extent(0), extent(1)]), { code: 'unavailable' });
    t.equal(births.size, 0, 'nothing is remembered as one');
    await anew();
  });

  t.test('of one transaction', async (t) => {
    const two = database.withSystem(async (tx) => {
      await record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'a' } });
      await record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest: 'b' } });
    });
    await t.rejects(two, { code: 'unavailable' });
    await anew();
  });

  t.test('of two transactions at once', async (t) => {
    let go: () => void = () => {};
    const both = new Promise<void>((resolve) => (go = resolve));
    let begun = 0;
    const one = (digest: string): Promise<void> =>
      database.withSystem(async (tx) => {
        await record(tx, { kind: 'extent.stored', observer: 'warden', public: { digest } });
        begun += 1;
        if (begun === 2) go();
        await both;
      });
    // Whoever is refused lets the other one go on.
    const done = await Promise.allSettled(['a', 'b'].map((digest) => one(digest).finally(() => go())));
    t.equal(done.filter((it) => it.status === 'fulfilled').length, 1, 'one of them is undone');
  });
});
