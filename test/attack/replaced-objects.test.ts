// T-24, T-37: a compromised edge and the objects that it writes: two seals of one object with other bytes in between,
// and things in its incoming directory that are no objects, before the warden starts again.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { idOf, type ObjectId } from '../../server/domain/ids.ts';
import { objectPath } from '../../server/extents/object-store.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { attempt, connectAs, hashOf, keyFromOpenSsh, transcript } from '../support/impostor.ts';
import { startWorld, type World } from '../support/world.ts';

const extents = 25;
const bytes = 2_000_000;

const rows = async (world: World): Promise<readonly { object_id: string; digest: Buffer }[]> => {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    return (await client.query('select object_id, digest from extent where inline is null')).rows;
  } finally {
    await client.end();
  }
};

test('what is on the record is what is stored, whatever is sealed twice; strays stop no start', async (t) => {
  const world = await startWorld(t);
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const sleeping = world.pidsOf('partner-1');
  for (const pid of sleeping) process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of sleeping) process.kill(pid, 'SIGCONT');
  });
  const thief = connectAs(paths.wardenSocket('partner-1'));
  t.teardown(() => thief.close());
  const { challenge } = await thief.call('node.hello', { protocol: 1, startId: randomUUID() });
  const exchange = transcript(challenge);
  const hash = hashOf(exchange, await thief.call('exchange.sign', exchange));
  const key = keyFromOpenSsh(readFileSync(world.keyFile('acme-batch'), 'utf8'));
  const login = await attempt(thief, exchange.connection, 'acme-batch', key.evidence('acme-batch', hash));
  if (login.outcome !== 'accepted') throw new Error(login.outcome);
  const { token } = login.session;
  const { upload, firstExtent } = await thief.call('upload.open', {
    token,
    path: ['deposit', 'a'],
    continue: false,
    exclusive: false,
  });
  const sealedBytes = sealedLength(bytes);
  const contents = [randomBytes(sealedBytes), randomBytes(sealedBytes)] as const;
  const outcomes: string[] = [];
  let fresh = firstExtent;
  for (let i = 0; i < extents; i += 1) {
    if (i > 0) fresh = await thief.call('upload.begin-extent', { token, upload });
    const file = join(paths.incoming('partner-1'), fresh.objectId);
    const extent = { index: fresh.index, objectId: fresh.objectId, bytes, sealedBytes };
    writeFileSync(file, contents[0]);
    writeFileSync(`${file}.other`, contents[1]);
    const first = thief.call('upload.seal-extent', { token, upload, extent });
    // Later and later during the first one, as another file under the same name.
    await new Promise((resolve) => setTimeout(resolve, i));
    renameSync(`${file}.other`, file);
    const both = await Promise.allSettled([first, thief.call('upload.seal-extent', { token, upload, extent })]);
    outcomes.push(both.map((one) => one.status).join(' '));
    t.equal(both.filter((one) => one.status === 'fulfilled').length, 1, `one admission of object ${i}`);
  }
  const stored = await rows(world);
  t.equal(stored.length, extents, 'every extent has its row');
  const differ = stored.filter(({ object_id, digest }) => {
    const path = objectPath(paths.objects, idOf<ObjectId>(object_id));
    return !existsSync(path) || !createHash('sha256').update(readFileSync(path)).digest().equals(digest);
  });
  t.same(differ, [], `the digest of the record is that of the stored object (${[...new Set(outcomes)].join('; ')})`);

  // A directory that is not empty, a link, and an unknown name, all old enough to be examined.
  const left = join(paths.incoming('partner-1'), 'cd'.repeat(16));
  mkdirSync(left);
  writeFileSync(join(left, 'x'), 'x');
  symlinkSync('/nowhere', join(paths.incoming('partner-1'), 'link'));
  utimesSync(left, 1, 1);
  const from = world.log.length;
  for (const pid of world.pidsOf('warden')) process.kill(pid, 'SIGKILL');
  t.ok(await world.logged(/warden serves/, from), 'the warden starts again');
  for (const pid of sleeping) process.kill(pid, 'SIGCONT');
  t.ok(existsSync(left), 'what could not be removed is still there');
  const { alerts } = await world.cofferctlJson<{ alerts: readonly { kind: string; text: string }[] }>([
    'alert',
    'list',
  ]);
  t.ok(
    alerts.some(
      (one) =>
        one.kind === 'store.stray' &&
        one.text.startsWith(`${paths.incoming('partner-1')}: 1 entries that are not objects`),
    ),
    'and somebody hears of it',
  );
  const local = join(world.directory, 'honest');
  writeFileSync(local, contents[0]);
  t.equal((await world.sftp('acme-batch', [`put ${local} deposit/honest`])).code, 0, 'the allow twin: a file is taken');
});
