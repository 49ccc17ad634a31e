// T-24, T-35: a compromised edge at its socket of the store: tickets that are not for it, objects that do not fit their
// tickets, frames that no honest edge sends, floods, and connections that do not read. Nothing of that leaves a byte
// behind, and another node is served meanwhile.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Test, test } from 'tap';

import { happens } from '../../server/domain/bounded.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { acknowledge, sealedDigest, ticketBytes } from '../../server/extents/object-tickets.ts';
import { bodyBytesMax, edgeFrames, frameHead } from '../../server/rpc/store-frames.ts';
import { countedBytes } from '../../server/store/unsettled.ts';
import { LoneStore, objectBytesMax, type Ticketed } from '../support/lone-store.ts';
import type { StoreAnswer, StoreClient } from '../support/store-client.ts';
import { holdsSoon } from '../support/until.ts';

const sealed = randomBytes(600_000);
const isGone = (client: StoreClient): Promise<boolean> => happens(10_000, client.gone);

/** The other node puts an object as always, and what it put is there. */
async function othersAreServed(t: Test, store: LoneStore, when: string): Promise<void> {
  const client = await store.connect('i1');
  const { object, ticket } = store.ticket('i1');
  const answer = await client.put(ticket, sealed);
  t.equal(answer.kind, 'durable', `${when}: the other node puts an object`);
  t.ok(answer.kind === 'durable' && readFileSync(objectPath(store.paths.objects, object)).equals(sealed), when);
  await store.wardens.call('store.delete', { objects: [object] });
  client.close();
}

/** Nothing is there, and nothing is counted: of no node. */
async function nothingIsLeft(t: Test, store: LoneStore, when: string): Promise<void> {
  const isEmpty = (): boolean => {
    const { objects, unfinished } = store.files();
    return objects.length + unfinished.length === 0;
  };
  t.ok(await holdsSoon(isEmpty), `${when}: nothing is stored (${JSON.stringify(store.files()).slice(0, 300)})`);
  const isUncounted = async (): Promise<boolean> => Object.values(await store.held()).every((bytes) => bytes === 0);
  t.ok(await holdsSoon(isUncounted), `${when}: nothing is counted (${JSON.stringify(await store.held())})`);
}

test('a ticket counts for its node, its object and its time; the allow twin is acknowledged', async (t) => {
  const store = await LoneStore.start(t);
  const client = await store.connect('p1');
  t.teardown(() => client.close());
  const good = store.ticket('p1');
  const altered = (at: number): string => {
    const bytes = Buffer.from(good.ticket, 'base64');
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes.toString('base64');
  };
  const denied: Readonly<Record<string, string>> = {
    'of another node': store.ticket('i1').ticket,
    'that is over': store.ticket('p1', { until: Date.now() - 1 }).ticket,
    'that nobody issued': randomBytes(ticketBytes).toString('base64'),
    'under a key that no warden has': store.ticket('p1', { key: randomBytes(32) }).ticket,
    'for another object': altered(0),
    'for more bytes': altered(16),
    'for a longer time': altered(20),
    'with another MAC': altered(ticketBytes - 1),
  };
  for (const [what, ticket] of Object.entries(denied))
    t.same(await client.put(ticket, sealed), { kind: 'failed', failure: 'denied' }, `a ticket ${what}`);
  await nothingIsLeft(t, store, 'without a ticket');
  const answer = await client.put(good.ticket, sealed);
  const digest = sealedDigest(sealed);
  const said = { node: 'p1', object: good.object, bytes: sealed.length, digest } as Parameters<typeof acknowledge>[1];
  t.same(
    answer,
    {
      kind: 'durable',
      bytes: sealed.length,
      durable: { digest: digest.toString('base64'), acknowledgement: acknowledge(store.key, said).toString('base64') },
    },
    'with its ticket it is durable',
  );
  t.same(await client.put(good.ticket, randomBytes(1000)), { kind: 'failed', failure: 'conflict' }, 'once');
  t.ok(readFileSync(objectPath(store.paths.objects, good.object)).equals(sealed), 'and is what it was');
});

