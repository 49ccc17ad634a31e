// The flow of one session: no byte is sent without a permit or out of order, and a session that soon asks again asks
// for more.
import { test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { WardenCalls } from '../../server/edge/seam/sftp-seam.ts';
import { Pacer, Pacers } from '../../server/edge/sftp/pacer.ts';
import { testSession } from '../support/scripted-warden.ts';

type Permit = { readonly bytes: number; readonly waitMs: number };

/** A warden whose permits a test gives one by one. */
function scripted() {
  const asked: number[] = [];
  const waiting: { readonly give: (permit: Permit) => void; readonly refuse: (error: Error) => void }[] = [];
  const callRepeatable = (_op: string, { bytes }: { readonly bytes: number }): Promise<Permit> =>
    new Promise((give, refuse) => {
      asked.push(bytes);
      waiting.push({ give, refuse });
    });
  const next = async () => {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const [one] = waiting.splice(0, 1);
    if (one === undefined) throw new Error('nobody asked');
    return one;
  };
  return { warden: { callRepeatable } as unknown as WardenCalls, asked, next };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('bytes go in the order of the calls, and a small piece does not overtake a large one', async (t) => {
  const { warden, asked, next } = scripted();
  const pacer = new Pacer(testSession, warden, 'c', 'out');
  const done: string[] = [];
  const pass = (name: string, bytes: number): Promise<void> => pacer.pass(bytes).then(() => void done.push(name));
  const all = [pass('large', 100)];
  (await next()).give({ bytes: 60, waitMs: 0 });
  await turn();
  all.push(pass('small', 10));
  await turn();
  t.same(done, [], 'sixty were given, and the large one waits for forty more');
  (await next()).give({ bytes: 50, waitMs: 0 });
  await Promise.all(all);
  t.same(done, ['large', 'small']);
  t.equal(asked[0], 100, 'a permit is asked for as many bytes as wait');
  t.equal(asked[1], 200, 'and for twice as many as before when the next permit is asked for at once');
  t.same(asked.length, 2, 'bytes of an earlier permit are used up first');
});

test('what is left of a permit needs no further permit; the pacer waits as long as the permit says', async (t) => {
  const { warden, asked, next } = scripted();
  const pacer = new Pacer(testSession, warden, 'c', 'out');
  const first = pacer.pass(10);
  const started = performance.now();
  (await next()).give({ bytes: 30, waitMs: 40 });
  await first;
  t.ok(performance.now() - started >= 39, 'the pacer waits as long as the permit says');
  await pacer.pass(20);
  t.equal(asked.length, 1);
  const more = pacer.pass(1);
  (await next()).give({ bytes: 1, waitMs: 0 });
  await more;
  t.equal(asked.length, 2, 'one byte more needs another permit');
});

test('an ended session sends nothing more, and what was acknowledged to it is still stored', async (t) => {
  const ended = new CofferdamError('session-ended', 'over');
  for (const [direction, error, goesOn] of [
    ['in', ended, true],
    ['in', new CofferdamError('unavailable', 'away'), false],
    ['in', new Error('a defect'), false],
    ['out', ended, false],
  ] as const) {
    const { warden, next } = scripted();
    const pacer = new Pacer(testSession, warden, 'c', direction);
    const pass = pacer.pass(10).then(
      () => true,
      () => false,
    );
    (await next()).refuse(error);
    t.equal(await pass, goesOn, `${direction}: ${error.message}`);
    if (goesOn) continue;
    const again = pacer.pass(10);
    (await next()).give({ bytes: 10, waitMs: 0 });
    await again;
    t.pass('a permit that was refused does not stand in the way of the next');
  }
});

test('a session has one pacer for each customer and direction', (t) => {
  const pacers = new Pacers(testSession, scripted().warden);
  t.equal(pacers.get('c', 'in'), pacers.get('c', 'in'));
  t.equal(new Set([pacers.get('c', 'in'), pacers.get('c', 'out'), pacers.get('d', 'in')]).size, 3);
  t.end();
});
