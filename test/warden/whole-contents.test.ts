// T-31 and T-32 as the database enforces them, whoever asks: a content belongs to one version, what is closed keeps its
// bytes, and only what is whole is closed.
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { test } from 'tap';
import { type FileId, idOf } from '../../server/domain/ids.ts';
import { applyRetention } from '../../server/warden/retention/retention.ts';
import { insertHold, liftHold } from '../../server/warden/retention/retention-queries.ts';
import { findDue, findExpired } from '../../server/warden/transfers/sweep-queries.ts';
import { collect, publish } from '../../server/warden/transfers/sweeps.ts';
import { type Seeded, Shelf } from '../support/shelf.ts';

/** The pool keeps what the database said to itself. */
const reasonOf = (error: unknown): string =>
  String(error instanceof Error && error.cause !== undefined ? error.cause : error);

const wipe = "update content set wrapped_key = '', destroyed_at = now() where id = $1";

test('what a version counts on is neither changed nor deleted, in no state and by nobody', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql } = shelf;
  for (const state of ['partial', 'held', 'settling', 'published', 'withdrawn']) {
    const one = await shelf.add(2);
    await shelf.become(one, state);
    t.equal(await shelf.state(one.version), state);
    await t.rejects(
      sql.query('delete from extent where content_id = $1 and index = 1', [one.content]),
      /counts on this extent/,
      state,
    );
    await t.rejects(
      sql.query("update extent set digest = sha256('y') where content_id = $1", [one.content]),
      /extent is not changed/,
      state,
    );
    await t.rejects(
      sql.query('update extent set object_id = $2 where content_id = $1 and index = 0', [one.content, 'a'.repeat(32)]),
      /not changed/,
    );
    await t.rejects(
      sql.query('insert into doomed_object (object_id) values ($1)', [one.object]),
      /needs this object/,
      state,
    );
    await t.rejects(sql.query(wipe, [one.content]), /counts on this key/, state);
    await t.rejects(
      sql.query("update content set wrapped_key = 'other' where id = $1", [one.content]),
      /key is not changed/,
      state,
    );
    await t.rejects(sql.query('delete from content where id = $1', [one.content]), /counts on this key/, state);
    const other = await shelf.add(0);
    await t.rejects(
      sql.query('update version set content_id = $2 where id = $1', [one.version, other.content]),
      /keeps its content/,
      state,
    );
    await t.rejects(
      sql.query('update version set content_id = $2 where id = $1', [other.version, one.content]),
      /keeps its content/,
      state,
    );
    const second = sql.query(
      `insert into version (id, customer_id, file_id, number, content_id, state, account_id, session_id, node)
       select gen_random_uuid(), customer_id, file_id, number + 1, content_id, 'partial', account_id, session_id, node from version where id = $1`,
      [one.version],
    );
    await t.rejects(second, /version_content/, `${state}: no second version on its content`);
    if (state === 'partial') continue;
    const late = sql.query(
      "insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, node) values ($1, 2, $2, $3, 20, 10, 10, sha256('x'), 'n')",
      [one.content, shelf.customer, randomBytes(16).toString('hex')],
    );
    await t.rejects(late, /only to what is being written/, `${state}: nothing is added`);
    await t.rejects(
      sql.query("update version set state = 'partial', upload_id = null where id = $1", [one.version]),
      /written again|cannot become/,
      state,
    );
    for (const change of ['size = 1', 'extent_count = 1', "sha256 = sha256('y')", "receipt = 's'"])
      await t.rejects(
        sql.query(`update version set ${change} where id = $1`, [one.version]),
        /cannot change its content|receipt changes only with the name/,
        `${state}: ${change}`,
      );
    await t.rejects(sql.query('delete from version where id = $1', [one.version]), /not deleted/, state);
  }
  for (const table of ['version', 'extent', 'content'])
    await t.rejects(sql.query(`truncate ${table} cascade`), /is not emptied/, table);
  for (const state of ['discarded', 'destroyed']) {
    const one = await shelf.add(2);
    await shelf.become(one, state);
    await sql.query('delete from extent where content_id = $1', [one.content]);
    await sql.query('insert into doomed_object (object_id) values ($1)', [one.object]);
    await sql.query(wipe, [one.content]);
    t.notOk(await shelf.has(one.object), `${state}: nobody counts on it, it may go`);
  }
});

