// T-24, T-37: a compromised edge and the objects that it writes: one object put and sealed twice with other bytes, what
// the store said of another object, and things in the directories of the store that are no objects, before it and the
// warden start again.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { type Config, type Paths, runtimePaths } from '../../server/config/config.ts';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { acknowledge } from '../../server/extents/object-tickets.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { digestOf } from '../support/sealed-digest.ts';
import { durableOf, type Said, StoreClient } from '../support/store-client.ts';
import { TakenEdge } from '../support/taken-edge.ts';
import { startWorld, type World } from '../support/world.ts';

const extents = 25;
const bytes = 2_000_000;
const sealedBytes = sealedLength(bytes);

const rows = async (world: World): Promise<readonly { object_id: string; digest: Buffer }[]> => {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    return (await client.query('select object_id, digest from extent where inline is null')).rows;
  } finally {
    await client.end();
  }
};

type Scene = {
  readonly world: World;
  readonly config: Config;
  readonly paths: Paths;
  readonly taken: TakenEdge;
  readonly token: string;
};

async function takeEdge(t: Test): Promise<Scene> {
  const world = await startWorld(t);
  const config = JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config;
  const taken = await TakenEdge.take(t, world);
  return { world, config, paths: runtimePaths(config), taken, token: await taken.login('acme-batch') };
}

const open = ({ taken, token }: Scene, name: string) =>
  taken.peer.call('upload.open', { token, path: ['deposit', name], continue: false, exclusive: false });

test('what is on the record is what is stored, whatever is put and sealed twice; strays stop no start', async (t) => {
  const scene = await takeEdge(t);
  const { world, paths, taken, token } = scene;
  const stores = [await taken.store(t), await taken.store(t)] as const;
  const { upload, firstExtent } = await open(scene, 'a');
  const contents = [randomBytes(sealedBytes), randomBytes(sealedBytes)] as const;
  const outcomes: string[] = [];
  let fresh = firstExtent;
  for (let i = 0; i < extents; i += 1) {
    if (i > 0) fresh = await taken.peer.call('upload.begin-extent', { token, upload });
    const { ticket, objectId, index } = fresh;
    const first = stores[0].put(ticket, contents[0]);
    // Later and later during the first one, with other bytes under the same ticket.
    await new Promise((resolve) => setTimeout(resolve, i));
    const puts = await Promise.all([first, stores[1].put(ticket, contents[1])]);
    const durable = puts.flatMap((one) => (one.kind === 'durable' ? [one.durable] : []));
    t.equal(durable.length, 1, `one of two puts of object ${i}`);
    t.match(puts, { [durable[0] === undefined ? 0 : Number(puts[0].kind === 'durable')]: { failure: 'conflict' } });
    const extent = { index, objectId, bytes, sealedBytes, durable: durable[0] };
    const sealing = taken.peer.call('upload.seal-extent', { token, upload, extent });
    const third = stores[i % 2]?.put(ticket, randomBytes(sealedBytes));
    const both = await Promise.allSettled([sealing, taken.peer.call('upload.seal-extent', { token, upload, extent })]);
    t.equal(both.filter((one) => one.status === 'fulfilled').length, 1, `one admission of object ${i}`);
    t.same(await third, { kind: 'failed', failure: 'conflict' }, 'while it is sealed, nothing takes its place');
    t.same(await stores[0].put(ticket, contents[1]), { kind: 'failed', failure: 'conflict' }, 'nor afterwards');
    outcomes.push(`${puts.map((one) => one.kind).join(' ')}, ${both.map((one) => one.status).join(' ')}`);
  }
  const stored = await rows(world);
  t.equal(stored.length, extents, 'every extent has its row');
  const differ = stored.filter(({ object_id, digest }) => {
    const path = objectPath(paths.objects, idOf<ObjectId>(object_id));
    const object = existsSync(path) ? readFileSync(path) : Buffer.alloc(sealedBytes);
    return !digestOf(object).equals(digest) || !contents.some((one) => one.equals(object));
  });
  t.same(differ, [], `the digest of the record is that of the stored object (${[...new Set(outcomes)].join('; ')})`);
  t.same(readdirSync(join(paths.objects, 'new')), [], 'nothing is left of what was refused');
  taken.letGo();
  await straysStopNoStart(t, scene);
});

