// T-35: an edge that connects, puts and drops its connection, again and again, takes no more memory of the store than
// one connection does.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Test, test } from 'tap';
import { objectPath } from '../../server/extents/directory-store.ts';
import { bodyBytesMax, edgeFrames } from '../../server/rpc/store-frames.ts';
import { LoneStore } from '../support/lone-store.ts';
import { holdsSoon } from '../support/until.ts';

const piece = randomBytes(bodyBytesMax);
/** As long as an extent can be: more pieces than may be on their way. */
const piecesSent = 64;
/** Twice what was measured. It was 200 and more when the memory of a connection went with it. */
const moreMibMax = 80;

const rssMib = ({ pid }: LoneStore): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Connects, sends an object without its end, and drops the connection. Returns the most that the store has, in MiB. */
async function drop(t: Test, store: LoneStore, cycles: number, of: 'p1' | 'i1'): Promise<number> {
  let mostMib = 0;
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const client = await store.connect('p1');
    const put = client.begin(store.ticket(of).ticket);
    for (let i = 0; i < piecesSent; i += 1) client.frame(edgeFrames.piece, put, piece);
    await client.drained();
    client.close();
    // A node has a few connections at once: the next one finds a place when an earlier one has left it.
    if (!(await holdsSoon(() => store.files().unfinished.length < 4, { everyMs: 5 }))) t.fail('a connection stays');
    mostMib = Math.max(mostMib, rssMib(store));
  }
  return mostMib;
}

test('hundreds of connections that end in the middle of a put leave no memory taken', async (t) => {
  const store = await LoneStore.start(t);
  const before = rssMib(store);
  const moreMib = (await drop(t, store, 300, 'p1')) - before;
  t.ok(moreMib < moreMibMax, `${Math.round(moreMib)} MiB more`);
  // What is dropped was read all the same.
  const readMib = (await drop(t, store, 150, 'i1')) - before;
  t.ok(readMib < moreMibMax, `${Math.round(readMib)} MiB more, with tickets of another node`);
  const honest = await store.connect('p1');
  const { object, ticket } = store.ticket('p1');
  const sealed = randomBytes(piecesSent * bodyBytesMax);
  t.equal((await honest.put(ticket, sealed)).kind, 'durable', 'the allow twin: an object that is ended is stored');
  t.ok(readFileSync(objectPath(store.paths.objects, object)).equals(sealed), 'whole');
  honest.close();
});
