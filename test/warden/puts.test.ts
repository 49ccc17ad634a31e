// Small files that come whole: each is charged, decided under its name, entered and recorded, all of it or nothing.
// What an entry does not say did not happen, and no cap is passed however many come at once.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Test, test } from 'tap';
import type { ContentId, CustomerKeyId, DirectoryId, ObjectId, VersionId } from '../../server/domain/ids.ts';
import { idOf } from '../../server/domain/ids.ts';
import { sealedDigest } from '../../server/extents/object-tickets.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { createBatchQueue } from '../../server/warden/budgets/batch-queue.ts';
import { callPutBatch, lookAtName, type Put } from '../../server/warden/transfers/put-queries.ts';
import { Bank, type Reader, startWatchedBank } from '../support/bank.ts';
import { until } from '../support/until.ts';

const bytes = 100;

async function setUp(t: Test, connectionsMax = 1) {
  const { given, sql, births, database } = await startWatchedBank(t, connectionsMax);
  const bank = await Bank.create(given, 'acme', 1000);
  const sender = await bank.addReader();
  const [key] = await sql.query<{ id: CustomerKeyId }>('select id from customer_key');
  const [folder] = await sql.query<{
    publish_rule: 'on-close';
    marker: string;
    settle_ms: number;
    direction: 'collect';
  }>('select publish_rule, marker, settle_ms, direction from folder where id = $1', [bank.folder]);
  const rules = {
    publishRule: folder?.publish_rule ?? 'on-close',
    marker: folder?.marker ?? '',
    settleMs: folder?.settle_ms ?? 0,
    direction: folder?.direction ?? 'collect',
  };
  const put = (name: string, more: Partial<Put> = {}, by: Reader = sender): Put => {
    const inline = randomBytes(sealedLength(bytes));
    const object = idOf<ObjectId>(randomBytes(16).toString('hex'));
    return {
      session: by.session,
      by: { account: by.account, node: 'n', plane: 'partner', customer: bank.id, version: undefined } as Put['by'],
      customer: bank.id,
      folder: bank.folder,
      directory: null,
      name,
      standing: 0,
      mayReplace: false,
      rules,
      state: 'held',
      upload: randomUUID(),
      version: idOf<VersionId>(randomUUID()),
      content: idOf<ContentId>(randomUUID()),
      key: { customerKeyId: key?.id ?? idOf<CustomerKeyId>(''), wrappedKey: randomBytes(60) },
      extent: { object, bytes, digest: sealedDigest(inline), inline },
      sha256: createHash('sha256').update(inline).digest(),
      modifiedAt: null,
      openedAt: new Date(),
      closedAt: new Date(),
      receipt: 'receipt',
      says: { opened: { path: `/${name}` }, closed: { path: `/${name}` } },
      ...more,
    };
  };
  const ask = async (...items: readonly Put[]) =>
    (await callPutBatch(database, items)).map(({ charge, put: done }) => done ?? charge.outcome);
  const rows = () =>
    sql.query<{ name: string; number: number; state: string; size: number }>(
      'select f.name, v.number, v.state, v.size::int from version v join file f on f.id = v.file_id order by f.name, v.number',
      [],
    );
  const charged = async (rank: number) => {
    const [row] = await sql.query<{ bytes: number; items: number }>(
      "select total_bytes::int as bytes, total_items::int as items from budget where rank = $1 and direction = 'in' order by total_items desc limit 1",
      [rank],
    );
    return [row?.bytes, row?.items];
  };
  return { sql, births, database, bank, sender, put, ask, rows, charged };
}

