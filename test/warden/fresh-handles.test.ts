// Fresh handles: how many there are, whose they are, and that one first read is under way at a time.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { idOf, type NodeName, type SessionId } from '../../server/domain/ids.ts';
import type { Opening } from '../../server/warden/budgets/first-read-queries.ts';
import { type FreshFile, FreshHandles } from '../../server/warden/transfers/fresh-handles.ts';

const [a, b] = ['a' as NodeName, 'b' as NodeName];
const newSession = (): SessionId => idOf<SessionId>(randomUUID());
const make = (fresh: FreshHandles, session: SessionId, node: NodeName, opening: Partial<Opening> = {}): string => {
  const id = randomUUID();
  const kept = { isPaid: false, isRecorded: false, isDoubtful: false, ...opening };
  fresh.make(id, { session } as FreshFile, kept as Opening, node);
  return id;
};
const later = (): Promise<string> => Promise.resolve('later');

test('a handle is fresh until its first read succeeds, and belongs to its session', async (t) => {
  const fresh = new FreshHandles();
  const [session, other] = [newSession(), newSession()];
  const id = make(fresh, session, a);
  t.equal(fresh.find(id, session)?.session, session);
  t.equal(fresh.find(id, other), undefined);
  t.equal(await fresh.read(id, other, async () => 'first', later), 'later', 'it is not fresh for another one');
  t.equal(await fresh.close(id, other), false);
  await t.rejects(
    fresh.read(id, session, () => Promise.reject(new Error('refused')), later),
    /refused/,
  );
  t.equal(await fresh.read(id, session, async () => 'first', later), 'first', 'a failed first read leaves it fresh');
  t.equal(await fresh.read(id, session, async () => 'first', later), 'later');
  t.equal(fresh.find(id, session), undefined);
});

test('one first read is under way at a time', async (t) => {
  const fresh = new FreshHandles();
  const session = newSession();
  const id = make(fresh, session, a);
  let end = (_: string): void => {};
  const first = fresh.read(id, session, () => new Promise<string>((resolve) => (end = resolve)), later);
  const second = fresh.read(id, session, async () => 'first again', later);
  const closing = fresh.close(id, session);
  end('first');
  t.same(await Promise.all([first, second]), ['first', 'later']);
  t.type(await closing, 'boolean', 'a CLOSE waits for it');
  t.equal(fresh.find(id, session), undefined);
});

test('a close of what was never tried leaves nothing; of what was tried, the rows say it', async (t) => {
  const fresh = new FreshHandles();
  const session = newSession();
  t.equal(await fresh.close(make(fresh, session, a), session), true);
  t.equal(await fresh.close(make(fresh, session, a, { isRecorded: true }), session), false);
});

test('through a handle of which nobody knows what is recorded nothing is read', async (t) => {
  const fresh = new FreshHandles();
  const session = newSession();
  const id = make(fresh, session, a);
  const lost = fresh.read(
    id,
    session,
    async (of) => {
      of.isDoubtful = true;
      throw new Error('the answer was lost');
    },
    later,
  );
  await t.rejects(lost, /lost/);
  t.ok(fresh.isDead(id));
  t.equal(fresh.find(id, session), undefined);
  t.equal(await fresh.close(id, session), false);
});

test('a session may look at so many files that it does not read', async (t) => {
  const fresh = new FreshHandles();
  const session = newSession();
  const ids = Array.from({ length: 256 }, () => make(fresh, session, a));
  t.notOk(fresh.hasRoom(session));
  t.ok(fresh.hasRoom(newSession()), 'another one');
  for (const id of ids.slice(1)) await fresh.close(id, session);
  t.notOk(fresh.hasRoom(session), 'to close them does not help');
  await fresh.read(ids[0] ?? '', session, async () => 'first', later);
  t.ok(fresh.hasRoom(session), 'to read one does');
});

test('a node forgets its own oldest handle, and the last ones of all have room', async (t) => {
  const fresh = new FreshHandles();
  const [honest, greedy] = [newSession(), newSession()];
  const kept = make(fresh, honest, b);
  const first = make(fresh, greedy, a);
  for (let i = 0; i < 2048; i += 1) make(fresh, greedy, a);
  t.equal(fresh.find(first, greedy), undefined, 'its own');
  t.ok(fresh.find(kept, honest), 'not that of another node');
  for (const node of ['c', 'd', 'e', 'f'] as NodeName[]) for (let i = 0; i < 2048; i += 1) make(fresh, greedy, node);
  t.equal(fresh.find(kept, honest), undefined, 'the oldest of all gives way in the end');
});
