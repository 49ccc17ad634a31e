// A record that is behind for a while delays downloads under way, and cuts none of them: what they ask for is waited
// for, charged once, and whole.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { test } from 'tap';
import { temporaryDirectory } from '../support/database.ts';
import { SftpClient } from '../support/sftp-client.ts';
import { startWorld } from '../support/world.ts';

const extentBytes = 16 * 2 ** 20;
const downloads = 64;
/**
 * Longer than an edge waits for a warden that is away (`wardenRetryMs`, 20 s), shorter than the record may be late
 * (`witnessStopMs`, 60 s).
 */
const behindMs = 30_000;

test('64 downloads under way while the record is behind', async (t) => {
  const world = await startWorld(t, { limits: { sealEveryMs: behindMs, unsealedEntriesMax: 40 } });
  const file = join(temporaryDirectory(t), 'two-extents');
  const plain = randomBytes(extentBytes + 100_000);
  writeFileSync(file, plain);
  const put = await world.sftp('processor', [`put ${file} acme/collect/statement`]);
  t.equal(put.code, 0, put.err);
  const privateKey = readFileSync(world.keyFile('acme-batch'), 'utf8');
  const login = { port: world.demo.partner.port, username: 'acme-batch', privateKey };
  const client = await SftpClient.connect(login);
  for (const end = Date.now() + 60_000; !(await client.list('collect')).includes('statement') && Date.now() < end; )
    await delay(200);
  const handles = await Promise.all(Array.from({ length: downloads }, () => client.open('collect/statement', 'r')));
  const firsts = await Promise.all(handles.map((handle) => client.read(handle, 0, 1000)));
  t.ok(
    firsts.every((bytes) => bytes.equals(plain.subarray(0, 1000))),
    'all are under way',
  );
  // The sealer finds at its next look that the record is behind, and at the one after it that there is room again.
  let isBehind = false;
  for (const end = Date.now() + 2 * behindMs; !isBehind && Date.now() < end; await delay(100))
    isBehind = await SftpClient.connect(login).then(
      (other) => {
        other.destroy();
        return false;
      },
      () => true,
    );
  t.ok(isBehind, 'nothing begins: the record is behind');
  const began = performance.now();
  const seconds = await Promise.allSettled(handles.map((handle) => client.read(handle, extentBytes + 50_000, 1000)));
  const waitedMs = performance.now() - began;
  const refused = seconds.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
  t.same(refused, [], `none is cut; they waited ${Math.round(waitedMs)} ms`);
  t.ok(waitedMs > behindMs / 2, 'and all of them had to wait');
  const wanted = createHash('sha256')
    .update(plain.subarray(extentBytes + 50_000, extentBytes + 51_000))
    .digest('hex');
  const got = seconds.map((one) =>
    one.status === 'fulfilled' ? createHash('sha256').update(one.value).digest('hex') : '',
  );
  t.same([...new Set(got)], [wanted], 'what they read is what was written');
  await Promise.all(handles.map((handle) => client.close(handle)));
  client.end();
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  const { rows } = await owner.query<{ kind: string }>("select kind from alert where kind = 'ledger.behind'");
  t.ok(rows.length > 0, 'operators were told');
});
