// Two transactions meet at one version: whoever waited for a lock examines the row again, a version with a receipt
// waits for what goes beyond it, and every end is on the record.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Test, test } from 'tap';
import { type FileId, idOf, type NodeName, type SessionId, type VersionId } from '../../server/domain/ids.ts';
import { applyRetention } from '../../server/warden/retention/retention.ts';
import {
  deleteDoomedExtents,
  destroyDue,
  insertHold,
  lockVersion,
  withdrawDue,
} from '../../server/warden/retention/retention-queries.ts';
import { graceMs, releaseOutlived, takeOverdue } from '../../server/warden/sessions/ending-queries.ts';
import type { OpenSession } from '../../server/warden/sessions/open-session.ts';
import { endSessions } from '../../server/warden/sessions/session-queries.ts';
import { closeUpload, takePlace } from '../../server/warden/transfers/close-upload.ts';
import { discardExpired, doomUnused, publishDue } from '../../server/warden/transfers/sweep-queries.ts';
import { collect, publish } from '../../server/warden/transfers/sweeps.ts';
import { findBaseExtent, lockUpload } from '../../server/warden/transfers/upload-queries.ts';
import { addCredential, addSession } from '../support/rows.ts';
import { type Seeded, Shelf } from '../support/shelf.ts';

const reasonOf = (error: unknown): string =>
  String(error instanceof Error && error.cause !== undefined ? error.cause : error);

/** A connection of its own, in a transaction that is open until the test ends it. */
async function beside(t: Test, shelf: Shelf): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: shelf.sql.wardenUrl });
  await client.connect();
  t.teardown(() => client.end());
  await client.query("begin; set local cofferdam.customers = '*'");
  return client;
}
const waits = async (shelf: Shelf): Promise<boolean> => {
  for (const end = Date.now() + 10_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 10)))
    if ((await shelf.sql.query('select 1 from pg_locks where not granted')).length > 0) return true;
  return false;
};
/** A closed file and, above it, an upload that continues it and has this many extents. */
async function continued(
  shelf: Shelf,
  state: string,
  extents: number,
): Promise<{ readonly base: Seeded; readonly upload: Seeded; readonly file: FileId }> {
  const file = idOf<FileId>(randomUUID());
  const base = await shelf.add(2, file);
  await shelf.become(base, state);
  const upload = await shelf.add(extents, file);
  await shelf.sql.query('update version set base_version_id = $2 where id = $1', [upload.version, base.version]);
  return { base, upload, file };
}
const letGo = (shelf: Shelf, one: Seeded): Promise<unknown> =>
  shelf.sql.query('update version set upload_id = null where id = $1', [one.version]);
const entries = async (shelf: Shelf, version: string): Promise<readonly string[]> =>
  (await shelf.sql.query<{ kind: string }>('select kind from ledger where version_id = $1 order by at', [version])).map(
    (row) => row.kind,
  );
const sessionOf = (shelf: Shelf, id: string): OpenSession =>
  ({
    id: idOf<SessionId>(id),
    node: idOf<NodeName>('n'),
    account: { id: shelf.account, plane: 'partner' },
  }) as OpenSession;
/** The row of a session on a node of its own. */
async function seedSession({ sql, account }: Shelf, id: SessionId): Promise<void> {
  await sql.query("insert into node (name, plane) values ('n', 'partner')");
  await addSession(sql, { id, account, credential: await addCredential(sql, { account }) });
}
const opened = async (shelf: Shelf, one: Seeded): Promise<{ readonly upload: string; readonly session: SessionId }> => {
  const [row] = await shelf.sql.query<{ upload_id: string; session_id: string }>(
    'select upload_id, session_id from version where id = $1',
    [one.version],
  );
  return { upload: row?.upload_id ?? '', session: idOf<SessionId>(row?.session_id ?? '') };
};