test('what becomes of each file of a batch', async (t) => {
  const { sql, bank, put, ask, rows, charged, database, sender } = await setUp(t);
  const empty = { extent: undefined };
  t.same(await ask(put('a'), put('b', empty), put('a'), put('c', { state: 'published' })), [
    'stored',
    'stored',
    'taken',
    'stored',
  ]);
  t.same(await charged(5), [3 * bytes, 4], 'what is taken is charged, too');
  t.same(await rows(), [
    { name: 'a', number: 1, state: 'held', size: bytes },
    { name: 'b', number: 1, state: 'held', size: 0 },
    { name: 'c', number: 1, state: 'published', size: bytes },
  ]);
  const [directory] = await sql.query<{ id: DirectoryId }>(
    "insert into directory (id, customer_id, folder_id, name) values (gen_random_uuid(), $1, $2, 'd') returning id",
    [bank.id, bank.folder],
  );
  const [gone] = await sql.query<{ id: DirectoryId }>(
    "insert into directory (id, customer_id, folder_id, name, removed_at) values (gen_random_uuid(), $1, $2, 'e', now()) returning id",
    [bank.id, bank.folder],
  );
  const other = { rules: { publishRule: 'on-marker', marker: '.done', settleMs: 1, direction: 'collect' } } as const;
  t.same(
    await ask(
      put('a', { standing: 1 }),
      put('c', { standing: 1 }),
      put('c', { standing: 0, mayReplace: true }),
      put('c', { standing: 1, mayReplace: true }),
      put('d'),
      put('x', { directory: directory?.id ?? null }),
      put('x', { directory: gone?.id ?? null }),
      put('y', other),
    ),
    ['taken', 'taken', 'taken', 'taken', 'taken', 'stored', 'gone', 'changed'],
    'unpublished, not to be replaced, newer than it was, once in a batch, a directory, in one, in none, other rules',
  );
  t.same(await ask(put('c', { standing: 1, mayReplace: true, state: 'published' })), ['stored'], 'the twin: replaced');
  t.equal((await rows()).filter(({ name }) => name === 'c').length, 2);
  t.same(await sql.query("select from file where name in ('y', 'd')"), [], 'no name is left of what was not stored');
  const at = (name: string, parents: readonly string[] = []) =>
    lookAtName(database, { session: sender.session, customer: bank.id, folder: bank.folder, parents, name });
  t.match(await at('a'), { goesOn: true, directory: null, standing: 1, hasUnpublished: true, hasPublished: false });
  t.match(await at('c'), { standing: 2, hasUnpublished: false, hasPublished: true });
  t.match(await at('x', ['d']), { directory: directory?.id, standing: 1 });
  t.match(await at('x', ['e']), { directory: undefined });
  t.match(await at('d'), { isDirectory: true, standing: 0 });
  t.match(await at('new'), { isDirectory: false, standing: 0, hasUnpublished: false });
  t.match(await at('new'), { hasRoom: true });
  await sql.query("update budget set cap_hour_items = total_items where rank = 2 and direction = 'in'");
  t.match(await at('new'), { hasRoom: false });
  await sql.query("update session set state = 'ended', ended_at = now() where id = $1", [sender.session]);
  t.same(await ask(put('late')), ['session'], 'a session that is over stores nothing');
  t.match(await at('new'), { goesOn: false });
});

test('no cap is passed, however many come at once', async (t) => {
  const { sql, put, ask, rows, charged } = await setUp(t, 4);
  await sql.query("update budget set cap_hour_items = 10 where rank = 1 and direction = 'in'");
  const batches = await Promise.all(
    Array.from({ length: 8 }, (_, batch) => ask(...Array.from({ length: 4 }, (_one, i) => put(`f-${batch}-${i}`)))),
  );
  const done = batches.flat();
  t.same([...new Set(done)].sort(), ['over-limit', 'stored']);
  t.equal(done.filter((one) => one === 'stored').length, 10, 'exactly');
  t.equal((await rows()).length, 10);
  t.same(await charged(1), [10 * bytes, 10]);
  const same = await Promise.all(Array.from({ length: 8 }, () => ask(put('f-0-0', { standing: 0 }))));
  t.notOk(same.flat().includes('stored'));
});

test('one name by many at once: one of them has it', async (t) => {
  const { put, ask, rows } = await setUp(t, 4);
  const done = (
    await Promise.all(Array.from({ length: 8 }, () => ask(put('one'), put(`other-${randomUUID()}`))))
  ).flat();
  t.equal(done.filter((one) => one === 'stored').length, 9);
  t.equal(done.filter((one) => one === 'taken').length, 7);
  t.equal((await rows()).filter(({ name }) => name === 'one').length, 1);
});

test('a file whose entry does not come back, or says something else, does not count as stored', async (t) => {
  const { sql, births, put, ask } = await setUp(t);
  t.same(await ask(put('good'), put('too')), ['stored', 'stored']);
  t.equal(births.size, 4, 'two entries each');
  for (const [touch, fault] of [
    ["if new.kind = 'upload.closed' then return null; end if;", /more or less often/],
    ['return null;', /more or less often/],
    ["if new.kind = 'upload.closed' then new.bytes := 1; end if;", /another bytes/],
    ["if new.kind = 'upload.opened' then new.account_id := gen_random_uuid(); end if;", /another account_id/],
    ["if new.kind = 'upload.closed' then new.public := '{}'; end if;", /another public/],
  ] as const) {
    await sql.query(`create function other() returns trigger language plpgsql as $$ begin ${touch} return new; end $$`);
    await sql.query('create trigger other before insert on ledger_fresh for each row execute function other()');
    births.forget(0);
    await t.rejects(ask(put(randomUUID())), { code: 'unavailable' }, touch);
    t.match(births.refusedUntil(performance.now()).at(-1)?.fault, fault, touch);
    await sql.query('drop function other cascade');
  }
});

