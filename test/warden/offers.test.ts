// The bounds of offers: how many there are at one time, and of how many nothing may come.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { idOf, type NodeName, type SessionId } from '../../server/domain/ids.ts';
import { type Offer, Offers } from '../../server/warden/transfers/offers.ts';

const session = idOf<SessionId>(randomUUID());
const node = 'n' as NodeName;
const offer = (name: string): Offer =>
  ({
    upload: randomUUID(),
    session,
    account: randomUUID(),
    node,
    path: { folder: 'f', rest: [name] },
    madeAt: performance.now(),
  }) as unknown as Offer;

test('an offer whose use fails counts like one that expired; one that is used well does not', async (t) => {
  const offers = new Offers();
  const ends = async (work: () => Promise<unknown>): Promise<void> => {
    const made = offer('x');
    offers.make(made);
    await offers.use(made.upload, session, work).catch(() => undefined);
  };
  for (let i = 0; i < 400; i += 1) await ends(() => Promise.resolve('stored'));
  t.ok(offers.hasRoom(session, node), 'the twin: any number of files');
  for (let i = 0; i < 255; i += 1) await ends(() => Promise.reject(new Error('not whole')));
  t.ok(offers.hasRoom(session, node));
  await ends(() => Promise.reject(new Error('not whole')));
  t.notOk(offers.hasRoom(session, node), 'names are not probed for nothing without end');
  t.ok(offers.hasRoom(idOf<SessionId>(randomUUID()), node), 'another session is not concerned');
});

test('a session has so many offers at one time, and no more', async (t) => {
  const offers = new Offers();
  const made = Array.from({ length: 32 }, (_, i) => offer(`f${i}`));
  for (const [i, one] of made.entries()) {
    t.ok(offers.hasRoom(session, node), `offer ${i}`);
    offers.make(one);
  }
  t.notOk(offers.hasRoom(session, node));
  await offers.use(made[0]?.upload ?? '', session, () => Promise.resolve('stored'));
  t.ok(offers.hasRoom(session, node), 'one is over');
});
