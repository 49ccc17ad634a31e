// The end of the window of a folder makes a name invisible, and never makes an older version of it visible.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { test } from 'tap';
import { type FileId, idOf } from '../../server/domain/ids.ts';
import { newestPublished } from '../../server/warden/catalogue/tree-queries.ts';
import { applyRetention } from '../../server/warden/retention/retention.ts';
import { Shelf } from '../support/shelf.ts';

test('at the end of its window a name is gone, and no older version of it appears', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const pair = async () => {
    const file = idOf<FileId>(randomUUID());
    const [older, newer] = [await shelf.add(1, file), await shelf.add(1, file)];
    for (const one of [older, newer]) await shelf.become(one, 'published');
    const shown = () => warden.database.withSystem(async (tx) => (await newestPublished(tx, file))?.id);
    return { older: older.version, newer: newer.version, shown };
  };

  await t.test('somebody holds the older version for a moment', async (t) => {
    const { older, newer, shown } = await pair();
    const reader = new pg.Client({ connectionString: sql.wardenUrl });
    await reader.connect();
    t.teardown(() => reader.end());
    await reader.query("begin; set local cofferdam.customers = '*'");
    await reader.query('select 1 from version where id = $1 for update', [older]);
    await applyRetention(warden);
    t.equal(await shown(), newer, 'the name stays as it is');
    await reader.query('rollback');
    await applyRetention(warden);
    t.equal(await shown(), undefined, 'the next pass takes both');
    const why = await sql.query(
      "select version_id from ledger where kind = 'file.withdrawn' and version_id = any ($1::uuid[])",
      [[older, newer]],
    );
    t.equal(why.length, 2, 'and says so of each');
  });

  await t.test('a version that an operator released for longer leaves with what replaced it', async (t) => {
    const { older, newer, shown } = await pair();
    await sql.query("update version set released_until = now() + interval '9 days' where id = $1", [older]);
    await applyRetention(warden);
    t.equal(await shown(), undefined);
    t.not(await shelf.state(newer), 'published');
  });

  await t.test('a window that is not over', async (t) => {
    const { older, newer, shown } = await pair();
    await sql.query("update version set released_until = now() + interval '9 days' where id = $1", [newer]);
    await applyRetention(warden);
    t.equal(await shown(), newer, 'the twin: what is under it may go');
    t.not(await shelf.state(older), 'published');
  });

  await t.test('the older version cannot be processed', async (t) => {
    const { older, newer, shown } = await pair();
    await sql.query(
      "create function poisoned() returns trigger language plpgsql as $$ begin raise exception 'poisoned' using errcode = 'check_violation'; end $$",
    );
    await sql.query(
      `create trigger poison before update on version for each row when (old.id = '${older}') execute function poisoned()`,
    );
    await applyRetention(warden);
    await applyRetention(warden);
    t.equal(await shown(), newer, 'nor is the newer one taken from above it');
    t.equal((await sql.query("select 1 from alert where kind = 'pass.row-failed'")).length, 2, 'both are named');
  });
});
