// No charge without its entry: what a batch returns is compared with what its answers call for, before anything is
// released.
import { test } from 'tap';
import { type ChargeRequest, callChargeBatch } from '../../server/warden/budgets/charge-queries.ts';
import { Bank, startWatchedBank } from '../support/bank.ts';

test('an extent whose entry does not come back, or says something else, is not released', async (t) => {
  const { given, sql, births, database } = await startWatchedBank(t);
  const bank = await Bank.create(given, 'acme', 1000);
  await bank.addFile(20);
  const reader = await bank.addReader();
  const by = { account: reader.account, node: 'n', plane: 'partner', customer: bank.id, version: undefined } as const;
  const extent = (index: number): ChargeRequest => ({
    session: reader.session,
    by: by as unknown as NonNullable<ChargeRequest['by']>,
    download: reader.downloads[0] ?? '',
    index,
  });
  const list = {
    session: reader.session,
    by: extent(0).by,
    customer: bank.id,
    direction: 'list',
    bytes: 0,
    items: 1,
  } as ChargeRequest;
  const ask = async (...items: readonly ChargeRequest[]): Promise<readonly string[]> =>
    (await callChargeBatch(database, items)).map((one) => one.outcome);
  t.same(
    await ask(extent(0), list, extent(1), extent(0)),
    ['granted', 'granted', 'granted', 'repeat'],
    'twin: each extent has its entry',
  );
  t.equal(births.size, 3);
  t.same(await ask({ ...extent(0), index: 99 }), ['missing'], 'twin: a refusal has one too');
  t.equal(births.size, 4);
  t.same(births.refusedUntil(performance.now()), []);

  const touches = [
    ['return null;', 'did not come back'],
    ['if new.extent = 3 then return null; end if;', 'did not come back'],
    [
      'if new.extent = 3 then new.account_id := gen_random_uuid(); end if;',
      'came back with another account_id than was sent',
    ],
    [
      'if new.extent = 3 then new.customer_id := gen_random_uuid(); end if;',
      'came back with another customer_id than was sent',
    ],
    ['if new.extent = 3 then new.bytes := 1; end if;', 'came back with another bytes than was sent'],
    ['if new.extent = 3 then new.session_id := gen_random_uuid(); end if;', 'did not come back'],
    ['if new.extent = 3 then new.handle_id := gen_random_uuid(); end if;', 'did not come back'],
    [
      `if new.extent = 3 then new.public := '{"outcome": "repeat"}'; end if;`,
      'came back with another public than was sent',
    ],
    ["if new.extent = 3 then new.at := new.at - interval '1 hour'; end if;", /does not show/],
    ['if new.extent = 3 then new.id := -5; end if;', 'was given the number -5, which is not possible'],
  ] as const;
  for (const [touch, fault] of touches) {
    await sql.query(`create function other() returns trigger language plpgsql as $$ begin ${touch} return new; end $$`);
    await sql.query('create trigger other before insert on ledger_fresh for each row execute function other()');
    births.forget(0);
    await sql.query('delete from charged_item');
    await t.rejects(ask(extent(2), extent(3)), { code: 'unavailable' }, touch);
    t.equal(births.size, 0);
    t.match(births.refusedUntil(performance.now()), [{ kind: 'extent.granted', fault }], touch);
    await sql.query('drop function other cascade');
  }
  births.forget(0);
  t.same(await ask(extent(4), extent(5)), ['granted', 'granted'], 'and goes on when nobody is in the way');
});

test('whoever reads on when the version was withdrawn, or the handle is closed, is refused, and nothing is missed', async (t) => {
  const { given, sql, births, database } = await startWatchedBank(t);
  const bank = await Bank.create(given, 'acme', 1000);
  await bank.addFile(20);
  const reader = await bank.addReader();
  const by = {
    account: reader.account,
    node: 'n',
    plane: 'partner',
    customer: bank.id,
    version: bank.files[0]?.version,
  };
  const [download = ''] = reader.downloads;
  const ask = async (index: number): Promise<readonly string[]> =>
    (
      await callChargeBatch(database, [
        { session: reader.session, by: by as NonNullable<ChargeRequest['by']>, download, index },
      ])
    ).map((one) => one.outcome);
  const asOwner = (text: string): Promise<unknown> =>
    sql.query(`begin; set local session_replication_role = replica; ${text}; commit`);
  const refused = (): readonly unknown[] => births.refusedUntil(performance.now());
  t.same(await ask(0), ['granted']);
  await asOwner(`update version set state = 'withdrawn', withdrawn_at = now() where id = '${by.version}'`);
  t.same(await ask(1), ['missing'], 'withdrawn');
  await asOwner(`update version set state = 'published', withdrawn_at = null where id = '${by.version}'`);
  t.same(await ask(2), ['granted'], 'twin');
  await asOwner(`update download set closed_at = now() where id = '${download}'`);
  t.same(await ask(3), ['missing'], 'closed');
  t.same(refused(), []);
  t.equal(births.size, 4, 'each has its entry');
  // A grant names its version, and a refusal names no other one.
  await asOwner(`update download set closed_at = null where id = '${download}'`);
  for (const [index, touch] of [
    [4, 'new.version_id := null;'],
    [99, 'new.version_id := gen_random_uuid();'],
  ] as const) {
    await sql.query(`create function other() returns trigger language plpgsql as $$ begin ${touch} return new; end $$`);
    await sql.query('create trigger other before insert on ledger_fresh for each row execute function other()');
    births.forgetRefused();
    await t.rejects(ask(index), { code: 'unavailable' }, touch);
    t.match(refused(), [{ fault: 'came back with another version_id than was sent' }], touch);
    await sql.query('drop function other cascade');
  }
});
