// An edge and a warden that comes and goes: when the lease is valid again, and what becomes of connections that wait.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import { startEdge } from '../../server/edge/edge.ts';
import { WardenClient } from '../../server/edge/warden-client/warden-client.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { ownDoor } from '../../server/rpc/door.ts';
import { type EdgeToWarden, edgeToWarden, wardenToEdge } from '../../server/rpc/edge-warden.ts';
import type { Handlers, Result } from '../../server/rpc/operation.ts';
import { Peer } from '../../server/rpc/peer.ts';
import { type Teardown, temporaryDirectory } from '../support/database.ts';
import { holdsSoon } from '../support/until.ts';

type Renewal = Result<EdgeToWarden, 'lease.renew'>;
const challenge = '00'.repeat(8);
const hello = {
  node: 'partner-1',
  plane: 'partner',
  hostKeys: [{ algorithm: 'ssh-ed25519', blob: 'AAAA', inUse: true }],
  challenge,
  epoch: 1,
  banner: '',
} as const;
const renewal = (more: Partial<Renewal> = {}): Renewal => ({
  epoch: 1,
  ended: [],
  challenge,
  drainWithinMs: null,
  ...more,
});
const endings = (count: number): Renewal['ended'] =>
  Array.from({ length: count }, () => ({ session: randomUUID(), reason: 'operator' as const }));

const patience = { withinMs: 20_000, everyMs: 5 };

function configOf(t: Teardown, limits: object, env: Readonly<Record<string, string>> = {}): Config {
  const given = {
    COFFERDAM_VAR: temporaryDirectory(t),
    COFFERDAM_LIMITS: JSON.stringify({ selfTestEveryMs: 0, ...limits }),
    ...env,
  };
  return loadConfig({
    file: undefined,
    env: { ...given, COFFERDAM_LOG_LEVEL: 'error' },
    isRoot: false,
    isTerminal: false,
    projectDirectory: '/',
  });
}

/**
 * A warden that accepts greetings and renewals; `renew` says how it answers, `leave` ends it and everything that it
 * holds, `edges` returns how many edges are connected.
 */
async function warden(t: Teardown, config: Config, renew: (nth: number) => Promise<Renewal> = async () => renewal()) {
  const path = runtimePaths(config).wardenSocket('partner-1');
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  let renewals = 0;
  const handlers = {
    'node.hello': async () => hello,
    'lease.renew': () => {
      renewals += 1;
      return renew(renewals);
    },
  } as unknown as Handlers<EdgeToWarden, undefined>;
  const streams = new Set<Socket>();
  const server = createServer((stream) => {
    streams.add(stream);
    const peer = new Peer({
      stream,
      serves: edgeToWarden,
      handlers,
      calls: wardenToEdge,
      door: ownDoor(undefined),
      onClose: () => streams.delete(stream),
      onBug: (_op, error) => t.teardown(() => Promise.reject(error)),
    });
    t.teardown(() => peer.close());
  });
  server.listen(path);
  await once(server, 'listening');
  const leave = (): void => {
    server.close();
    for (const stream of streams) stream.destroy();
  };
  t.teardown(leave);
  return { leave, edges: () => streams.size };
}

test('the lease is valid once everything that ended meanwhile is known, page by page, however much it is', async (t) => {
  for (const pages of [[0], [1], [999], [1000, 0], [1000, 1000, 3]]) {
    // No renewal comes by the clock.
    const config = configOf(t, { leaseIntervalMs: 3_600_000, leaseLostMs: 3_600_000 });
    const answers = pages.map(() => Promise.withResolvers<void>());
    let asked = 0;
    await warden(t, config, async (nth) => {
      asked = nth;
      await answers[nth - 1]?.promise;
      return renewal({ ended: endings(pages[nth - 1] ?? 0) });
    });
    const seen = { ended: 0, told: 0, live: [] as boolean[] };
    const log = createLogger({ log: { level: 'error', pretty: false } }, 'test');
    const client = new WardenClient(
      { node: idOf<NodeName>('partner-1'), limits: config.limits, paths: runtimePaths(config), log },
      config.shares.edge.calls,
      {
        terminated: () => (seen.ended += 1),
        active: () => ({ active: [], told: () => (seen.told += 1) }),
        drain: () => {},
        leaving: async () => {},
        leaseChanged: (isLive) => seen.live.push(isLive),
        sessionCount: () => 0,
        hasNativeCipher: true,
      },
    );
    t.teardown(() => client.stop());
    await client.start(20_000);
    let known = 0;
    for (const [i, page] of pages.entries()) {
      t.ok(await holdsSoon(() => asked === i + 1, patience), `${pages}: page ${i + 1} is asked for at once`);
      t.same(
        [client.isLeaseLive, seen.ended, seen.told],
        [false, known, i],
        'not yet: nothing is sent, nothing is taken as told',
      );
      answers[i]?.resolve();
      known += page;
    }
    t.ok(await holdsSoon(() => client.isLeaseLive, patience), `${pages}: then it is good`);
    t.same(seen, { ended: known, told: pages.length, live: [true] }, 'and each ending was heard before');
  }
});