test('no ticket counts before a warden has said under which key', async (t) => {
  const store = await LoneStore.start(t);
  await store.stop('SIGKILL');
  const { ticket } = store.ticket('p1');
  await store.run({ greets: false });
  const early = await store.connect('p1');
  t.same(await early.put(ticket, sealed), { kind: 'gone' }, 'no warden comes');
  // They have ended without being read, and are gone when somebody can be read.
  for (let i = 0; i < 2; i += 1) {
    const ended = await store.connect('p1');
    ended.begin(ticket);
    ended.close();
  }
  const [waiting, refused] = await Promise.all([store.connect('p1'), store.connect('p1')]);
  const answers = [
    waiting.put(ticket, sealed),
    refused.put(store.ticket('p1', { key: randomBytes(32) }).ticket, sealed),
  ];
  await nothingIsLeft(t, store, 'before a warden has come');
  await store.greet();
  t.match(await Promise.all(answers), [{ kind: 'durable' }, { kind: 'failed', failure: 'denied' }], 'one comes');
  const others = await Promise.all([store.connect('p1'), store.connect('p1')]);
  for (const client of others) t.equal((await client.put(store.ticket('p1').ticket, sealed)).kind, 'durable', 'after');
  for (const client of [waiting, refused, ...others]) client.close();
});

test('an object that does not fit its ticket, or is no sealed object, is refused and leaves nothing', async (t) => {
  const store = await LoneStore.start(t);
  const client = await store.connect('p1');
  t.teardown(() => client.close());
  const full = randomBytes(bodyBytesMax);
  const pieces: Readonly<Record<string, readonly [Ticketed, readonly Uint8Array[]]>> = {
    'longer than its ticket': [store.ticket('p1', { bytesMax: 1000 }), [randomBytes(1001)]],
    'longer than its ticket, with its second piece': [
      store.ticket('p1', { bytesMax: bodyBytesMax + 99 }),
      [full, randomBytes(100)],
    ],
    'longer than any extent': [store.ticket('p1'), [...Array<Uint8Array>(64).fill(full), randomBytes(100)]],
    'a piece after a short one': [store.ticket('p1'), [full, randomBytes(bodyBytesMax - 1), full]],
    'a first piece without room for a header': [store.ticket('p1'), [randomBytes(55)]],
    'a later piece without room for a tag': [store.ticket('p1'), [full, randomBytes(15)]],
    'no piece at all': [store.ticket('p1'), []],
  };
  for (const [what, [{ ticket }, parts]] of Object.entries(pieces)) {
    const put = client.begin(ticket);
    for (const part of parts) client.frame(edgeFrames.piece, put, part);
    // Whatever still comes of a put that failed is dropped.
    if (parts.length > 0) client.frame(edgeFrames.piece, put, full);
    client.end(put);
    t.same(await client.answer(put), { kind: 'failed', failure: 'invalid' }, what);
  }
  t.ok(client.isOpen, 'the connection goes on');
  t.equal(client.unread, 0, 'and each is answered once');
  await nothingIsLeft(t, store, 'after all of them');
  const longest = store.ticket('p1');
  const most = randomBytes(objectBytesMax);
  t.equal((await client.put(longest.ticket, most)).kind, 'durable', 'the allow twin: as long as an extent can be');
  t.ok(readFileSync(objectPath(store.paths.objects, longest.object)).equals(most));
});

/** What breaks a rule of the frames. `open` is a put under way, `ended` one that was ended. */
type Wrong = (client: StoreClient, open: number, ended: number, ticket: Buffer) => void;
const wrongFrames: Readonly<Record<string, Wrong>> = {
  'an unknown type 0': (client, open) => client.frame(0, open),
  'an unknown type 5': (client, open) => client.frame(5, open),
  'an unknown type 255': (client, open) => client.frame(255, open),
  'something where there are zeros': (client, open) => {
    const head = frameHead(edgeFrames.piece, open, 100);
    head[2] = 1;
    client.raw(head);
  },
  'a piece one byte too long': (client, open) => client.frame(edgeFrames.piece, open, Buffer.of(1), bodyBytesMax + 1),
  'a length of 4 GiB': (client, open) => client.frame(edgeFrames.piece, open, Buffer.of(1), 2 ** 32 - 1),
  'an empty piece': (client, open) => client.frame(edgeFrames.piece, open),
  'a piece of nothing that was begun': (client) => client.frame(edgeFrames.piece, 99, randomBytes(100)),
  'a piece after its end': (client, _open, ended) => client.frame(edgeFrames.piece, ended, randomBytes(100)),
  'an end with a body': (client, open) => client.frame(edgeFrames.end, open, Buffer.of(1)),
  'an end of nothing': (client) => client.end(99),
  'a second end': (client, _open, ended) => client.end(ended),
  'an abort with a body': (client, open) => client.frame(edgeFrames.abort, open, Buffer.of(1)),
  'an abort of nothing': (client) => client.abort(99),
  'an abort after the end': (client, _open, ended) => client.abort(ended),
  'a second begin of one put': (client, open, _ended, ticket) => client.frame(edgeFrames.begin, open, ticket),
  'a short ticket': (client, _open, _ended, ticket) => client.frame(edgeFrames.begin, 99, ticket.subarray(1)),
  'a long ticket': (client, _open, _ended, ticket) =>
    client.frame(edgeFrames.begin, 99, Buffer.concat([ticket, Buffer.of(0)])),
  'text of another protocol': (client) => client.raw(Buffer.from('GET / HTTP/1.1\r\nHost: store\r\n\r\n')),
};

