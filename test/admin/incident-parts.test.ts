// The parts of an answer about an incident: what was read and could have been, names, deposits, failed logins,
// operators.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { idOf, type SessionId } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { digest } from '../support/history.ts';
import { after, type Found, find, incidentWorld, paths, print, visit } from '../support/incident-world.ts';
import { addCredential, addRight, addSession } from '../support/rows.ts';

const destroy = (sql: TestDatabase, version: string): Promise<unknown> =>
  sql.query("update version set state = 'destroyed' where id = $1 and state = 'withdrawn'", [version]);

test('what could be read depends on the time', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, customers, folders } = world;
  const who = world.newSession(accounts.thief, 'edge-1');
  await history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'x' });
  await history.end(who, after(100));
  const made = (name: string, published: number, withdrawn?: number, folder = folders.a, customer = customers.a) =>
    history.version(customer, folder, name, {
      account: accounts.partner,
      published: after(published),
      ...(withdrawn === undefined ? {} : { withdrawn: after(withdrawn) }),
    });
  await made('there', -10);
  await made('left-during', -10, 5);
  await made('left-before', -10, -1);
  // What was there then was there, whatever became of it since.
  await destroy(world.sql, await made('destroyed-since', -10, 5));
  await destroy(world.sql, await made('destroyed-before', -10, -1));
  await made('came-during', 50);
  await made('came-after', 101);
  await made('not-its-right', -10, undefined, folders.b, customers.b);
  await made('not-its-verb', -10, undefined, folders.aDeposit);
  const names = (found: Found): readonly string[] => found.unread.map((row) => row.path ?? '').sort();
  t.same(names(await find(scopes, { account: 'pickup' })), [
    '/came-during',
    '/destroyed-since',
    '/left-during',
    '/there',
  ]);
  const late = { since: after(6).toISOString() };
  t.same(names(await find(scopes, { account: 'pickup', ...late })), ['/came-during', '/there'], 'since then');
  const early = { until: after(49).toISOString() };
  t.same(
    names(await find(scopes, { account: 'pickup', ...early })),
    ['/destroyed-since', '/left-during', '/there'],
    'until then',
  );
  t.same(names(await find(scopes, { account: 'pickup-2' })), [], 'whoever had no session could read nothing');
});

test('what was read is no longer listed as unread, in both halves of the customers', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, customers, folders, sql } = world;
  await addRight(sql, { account: accounts.thief, customer: customers.b, folder: folders.b });
  const who = world.newSession(accounts.thief, 'edge-1');
  await history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'x' });
  for (const [customer, folder, half] of [
    [customers.a, folders.a, 'a'],
    [customers.b, folders.b, 'b'],
  ] as const) {
    for (const name of ['read', 'left', 'opened']) {
      const version = await history.version(customer, folder, `${half}-${name}`, {
        account: accounts.partner,
        published: after(-10),
      });
      const file = { customer, version, path: `/${half}-${name}` };
      if (name === 'read')
        await history.read(who, after(1), file, { extents: [0], closed: { by: 'client', sent: 100 } });
      // Without a key nothing was read.
      if (name === 'opened')
        await history.read(who, after(1), file, { extents: [], closed: { by: 'client', sent: 0 } });
    }
  }
  await history.end(who, after(10));
  // In one go for a session of a small record, by halves for one of a large record.
  for (const isLarge of [false, true]) {
    if (isLarge) {
      const filler = { kind: 'witness.recovered', at: after(-60) };
      for (let i = 0; i < 500; i += 1) await history.add(filler);
      await sql.query('analyze ledger_sealed');
    }
    const scopeOf = async (isListed: boolean): Promise<Found> => {
      const found = await find(scopes, { credential: print('key') }, isListed);
      t.equal(found.summary.totals.unread, 4);
      return found;
    };
    const found = await scopeOf(true);
    t.same(
      found.unread.map((row) => [row.customer, row.path]),
      [
        ['bank', '/a-left'],
        ['bank', '/a-opened'],
        ['bank-2', '/b-left'],
        ['bank-2', '/b-opened'],
      ],
      isLarge ? 'by halves' : 'in one go',
    );
    t.same(paths(found), ['/a-read', '/b-read']);
    const short = await scopeOf(false);
    t.same(
      [short.unread.length, short.summary.totals.unreadBytes],
      [0, found.summary.totals.unreadBytes],
      'the totals say the same',
    );
  }
});