test('the database refuses a version that comes as a file and is not whole', async (t) => {
  const { sql, put, ask } = await setUp(t);
  const one = put('a');
  t.same(await ask(one), ['stored']);
  for (const [columns, why] of [
    ['1, 100, null', /not what the version says/],
    ['0, 1, null', /not what the version says/],
    ['0, 0, gen_random_uuid()', /not being written/],
  ] as const) {
    // One transaction, as the warden's role: whoever owns the database is asked elsewhere.
    const inserted = sql.query(
      `select set_config('role', 'cofferdam_warden', true), set_config('cofferdam.customers', '*', true);
       with c as (insert into content (id, customer_id, customer_key_id, wrapped_key) select gen_random_uuid(), customer_id, customer_key_id, wrapped_key from content limit 1 returning id)
       insert into version (id, customer_id, file_id, number, content_id, state, sha256, closed_at, account_id, session_id, node, extent_count, size, upload_id)
       select gen_random_uuid(), v.customer_id, v.file_id, v.number + 1, c.id, 'held', v.sha256, now(), v.account_id, v.session_id, v.node, ${columns} from version v, c`,
    );
    await t.rejects(inserted, why, columns);
  }
});

test('a name that somebody else has locked holds up nobody else for long', async (t) => {
  const { sql, put, ask } = await setUp(t);
  t.same(await ask(put('locked', { state: 'published' })), ['stored']);
  const other = new pg.Client({ connectionString: sql.migrateUrl });
  await other.connect();
  t.teardown(() => other.end());
  await other.query("begin; select 1 from file where name = 'locked' for update");
  const again = { standing: 1, mayReplace: true, state: 'published' } as const;
  await t.rejects(ask(put('locked', again)), { code: 'unavailable' }, 'it waits for two seconds');
  const queue = createBatchQueue({ url: sql.wardenUrl, applicationName: 'test', call: callPutBatch });
  t.teardown(() => queue.stop());
  const [stuck, free] = await Promise.allSettled([queue.request(put('locked', again)), queue.request(put('free'))]);
  t.match(stuck, { status: 'rejected', reason: { code: 'unavailable' } });
  t.match(free, { status: 'fulfilled', value: { put: 'stored' } }, 'of the same batch');
  await other.query('rollback');
  t.same(await ask(put('locked', again)), ['stored'], 'the twin');
});

test('names are locked in the order in which a rename locks its two names', async (t) => {
  const { sql, bank, put, ask } = await setUp(t);
  t.same(await ask(put('a', { state: 'published' })), ['stored']);
  const other = new pg.Client({ connectionString: sql.migrateUrl });
  await other.connect();
  t.teardown(() => other.end());
  await other.query("begin; set local lock_timeout = '300ms'; select 1 from file where name = 'a' for update");
  const putting = ask(put('z'), put('a', { standing: 1, mayReplace: true, state: 'published' }));
  await until('it waits for a', async () => {
    const [row] = await sql.query<{ n: number }>(
      "select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and query like '%put_batch%'",
    );
    return row?.n === 1;
  });
  await other.query(
    'insert into file (id, customer_id, folder_id, name) select gen_random_uuid(), $1, $2, $3 where $3 = $3 on conflict do nothing',
    [bank.id, bank.folder, 'z'],
  );
  t.pass('whoever holds the first name gets the second one, which nobody has taken before it');
  await other.query('rollback');
  t.same(await putting, ['stored', 'stored']);
});

test('a name whose row is deleted while a put waits for it is made anew', async (t) => {
  const { sql, bank, put, ask, rows } = await setUp(t);
  await sql.query("insert into file (id, customer_id, folder_id, name) values (gen_random_uuid(), $1, $2, 'bare')", [
    bank.id,
    bank.folder,
  ]);
  const other = new pg.Client({ connectionString: sql.migrateUrl });
  await other.connect();
  t.teardown(() => other.end());
  await other.query("begin; delete from file where name = 'bare'");
  const putting = ask(put('bare'));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await other.query('commit');
  t.same(await putting, ['stored']);
  t.match(await rows(), [{ name: 'bare', number: 1 }]);
});