/** Nobody but the store itself can leave such things there. All are old enough to be examined. */
async function straysStopNoStart(t: Test, { world, paths }: Scene): Promise<void> {
  const unfinished = join(paths.objects, 'new');
  const left = join(unfinished, 'cd'.repeat(16));
  mkdirSync(left);
  writeFileSync(join(left, 'x'), 'x');
  symlinkSync('/nowhere', join(unfinished, 'link'));
  writeFileSync(join(unfinished, 'half'), 'half an object');
  const group = join(paths.objects, 'cd');
  mkdirSync(group, { recursive: true });
  mkdirSync(join(group, 'other'));
  utimesSync(join(group, 'other'), 1, 1);
  const from = world.log.length;
  world.kill('store');
  t.ok(await world.logged(/store serves/, from), 'the store starts again');
  t.same(readdirSync(unfinished), ['cd'.repeat(16)], 'what is unfinished is gone; what could not be removed stays');
  t.match(world.log.slice(from), /an unfinished object cannot be removed; it stays/);
  for (const pid of world.pidsOf('warden')) process.kill(pid, 'SIGKILL');
  t.ok(await world.logged(/warden serves/, from), 'the warden starts again');
  const { alerts } = await world.cofferctlJson<{ alerts: readonly { kind: string; text: string }[] }>([
    'alert',
    'list',
  ]);
  t.ok(
    alerts.some(
      (one) => one.kind === 'store.stray' && /^objects\/cd .*: 1 entries that are not objects/.test(one.text),
    ),
    `and somebody hears of what is no object: ${JSON.stringify(alerts)}`,
  );
  const local = join(world.directory, 'honest');
  writeFileSync(local, randomBytes(bytes));
  t.equal(
    (await world.sftpWhenServed('acme-batch', [`put ${local} deposit/honest`])).code,
    0,
    'the allow twin: a file is taken',
  );
}

test('an extent is sealed only by what the store said of exactly this object', async (t) => {
  const scene = await takeEdge(t);
  const { taken, token, config, paths } = scene;
  const store = await taken.store(t);
  const { upload, firstExtent } = await open(scene, 'a');
  const second = await taken.peer.call('upload.begin-extent', { token, upload });
  const [content, other] = [randomBytes(sealedBytes), randomBytes(sealedBytes)];
  const durable = durableOf(await store.put(firstExtent.ticket, content));
  const ofSecond = durableOf(await store.put(second.ticket, other));
  const internal = await StoreClient.connect(paths.storeSocket('internal-1'));
  t.same(
    await internal.put(second.ticket, other),
    { kind: 'failed', failure: 'denied' },
    "a ticket is worth nothing at another node's socket",
  );
  internal.close();
  // What only somebody with the key can say: about another node, or another length.
  const { storeKey } = createKeyRing(config);
  const digest = digestOf(content);
  const said = {
    node: idOf<NodeName>('partner-1'),
    object: idOf<ObjectId>(firstExtent.objectId),
    bytes: sealedBytes,
    digest,
  };
  const saying = (change: Partial<typeof said>): Said => ({
    digest: (change.digest ?? digest).toString('base64'),
    acknowledgement: acknowledge(storeKey, { ...said, ...change }).toString('base64'),
  });
  t.same(durable, saying({}), 'this is what the store says');
  const extent = { index: firstExtent.index, objectId: firstExtent.objectId, bytes, sealedBytes };
  const wrong: Readonly<Record<string, object>> = {
    'of another object': { ...extent, durable: ofSecond },
    'of another object, with the digest of this one': {
      ...extent,
      durable: { ...durable, acknowledgement: ofSecond.acknowledgement },
    },
    'with another digest': { ...extent, durable: { ...durable, digest: digestOf(other).toString('base64') } },
    'of another length': { ...extent, durable: saying({ bytes: sealedBytes - 1 }) },
    'and of a shorter extent': { ...extent, bytes: bytes - 1, sealedBytes: sealedBytes - 1, durable },
    'to another node': { ...extent, durable: saying({ node: idOf<NodeName>('internal-1') }) },
    'that nobody said': { ...extent, durable: { ...durable, acknowledgement: randomBytes(32).toString('base64') } },
    'and nothing at all': extent,
    'and bytes beside it': { ...extent, durable, inline: content.toString('base64', 0, 1000) },
  };
  for (const [what, given] of Object.entries(wrong)) {
    const sealed = await taken.say('upload.seal-extent', { token, upload, extent: given });
    t.same(sealed, { code: 'invalid' }, `an acknowledgement ${what}`);
    const closed = await taken.say('upload.close', {
      token,
      upload,
      whole: true,
      size: bytes,
      sha256: 'a'.repeat(64),
      lastExtent: given,
    });
    t.same(closed, { code: 'invalid' }, `nor at the close: ${what}`);
  }
  t.same(await rows(scene.world), [], 'nothing was sealed');
  const sealed = await taken.say('upload.seal-extent', { token, upload, extent: { ...extent, durable } });
  t.same(sealed, { result: { storedBytes: bytes } }, 'the allow twin');
  const again = await taken.say('upload.seal-extent', { token, upload, extent: { ...extent, index: 1, durable } });
  t.same(again, { code: 'invalid' }, 'once');
  t.equal((await rows(scene.world)).length, 1);
});
