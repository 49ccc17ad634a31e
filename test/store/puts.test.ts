// What the store counts and answers when something goes wrong on the way of an object.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { idOf, type NodeName, type ObjectId } from '../../server/domain/ids.ts';
import { StoreLink } from '../../server/edge/sftp/store-link.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { isAcknowledged, issueTicket } from '../../server/extents/object-tickets.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { countedBytes } from '../../server/store/unsettled.ts';
import { StoreClient } from '../../server/warden/store/store-client.ts';
import { newObject } from '../extents/conformance.ts';
import { temporaryDirectory } from '../support/database.ts';
import { slowFiles } from '../support/slow-files.ts';
import { startTestStore, testStoreKey, testTicket } from '../support/store.ts';
import { until } from '../support/until.ts';

const piece = randomBytes(100_000);
const node = idOf<NodeName>('partner-1');
const ofGroup = (prefix: string): ObjectId => idOf<ObjectId>(prefix + newObject().slice(2));

async function setUp(t: Test) {
  const env = { COFFERDAM_VAR: temporaryDirectory(t) };
  const config = loadConfig({ file: undefined, env, isRoot: false, isTerminal: false, projectDirectory: '/' });
  const paths = runtimePaths(config);
  const warden = await startTestStore(t, config);
  const link = new StoreLink(paths.storeSocket('partner-1'));
  const put = async (object: string, ticket = testTicket(object), meanwhile = async () => {}) => {
    const one = link.put(ticket);
    try {
      await one.write([piece]);
      await meanwhile();
      return await one.end();
    } finally {
      one.abort();
    }
  };
  return { paths, warden, put };
}

test('an object that failed behind its name counts as long as it has it, and is collected', async (t) => {
  const { paths, warden, put } = await setUp(t);
  const files = slowFiles(t);
  // Of one group, whose directory the first of them makes.
  const [first, stays, goes] = [ofGroup('c7'), ofGroup('c7'), ofGroup('c7')];
  const counted = async () => (await warden.room()).held.map(({ bytes }) => bytes);
  const fails = (isStuck: boolean) => {
    files.before = (call, path) => {
      if (call === 'sync' || (isStuck && call === 'rm' && !path.includes('/new/'))) throw new Error('EIO');
    };
  };
  await put(first);
  await warden.delete([first]);
  fails(true);
  await t.rejects(put(stays), { code: 'unavailable' });
  t.ok(existsSync(objectPath(paths.objects, stays)), 'it cannot be removed');
  t.same(await counted(), [countedBytes(piece.length)], 'and counts');
  fails(false);
  await t.rejects(put(goes), { code: 'unavailable' });
  t.notOk(existsSync(objectPath(paths.objects, goes)), 'what can be removed is removed');
  t.same(await counted(), [countedBytes(piece.length)], 'and counts no longer');
  t.same(await warden.unsettled(0), [stays], 'a warden hears of the one that stays');
  files.before = () => undefined;
  await warden.delete([stays]);
  t.notOk(existsSync(objectPath(paths.objects, stays)));
  t.same(await counted(), [0]);
  t.match(await put(goes), { sealedBytes: piece.length }, 'the allow twin: its name is free');
});

test('an object is acknowledged with the key of its ticket, whichever warden connected last', async (t) => {
  const { paths, put } = await setUp(t);
  const log = createLogger({ log: { level: 'error', pretty: false } }, 'test');
  log.level = 'silent';
  const newer = randomBytes(32);
  const says = async (key: Buffer): Promise<void> => {
    const warden = new StoreClient(paths.storeControlSocket, key, 2000, log);
    t.teardown(() => warden.stop());
    await warden.start(5000);
  };
  /** Puts an object under a ticket of this key. Returns which keys the acknowledgement is of. */
  const acknowledgedBy = async (key: Buffer, among: Readonly<Record<string, Buffer>>, meanwhile = async () => {}) => {
    const object = newObject();
    const ticket = issueTicket(key, { node, object, bytesMax: 2 ** 20, until: Date.now() + 60_000 });
    const { sealedBytes, digest, acknowledgement } = await put(object, ticket, meanwhile);
    const said = { node, object, bytes: sealedBytes, digest: Buffer.from(digest) };
    return Object.keys(among).filter((name) =>
      isAcknowledged(among[name] ?? Buffer.alloc(32), said, Buffer.from(acknowledgement)),
    );
  };
  const keys = { older: testStoreKey, newer, third: randomBytes(32) };
  t.same(await acknowledgedBy(keys.older, keys), ['older'], 'with one warden');
  await says(newer);
  t.same(await acknowledgedBy(keys.older, keys), ['older'], 'the warden that connected first');
  t.same(await acknowledgedBy(keys.newer, keys), ['newer'], 'the one that connected last');
  await t.rejects(acknowledgedBy(keys.third, keys), { code: 'denied' }, 'a key that nobody has said');
  const saysThird = async (): Promise<void> => {
    await until('the object has begun', () => readdirSync(join(paths.objects, 'new')).length > 0);
    await says(keys.third);
  };
  t.same(await acknowledgedBy(keys.older, keys, saysThird), ['older'], 'also when a third one comes in the middle');
  await t.rejects(acknowledgedBy(keys.older, keys), { code: 'denied' }, 'then the oldest key counts no longer');
  for (const name of ['newer', 'third'] as const) t.same(await acknowledgedBy(keys[name], keys), [name], name);
});
