// The orderly end of an edge: which connection ends when.
import { test } from 'tap';
import { Drain, type Drained } from '../../server/edge/drain.ts';
import { createLogger } from '../../server/observability/logger.ts';

const log = createLogger({ log: { level: 'error', pretty: false } } as never, 'edge');
const waitMs = 20_000;

/** Ended sessions leave the set, as a closed connection does. */
function people(...all: readonly (readonly [name: string, session: unknown, quietMs: () => number])[]) {
  const connections = new Set<Drained>();
  const ended = new Map<string, number>();
  for (const [name, session, quietForMs] of all) {
    const one: Drained = {
      session,
      quietForMs,
      end: () => {
        connections.delete(one);
        ended.set(name, performance.now());
      },
    };
    connections.add(one);
  }
  return { connections, ended };
}
const within = (work: Promise<void>): Promise<boolean> =>
  Promise.race([work.then(() => true), new Promise<boolean>((resolve) => setTimeout(resolve, waitMs, false).unref())]);

test('connections without a login and idle sessions end at once, a session with a transfer when the transfer is done', async (t) => {
  let isDone = false;
  const { connections, ended } = people(
    ['stranger', undefined, () => 1],
    ['idle', {}, () => 60_000],
    ['transfer', {}, () => (isDone ? 60_000 : 0)],
  );
  const drain = new Drain(connections, new Set(), log);
  drain.order(600_000);
  t.same([...ended.keys()], ['stranger', 'idle']);
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.equal(ended.size, 2, 'the transfer goes on');
  isDone = true;
  t.ok(await within(drain.over), 'and then it is over, long before the bound');
  t.ok(ended.has('transfer'));
});

test('transfers still under way end at the bound; a session that never pauses ends between two files after half the time', async (t) => {
  const { connections, ended } = people(['endless', {}, () => 0], ['restless', {}, () => 5]);
  const drain = new Drain(connections, new Set(), log);
  const began = performance.now();
  drain.order(1500);
  t.equal(ended.size, 0);
  t.ok(await within(drain.over));
  t.ok((ended.get('restless') ?? 0) - began >= 750, 'not before half the time');
  t.ok((ended.get('restless') ?? 0) < (ended.get('endless') ?? 0));
  t.ok((ended.get('endless') ?? 0) - began >= 1490, 'not before the bound');
});

test('a newer order moves the bound; the last calls are waited for', async (t) => {
  const { connections, ended } = people(['endless', {}, () => 0]);
  const words = new Set<Promise<void>>();
  const { promise, resolve } = Promise.withResolvers<void>();
  words.add(promise);
  const drain = new Drain(connections, words, log);
  drain.order(600_000);
  drain.order(0);
  let isOver = false;
  void drain.over.then(() => (isOver = true));
  await new Promise((wake) => setTimeout(wake, 500));
  t.equal(ended.size, 1);
  t.equal(isOver, false, 'something is still being said');
  words.clear();
  resolve();
  t.ok(await within(drain.over));
});
