// The store goes away and comes back: what was being put fails in words, nothing is said to be durable that is not, and
// everybody finds the store again by themselves.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { lastPutsMs, stopGraceMs } from '../../server/config/stop-times.ts';
import { held } from '../../server/domain/detached.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import { type Put, StoreLink } from '../../server/edge/sftp/store-link.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { isAcknowledged } from '../../server/extents/object-tickets.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { startStore } from '../../server/store/store.ts';
import { countedBytes } from '../../server/store/unsettled.ts';
import { StoreClient } from '../../server/warden/store/store-client.ts';
import { newObject } from '../extents/conformance.ts';
import { type Teardown, temporaryDirectory } from '../support/database.ts';
import { slowFiles } from '../support/slow-files.ts';
import { placeStore, testStoreKey, testTicket } from '../support/store.ts';
import { until } from '../support/until.ts';

const piece = randomBytes(262_144);
const node = idOf<NodeName>('partner-1');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const unavailable = { code: 'unavailable', message: 'the store is not available at the moment; try again' };

function setUp(t: Teardown) {
  const env = { COFFERDAM_VAR: temporaryDirectory(t) };
  const given = loadConfig({ file: undefined, env, isRoot: false, isTerminal: false, projectDirectory: '/' });
  const config = { ...given, log: { level: 'error', pretty: false } as const };
  placeStore(config);
  const log = createLogger(config, 'test');
  log.level = 'silent';
  const paths = runtimePaths(config);
  const client = new StoreClient(paths.storeControlSocket, testStoreKey, 300, log);
  t.teardown(() => client.stop());
  return { config, paths, client, link: new StoreLink(paths.storeSocket('partner-1')) };
}

test('a warden that starts without a store has no space to give, waits for nobody, and finds the store later', async (t) => {
  const { config, client } = setUp(t);
  await client.start(300);
  t.equal(client.run, undefined);
  const started = performance.now();
  await t.rejects(client.freeBytes(), unavailable);
  t.ok(performance.now() - started < 100, 'nobody waits for a store that never answered');
  const store = await startStore(config);
  t.teardown(() => store.stop());
  await until('the warden is connected', () => client.run !== undefined);
  t.ok((await client.freeBytes()) > 0);
});

test('a store that is away had the space that it said last', async (t) => {
  const { config, client } = setUp(t);
  const store = await startStore(config);
  await client.start(5000);
  const bytes = await client.freeBytes();
  await store.stop();
  await until('the warden has noticed', () => client.run === undefined);
  // Long enough for the reading to be old.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  const started = performance.now();
  t.equal(await client.freeBytes(), bytes, 'so that small files, which need no store, are taken');
  t.ok(performance.now() - started < 100, 'at once');
  await t.rejects(client.delete([newObject()]), unavailable, 'and what needs the store is told so');
});

test('when the store ends in the middle of an object, the put fails, and what was acknowledged stays', async (t) => {
  const { config, paths, client, link } = setUp(t);
  const store = await startStore(config);
  await client.start(5000);
  const first = client.run;
  const [object, whole] = [newObject(), newObject()];
  const done = link.put(testTicket(whole));
  await done.write([piece]);
  const { sealedBytes, digest, acknowledgement } = await done.end();
  const said = { node, object: whole, bytes: sealedBytes, digest: Buffer.from(digest) };
  t.ok(isAcknowledged(testStoreKey, said, Buffer.from(acknowledgement)));
  const cut = link.put(testTicket(object));
  await cut.write([piece]);
  await until('the store has begun', () => readdirSync(join(paths.objects, 'new')).length === 1);
  const ending = cut.end();
  const [ended] = await Promise.allSettled([ending, store.stop()]);
  if (ended.status === 'rejected') {
    t.match(ended.reason, unavailable);
    cut.abort();
  }
  await t.rejects(client.delete([whole]), unavailable);
  const again = await startStore(config);
  t.teardown(() => again.stop());
  await until('the warden is connected again', () => client.run !== undefined);
  t.not(client.run, first, 'another run');
  const left = statSync(objectPath(paths.objects, object), { throwIfNoEntry: false })?.size;
  t.ok(left === piece.length || (left === undefined && ended.status === 'rejected'), 'whole or nothing');
  t.ok(existsSync(objectPath(paths.objects, whole)), 'what was acknowledged is there');
  t.same(readdirSync(join(paths.objects, 'new')), [], 'and nothing is left unfinished');
  const next = link.put(testTicket(newObject()));
  await next.write([piece]);
  t.match(await next.end(), { sealedBytes: piece.length }, 'the same edge goes on');
  await client.delete([whole]);
  t.notOk(existsSync(objectPath(paths.objects, whole)));
});

