// What the store counts and answers when something goes wrong on the way of an object.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type Test, test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { idOf, type ObjectId } from '../../server/domain/ids.ts';
import { StoreLink } from '../../server/edge/sftp/store-link.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { countedBytes } from '../../server/store/unsettled.ts';
import { newObject } from '../extents/conformance.ts';
import { temporaryDirectory } from '../support/database.ts';
import { slowFiles } from '../support/slow-files.ts';
import { startTestStore, testTicket } from '../support/store.ts';

const piece = randomBytes(100_000);
const ofGroup = (prefix: string): ObjectId => idOf<ObjectId>(prefix + newObject().slice(2));

async function setUp(t: Test) {
  const env = { COFFERDAM_VAR: temporaryDirectory(t) };
  const config = loadConfig({ file: undefined, env, isRoot: false, isTerminal: false, projectDirectory: '/' });
  const paths = runtimePaths(config);
  const warden = await startTestStore(t, config);
  const link = new StoreLink(paths.storeSocket('partner-1'));
  const put = async (object: string, ticket = testTicket(object)) => {
    const one = link.put(ticket);
    try {
      await one.write([piece]);
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
