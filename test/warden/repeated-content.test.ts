// What is delivered twice is told, once for each delivery: the entry names the earlier one. A file that says nothing
// repeats nothing.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import { idOf, type SessionId } from '../../server/domain/ids.ts';
import type { KeyRing } from '../../server/warden/keys/key-ring.ts';
import type { OpenSession } from '../../server/warden/sessions/open-session.ts';
import { closeUpload } from '../../server/warden/transfers/close-upload.ts';
import { lockUpload } from '../../server/warden/transfers/upload-queries.ts';
import { type Seeded, Shelf } from '../support/shelf.ts';

const keys = { signReceipt: () => Buffer.alloc(64), receiptPublicKey: { id: 'k', pem: '' } } as unknown as KeyRing;
const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

test('a deposit whose content was received before says so, and names what came first', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  /** A file of this content, as its sender closes it; empty: of no extent. */
  const close = async (content: string): Promise<Seeded> => {
    const one = await shelf.add(content === '' ? 0 : 1);
    const [row] = await sql.query<{ upload_id: string; session_id: string }>(
      'select upload_id, session_id from version where id = $1',
      [one.version],
    );
    const [upload, session] = [row?.upload_id ?? '', idOf<SessionId>(row?.session_id ?? '')];
    const account = { id: shelf.account, name: 'acme', plane: 'partner' };
    await warden.database.withSystem(async (tx) => {
      const open = await lockUpload(tx, upload, session);
      if (open === undefined) throw new Error('not open');
      const by = { id: session, node: 'n', account } as unknown as OpenSession;
      return closeUpload(tx, keys, by, open, { id: upload, sha256: sha256(content), modifiedAt: null });
    });
    return one;
  };
  const told = async (one: Seeded): Promise<readonly (string | null)[]> =>
    (
      await sql.query<{ earlier: string | null }>(
        "select public ->> 'earlier' as earlier from ledger where kind = 'deposit.repeated-content' and version_id = $1",
        [one.version],
      )
    ).map((row) => row.earlier);

  const [first, other] = [await close('pain.001'), await close('pain.002')];
  t.same([await told(first), await told(other)], [[], []], 'the first of each');
  const [again, third] = [await close('pain.001'), await close('pain.001')];
  t.same(
    [await told(again), await told(third)],
    [[first.version], [first.version]],
    'each further one, and by the very first',
  );
  for (let i = 0; i < 2; i += 1) t.same(await told(await close('')), [], 'an empty file is like every other one');

  await sql.query("update version set state = 'discarded', publish_at = null where id = $1", [other.version]);
  t.same(await told(await close('pain.002')), [], 'what was given up was not received');
  await sql.query("update folder set direction = 'collect' where id = $1", [shelf.folder]);
  t.same(await told(await close('pain.001')), [], 'nor is it told of what we send');
});
