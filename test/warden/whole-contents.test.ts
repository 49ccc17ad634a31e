// T-31 and T-32 as the database keeps them, whoever asks: a content belongs to one version, what is closed keeps its bytes, and only what is whole is closed.
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { test } from 'tap';
import { type CustomerId, idOf, type VersionId } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { destroyDue, destroyKeys, insertHold, liftHold } from '../../server/warden/retention/retention-queries.ts';
import { discardExpired, doomUnused, publishDue } from '../../server/warden/transfers/sweep-queries.ts';
import { createTestDatabase, type Teardown, type TestDatabase } from '../support/database.ts';

type Seeded = { readonly version: string; readonly content: string; readonly object: string };

/** A bank with a folder; versions come into being as they do in life: partial, with extents, then what they become. */
class Shelf {
  readonly sql: TestDatabase;
  readonly warden: Database;
  readonly customer = randomUUID();
  readonly folder = randomUUID();
  readonly account = randomUUID();
  readonly #key = randomUUID();

  private constructor(sql: TestDatabase, warden: Database) {
    this.sql = sql;
    this.warden = warden;
  }

  static async create(t: Teardown): Promise<Shelf> {
    const sql = await createTestDatabase(t);
    const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 3 });
    t.teardown(() => warden.close());
    const shelf = new Shelf(sql, warden);
    await sql.query("insert into customer (id, name) values ($1, 'acme')", [shelf.customer]);
    await sql.query("insert into customer_key values ($1, $2, '', 'k')", [shelf.#key, shelf.customer]);
    await sql.query("insert into account (id, customer_id, name, kind, plane) values ($1, $2, 'acme', 'machine', 'partner')", [
      shelf.account,
      shelf.customer,
    ]);
    await sql.query("insert into folder (id, customer_id, name, direction, retention_days) values ($1, $2, 'deposit', 'deposit', 1)", [
      shelf.folder,
      shelf.customer,
    ]);
    return shelf;
  }

  /** A partial version of so many extents of 10 bytes, held open by an upload. */
  async add(extents: number, file = randomUUID()): Promise<Seeded> {
    const seeded = { version: randomUUID(), content: randomUUID(), object: randomBytes(16).toString('hex') };
    await this.sql.query(
      'insert into file (id, customer_id, folder_id, name) values ($1::uuid, $2, $3, $1::uuid::text) on conflict do nothing',
      [file, this.customer, this.folder],
    );
    await this.sql.query("insert into content values ($1, $2, $3, 'w')", [seeded.content, this.customer, this.#key]);
    await this.sql.query(
      `insert into version (id, customer_id, file_id, number, content_id, state, account_id, session_id, node, upload_id)
       values ($1, $2, $3, (select count(*) + 1 from version where file_id = $3), $4, 'partial', $5, gen_random_uuid(), 'n', gen_random_uuid())`,
      [seeded.version, this.customer, file, seeded.content, this.account],
    );
    for (let index = 0; index < extents; index += 1) {
      await this.sql.query(
        "insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, node) values ($1, $2, $3, $4, $5, 10, 10, sha256('x'), 'n')",
        [seeded.content, index, this.customer, index === 0 ? seeded.object : randomBytes(16).toString('hex'), index * 10],
      );
      await this.sql.query('update version set extent_count = extent_count + 1, size = size + 10 where id = $1', [seeded.version]);
    }
    return seeded;
  }

  close(version: string, state: string): Promise<unknown> {
    return this.sql.query(
      `update version set state = $2, sha256 = sha256('x'), closed_at = now(), upload_id = null, receipt = 'r',
         publish_at = case when $2 = 'settling' then now() - interval '1 minute' end, published_at = case when $2 = 'published' then now() - interval '2 days' end where id = $1`,
      [version, state],
    );
  }

  async become(seeded: Seeded, state: string): Promise<void> {
    if (state === 'partial') return;
    if (state === 'discarded')
      await this.sql.query("update version set state = 'discarded', upload_id = null where id = $1", [seeded.version]);
    else if (state === 'held' || state === 'settling') await this.close(seeded.version, state);
    else {
      await this.close(seeded.version, 'published');
      if (state !== 'published')
        await this.sql.query("update version set state = 'withdrawn', withdrawn_at = now() where id = $1", [seeded.version]);
      if (state === 'destroyed') await this.sql.query("update version set state = 'destroyed' where id = $1", [seeded.version]);
    }
  }

  async state(version: string): Promise<string> {
    return (await this.sql.query<{ state: string }>('select state from version where id = $1', [version]))[0]?.state ?? 'gone';
  }

  async has(object: string): Promise<boolean> {
    return (await this.sql.query('select 1 from extent where object_id = $1', [object])).length === 1;
  }
}

/** The pool keeps what the database said to itself. */
const reasonOf = (error: unknown): string => String(error instanceof Error && error.cause !== undefined ? error.cause : error);

const wipe = "update content set wrapped_key = '', destroyed_at = now() where id = $1";

test('what a version counts on is neither changed nor deleted, in no state and by nobody', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql } = shelf;
  for (const state of ['partial', 'held', 'settling', 'published', 'withdrawn']) {
    const one = await shelf.add(2);
    await shelf.become(one, state);
    t.equal(await shelf.state(one.version), state);
    await t.rejects(sql.query('delete from extent where content_id = $1 and index = 1', [one.content]), /counts on this extent/, state);
    await t.rejects(
      sql.query("update extent set digest = sha256('y') where content_id = $1", [one.content]),
      /extent is not changed/,
      state,
    );
    await t.rejects(
      sql.query('update extent set object_id = $2 where content_id = $1 and index = 0', [one.content, 'a'.repeat(32)]),
      /not changed/,
    );
    await t.rejects(sql.query('insert into doomed_object (object_id) values ($1)', [one.object]), /needs this object/, state);
    await t.rejects(sql.query(wipe, [one.content]), /counts on this key/, state);
    await t.rejects(sql.query("update content set wrapped_key = 'other' where id = $1", [one.content]), /key is not changed/, state);
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
        /cannot change its content/,
        `${state}: ${change}`,
      );
    await t.rejects(sql.query('delete from version where id = $1', [one.version]), /not deleted/, state);
  }
  for (const table of ['version', 'extent', 'content']) await t.rejects(sql.query(`truncate ${table} cascade`), /is not emptied/, table);
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

  const file = randomUUID();
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

test('what is being continued neither settles nor expires; who lets go leaves what there is more of', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const continued = async (baseState: string, baseExtents: number, extents: number): Promise<readonly [Seeded, Seeded]> => {
    const file = randomUUID();
    const base = await shelf.add(baseExtents, file);
    if (baseState === 'partial')
      for (const change of ['upload_id = null', "let_go_at = now() - interval '1 year'"])
        await sql.query(`update version set ${change} where id = $1`, [base.version]);
    await shelf.become(base, baseState);
    const upload = await shelf.add(extents, file);
    await sql.query('update version set base_version_id = $2 where id = $1', [upload.version, base.version]);
    return [base, upload];
  };
  const letGo = (one: Seeded): Promise<unknown> => sql.query('update version set upload_id = null where id = $1', [one.version]);

  const [settling, small] = await continued('settling', 2, 1);
  t.same(await warden.withSystem((tx) => publishDue(tx, 10)), [], 'it is due, and being continued');
  await letGo(small);
  t.same(
    [await shelf.state(settling.version), await shelf.state(small.version)],
    ['settling', 'discarded'],
    'an attempt that holds no more goes',
  );
  t.same(await warden.withSystem((tx) => publishDue(tx, 10)), [], 'and it settles anew');
  await sql.query('update version set publish_at = now() where id = $1', [settling.version]);
  t.equal((await warden.withSystem((tx) => publishDue(tx, 10))).length, 1, 'then it is published');

  const [held, larger] = await continued('held', 2, 3);
  await letGo(larger);
  t.same(
    [await shelf.state(held.version), await shelf.state(larger.version)],
    ['discarded', 'partial'],
    'one that holds more takes its place',
  );
  const [published, more] = await continued('published', 2, 3);
  await letGo(more);
  t.same([await shelf.state(published.version), await shelf.state(more.version)], ['published', 'partial'], 'what is published stays');

  const [partial, rewrite] = await continued('partial', 2, 2);
  t.same(await warden.withSystem((tx) => discardExpired(tx, 1000, 10)), [], 'an old partial one is not given up while it is rewritten');
  await letGo(rewrite);
  t.same(
    [await shelf.state(partial.version), await shelf.state(rewrite.version)],
    ['partial', 'discarded'],
    'a rewrite that holds no more goes',
  );
  const gone = await warden.withSystem((tx) => discardExpired(tx, 1000, 10));
  t.same(
    gone.map((one) => one.version),
    [partial.version],
    'then it expires as ever',
  );
});