test('a frame that breaks a rule ends its connection, with all that it had not ended, and no other', async (t) => {
  const store = await LoneStore.start(t);
  const other = await store.connect('p1');
  const kept = store.ticket('p1');
  const mine = other.begin(kept.ticket);
  other.pieces(mine, sealed.subarray(0, bodyBytesMax));
  for (const [what, send] of Object.entries(wrongFrames)) {
    const client = await store.connect('p1');
    const open = client.begin(store.ticket('p1').ticket);
    client.pieces(open, sealed);
    const whole = store.ticket('p1');
    t.equal((await client.put(whole.ticket, sealed)).kind, 'durable', `${what}: until then all is well`);
    await store.wardens.call('store.delete', { objects: [whole.object] });
    send(client, open, 2, Buffer.from(store.ticket('p1').ticket, 'base64'));
    t.ok(await isGone(client), `${what}: the connection ends`);
    t.same(await client.answer(open), { kind: 'gone' }, `${what}: what was under way is not stored`);
  }
  t.ok(await holdsSoon(() => store.files().unfinished.length === 1), 'only the other connection writes something');
  other.pieces(mine, sealed.subarray(bodyBytesMax));
  other.end(mine);
  t.equal((await other.answer(mine)).kind, 'durable', 'the put on another connection goes on');
  other.close();
  t.same(store.files(), { objects: [kept.object], unfinished: [] });
  await othersAreServed(t, store, 'afterwards');
  await store.wardens.call('store.delete', { objects: [kept.object] });
  await nothingIsLeft(t, store, 'at the end');
});

test('one object put many times at once is stored once, whole, as one of them', async (t) => {
  const store = await LoneStore.start(t);
  for (let round = 0; round < 20; round += 1) {
    const clients = await Promise.all([store.connect('p1'), store.connect('p1'), store.connect('p1')]);
    const { object, ticket } = store.ticket('p1');
    const contents = Array.from({ length: 12 }, () => randomBytes(300_000));
    const answers = await Promise.all(
      contents.map((one, i): Promise<StoreAnswer> => clients[i % 3]?.put(ticket, one) ?? Promise.reject(new Error())),
    );
    const won = answers.flatMap((one, i) => (one.kind === 'durable' ? [i] : []));
    t.equal(won.length, 1, 'one is acknowledged');
    t.ok(
      answers.every((one) => one.kind === 'durable' || (one.kind === 'failed' && one.failure === 'conflict')),
      'the others are told so',
    );
    const content = contents[won[0] ?? 0] ?? Buffer.alloc(0);
    t.ok(readFileSync(objectPath(store.paths.objects, object)).equals(content), 'it is the one that is stored');
    const said = answers[won[0] ?? 0];
    t.equal(said?.kind === 'durable' && said.durable.digest, sealedDigest(content).toString('base64'));
    t.same(await clients[0].put(ticket, contents[0] ?? sealed), { kind: 'failed', failure: 'conflict' }, 'and later');
    t.ok(readFileSync(objectPath(store.paths.objects, object)).equals(content));
    for (const client of clients) client.close();
    await store.wardens.call('store.delete', { objects: [object] });
  }
  await nothingIsLeft(t, store, 'at the end');
});

test('thousands of puts that one edge leaves open keep no place and no file from others', async (t) => {
  const store = await LoneStore.start(t);
  const clients = await Promise.all([0, 1, 2, 3].map(() => store.connect('p1')));
  const { ticket } = store.ticket('p1');
  const refused: Promise<StoreAnswer>[] = [];
  // With a piece each, so that each has a file.
  for (let i = 0; i < 6000; i += 1)
    for (const client of clients) {
      const put = client.begin(ticket);
      client.pieces(put, sealed.subarray(0, 100));
      refused.push(client.answer(put));
    }
  await othersAreServed(t, store, 'while they are begun');
  const first = await Promise.race(refused);
  t.same(first, { kind: 'failed', failure: 'over-limit' }, 'what is too much is refused, as such');
  await othersAreServed(t, store, 'when they are begun');
  const fifth = await store.connect('p1');
  t.ok(await isGone(fifth), 'and no further connection of this edge');
  for (const client of clients) client.close();
  await nothingIsLeft(t, store, 'when its connections ended');
  const again = await store.connect('p1');
  t.equal((await again.put(store.ticket('p1').ticket, sealed)).kind, 'durable', 'then it has its places again');
  again.close();
});