test('names, deposits, failed logins and what operators did are each reported', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, customers, folders } = world;
  const who = world.newSession(accounts.partner, 'edge-1');
  const key = { credential: print('key'), source: '192.0.2.7', client: 'SSH-2.0-evil' };
  await history.open(who, after(0), { ...key, customer: customers.a });
  for (const [minutes, names, path] of [
    [1, 3, '/'],
    [2, 5, '/'],
    [3, 2, '/deep'],
  ] as const)
    await history.add({
      ...who,
      kind: 'folder.listed',
      at: after(minutes),
      customer: customers.a,
      public: { folder: 'deposit', path, names, after: null },
    });
  const put = async (name: string, ends: readonly string[]): Promise<void> => {
    const version = await history.version(customers.a, folders.aDeposit, name, {
      account: accounts.partner,
      published: after(1),
    });
    const base = { ...who, customer: customers.a, version, handle: randomUUID() };
    await history.add({
      ...base,
      kind: 'upload.opened',
      at: after(5),
      public: { folder: 'deposit', path: `/${name}`, storedBytes: 0 },
    });
    for (const kind of ends)
      await history.add({
        ...base,
        kind,
        at: after(6),
        ...(kind === 'upload.closed'
          ? { bytes: 100, public: { folder: 'deposit', path: `/${name}`, sha256: digest(name) } }
          : { public: { storedBytes: 40 } }),
      });
  };
  await put('whole', ['upload.closed']);
  await put('cut', ['upload.interrupted']);
  await put('open', []);
  await put('resumed', ['upload.interrupted', 'upload.closed']);
  const failed = async (kind: string, facts: object, minutes = 10): Promise<void> => {
    await history.add({ kind, at: after(minutes), node: 'edge-1', ...facts });
  };
  await failed('login.refused', { ...key, account: accounts.partner, customer: customers.a });
  await failed('login.refused', {
    credential: print('key2'),
    source: '192.0.2.9',
    client: 'x',
    account: accounts.thief,
  });
  await failed('login.partial', { ...key, account: accounts.partner, customer: customers.a });
  await failed('session.refused', { ...key, account: accounts.partner, customer: customers.a });
  await failed('login.strangers', { source: '192.0.2.7', client: 'SSH-2.0-Go', public: { attempts: 12 } });
  await failed('login.strangers', { source: '2001:db8::', client: 'SSH-2.0-Go', public: { attempts: 5 } });
  const found = await find(scopes, { credential: print('key') });
  t.same(
    found.names.map((row) => [row.customer, row.folder, row.path, row.names, row.times, row.first, row.last]),
    [
      ['bank', 'deposit', '/', 8, 2, after(1).toISOString(), after(2).toISOString()],
      ['bank', 'deposit', '/deep', 2, 1, after(3).toISOString(), after(3).toISOString()],
    ],
  );
  t.same(found.deposits.map((row) => [row.path, row.state, row.size, row.sha256]).sort(), [
    ['/cut', 'interrupted', 40, null],
    ['/open', 'opened', 0, null],
    ['/resumed', 'closed', 100, digest('resumed')],
    ['/whole', 'closed', 100, digest('whole')],
  ]);
  t.match(found.summary.totals, {
    refusedLogins: 1,
    partialLogins: 1,
    refusedSessions: 1,
    strangerLogins: 0,
    oddEntries: 0,
    names: 10,
    deposits: 4,
    depositBytes: 240,
  });
  t.same(
    found.traces.map((row) => [row.customer, row.kind, row.account, row.at]),
    [['login.refused'], ['login.partial'], ['session.refused']].map(([kind]) => [
      'bank',
      kind,
      'bank-batch',
      after(10).toISOString(),
    ]),
    'failed logins with it, each of its customer',
  );
  t.match(found.customers, [{ customer: 'bank', failedLogins: 3 }]);
  t.match((await find(scopes, { session: who.session })).traces, [], 'the twin: a session says nothing of logins');
  // A key that somebody had registered, and that nobody used yet.
  const planted = { credential: print('unused'), account: accounts.stranger, customer: customers.b, operator: 'carol' };
  await history.add({ kind: 'credential.added', at: after(30), ...planted });
  await history.add({ kind: 'credential.revoked', at: after(50), ...planted });
  const made = await find(scopes, { credential: print('unused') });
  t.same(
    made.traces.map((row) => [row.customer, row.kind, row.account]),
    [['bank-2', 'credential.added', 'bank-2-batch']],
    'how the key came to be usable, though no session did it; what ended it is no exposure',
  );
  t.match(made.customers, [{ customer: 'bank-2', entries: 1, failedLogins: 0 }]);
  const twins = [
    { credential: print('unused'), since: after(31).toISOString() },
    { account: 'bank-2-batch' },
    { node: 'edge-2' },
  ];
  for (const twin of twins) t.same((await find(scopes, twin)).traces, [], `twin: ${JSON.stringify(twin)}`);
  const none = await find(scopes, { credential: print('nobody') });
  t.match([none.summary.isEmpty, none.summary.unknown, none.traces], [true, [`credential ${print('nobody')}`], []]);
  for (const [selection, word] of [
    [{ source: '198.51.100.0/24' }, 'source 198.51.100.0/24'],
    [{ client: 'PuTTY' }, 'client PuTTY'],
    [{ session: '00000000-0000-4000-8000-000000000001' }, 'session 00000000-0000-4000-8000-000000000001'],
  ] as const)
    t.same((await find(scopes, selection)).summary.unknown, [word]);
  t.same(
    (await find(scopes, { credential: print('key'), since: after(1000).toISOString() })).summary.unknown,
    [],
    'known, and nothing then',
  );
  await t.rejects(
    find(scopes, { credential: print('key'), since: new Date(Date.now() + 60_000).toISOString() }),
    /invalid.*in the future/,
  );
  t.match((await find(scopes, { source: '192.0.2.0/24' })).summary.totals, {
    refusedLogins: 2,
    partialLogins: 1,
    refusedSessions: 1,
    strangerLogins: 12,
    oddEntries: 0,
  });
  t.match(
    (await find(scopes, { source: '2001:db8::99' })).summary.totals,
    { strangerLogins: 5, refusedLogins: 0 },
    'strangers of IPv6 are counted by network',
  );
  t.match((await find(scopes, { source: '2001:db8:0:1::99' })).summary.totals, { strangerLogins: 0 });
  t.match((await find(scopes, { client: 'go' })).summary.totals, { strangerLogins: 17 });
  t.match((await find(scopes, { credential: print('key'), since: after(10.1).toISOString() })).summary.totals, {
    refusedLogins: 0,
  });
  t.match(
    (await find(scopes, { session: who.session })).summary.totals,
    { refusedLogins: 0 },
    'a session says nothing of logins',
  );

  const later = world.newSession(accounts.thief, 'edge-1');
  const newKey = world.newSession(accounts.namesake, 'edge-1');
  const before = world.newSession(accounts.thief, 'edge-1');
  await visit(world, before, 20, 'before', { credential: print('old'), source: '10.0.0.1', client: 'x' });
  await history.add({
    kind: 'account.changed',
    at: after(40),
    account: accounts.thief,
    operator: 'mallory',
    sensitive: { reason: 'r', by: 'operator mallory' },
  });
  await history.add({
    kind: 'credential.added',
    at: after(41),
    credential: print('planted'),
    operator: 'bob mallory',
    sensitive: { by: 'bob, approved by mallory' },
  });
  await history.add({ kind: 'operator.asked', at: after(42), operator: 'mallory-2', sensitive: {} });
  await visit(world, later, 50, 'later', { credential: print('old'), source: '10.0.0.1', client: 'x' });
  await visit(world, newKey, 60, 'planted', { credential: print('planted'), source: '10.0.0.1', client: 'x' });
  const operator = await find(scopes, { operator: 'mallory' });
  t.same(paths(operator), ['/later', '/planted'], 'the sessions of what was touched, from then on');
  t.same(
    operator.actions.map((row) => [row.kind, row.operator, row.account, row.credential]),
    [
      ['account.changed', 'mallory', 'pickup', null],
      ['credential.added', 'bob mallory', null, print('planted')],
    ],
    'alone or with another; nobody whose name begins like it',
  );
  t.match(operator.actions[0]?.facts, { reason: 'r' });
  t.same(paths(await find(scopes, { operator: 'mallory', account: 'pickup' })), ['/later'], 'both must hold');
  t.same(paths(await find(scopes, { operator: 'bob' })), ['/planted']);
  t.same(paths(await find(scopes, { operator: 'mallory-2' })), []);
  await t.rejects(find(scopes, { operator: 'mallor' }), { message: /not-found: there is no operator named mallor:/ });
  await t.rejects(find(scopes, { node: 'edge' }), { message: /not-found: there is no edge named edge:/ });
  t.same(
    paths(await find(scopes, { operator: 'mallory', until: after(40.5).toISOString() })),
    [],
    'nothing of what came later',
  );
});