test('a version with a receipt waits for what goes beyond it, and is given back when that is never finished', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  for (const state of ['settling', 'held']) {
    const { base, upload } = await continued(shelf, state, 3);
    await letGo(shelf, upload);
    t.same(
      [await shelf.state(base.version), await shelf.state(upload.version)],
      [state, 'partial'],
      `${state}: it is still there`,
    );
    await publish(warden);
    t.equal(await shelf.state(base.version), state, 'not published behind the back of who goes on from it');
    await t.rejects(
      sql.query("update version set state = 'published', published_at = now(), publish_at = null where id = $1", [
        base.version,
      ]),
      /being continued is not published/,
      'by nobody',
    );
    await sql.query("update version set let_go_at = now() - interval '1 year' where id = $1", [upload.version]);
    await collect(warden);
    t.same(
      [await shelf.state(base.version), await shelf.state(upload.version)],
      ['held', 'discarded'],
      'the longer one expires',
    );
    t.ok(await shelf.has(base.object), 'its bytes are there');
    await publish(warden);
    t.equal(await shelf.state(base.version), 'held', 'and it is not published by itself');
    t.same(await entries(shelf, base.version), ['file.given-back']);
    t.match(
      await sql.query(
        "select severity, contact_text, next_command from alert where kind = 'deposit.given-back' and subject = $1",
        [base.version],
      ),
      [
        {
          severity: 'warning',
          contact_text: /you hold our receipt.*rename it/,
          next_command: `cofferctl file receipt ${base.version}`,
        },
      ],
      'somebody hears of it, with the receipt',
    );
  }
  const alone = await shelf.add(1);
  await letGo(shelf, alone);
  await sql.query("update version set let_go_at = now() - interval '1 year' where id = $1", [alone.version]);
  await collect(warden);
  t.equal(
    (await sql.query("select 1 from alert where kind = 'deposit.given-back'")).length,
    2,
    'the twin: nothing waited below this one',
  );
});

test('opening an upload now and then keeps no file waiting below it', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const { base, upload } = await continued(shelf, 'settling', 3);
  const openAgain = () =>
    sql.query('update version set upload_id = gen_random_uuid(), resumed_bytes = size where id = $1', [upload.version]);
  const age = () =>
    sql.query("update version set let_go_at = now() - interval '1 year' where id = $1", [upload.version]);
  await letGo(shelf, upload);
  await age();
  await openAgain();
  await sql.query('update version set size = size + 1 where id = $1', [upload.version]);
  await letGo(shelf, upload);
  await collect(warden);
  t.equal(await shelf.state(upload.version), 'partial', 'the twin: something was added, and its life begins anew');
  await age();
  await openAgain();
  await letGo(shelf, upload);
  await collect(warden);
  t.same(
    [await shelf.state(base.version), await shelf.state(upload.version)],
    ['held', 'discarded'],
    'nothing was added: it is over',
  );
});

test('in a folder that publishes by marker, the sender of a file that is given back is told about the marker', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  await sql.query("update folder set publish_rule = 'on-marker'");
  const { base, upload } = await continued(shelf, 'held', 3);
  await letGo(shelf, upload);
  await sql.query("update version set let_go_at = now() - interval '1 year' where id = $1", [upload.version]);
  await collect(warden);
  t.match(
    await sql.query("select contact_text from alert where kind = 'deposit.given-back' and subject = $1", [
      base.version,
    ]),
    [{ contact_text: /put its marker \/deposit\/.*\.done beside it/ }],
  );
});

test('the record names what takes the place of a waiting file, however long ago it was begun', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  for (const state of ['settling', 'held']) {
    const { base, upload } = await continued(shelf, state, 3);
    await letGo(shelf, upload);
    const [again, session] = [randomUUID(), randomUUID()];
    await sql.query('update version set upload_id = $2, session_id = $3, resumed_bytes = size where id = $1', [
      upload.version,
      again,
      session,
    ]);
    await warden.database.withSystem(async (tx) => {
      const open = await lockUpload(tx, again, idOf<SessionId>(session));
      if (open === undefined) throw new Error('not open');
      await takePlace(tx, sessionOf(shelf, session), open, again);
    });
    t.equal(await shelf.state(base.version), 'discarded', `${state}: no marker finds it any more`);
    t.match(await sql.query('select kind, public from ledger where version_id = $1', [base.version]), [
      { kind: 'file.discarded', public: { successor: upload.version } },
    ]);
  }
});