test('a connection that does not read its answers ends, and costs no memory', async (t) => {
  const store = await LoneStore.start(t);
  const rss = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${store.pid}/status`, 'utf8'))?.[1]) / 1024;
  const before = rss();
  const deaf = await store.connect('p1');
  deaf.deafen();
  const wrong = randomBytes(ticketBytes).toString('base64');
  for (let i = 0; i < 400_000 && deaf.isOpen; i += 1) {
    deaf.abort(deaf.begin(wrong));
    if (i % 2000 === 0) await deaf.drained();
    if (i === 20_000) await othersAreServed(t, store, 'meanwhile');
  }
  t.ok(await isGone(deaf), 'it ends');
  t.ok(rss() - before < 100, `${Math.round(rss() - before)} MiB more`);
  await othersAreServed(t, store, 'afterwards');
  await nothingIsLeft(t, store, 'at the end');
});

test('what one edge puts and no upload takes is bounded, and takes nothing from others', async (t) => {
  const store = await LoneStore.start(t, { unsettledBytesMax: 3 * countedBytes(sealed.length) });
  const client = await store.connect('p1');
  const objects = [store.ticket('p1'), store.ticket('p1'), store.ticket('p1'), store.ticket('p1')] as const;
  for (const { ticket } of objects.slice(0, 3)) t.equal((await client.put(ticket, sealed)).kind, 'durable');
  t.same(await client.put(objects[3].ticket, sealed), { kind: 'failed', failure: 'over-limit' }, 'its allowance');
  const second = await store.connect('p1');
  t.same(await second.put(objects[3].ticket, sealed), { kind: 'failed', failure: 'over-limit' }, 'of all connections');
  client.close();
  second.close();
  await othersAreServed(t, store, 'meanwhile');
  const third = await store.connect('p1');
  t.same(await third.put(objects[3].ticket, sealed), { kind: 'failed', failure: 'over-limit' }, 'and of later ones');
  t.equal(store.files().objects.length, 3);
  // What was given up counts no longer, and neither does what an upload has taken.
  await store.wardens.call('store.settle', { objects: [objects[0].object] });
  const given = third.begin(objects[3].ticket);
  third.pieces(given, sealed);
  t.ok(
    await holdsSoon(async () => (await store.held()).p1 === 3 * countedBytes(sealed.length)),
    'pieces count before their end',
  );
  t.same(await third.put(store.ticket('p1').ticket, sealed), { kind: 'failed', failure: 'over-limit' });
  third.abort(given);
  t.ok(await holdsSoon(async () => (await store.held()).p1 === 2 * countedBytes(sealed.length)));
  t.equal((await third.put(objects[3].ticket, sealed)).kind, 'durable', 'the allow twin');
  third.close();
  await store.wardens.call('store.delete', { objects: objects.map(({ object }) => object) });
  await nothingIsLeft(t, store, 'at the end');
});

test('a store that is asked to stop has answered every object that it stored', async (t) => {
  const store = await LoneStore.start(t);
  let stored = 0;
  for (let round = 0; round < 5; round += 1) {
    const client = await store.connect('p1');
    const puts = Array.from({ length: 200 }, () => {
      const { object, ticket } = store.ticket('p1');
      return { object, answer: client.put(ticket, sealed) };
    });
    await Promise.race(puts.slice(30 * round).map(({ answer }) => answer));
    await store.stop('SIGTERM');
    const answers = await Promise.all(puts.map(async ({ object, answer }) => ({ object, kind: (await answer).kind })));
    const durable = answers.filter(({ kind }) => kind === 'durable').map(({ object }) => object);
    t.ok(durable.length > 0, `${durable.length} of ${puts.length} were answered`);
    t.same(store.files().objects, durable.sort(), 'and nothing else is stored');
    stored += durable.length;
    await store.run();
    await store.wardens.call('store.delete', { objects: durable });
    t.equal((await (await store.connect('p1')).put(store.ticket('p1').ticket, sealed)).kind, 'durable', 'it goes on');
    await store.wardens.call('store.delete', { objects: [...store.files().objects] });
  }
  t.comment(`${stored} objects`);
  await nothingIsLeft(t, store, 'at the end');
});