test('an upload becomes a file only when it is whole, by what the database knows of it', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql } = shelf;
  const refused = await shelf.add(2);
  await sql.query("update version set refused = 'over-limit' where id = $1", [refused.version]);
  await t.rejects(shelf.close(refused.version, 'settling'), /part of the upload was refused: over-limit/);
  await sql.query('update version set refused = null where id = $1', [refused.version]);
  await shelf.close(refused.version, 'settling');
  t.equal(await shelf.state(refused.version), 'settling', 'resumed by another upload, it may');

  const resumed = await shelf.add(2);
  await sql.query('update version set resumed_bytes = 20 where id = $1', [resumed.version]);
  await t.rejects(shelf.close(resumed.version, 'held'), /resumption added nothing/);
  await sql.query('update version set resumed_bytes = 10 where id = $1', [resumed.version]);
  await shelf.close(resumed.version, 'held');
  t.equal(await shelf.state(resumed.version), 'held', 'one that added something may');

  const torn = await shelf.add(3);
  await sql.query('update version set size = 20 where id = $1', [torn.version]);
  await t.rejects(shelf.close(torn.version, 'published'), /not what the version says/);
  await sql.query('update version set size = 30, extent_count = 2 where id = $1', [torn.version]);
  await t.rejects(shelf.close(torn.version, 'published'), /not what the version says/);
  await sql.query('update version set extent_count = 3 where id = $1', [torn.version]);
  await shelf.close(torn.version, 'published');

  const file = idOf<FileId>(randomUUID());
  const base = await shelf.add(2, file);
  await shelf.become(base, 'held');
  const shorter = await shelf.add(1, file);
  await sql.query('update version set base_version_id = $2 where id = $1', [shorter.version, base.version]);
  await t.rejects(shelf.close(shorter.version, 'held'), /ends before what it rewrites/);
  await t.rejects(
    sql.query("update version set state = 'published', published_at = now() where id = $1", [base.version]),
    /is being continued/,
  );
});

test('a base that is being continued neither settles nor expires; interrupting leaves whichever has more', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql } = shelf;
  const due = (): Promise<readonly string[]> => shelf.warden.database.withSystem((tx) => findDue(tx, 10));
  // The old one has a year behind it; what is younger than an hour is of this test, however slowly it runs.
  const expired = (): Promise<readonly string[]> =>
    shelf.warden.database.withSystem((tx) => findExpired(tx, 3_600_000, 10));
  const continued = async (
    baseState: string,
    baseExtents: number,
    extents: number,
  ): Promise<readonly [Seeded, Seeded]> => {
    const file = idOf<FileId>(randomUUID());
    const base = await shelf.add(baseExtents, file);
    if (baseState === 'partial')
      for (const change of ['upload_id = null', "let_go_at = now() - interval '1 year'"])
        await sql.query(`update version set ${change} where id = $1`, [base.version]);
    await shelf.become(base, baseState);
    const upload = await shelf.add(extents, file);
    await sql.query('update version set base_version_id = $2 where id = $1', [upload.version, base.version]);
    return [base, upload];
  };
  const letGo = (one: Seeded): Promise<unknown> =>
    sql.query('update version set upload_id = null where id = $1', [one.version]);

  const [settling, small] = await continued('settling', 2, 1);
  t.same(await due(), [], 'it is due, and being continued');
  await letGo(small);
  t.same(
    [await shelf.state(settling.version), await shelf.state(small.version)],
    ['settling', 'discarded'],
    'an attempt that holds no more goes',
  );
  t.same(await due(), [], 'and it settles anew');
  await sql.query('update version set publish_at = now() where id = $1', [settling.version]);
  t.same(await due(), [settling.version]);
  await publish(shelf.warden);
  t.equal(await shelf.state(settling.version), 'published', 'then it is published');

  const [held, larger] = await continued('held', 2, 3);
  await letGo(larger);
  t.same(
    [await shelf.state(held.version), await shelf.state(larger.version)],
    ['held', 'partial'],
    'one that holds more is another upload, and what has a receipt waits below it',
  );
  const [published, more] = await continued('published', 2, 3);
  await letGo(more);
  t.same(
    [await shelf.state(published.version), await shelf.state(more.version)],
    ['published', 'partial'],
    'what is published stays',
  );

  const [partial, rewrite] = await continued('partial', 2, 2);
  t.same(await expired(), [], 'an old partial one is not given up while it is rewritten');
  await letGo(rewrite);
  t.same(
    [await shelf.state(partial.version), await shelf.state(rewrite.version)],
    ['partial', 'discarded'],
    'a rewrite that holds no more goes',
  );
  await collect(shelf.warden);
  t.equal(await shelf.state(partial.version), 'discarded', 'then it expires as ever');
});