test('no state of a version with a receipt changes without its entry', async (t) => {
  const shelf = await Shelf.create(t);
  const { warden } = shelf;
  const changes: readonly (readonly [string, string, string])[] = [
    ['settling', 'discarded', ''],
    ['held', 'discarded', ''],
    ['settling', 'held', ', publish_at = null'],
    ['settling', 'published', ', published_at = now()'],
    ['published', 'withdrawn', ', withdrawn_at = now()'],
    ['withdrawn', 'published', ", released_until = now() + interval '1 day'"],
    ['withdrawn', 'destroyed', ''],
  ];
  const kinds: Readonly<Record<string, string>> = {
    discarded: 'file.discarded',
    held: 'file.given-back',
    published: 'file.published',
    withdrawn: 'file.withdrawn',
    destroyed: 'file.destroyed',
  };
  for (const [from, to, more] of changes) {
    const one = await shelf.add(1);
    await shelf.become(one, from);
    const change = (entry: string | undefined): Promise<unknown> =>
      warden.database.withSystem(async (tx) => {
        await tx.query(`update version set state = $2${more} where id = $1`, [one.version, to]);
        if (entry !== undefined)
          await tx.query("insert into ledger_fresh (kind, observer, version_id) values ($1, 'warden', $2)", [
            entry,
            one.version,
          ]);
      });
    t.match(await change(undefined).then(String, reasonOf), /without an entry of the record/, `${from} → ${to}`);
    t.match(await change('upload.opened').then(String, reasonOf), /without an entry/, 'another entry is none');
    await warden.database.withSystem((tx) =>
      tx.query("insert into ledger_fresh (kind, observer, version_id) values ($1, 'warden', $2)", [
        kinds[to],
        one.version,
      ]),
    );
    t.match(await change(undefined).then(String, reasonOf), /without an entry/, 'nor is that of a transaction before');
    t.equal(await shelf.state(one.version), from);
    await change(kinds[to]);
    t.equal(await shelf.state(one.version), to, 'with it, it may');
  }
});

test('a marker that waited for a lock is told that the file is being continued', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  await sql.query("update folder set publish_rule = 'on-marker' where id = $1", [shelf.folder]);
  const [file, marker] = [idOf<FileId>(randomUUID()), idOf<FileId>(randomUUID())];
  const held = await shelf.add(1, file);
  await shelf.become(held, 'held');
  const done = await shelf.add(0, marker);
  await sql.query('update file set name = $2 where id = $1', [marker, `${file}.done`]);
  const { upload, session } = await opened(shelf, done);
  const close = (): Promise<VersionId> =>
    warden.database.withSystem(async (tx) => {
      const open = await lockUpload(tx, upload, session);
      if (open === undefined) throw new Error('not open');
      return closeUpload(tx, warden.keys, sessionOf(shelf, session), open, {
        id: upload,
        sha256: Buffer.alloc(32),
        modifiedAt: null,
      });
    });
  const client = await beside(t, shelf);
  await client.query('select 1 from version where id = $1 for update', [held.version]);
  const closing = close().then(String, (error: unknown) => error);
  t.ok(await waits(shelf), 'the marker waits');
  const content = randomUUID();
  await client.query("insert into content select $1, customer_id, customer_key_id, 'w' from content limit 1", [
    content,
  ]);
  await client.query(
    `insert into version (id, customer_id, file_id, number, content_id, state, base_version_id, account_id, session_id, node, upload_id)
     select gen_random_uuid(), customer_id, file_id, 2, $2, 'partial', id, account_id, session_id, node, gen_random_uuid() from version where id = $1`,
    [held.version, content],
  );
  await client.query('commit');
  t.match(await closing, { code: 'conflict', message: /is being continued/ }, 'in words, and no defect');
  t.equal(await shelf.state(held.version), 'held');
  await sql.query('update version set upload_id = null where content_id = $1', [content]);
  t.equal(await close(), held.version, 'the twin: nobody continues it any more');
  t.equal(await shelf.state(held.version), 'published');
});

