// Whoever waited for the lock of a row reads everything else behind that lock: PostgreSQL examines only the locked row
// again, and keeps what it had read of others before.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Test, test } from 'tap';
import { type FileId, idOf, type SessionId, type VersionId } from '../../server/domain/ids.ts';
import { findUnreplaced } from '../../server/warden/credentials/rotation-queries.ts';
import { lockHeldSibling } from '../../server/warden/publication/place-queries.ts';
import { lockVersion } from '../../server/warden/retention/retention-queries.ts';
import { lockUpload, type OpenUpload } from '../../server/warden/transfers/upload-queries.ts';
import { addCredential, addFile } from '../support/rows.ts';
import { type Seeded, Shelf } from '../support/shelf.ts';

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
const fileNamed = ({ sql, customer, folder }: Shelf, name: string): Promise<FileId> =>
  addFile(sql, { customer, folder, name });
const fileOf = async (shelf: Shelf, one: Seeded): Promise<FileId> =>
  idOf<FileId>(
    (await shelf.sql.query<{ file_id: string }>('select file_id from version where id = $1', [one.version]))[0]
      ?.file_id ?? '',
  );

/** The upload, as the sealing of one of its extents reads it. */
async function lock(shelf: Shelf, one: Seeded): Promise<OpenUpload | undefined> {
  const [row] = await shelf.sql.query<{ upload_id: string; session_id: string }>(
    'select upload_id, session_id from version where id = $1',
    [one.version],
  );
  return shelf.warden.database.withSystem((tx) =>
    lockUpload(tx, row?.upload_id ?? '', idOf<SessionId>(row?.session_id ?? '')),
  );
}

test('whoever waited for a row goes by what is there behind its lock', async (t) => {
  const shelf = await Shelf.create(t);
  await t.test(
    'an upload that is renamed while an extent waits to be sealed continues under its new name',
    async (t) => {
      const upload = await shelf.add(2);
      const renamed = await fileNamed(shelf, 'renamed.xml');
      const client = await beside(t, shelf);
      await client.query('update version set file_id = $2, number = 1 where id = $1', [upload.version, renamed]);
      const sealing = lock(shelf, upload);
      t.ok(await waits(shelf), 'the seal waits');
      await client.query('commit');
      t.match(await sealing, {
        version: upload.version,
        file: renamed,
        fileName: 'renamed.xml',
        size: 20,
        extentCount: 2,
      });
      const ended = await beside(t, shelf);
      await ended.query("update version set state = 'discarded', upload_id = null where id = $1", [upload.version]);
      const late = lock(shelf, upload);
      t.ok(await waits(shelf));
      await ended.query('commit');
      t.equal(await late, undefined, 'the twin: one that was given up meanwhile is lost');
    },
  );

  await t.test('a base that is withdrawn while the upload is waited for is not read back', async (t) => {
    const file = idOf<FileId>(randomUUID());
    const base = await shelf.add(1, file);
    await shelf.become(base, 'published');
    const upload = await shelf.add(1, file);
    await shelf.sql.query('update version set base_version_id = $2 where id = $1', [upload.version, base.version]);
    t.equal((await lock(shelf, upload))?.base?.isReadable, true);
    const client = await beside(t, shelf);
    await client.query('update version set modified_at = now() where id = $1', [upload.version]);
    const locking = lock(shelf, upload);
    t.ok(await waits(shelf));
    await shelf.sql.query("update version set state = 'withdrawn', withdrawn_at = now() where id = $1", [base.version]);
    await client.query('commit');
    t.match(await locking, { base: { version: base.version, isReadable: false } });
  });

  await t.test('releasing a version locks the name that the version has by then', async (t) => {
    const { sql, warden } = shelf;
    const one = await shelf.add(1);
    await shelf.become(one, 'held');
    const [before, after] = [await fileOf(shelf, one), await fileNamed(shelf, 'after.xml')];
    const client = await beside(t, shelf);
    await client.query('select 1 from file where id = $1 for update', [before]);
    await client.query('update version set file_id = $2, number = 1 where id = $1', [one.version, after]);
    await warden.database.withSystem(async (tx) => {
      const locking = lockVersion(tx, one.version);
      t.ok(await waits(shelf));
      await client.query('commit');
      t.match(await locking, { version: one.version, state: 'held', isNewest: true });
      const isHeld = async (file: FileId): Promise<boolean> =>
        (await sql.query('select 1 from file where id = $1 for update skip locked', [file])).length === 0;
      t.equal(await isHeld(after), true);
    });
  });

  await t.test('a marker finds what has the name behind the lock', async (t) => {
    const { warden } = shelf;
    const [held, marker] = [await shelf.add(1), await shelf.add(0)];
    await shelf.become(held, 'held');
    const [file, name] = [await fileOf(shelf, marker), await fileOf(shelf, held)];
    const find = (): Promise<VersionId | undefined> =>
      warden.database.withSystem((tx) => lockHeldSibling(tx, file, name, shelf.account));
    t.equal(await find(), held.version);
    const client = await beside(t, shelf);
    await client.query('update version set file_id = $2, number = 1 where id = $1', [
      held.version,
      await fileNamed(shelf, 'away.xml'),
    ]);
    const finding = find();
    t.ok(await waits(shelf));
    await client.query('commit');
    t.equal(await finding, undefined, 'it was renamed');
  });

  await t.test('two keys come at once to replace one key: the second one replaces nothing', async (t) => {
    const { sql, warden } = shelf;
    const { account } = shelf;
    const [old, next] = [await addCredential(sql, { account }), await addCredential(sql, { account })];
    const rotation = randomUUID();
    await sql.query(
      "insert into rotation (id, selection, reason, started_by, overlap_ms) values ($1, 'x', 'x', 'alice', 1)",
      [rotation],
    );
    await sql.query(
      "insert into rotation_item (rotation_id, credential_id, former_expires_at, state) values ($1, $2, now(), 'open')",
      [rotation, old],
    );
    const find = () =>
      warden.database.withSystem((tx) =>
        findUnreplaced(tx, shelf.account, { rotation: undefined, credential: undefined }),
      );
    t.match(await find(), { rotation, credential: old });
    const client = await beside(t, shelf);
    await client.query('update rotation_item set successor_id = $2 where rotation_id = $1', [rotation, next]);
    const finding = find();
    t.ok(await waits(shelf));
    await client.query('commit');
    t.equal(await finding, undefined);
    await sql.query("update credential set state = 'revoked' where id = $1", [next]);
    t.match(await find(), { credential: old }, 'the twin: a revoked successor replaces nothing');
  });
});
