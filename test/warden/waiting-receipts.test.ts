// T-26: a version with a receipt that is not delivered is reported, whatever is above it and however often it is
// touched, in words that fit its folder.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type FileId, idOf } from '../../server/domain/ids.ts';
import { collect, publish } from '../../server/warden/transfers/sweeps.ts';
import { type Seeded, Shelf } from '../support/shelf.ts';

/** A closed file and, above it, an upload that went beyond it and was interrupted. */
async function interrupted(shelf: Shelf, state: string): Promise<{ readonly base: Seeded; readonly upload: Seeded }> {
  const file = idOf<FileId>(randomUUID());
  const base = await shelf.add(1, file);
  await shelf.become(base, state);
  const upload = await shelf.add(2, file);
  await shelf.sql.query('update version set base_version_id = $2 where id = $1', [upload.version, base.version]);
  await shelf.sql.query('update version set upload_id = null where id = $1', [upload.version]);
  return { base, upload };
}
type Alert = { readonly kind: string; readonly text: string; readonly contact_text: string; readonly count: number };
const alertsOf = (shelf: Shelf, one: Seeded): Promise<readonly Alert[]> =>
  shelf.sql.query<Alert>('select kind, text, contact_text, count from alert where subject = $1 order by kind', [
    one.version,
  ]);

test('a version with a receipt that is not published in time is reported', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const age = (one: Seeded, column: string) =>
    sql.query(`update version set ${column} = ${column} - interval '25 hours' where id = $1`, [one.version]);

  await t.test('opening the upload above it every day keeps it waiting no longer', async (t) => {
    const { base, upload } = await interrupted(shelf, 'settling');
    await age(upload, 'let_go_at');
    await sql.query('update version set upload_id = gen_random_uuid(), resumed_bytes = size where id = $1', [
      upload.version,
    ]);
    await collect(warden);
    t.equal(await shelf.state(upload.version), 'partial', 'while somebody holds it');
    await sql.query('update version set upload_id = null where id = $1', [upload.version]);
    await collect(warden);
    t.same([await shelf.state(upload.version), await shelf.state(base.version)], ['discarded', 'held']);
    t.match(await alertsOf(shelf, base), [{ kind: 'deposit.given-back' }]);
  });

  await t.test('a byte a day keeps it waiting, and is reported', async (t) => {
    const { base, upload } = await interrupted(shelf, 'settling');
    const fresh = await interrupted(shelf, 'settling');
    await age(base, 'waits_since');
    await collect(warden);
    await publish(warden);
    t.same([await shelf.state(upload.version), await shelf.state(base.version)], ['partial', 'settling']);
    t.match(await alertsOf(shelf, base), [
      { kind: 'deposit.waits', contact_text: /you hold our receipt, is not delivered yet/ },
    ]);
    await collect(warden);
    t.match(await alertsOf(shelf, base), [{ kind: 'deposit.waits', count: 1 }], 'once for so long');
    await sql.query("update version set publish_at = now() + interval '1 minute' where id = $1", [base.version]);
    await age(base, 'waits_since');
    await collect(warden);
    t.match(await alertsOf(shelf, base), [{ count: 2 }], 'and again, whatever was done to it');
    t.same(await alertsOf(shelf, fresh.base), [], 'the twin: one that waits for an hour');
  });

  await t.test('a folder with a long settle time raises no alarm', async (t) => {
    const one = await shelf.add(1);
    await shelf.become(one, 'settling');
    await sql.query('update folder set settle_ms = 3600000 where id = $1', [shelf.folder]);
    await sql.query("update version set waits_since = now() - interval '24 hours 30 minutes' where id = $1", [
      one.version,
    ]);
    await collect(warden);
    t.same(await alertsOf(shelf, one), []);
    await sql.query('update folder set settle_ms = 2000 where id = $1', [shelf.folder]);
    await collect(warden);
    t.match(await alertsOf(shelf, one), [{ kind: 'deposit.waits' }], 'the twin');
  });

  await t.test('in a folder that publishes by marker it waits for its marker, and the alert says so', async (t) => {
    await sql.query("update folder set publish_rule = 'on-marker' where id = $1", [shelf.folder]);
    const { base, upload } = await interrupted(shelf, 'held');
    await age(upload, 'let_go_at');
    await collect(warden);
    t.equal(await shelf.state(base.version), 'held');
    const [alert] = await alertsOf(shelf, base);
    t.match(alert, {
      kind: 'deposit.given-back',
      text: /is published only with its marker$/,
      contact_text: /put its marker \/deposit\/[\da-f-]+\.done beside it to have it delivered/,
    });
    t.notMatch(alert?.contact_text, /rename/, 'a rename delivers nothing there');
  });
});
