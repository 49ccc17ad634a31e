// A warden that is asked to stop while the store is away, or does not answer, ends within its time: nothing of it waits
// for the store as long as it would otherwise.
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { stopGraceMs } from '../../server/config/stop-times.ts';
import { held } from '../../server/domain/detached.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { ownDoor } from '../../server/rpc/door.ts';
import { Peer } from '../../server/rpc/peer.ts';
import { storeToWarden, wardenToStore } from '../../server/rpc/warden-store.ts';
import { StoreClient } from '../../server/warden/store/store-client.ts';
import { startWarden } from '../../server/warden/warden.ts';
import { createTestDatabase, temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { startAgainStore, testStoreKey } from '../support/store.ts';
import { until } from '../support/until.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const log = createLogger({ log: { level: 'error', pretty: false } }, 'test');
log.level = 'silent';

async function tookMs(work: Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work.catch(() => {});
  return Math.round(performance.now() - from);
}

test('a warden whose passes wait for a store that is away stops within its time', async (t) => {
  const database = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const given = ledgerConfig(directory, {});
  const config = {
    ...given,
    limits: { ...given.limits, collectEveryMs: 200 },
    database: { ...given.database, wardenUrl: database.wardenUrl },
  };
  const paths = runtimePaths(config);
  for (const path of [
    ...config.edges.map(({ node }) => paths.wardenSocket(node)),
    paths.bootstrapSocket,
    paths.recordMemory,
  ])
    mkdirSync(dirname(path), { recursive: true });
  mkdirSync(`${directory}/witness`, { recursive: true });
  const store = await startAgainStore(t, config);
  const running = await startWarden(config);
  t.teardown(() => running.stop());
  const doomed = () => database.query('select 1 from doomed_object');
  const doom = () => database.query("insert into doomed_object (object_id) values (repeat('ab', 16))");
  await doom();
  await until('the allow twin: with a store, objects are deleted', async () => (await doomed()).length === 0);
  await store.stop();
  await doom();
  await pause(1000);
  const ms = await tookMs(running.stop());
  t.ok(ms < stopGraceMs(config.limits).warden / 2, `it stopped in ${ms} ms`);
  t.equal((await doomed()).length, 1, 'and nothing counts as deleted');
});

test('a client that takes its leave waits for no store that is away, and not long for one that does not answer', async (t) => {
  const path = `${temporaryDirectory(t)}/store.sock`;
  let isDeaf = false;
  const server = createServer((stream) => {
    const never = () => new Promise<never>(() => {});
    const peer = new Peer({
      stream,
      serves: wardenToStore,
      handlers: {
        'store.hello': async () => ({ run: crypto.randomUUID(), runMs: 0 }),
        'store.room': async () => (isDeaf ? never() : { freeBytes: 7, held: [] }),
        'store.settle': never,
        'store.unsettled': never,
        'store.delete': never,
        'store.list': never,
      },
      calls: storeToWarden,
      door: ownDoor(undefined),
      onClose: () => {},
      onBug: () => {},
    });
    t.teardown(() => peer.close());
  });
  const away = new StoreClient(path, testStoreKey, 20_000, log);
  t.teardown(() => away.stop());
  const waiting = held(away.room());
  away.leave();
  t.ok((await tookMs(waiting)) < 1000, 'what waits is woken');
  t.ok((await tookMs(away.room())) < 1000, 'and nothing waits any more');
  await t.rejects(away.room(), { code: 'unavailable' });

  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => void server.close());
  const client = new StoreClient(path, testStoreKey, 20_000, log);
  t.teardown(() => client.stop());
  await client.start(5000);
  isDeaf = true;
  const unanswered = held(client.room());
  await pause(200);
  isDeaf = false;
  client.leave();
  t.equal((await client.room()).freeBytes, 7, 'the allow twin: a store that answers is asked');
  t.ok((await tookMs(unanswered)) < 5000, 'what is not answered is given up');
  await t.rejects(client.room(), { code: 'unavailable' });
});