test('a hold keeps what it lies on, however closely it comes before the end', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const hold = { customer: idOf<CustomerId>(shelf.customer), folder: null, reason: 'x', by: 'alice' };
  const destroy = (): Promise<unknown> =>
    warden.withSystem(async (tx) => {
      await destroyDue(tx, 10);
      await destroyKeys(tx, 10);
    });
  const raced = await shelf.add(1);
  await shelf.become(raced, 'withdrawn');
  const placing = new pg.Client({ connectionString: sql.wardenUrl });
  await placing.connect();
  t.teardown(() => placing.end());
  await placing.query('begin');
  await placing.query("set local cofferdam.customers = '*'");
  await placing.query("insert into legal_hold (customer_id, reason, placed_by) values ($1, 'x', 'alice')", [shelf.customer]);
  const destroying = destroy().then(() => 'destroyed', reasonOf);
  const waits = "select 1 from pg_locks where locktype = 'advisory' and not granted";
  for (const end = Date.now() + 10_000; (await sql.query(waits)).length === 0 && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  await placing.query('commit');
  t.match(await destroying, /a hold lies on this version/, 'the end waits for the hold that is being placed, and sees it');
  t.same([await shelf.state(raced.version), await shelf.has(raced.object)], ['withdrawn', true]);
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
  await warden.withSystem((tx) => doomUnused(tx, 10));
  t.same(
    [await shelf.has(taken.object), await shelf.has(attempt.object)],
    [true, false],
    'what had a receipt is kept for the hold, attempts are not',
  );
  await t.rejects(sql.query('delete from extent where content_id = $1', [taken.content]), /counts on this extent/);
  const [row] = await sql.query<{ id: string }>('select id from legal_hold');
  await warden.withSystem((tx) => liftHold(tx, row?.id ?? '', 'alice'));
  await warden.withSystem((tx) => doomUnused(tx, 10));
  await destroy();
  t.same(
    [await shelf.has(taken.object), await shelf.has(raced.object), await shelf.state(raced.version)],
    [false, false, 'destroyed'],
    'lifted: both go',
  );
  const late = warden.withSystem((tx) => insertHold(tx, { ...hold, version: idOf<VersionId>(raced.version) }));
  t.match(await late.then(String, reasonOf), /nothing left to hold/, 'a hold on nothing is no hold');
});