test('archived months are reported prominently, and the catalogue knows the sessions that began there', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, sql, customers, folders } = world;
  const early = new Date('2026-02-27T00:00:00.000Z');
  const who = world.newSession(accounts.thief, 'edge-1');
  await history.open(who, early, { credential: print('key'), source: '192.0.2.7', client: 'old-client' });
  const version = await history.version(customers.a, folders.a, 'file', {
    account: accounts.partner,
    published: early,
  });
  await history.read(
    who,
    after(0),
    { customer: customers.a, version, path: '/file' },
    { extents: [0], closed: { by: 'client', sent: 1 } },
  );
  t.equal((await find(scopes, { credential: print('key') })).summary.record.completeFrom, null, 'everything is there');
  const account = accounts.thief;
  const credential = await addCredential(sql, { account, fingerprint: print('key') });
  await addSession(sql, {
    id: idOf<SessionId>(who.session),
    account,
    credential,
    node: 'edge-1',
    source: '192.0.2.7',
    client: 'old-client',
    startedAt: early,
    expiresAt: 'now()',
  });
  await sql.query('drop table ledger_sealed_202602');
  for (const selection of [
    { credential: print('key') },
    { source: '192.0.2.0/24' },
    { client: 'OLD' },
    { account: 'pickup' },
    { session: who.session },
    { node: 'edge-1' },
  ]) {
    const found = await find(scopes, selection);
    t.equal(found.summary.record.completeFrom, '2026-03-01T00:00:00.000Z');
    t.same(paths(found), ['/file'], Object.keys(selection).join());
    t.match(found.sessions, [{ session: who.session, credential: print('key'), opened: null }]);
  }
  t.same(paths(await find(scopes, { credential: print('key2') })), []);
  const march = await find(scopes, { credential: print('key'), since: '2026-03-05T00:00:00.000Z' });
  t.equal(march.summary.record.completeFrom, null, 'a window that is online is complete');
  t.same(paths(march), ['/file']);
  await sql.query("update session set state = 'ended', ended_at = started_at + interval '1 hour' where id = $1", [
    who.session,
  ]);
  const ended = await find(scopes, { credential: print('key'), since: '2026-03-05T00:00:00.000Z' });
  t.same(paths(ended), ['/file'], 'nor does an end that only the catalogue tells take anything away');
});

test('the record is read as the database role of the admin process: behind row-level security, and only by system transactions', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, scopes, sql, customers } = world;
  const who = world.newSession(accounts.namesake, 'edge-1');
  await visit(world, who, 0, 'file', { credential: print('key'), source: '192.0.2.7', client: 'x' });
  t.equal((await find(scopes, { account: 'pickup-2' })).files.length, 1);
  const database = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => database.close());
  const seen = (scope: readonly string[]): Promise<number> =>
    database.withCustomers(
      scope as never,
      async (tx) =>
        (await tx.query<{ n: number }>("select count(*) as n from ledger where kind = 'extent.granted'"))[0]?.n ?? -1,
    );
  t.equal(await seen([customers.b]), 1);
  t.equal(await seen([customers.a]), 0, 'another customer sees nothing of it');
  await t.rejects(
    database.withSnapshot({ timeoutMs: 1000, workMemory: '256MB', signal: new AbortController().signal }, (snapshot) =>
      snapshot.query("insert into ledger_fresh (kind, observer) values ('x', 'admin')"),
    ),
    'a snapshot changes nothing',
  );
});