test('a row that was found and has changed by the time of its lock is left alone', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const as = <T>(work: Parameters<typeof warden.database.withSystem<T>>[0]): Promise<T> =>
    warden.database.withSystem(work);
  const { base, upload } = await continued(shelf, 'settling', 1);
  t.same(await as((tx) => publishDue(tx, [base.version])), [], 'a settled file that is continued by now');
  t.same(await as((tx) => discardExpired(tx, [upload.version], 1)), [], 'an expired upload that is held by now');
  await shelf.sql.query("update version set let_go_at = now() - interval '1 year' where id = $1", [upload.version]);
  const read = await shelf.add(1);
  await shelf.become(read, 'published');
  await sql.query("update version set released_until = now() + interval '1 day' where id = $1", [read.version]);
  t.same(await as((tx) => withdrawDue(tx, [read.version])), [], 'a window that was made longer');
  const old = await shelf.add(1);
  await shelf.become(old, 'withdrawn');
  const replaced = await shelf.add(1);
  await shelf.become(replaced, 'settling');
  await shelf.become(replaced, 'discarded');
  const hold = { customer: shelf.customer, folder: null, version: null, reason: 'x', by: 'alice' };
  await as((tx) => insertHold(tx, hold));
  t.same(await as((tx) => destroyDue(tx, [old.version])), [], 'a hold was placed');
  await as((tx) => doomUnused(tx, [replaced.version], 10));
  await as((tx) => deleteDoomedExtents(tx, [old.content], 10));
  t.same([await shelf.has(replaced.object), await shelf.has(old.object)], [true, true]);
  t.same(await as((tx) => takeOverdue(tx, [randomUUID()])), []);
});

test('two wardens at one continuation: whichever ends it, one result remains', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const other = await shelf.another(t);
  const { base, upload } = await continued(shelf, 'settling', 1);
  const client = await beside(t, shelf);
  await client.query('update version set upload_id = null where id = $1', [upload.version]);
  await publish(other);
  await other.database.withSystem((tx) => releaseOutlived(tx, [upload.version]));
  t.equal(await shelf.state(base.version), 'settling', 'the other one passes over both while the first one lets go');
  await client.query('commit');
  await publish(other);
  t.same(
    [await shelf.state(base.version), await shelf.state(upload.version)],
    ['settling', 'discarded'],
    'it settles anew',
  );
  await sql.query('update version set publish_at = now() where id = $1', [base.version]);
  await Promise.all([publish(warden), publish(other)]);
  t.same(
    [await shelf.state(base.version), await entries(shelf, base.version)],
    ['published', ['file.published']],
    'published once, said once',
  );
});

test('a drain interrupts a file that is written anew, and neither version is lost', async (t) => {
  for (const [extents, after] of [
    [1, ['settling', 'discarded']],
    [3, ['settling', 'partial']],
  ] as const) {
    const shelf = await Shelf.create(t);
    const { sql, warden } = shelf;
    const { base, upload } = await continued(shelf, 'settling', extents);
    const { session } = await opened(shelf, upload);
    await seedSession(shelf, session);
    await warden.database.withSystem((tx) =>
      endSessions(tx, { node: idOf<NodeName>('n'), exceptStartId: randomUUID() }, 'drained', 'lost'),
    );
    await warden.database.withSystem((tx) => releaseOutlived(tx, [upload.version]));
    t.equal(await shelf.state(upload.version), 'partial', 'for a moment its edge may seal what it acknowledged');
    await sql.query("update session set ended_at = ended_at - $1 * interval '1 millisecond'", [graceMs]);
    await warden.database.withSystem((tx) => releaseOutlived(tx, [upload.version]));
    t.same([await shelf.state(base.version), await shelf.state(upload.version)], after, `${extents} extents over 2`);
    t.ok(await shelf.has(base.object));
  }
});