test('a hold keeps what it applies to, however closely it comes before the end', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql } = shelf;
  const warden = shelf.warden.database;
  const hold = { customer: shelf.customer, folder: null, reason: 'x', by: 'alice' };
  const destroy = (): Promise<void> => applyRetention(shelf.warden);
  const [raced, passed] = [await shelf.add(1), await shelf.add(1)];
  for (const one of [raced, passed]) await shelf.become(one, 'withdrawn');
  const placing = new pg.Client({ connectionString: sql.wardenUrl });
  await placing.connect();
  t.teardown(() => placing.end());
  await placing.query('begin');
  await placing.query("set local cofferdam.customers = '*'");
  await placing.query("insert into legal_hold (customer_id, reason, placed_by) values ($1, 'x', 'alice')", [
    shelf.customer,
  ]);
  const untilWaiting = async (count: number): Promise<void> => {
    const waits = "select 1 from pg_locks where locktype = 'advisory' and not granted";
    for (const end = Date.now() + 10_000; (await sql.query(waits)).length < count && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 10));
  };
  const destroying = warden
    .withSystem((tx) => tx.query("update version set state = 'destroyed' where id = $1", [raced.version]))
    .then(() => 'destroyed', reasonOf);
  await untilWaiting(1);
  const passing = destroy();
  await untilWaiting(2);
  await placing.query('commit');
  t.match(
    await destroying,
    /a hold lies on this version/,
    'the end waits for the hold that is being placed, and sees it',
  );
  await passing;
  for (const one of [raced, passed])
    t.same([await shelf.state(one.version), await shelf.has(one.object)], ['withdrawn', true]);
  t.same(await sql.query('select 1 from alert'), [], 'a pass that waited leaves it out, and that is no fault');
  await destroy();
  t.equal(await shelf.state(raced.version), 'withdrawn', 'the next pass leaves it out');
  await t.rejects(
    sql.query("update version set state = 'destroyed' where id = $1", [raced.version]),
    /a hold lies/,
    'nor can anybody else',
  );

  const taken = await shelf.add(1);
  await shelf.become(taken, 'settling');
  await shelf.become(taken, 'discarded');
  const attempt = await shelf.add(1);
  await shelf.become(attempt, 'discarded');
  await collect(shelf.warden);
  t.same(
    [await shelf.has(taken.object), await shelf.has(attempt.object)],
    [true, false],
    'what had a receipt is kept for the hold, attempts are not',
  );
  await t.rejects(sql.query('delete from extent where content_id = $1', [taken.content]), /counts on this extent/);
  const [row] = await sql.query<{ id: string }>('select id from legal_hold');
  await warden.withSystem((tx) => liftHold(tx, row?.id ?? '', 'alice'));
  await collect(shelf.warden);
  await destroy();
  t.same(
    [await shelf.has(taken.object), await shelf.has(raced.object), await shelf.state(raced.version)],
    [false, false, 'destroyed'],
    'lifted: both go',
  );
  const late = warden.withSystem((tx) => insertHold(tx, { ...hold, version: raced.version }));
  t.match(await late.then(String, reasonOf), /nothing left to hold/, 'a hold on nothing is no hold');
});