test('what an edge puts before a warden has come waits for it, and not for ever', async (t) => {
  const { config, paths, client, link } = setUp(t);
  const first = await startStore(config);
  t.teardown(() => first.stop());
  const put = async () => {
    const one = link.put(testTicket(newObject()));
    try {
      await one.write([piece]);
      return await one.end();
    } finally {
      one.abort();
    }
  };
  const from = performance.now();
  await t.rejects(put(), unavailable, 'no warden comes');
  const tookMs = performance.now() - from;
  t.ok(tookMs > 3000 && tookMs < 20_000, `it fails after ${Math.round(tookMs)} ms`);
  const early = held(put());
  await pause(300);
  t.same(readdirSync(join(paths.objects, 'new')), [], 'nothing is written without a key of tickets');
  await client.start(5000);
  t.match(await early, { sealedBytes: piece.length }, 'a warden comes');
  await first.stop();
  const second = await startStore(config);
  t.teardown(() => second.stop());
  t.match(await put(), { sealedBytes: piece.length }, 'after a restart the next put succeeds');
  const unready = await Promise.all(Array.from({ length: 20 }, put));
  t.equal(unready.length, 20, 'and all others');
});

test('puts beside each other, of which some are given up or refused, do not disturb the others', async (t) => {
  const { config, paths, client, link } = setUp(t);
  const store = await startStore(config);
  t.teardown(() => store.stop());
  await client.start(5000);
  const kinds = ['good', 'given up', 'too long', 'a piece behind the last one', 'of another node', 'expired'] as const;
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const kind = kinds[i % kinds.length] ?? 'good';
      const object = newObject();
      const put = link.put(
        testTicket(object, {
          ...(kind === 'of another node' ? { node: idOf<NodeName>('internal-1') } : {}),
          ...(kind === 'expired' ? { until: Date.now() } : {}),
          ...(kind === 'too long' ? { bytesMax: piece.length } : {}),
        }),
      );
      try {
        await put.write([piece]);
        if (kind === 'given up') throw new Error('given up');
        await put.write([piece.subarray(0, 1000)]);
        if (kind === 'a piece behind the last one') await put.write([piece.subarray(0, 1000)]);
        await put.end();
        return { kind, object, said: 'durable' };
      } catch (error) {
        put.abort();
        return { kind, object, said: error instanceof Error && 'code' in error ? String(error.code) : 'given up' };
      }
    }),
  );
  const expected = {
    good: 'durable',
    'given up': 'given up',
    'too long': 'invalid',
    'a piece behind the last one': 'invalid',
    'of another node': 'denied',
    expired: 'denied',
  };
  for (const { kind, object, said } of outcomes) {
    t.equal(said, expected[kind], kind);
    t.equal(existsSync(objectPath(paths.objects, object)), kind === 'good', kind);
  }
  await until('nothing is left unfinished', () => readdirSync(join(paths.objects, 'new')).length === 0);
  const good = outcomes.filter(({ kind }) => kind === 'good').map(({ object }) => object);
  t.match(
    (await client.room()).held,
    [{ node, bytes: good.length * countedBytes(piece.length + 1000) }],
    'only whole ones count',
  );
  await client.settle(good);
  t.match((await client.room()).held, [{ node, bytes: 0 }]);
});

test('a store that is asked to stop answers what was ended, takes nothing new, and waits for nothing else', async (t) => {
  const { config, paths, client, link } = setUp(t);
  const first = await startStore(config);
  t.teardown(() => first.stop());
  await client.start(5000);
  const files = slowFiles(t);
  let syncMs = 1000;
  files.before = async (call) => {
    if (call === 'datasync') await pause(syncMs);
  };
  const [ended, open] = [newObject(), newObject()];
  const puts = [ended, open].map((object) => link.put(testTicket(object)));
  const [endedPut, openPut] = puts as [Put, Put];
  for (const put of puts) await put.write([piece]);
  const answer = held(endedPut.end());
  await until('it is being made durable', () => files.underWay > 0);
  await pause(200);
  const stopping = first.stop();
  const late = link.put(testTicket(newObject()));
  await t.rejects(
    late.write([piece]).then(() => late.end()),
    unavailable,
    'nothing begins any more',
  );
  t.match(await answer, { sealedBytes: piece.length }, 'what was ended is answered');
  t.ok(existsSync(objectPath(paths.objects, ended)), 'and is there');
  const from = performance.now();
  await stopping;
  t.ok(performance.now() - from < 1000, 'what was not ended is not waited for');
  await t.rejects(openPut.end(), unavailable);
  for (const put of [late, openPut]) put.abort();
  t.notOk(existsSync(objectPath(paths.objects, open)));

  const second = await startStore(config);
  t.teardown(() => second.stop());
  await until('the warden is connected again', () => client.run !== undefined);
  syncMs = 8000;
  const slow = link.put(testTicket(newObject()));
  await slow.write([piece]);
  const never = held(slow.end());
  await pause(200);
  const begun = performance.now();
  await second.stop();
  const tookMs = performance.now() - begun;
  t.ok(
    tookMs >= lastPutsMs - 100 && tookMs < stopGraceMs(config.limits).store,
    `${Math.round(tookMs)} ms and no longer`,
  );
  await t.rejects(never, unavailable, 'and nothing is said of what was not durable');
  await pause(syncMs);
});
