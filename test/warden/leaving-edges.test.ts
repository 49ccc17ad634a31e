// A warden that stops tells its edges and answers the calls that are under way, and waits for none of them longer than
// the limits from which the time until it is killed is calculated.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';
import { z } from 'zod';
import { held } from '../../server/domain/detached.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { ownDoor } from '../../server/rpc/door.ts';
import { wardenToEdge } from '../../server/rpc/edge-warden.ts';
import { operation } from '../../server/rpc/operation.ts';
import { Peer } from '../../server/rpc/peer.ts';
import { Nodes } from '../../server/warden/nodes/nodes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const waits = { edgeMs: 400, answersMs: 600 };
const ask = { ask: operation({ changes: true, params: z.strictObject({}), result: z.strictObject({}) }) } as const;

/** One edge that is connected to a warden, and has one call under way, which the warden answers by `answer`. */
async function connected(t: Parameters<typeof temporaryDirectory>[0], isDeaf: boolean) {
  const path = join(temporaryDirectory(t), 'warden.sock');
  const database = new Database({ url: 'postgres://127.0.0.1:1/none', applicationName: 'test', connectionsMax: 1 });
  const nodes = new Nodes(database);
  const node = idOf<NodeName>('partner-1');
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
  const sides = { onBug: () => {}, onClose: () => {} };
  const server = createServer((stream: Socket) => {
    const handlers = {
      ask: async () => {
        isAsked();
        await answered;
        return {};
      },
    };
    const peer = new Peer({ ...sides, stream, serves: ask, handlers, calls: wardenToEdge, door: ownDoor(undefined) });
    nodes.attach(node, peer as unknown as Parameters<Nodes['attach']>[1]);
  });
  server.listen(path);
  await once(server, 'listening');
  const edge = new Peer({
    ...sides,
    stream: connect(path),
    serves: wardenToEdge,
    handlers: {
      'session.terminate': async () => ({}),
      'warden.leaving': () => (isDeaf ? new Promise<never>(() => {}) : Promise.resolve({})),
    },
    calls: ask,
    door: ownDoor(undefined),
  });
  t.teardown(async () => {
    edge.close();
    server.close();
    await database.close();
  });
  const call = held(edge.call('ask', {}));
  await asked;
  const leave = async (): Promise<number> => {
    const from = performance.now();
    await nodes.leave(waits);
    return Math.round(performance.now() - from);
  };
  return { call, answer, leave };
}

test('an edge that does not answer, and calls that end never, hold a warden no longer than its limits', async (t) => {
  const { call, leave } = await connected(t, true);
  const ms = await leave();
  t.ok(ms >= waits.edgeMs + waits.answersMs - 20, `it had its time: ${ms} ms`);
  t.ok(ms < waits.edgeMs + waits.answersMs + 3000, `and no more: ${ms} ms`);
  await t.rejects(call, { code: 'unavailable' });
});

test('the twin: a call under way is answered before the connection ends', async (t) => {
  const { call, answer, leave } = await connected(t, false);
  const left = leave();
  setTimeout(answer, 100);
  t.same(await call, {});
  t.ok((await left) < waits.edgeMs + waits.answersMs, 'and nothing more is waited for');
});