type Guest = { readonly socket: Socket; heard: string; isGone: boolean };
function guest(t: Teardown, port: number): Guest {
  const socket = connect({ port, host: '127.0.0.1' });
  const one: Guest = { socket, heard: '', isGone: false };
  socket.on('error', () => {});
  socket.on('data', (chunk) => (one.heard += chunk.toString('latin1')));
  socket.on('close', () => (one.isGone = true));
  t.teardown(() => void socket.destroy());
  return one;
}
const isServed = (one: Guest): boolean => one.heard.startsWith('SSH-2.0-');

test('a connection that waits for a warden is served when it is back; one that left meanwhile has given its place back', async (t) => {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { readonly port: number };
  await new Promise((resolve) => probe.close(resolve));
  const config = configOf(
    t,
    { unauthenticatedPerSourceMax: 3, wardenRetryMs: 120_000 },
    { COFFERDAM_PARTNER_PORT: String(port) },
  );
  const [edgeConfig] = config.edges;
  if (edgeConfig === undefined) throw new Error('no edge');
  const first = await warden(t, config);
  const edge = await startEdge(config, edgeConfig);
  t.teardown(() => edge.stop());
  const before = guest(t, port);
  t.ok(await holdsSoon(() => isServed(before), patience), 'while the warden is there');
  before.socket.destroy();
  await holdsSoon(() => before.isGone, patience);

  first.leave();
  /** One that is served all the same came before the edge had noticed. */
  const atTheDoor = async (): Promise<Guest> => {
    for (;;) {
      const one = guest(t, port);
      await holdsSoon(() => isServed(one) || one.isGone, { ...patience, withinMs: 500 });
      if (!isServed(one) && !one.isGone) return one;
      one.socket.destroy();
      await holdsSoon(() => one.isGone, patience);
    }
  };
  const patient = await atTheDoor();
  for (let i = 0; i < 2; i += 1) (await atTheDoor()).socket.destroy();
  const beyond = guest(t, port);
  t.ok(await holdsSoon(() => beyond.isGone, patience), 'each who waits has a place, and one source has three');
  t.notOk(isServed(patient), 'nobody is served');

  await warden(t, config);
  t.ok(await holdsSoon(() => isServed(patient), patience), 'who waited is served');
  // One at a time: each leaves before the next one comes.
  let isFree = false;
  for (let tries = 0; !isFree && tries < 50; tries += 1) {
    const two = [guest(t, port), guest(t, port)];
    await holdsSoon(() => two.every((one) => isServed(one) || one.isGone), patience);
    isFree = two.every(isServed);
    for (const one of two) one.socket.destroy();
    await holdsSoon(() => two.every((one) => one.isGone), patience);
  }
  t.ok(isFree, 'and the places of those who left are free again');
});

test('an edge that cannot listen leaves nothing running: no connection to the warden, no thread, no timer', async (t) => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => void taken.close());
  const { port } = taken.address() as { readonly port: number };
  const config = configOf(t, { selfTestEveryMs: 60_000 }, { COFFERDAM_PARTNER_PORT: String(port) });
  const [edgeConfig] = config.edges;
  if (edgeConfig === undefined) throw new Error('no edge');
  const { edges } = await warden(t, config);
  const before = process.getActiveResourcesInfo();
  await t.rejects(startEdge(config, edgeConfig), { code: 'configuration', message: /cannot listen/ });
  t.ok(await holdsSoon(() => edges() === 0, patience), 'the warden has no edge any more');
  // A timer of the test before this one may still run at first, and end meanwhile.
  const countOf = (all: readonly string[], what: string): number => all.filter((one) => one === what).length;
  const isNothingLeft = (): boolean => {
    const now = process.getActiveResourcesInfo();
    return now.every((what) => countOf(now, what) <= countOf(before, what));
  };
  t.ok(await holdsSoon(isNothingLeft, patience), `${process.getActiveResourcesInfo()}, and before: ${before}`);
});