test('a version is withdrawn at the end of its window beside an open download, and kept by a hold', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const one = await shelf.add(1);
  await shelf.become(one, 'published');
  const session = idOf<SessionId>(randomUUID());
  await seedSession(shelf, session);
  await sql.query(
    'insert into download (id, customer_id, session_id, version_id) values (gen_random_uuid(), $1, $2, $3)',
    [shelf.customer, session, one.version],
  );
  const hold = {
    customer: shelf.customer,
    folder: null,
    version: one.version,
    reason: 'x',
    by: 'alice',
  };
  await warden.database.withSystem((tx) => insertHold(tx, hold));
  await applyRetention(warden);
  await applyRetention(warden);
  t.same(
    [await shelf.state(one.version), await shelf.has(one.object)],
    ['withdrawn', true],
    'withdrawn at the end of its window, kept by the hold',
  );
  await sql.query("update legal_hold set lifted_by = 'alice', lifted_at = now()");
  await applyRetention(warden);
  t.same(
    [await shelf.state(one.version), await shelf.has(one.object)],
    ['destroyed', false],
    'an open handle keeps nobody’s key',
  );
  t.same(await entries(shelf, one.version), ['file.withdrawn', 'file.destroyed']);
});

test('a base that is withdrawn or destroyed while it is continued is not read back', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const { base, upload } = await continued(shelf, 'published', 0);
  const { upload: id, session } = await opened(shelf, upload);
  const read = (offset: number): Promise<number | undefined> =>
    warden.database.withSystem(async (tx) => {
      const open = await lockUpload(tx, id, session);
      return open && (await findBaseExtent(tx, open, offset))?.index;
    });
  t.same([await read(0), await read(19), await read(20)], [0, 1, undefined], 'what there is, to its last byte');
  await sql.query("update version set released_until = now() + interval '1 day' where id = $1", [base.version]);
  await sql.query("update version set state = 'withdrawn', withdrawn_at = now() where id = $1", [base.version]);
  t.equal(await read(0), undefined, 'withdrawn by whomever');
  await sql.query("update version set state = 'published', released_until = now() + interval '1 day' where id = $1", [
    base.version,
  ]);
  t.equal(await read(0), 0, 'released again');
  await sql.query("update version set state = 'withdrawn', withdrawn_at = now() where id = $1", [base.version]);
  await applyRetention(warden);
  t.same(
    [await shelf.state(base.version), await shelf.has(base.object)],
    ['destroyed', false],
    'nor does the upload keep its key',
  );
  t.equal(await read(0), undefined);
});

test('a hold that is placed while a file is continued keeps what was held', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const { base, upload } = await continued(shelf, 'settling', 3);
  const { upload: id, session } = await opened(shelf, upload);
  const hold = {
    customer: shelf.customer,
    folder: null,
    version: base.version,
    reason: 'x',
    by: 'alice',
  };
  await warden.database.withSystem((tx) => insertHold(tx, hold));
  await warden.database.withSystem(async (tx) => {
    const open = await lockUpload(tx, id, session);
    if (open !== undefined) await takePlace(tx, sessionOf(shelf, session), open, id);
  });
  await collect(warden);
  t.same(
    [await shelf.state(base.version), await shelf.has(base.object)],
    ['discarded', true],
    'another file has its place; its bytes are evidence',
  );
  await sql.query("update legal_hold set lifted_by = 'alice', lifted_at = now()");
  await collect(warden);
  t.notOk(await shelf.has(base.object), 'lifted: they go');
});

test('two operators release two versions of one name: the second one is told about the first', async (t) => {
  const shelf = await Shelf.create(t);
  const { warden } = shelf;
  const file = idOf<FileId>(randomUUID());
  const [older, newer] = [await shelf.add(1, file), await shelf.add(1, file)];
  for (const one of [older, newer]) await shelf.become(one, 'withdrawn');
  const look = (): Promise<boolean | undefined> =>
    warden.database.withSystem(async (tx) => (await lockVersion(tx, older.version))?.isNewest);
  t.equal(await look(), true, 'nothing is published');
  const client = await beside(t, shelf);
  await client.query('select 1 from file where id = $1 for update', [file]);
  const looking = look();
  t.ok(await waits(shelf));
  await client.query(
    "update version set state = 'published', released_until = now() + interval '1 day' where id = $1",
    [newer.version],
  );
  await client.query("insert into ledger_fresh (kind, observer, version_id) values ('file.released', 'warden', $1)", [
    newer.version,
  ]);
  await client.query('commit');
  t.equal(await looking, false);
});
