// What a selection misses: each test is red where a deed of the selection is not counted.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { after, find, incidentWorld, print } from '../support/incident-world.ts';

const entriesOf = (found: Awaited<ReturnType<typeof find>>, id: string): number =>
  found.customers.find((one) => one.customerId === id)?.entries ?? 0;

test('an entry of the session after its end, in the window: the forged deposit is published', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, customers, history, scopes } = world;
  const who = world.newSession(accounts.partner, 'edge-1');
  await history.open(who, after(0), {
    credential: print('key'),
    source: '192.0.2.7',
    client: 'SSH-2.0-x',
    customer: customers.a,
  });
  const version = randomUUID();
  await history.add({
    kind: 'upload.closed',
    at: after(1),
    ...who,
    customer: customers.a,
    version,
    bytes: 9,
    public: { folder: 'deposit', path: '/pain' },
  });
  await history.add({
    kind: 'session.ended',
    at: after(2),
    ...who,
    customer: customers.a,
    public: { reason: 'closed' },
  });
  // As server/warden/transfers/sweeps.ts writes it, when the file has settled: with the session that wrote it, without
  // a node.
  await history.add({
    kind: 'file.published',
    at: after(3),
    account: who.account,
    session: who.session,
    customer: customers.a,
    version,
    public: { by: 'settled' },
  });
  const whole = await find(scopes, { credential: print('key') });
  t.equal(entriesOf(whole, customers.a), 4, 'without a window');
  const late = await find(scopes, { credential: print('key'), since: after(2.5).toISOString() });
  t.equal(entriesOf(late, customers.a), 1, 'the publication lies in the window and is of the session');
  t.equal(late.summary.isEmpty, false);
});

test('an entry that nobody but the owner of the database wrote makes an open session invisible', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, customers, folders, history, scopes } = world;
  const who = world.newSession(accounts.thief, 'edge-1');
  const version = await history.version(customers.b, folders.b, 'big', {
    account: accounts.stranger,
    published: after(-600),
  });
  await history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'SSH-2.0-x' });
  await history.add({
    kind: 'session.ended',
    at: after(1),
    session: who.session,
    account: who.account,
    node: who.node,
    public: { reason: 'closed' },
  });
  await history.read(
    who,
    after(6),
    { customer: customers.b, version, path: '/big' },
    { extents: [0], closed: { by: 'client', sent: 100 } },
  );
  const found = await find(scopes, { credential: print('key'), since: after(5).toISOString() });
  t.equal(found.files.length, 1, 'files');
  t.equal(entriesOf(found, customers.b), 3, 'entries');
});

test('what the operator did in a month that has left the database', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, customers, folders, history, scopes, sql } = world;
  const long = new Date(after(0).getTime() - 90 * 86_400_000);
  await history.add({
    kind: 'account.created',
    at: long,
    account: accounts.thief,
    operator: 'mallory',
    public: { name: 'pickup' },
    sensitive: { by: 'mallory' },
  });
  const who = world.newSession(accounts.thief, 'edge-1');
  const version = await history.version(customers.b, folders.b, 'big', {
    account: accounts.stranger,
    published: after(-600),
  });
  await history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'SSH-2.0-x' });
  await history.read(
    who,
    after(6),
    { customer: customers.b, version, path: '/big' },
    { extents: [0], closed: { by: 'client', sent: 100 } },
  );
  await history.end(who, after(10));
  // Somebody of whom there is something in the window, so that the answer is not empty.
  await history.add({
    kind: 'hold.placed',
    at: after(3),
    customer: customers.a,
    operator: 'mallory',
    sensitive: { by: 'mallory' },
  });
  const since = after(-60).toISOString();
  const before = await find(scopes, { operator: 'mallory', since });
  t.equal(before.files.length, 1, 'while the month is online');
  // The month leaves as archiving makes it leave.
  const month = long.toISOString().slice(0, 7);
  await sql.query(`alter table ledger_sealed detach partition ledger_sealed_${month.replace('-', '')}`);
  await sql.query(`drop table ledger_sealed_${month.replace('-', '')}`);
  const found = await find(scopes, { operator: 'mallory', since });
  t.not(found.summary.record.completeFrom, null, 'it says that what the operator did before was not looked at');
});
