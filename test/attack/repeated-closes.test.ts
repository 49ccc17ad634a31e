// The answer to a close is lost on its way, and the close is repeated: it has one effect, whichever warden carried it
// out, and nothing is made twice.
import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { test } from 'tap';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { asOwner } from '../support/as-owner.ts';
import { TakenEdge } from '../support/taken-edge.ts';
import { startWorld } from '../support/world.ts';

const bytes = 300;

/** Until a warden waits for what this connection holds. */
async function waitsForLock(client: pg.Client): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const { rows } = await client.query(
      'select 1 from pg_stat_activity where pg_backend_pid() = any (pg_blocking_pids(pid)) limit 1',
    );
    if (rows.length > 0) return;
  }
  throw new Error('nobody waited');
}

test('a close that is repeated has one effect and the same answer', async (t) => {
  const world = await startWorld(t);
  const sql = await asOwner(t, world);
  const edge = await TakenEdge.take(t, world);
  const token = await edge.login('acme-batch');
  const open = async (name: string) => {
    const opened = await edge.peer.call('upload.open', {
      token,
      path: ['deposit', name],
      continue: false,
      exclusive: false,
    });
    const lastExtent = {
      index: 0,
      objectId: opened.firstExtent.objectId,
      bytes,
      sealedBytes: sealedLength(bytes),
      inline: randomBytes(sealedLength(bytes)).toString('base64'),
    };
    const sha256 = createHash('sha256').update(randomBytes(bytes)).digest('hex');
    return { token, upload: opened.upload, whole: true, size: bytes, sha256, lastExtent } as const;
  };
  const rows = async (name: string) =>
    sql('select v.id, v.state from version v join file f on f.id = v.file_id where f.name = $1 order by v.number', [
      name,
    ]);
  const received = async (): Promise<number> => {
    const [row] = await sql(
      "select b.total_bytes::int as n from budget b join credential c on c.id = b.credential_id join account a on a.id = c.account_id where a.name = 'acme-batch' and b.direction = 'in' order by b.total_bytes desc limit 1",
      [],
    );
    return Number(row?.n);
  };

  const here = await open('here');
  const { version } = await edge.peer.call('upload.close', here);
  const once = await received();
  t.same(await edge.peer.call('upload.close', here), { version }, 'the same answer');
  t.same(await edge.peer.call('upload.close', here), { version }, 'however often');
  t.equal(await received(), once, 'charged once');
  t.equal((await rows('here')).length, 1, 'one version');

  const elsewhere = await open('elsewhere');
  const [mine] = await rows('elsewhere');
  // As the commit of another warden, through which the edge first sent the close, leaves a marker.
  await sql('set session_replication_role = replica');
  await sql("update version set state = 'discarded', upload_id = null, closed_by_upload = upload_id where id = $1", [
    mine?.id,
  ]);
  await sql('set session_replication_role = origin');
  t.same(await edge.peer.call('upload.close', elsewhere), { version: mine?.id }, 'what another warden closed holds');
  t.same(
    (await rows('elsewhere')).map((row) => row.state),
    ['discarded'],
    'and is left as it is',
  );

  for (const isFirst of [true, false]) {
    const late = await open(`late ${isFirst}`);
    if (!isFirst)
      t.same(await edge.say('upload.close', { ...late, whole: false, lastExtent: undefined }), { code: 'conflict' });
    const [underway] = await rows(`late ${isFirst}`);
    const other = new pg.Client({ connectionString: world.databaseUrl });
    await other.connect();
    await other.query('set session_replication_role = replica');
    await other.query('begin');
    await other.query(
      "update version set state = 'discarded', upload_id = null, closed_by_upload = upload_id where id = $1",
      [underway?.id],
    );
    const said = edge.peer.call('upload.close', late);
    await waitsForLock(other);
    await other.query('commit');
    await other.end();
    t.same(
      await said,
      { version: underway?.id },
      `what is committed while it is said again holds, too (${isFirst ? 'not ' : ''}asked before)`,
    );
  }

  const lost = await open('lost');
  const [row] = await rows('lost');
  await sql('set session_replication_role = replica');
  await sql("update version set state = 'discarded', upload_id = null where id = $1", [row?.id]);
  await sql('set session_replication_role = origin');
  t.same(await edge.say('upload.close', lost), { code: 'conflict' }, 'the twin: what nobody closed is not said to be');
});
