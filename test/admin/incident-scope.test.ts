// Which sessions and entries each selector of an incident finds, and how certain each exposure is.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { digest, type Who } from '../support/history.ts';
import { after, find, incidentWorld, paths, print, visit } from '../support/incident-world.ts';
import { newCustomer } from '../support/record.ts';
import { addDirectory } from '../support/rows.ts';

test('each selector finds its own sessions and not similar ones', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes } = world;
  const one = world.newSession(accounts.thief, 'edge-1');
  const two = world.newSession(accounts.thief, 'edge-10');
  const three = world.newSession(accounts.namesake, 'edge-1');
  const four = world.newSession(accounts.namesake, 'edge-2');
  await visit(world, one, 0, 'one', { credential: print('key'), source: '192.0.2.7', client: 'SSH-2.0-rclone/v1.65' });
  await visit(world, two, 100, 'two', {
    credential: print('other'),
    also: print('key'),
    source: '192.0.2.77',
    client: 'SSH-2.0-OpenSSH_9.6',
  });
  await visit(world, three, 200, 'three', {
    credential: print('key2'),
    source: '192.0.20.7',
    client: 'SSH-2.0-RClone',
  });
  await visit(world, four, 300, 'four', { credential: print('key3'), source: '2001:db8::7', client: 'SSH-2.0-Go' });
  const cases: readonly (readonly [string, Parameters<typeof find>[1], readonly string[]])[] = [
    ['credential, as first or second proof', { credential: print('key') }, ['/one', '/two']],
    ['account', { account: 'pickup' }, ['/one', '/two']],
    ['the account whose name begins like it', { account: 'pickup-2' }, ['/four', '/three']],
    ['network', { source: '192.0.2.0/24' }, ['/one', '/two']],
    ['address', { source: '192.0.2.7' }, ['/one']],
    ['network of IPv6', { source: '2001:db8::/64' }, ['/four']],
    ['the network of everything of IPv4', { source: '0.0.0.0/0' }, ['/one', '/three', '/two']],
    ['client, whatever the case', { client: 'RCLONE' }, ['/one', '/three']],
    ['client, no pattern', { client: '%' }, []],
    ['session', { session: three.session }, ['/three']],
    ['node, not the one whose name begins like it', { node: 'edge-1' }, ['/one', '/three']],
    ['both must hold', { node: 'edge-1', account: 'pickup' }, ['/one']],
    [
      'all of them',
      {
        credential: print('key'),
        account: 'pickup',
        source: '192.0.2.7',
        client: 'rclone',
        session: one.session,
        node: 'edge-1',
      },
      ['/one'],
    ],
    [
      'all but one',
      {
        credential: print('key'),
        account: 'pickup',
        source: '192.0.2.8',
        client: 'rclone',
        session: one.session,
        node: 'edge-1',
      },
      [],
    ],
    ['nobody', { credential: print('nobody') }, []],
  ];
  for (const [name, selection, expected] of cases) {
    const found = await find(scopes, selection);
    t.same(paths(found), expected, name);
    t.equal(found.sessions.length, expected.length, `${name}: the sessions`);
    t.equal(found.summary.totals.certain, expected.length, `${name}: the totals`);
  }
  const { sessions } = await find(scopes, { session: one.session });
  t.match(sessions[0], {
    session: one.session,
    account: 'pickup',
    node: 'edge-1',
    credential: print('key'),
    source: '192.0.2.7',
    client: 'SSH-2.0-rclone/v1.65',
    start: after(0).toISOString(),
    end: after(10).toISOString(),
    reason: 'closed',
    opened: { proofs: ['public-key', 'totp'], cipherIn: 'aes' },
  });
  await t.rejects(find(scopes, { account: 'pickup-3' }), { message: /not-found: there is no account named pickup-3/ });

  history.isFresh = true;
  await visit(world, world.newSession(accounts.thief, 'edge-1'), 400, 'fresh', {
    credential: print('key'),
    source: '192.0.2.7',
    client: 'x',
  });
  t.same(
    paths(await find(scopes, { credential: print('key') })),
    ['/fresh', '/one', '/two'],
    'what has no seal yet counts',
  );
  t.equal((await find(scopes, { credential: print('key') })).summary.record.unsealed > 0, true);
});

test('a window selects entries, from its beginning and before its end', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, customers, folders } = world;
  const who = world.newSession(accounts.thief, 'edge-1');
  const file = async (name: string) => ({
    customer: customers.a,
    version: await history.version(customers.a, folders.a, name, { account: accounts.partner, published: after(-600) }),
    path: `/${name}`,
  });
  const grant = async (
    name: string,
    minutes: number,
    closed?: { by: string; sent: number; minutes: number },
  ): Promise<void> => {
    const { customer, version, path } = await file(name);
    const base = { ...who, customer, version, handle: randomUUID() };
    await history.add({
      ...base,
      kind: 'download.opened',
      at: after(0.5),
      bytes: 100,
      public: { folder: 'collect', path, sha256: digest(name), extentCount: 1 },
    });
    await history.add({ ...base, kind: 'extent.granted', at: after(minutes), extent: 0, bytes: 100 });
    if (closed !== undefined)
      await history.add({
        ...base,
        kind: 'download.closed',
        at: after(closed.minutes),
        bytes: closed.sent,
        public: { by: closed.by },
      });
  };
  await history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'x' });
  await grant('before', 9.99);
  await grant('at-since', 10);
  await grant('closed-later', 15, { by: 'client', sent: 100, minutes: 40 });
  await grant('cut-later', 15, { by: 'cut', sent: 100, minutes: 40 });
  await grant('nothing-later', 15, { by: 'cut', sent: 0, minutes: 40 });
  await grant('at-until', 20);
  await grant('released-before-closed-in', 5, { by: 'client', sent: 100, minutes: 15 });
  // The keys were in its hands all the time, and no entry of this file lies in the window.
  await grant('open-throughout', 5, { by: 'client', sent: 100, minutes: 40 });
  await grant('closed-before', 5, { by: 'client', sent: 100, minutes: 9.9 });
  await grant('cut-before', 5, { by: 'cut', sent: 0, minutes: 9.9 });
  await history.end(who, after(60));
  const early = world.newSession(accounts.thief, 'edge-1');
  await history.open(early, after(-100), { credential: print('key'), source: '192.0.2.7', client: 'x' });
  await history.end(early, after(9));
  const window = { since: after(10).toISOString(), until: after(20).toISOString() };
  for (const selection of [
    { credential: print('key') },
    { node: 'edge-1' },
    { account: 'pickup' },
    { session: who.session },
  ]) {
    const found = await find(scopes, { ...selection, ...window });
    const name = Object.keys(selection)[0];
    t.same(
      found.files.map((row) => [row.path, row.certainty, row.releasedBytes, row.sentBytes]).sort(),
      [
        ['/at-since', 'possible', 100, 0],
        ['/before', 'possible', 100, 0],
        ['/closed-later', 'certain', 100, 100],
        ['/cut-later', 'possible', 100, 100],
        ['/nothing-later', 'unsent', 100, 0],
        ['/open-throughout', 'certain', 100, 100],
        ['/released-before-closed-in', 'certain', 100, 100],
      ],
      `${name}: named and judged by what lies outside`,
    );
    t.same(
      found.sessions.map((row) => row.session),
      [who.session],
      `${name}: only sessions of the window`,
    );
  }
  const whole = await find(scopes, { credential: print('key') });
  t.equal(whole.files.length, 10, 'without a window everything');
  t.equal(whole.sessions.length, 2);
});

test('whoever had a handle open all the time is concerned, though no entry lies in the window', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, customers, folders } = world;
  const who = world.newSession(accounts.thief, 'edge-1');
  const handles = { read: randomUUID(), write: randomUUID(), ended: randomUUID() };
  const version = await history.version(customers.a, folders.a, 'one', {
    account: accounts.partner,
    published: after(-600),
  });
  await history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'x' });
  const read = { ...who, customer: customers.a, version, handle: handles.read };
  await history.add({
    ...read,
    kind: 'download.opened',
    at: after(1),
    bytes: 100,
    public: { path: '/one', extentCount: 1 },
  });
  await history.add({ ...read, kind: 'extent.granted', at: after(2), extent: 0, bytes: 100 });
  const write = { ...who, customer: customers.b, version: randomUUID(), handle: handles.write };
  await history.add({
    ...write,
    kind: 'upload.opened',
    at: after(3),
    public: { folder: 'deposit', path: '/in', storedBytes: 0 },
  });
  const ended = { ...who, customer: customers.b, version: randomUUID(), handle: handles.ended };
  await history.add({
    ...ended,
    kind: 'upload.opened',
    at: after(3),
    public: { folder: 'deposit', path: '/cut', storedBytes: 0 },
  });
  await history.add({ ...ended, kind: 'upload.interrupted', at: after(4), public: { storedBytes: 0 } });
  await history.end(who, after(60));
  for (const selection of [{ credential: print('key') }, { node: 'edge-1' }]) {
    const name = Object.keys(selection)[0];
    const within = await find(scopes, { ...selection, since: after(10).toISOString(), until: after(20).toISOString() });
    t.same(paths(within), ['/one'], `${name}: the file`);
    t.same(
      within.deposits.map((row) => row.path),
      ['/in'],
      `${name}: the deposit, and not the one that was cut before`,
    );
    t.same(
      within.customers.map((row) => row.entries > 0),
      [true, true],
      `${name}: nobody tells these customers that nothing of theirs was touched`,
    );
    t.equal(within.sessions.length, 1, `${name}: the session`);
    t.match(
      within.summary.window,
      { since: after(10).toISOString() },
      `${name}: the window is the one that was asked for`,
    );
    const later = await find(scopes, { ...selection, since: after(61).toISOString(), until: after(70).toISOString() });
    t.same([...paths(later), ...later.sessions], [], `${name}: twin: after the session ended`);
  }
});

test('how certain an exposure is, extent by extent', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, customers, folders, sql } = world;
  const who = world.newSession(accounts.thief, 'edge-1');
  const second = world.newSession(accounts.thief, 'edge-1');
  for (const one of [who, second])
    await history.open(one, after(0), { credential: print('key'), source: '192.0.2.7', client: 'x' });
  const made = (name: string, extents = 1) =>
    history.version(customers.a, folders.a, name, { account: accounts.partner, published: after(-600), extents });
  const read = async (
    name: string,
    ...handles: readonly { extents: readonly number[]; closed?: { by: string; sent: number }; who?: Who }[]
  ): Promise<string> => {
    const version = await made(name, 4);
    for (const handle of handles)
      await history.read(
        handle.who ?? who,
        after(1),
        { customer: customers.a, version, path: `/${name}`, extentCount: 4 },
        { ...handle, bytes: 10 },
      );
    return version;
  };
  const client = (sent: number) => ({ by: 'client', sent });
  const cut = (sent: number) => ({ by: 'cut', sent });
  await read('certain', { extents: [0, 1, 1, 0], closed: client(15) });
  await read(
    'cut-and-closed',
    { extents: [0, 1], closed: cut(20) },
    { extents: [1, 2], closed: client(1), who: second },
  );
  await read('cut', { extents: [0], closed: cut(3) });
  await read('open', { extents: [3] });
  await read('open-and-empty', { extents: [3] }, { extents: [3], closed: client(0) });
  await read('closed-empty', { extents: [0], closed: client(0) }, { extents: [1], closed: cut(0) });
  await read('only-opened', { extents: [] });
  await read('opened-and-closed', { extents: [], closed: client(0) });
  const empty = await history.version(customers.a, folders.a, 'empty', {
    account: accounts.partner,
    published: after(-600),
    extents: 0,
    size: 0,
  });
  await history.read(
    who,
    after(1),
    { customer: customers.a, version: empty, path: '/empty', extentCount: 0, size: 0 },
    { extents: [], closed: client(0) },
  );
  const upload = randomUUID();
  const hashed = await history.version(customers.a, folders.aDeposit, 'hashed', {
    account: accounts.partner,
    published: after(-600),
  });
  const base = { ...who, customer: customers.a, version: hashed, handle: upload };
  await history.add({
    ...base,
    kind: 'upload.opened',
    at: after(1),
    public: { folder: 'deposit', path: '/hashed', storedBytes: 20 },
  });
  for (const extent of [0, 1]) await history.add({ ...base, kind: 'extent.verified', at: after(2), extent, bytes: 10 });
  const found = await find(scopes, { credential: print('key') });
  t.same(
    found.files
      .map((row) => [
        row.path,
        row.certainty,
        row.releasedExtents,
        row.releasedBytes,
        row.verifiedExtents,
        row.sentBytes,
        row.handles,
      ])
      .sort(),
    [
      ['/certain', 'certain', 2, 20, 0, 15, 1],
      ['/closed-empty', 'unsent', 2, 20, 0, 0, 2],
      ['/cut', 'possible', 1, 10, 0, 3, 1],
      ['/cut-and-closed', 'certain', 3, 30, 0, 21, 2],
      ['/empty', 'unsent', 0, 0, 0, 0, 1],
      ['/hashed', 'unsent', 2, 20, 2, 0, 1],
      ['/open', 'possible', 1, 10, 0, 0, 1],
      ['/open-and-empty', 'possible', 1, 10, 0, 0, 2],
    ],
    'repeats count once; what was only opened is not released',
  );
  t.match(found.summary.totals, {
    certain: 2,
    possible: 3,
    unsent: 3,
    releasedBytes: 120,
    sentBytes: 39,
    customers: 1,
    unknownVersions: 0,
    differing: 0,
  });
  t.match(
    found.files.find((row) => row.path === '/certain'),
    {
      customer: 'bank',
      folder: 'collect',
      extents: 4,
      size: 100,
      sha256: digest('certain'),
      deposited: after(-600).toISOString(),
      differs: [],
      state: 'published',
    },
  );
  t.same(
    found.unread.map((row) => row.path).sort(),
    ['/empty', '/only-opened', '/opened-and-closed'],
    'what it could have read in folders that it may read; deposits it may only list',
  );
  t.same([found.summary.totals.unread, found.customers[0]?.unread], [3, 3]);
  const short = await find(scopes, { credential: print('key') }, false);
  t.same(
    [short.unread.length, short.summary.totals.unread, short.summary.totals.unreadBytes],
    [0, 3, 200],
    'the same total without the list',
  );

  const directory = await addDirectory(sql, { customer: customers.a, folder: folders.a, name: 'deep' });
  const deep = await history.version(customers.a, folders.a, 'file', {
    account: accounts.partner,
    directory,
    published: after(-600),
  });
  await history.read(who, after(3), { customer: customers.a, version: deep, path: '/deep/file' }, { extents: [0] });
  const missing = randomUUID();
  await history.read(who, after(3), { customer: customers.a, version: missing, path: '/gone' }, { extents: [0] });
  const other = await made('renamed');
  await history.read(
    who,
    after(3),
    { customer: customers.a, version: other, path: '/before', sha256: digest('before'), size: 7 },
    { extents: [0] },
  );
  const nameless = await made('nameless');
  await history.add({
    ...who,
    kind: 'extent.granted',
    at: after(3),
    customer: customers.a,
    version: nameless,
    handle: randomUUID(),
    extent: 0,
    bytes: 10,
  });
  const orphan = randomUUID();
  await history.add({
    ...who,
    kind: 'extent.granted',
    at: after(3),
    customer: orphan,
    version: orphan,
    handle: randomUUID(),
    extent: 0,
    bytes: 10,
  });
  const more = await find(scopes, { credential: print('key') });
  const row = (version: string) => more.files.find((one) => one.version === version);
  t.match(row(deep), { path: '/deep/file', differs: [] }, 'a file in a directory is where the record says');
  t.match(
    row(missing),
    { path: '/gone', folder: 'collect', sha256: digest('gone'), state: null, certainty: 'possible', differs: [] },
    'what the catalogue lost is listed from the record',
  );
  t.match(
    row(other),
    { path: '/before', sha256: digest('before'), size: 7, differs: ['sha256', 'size'] },
    "the record's word is shown, the difference marked",
  );
  t.match(
    row(nameless),
    { path: '/nameless', folder: 'collect', sha256: digest('nameless') },
    'the catalogue names what the record does not',
  );
  t.match(
    row(orphan),
    { customer: null, customerId: orphan, path: null, folder: null, size: null },
    'not even the customer is known: listed all the same',
  );
  t.match(more.summary.totals, { unknownVersions: 2, differing: 1, customers: 2 });
});

test('an answer is made in halves of the customers: each customer once, in order, also unknown customers and no customer', async (t) => {
  const world = await incidentWorld(t);
  const { scopes, sql, accounts, customers, history } = world;
  const who = world.newSession(accounts.thief, 'edge-1');
  await history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'x' });
  const more: string[] = [];
  for (const name of ['zz-bank', 'aa-bank', 'mm-bank', 'b2-bank']) more.push(await newCustomer(sql, name));
  const unknown = randomUUID();
  const all = [customers.a, customers.b, ...more, unknown, null];
  await sql.query(
    `insert into ledger_fresh (at, kind, observer, customer_id, account_id, session_id, node, handle_id, version_id, extent, bytes, public)
     select $1::timestamptz + i * interval '1 ms', k, 'warden', c.id, $2, $3, 'edge-1', md5('h' || i || n)::uuid, md5('v' || i || n)::uuid, case k when 'extent.granted' then 0 end, 100,
       case k when 'download.opened' then jsonb_build_object('folder', 'collect', 'path', '/' || i, 'sha256', repeat('a', 64), 'extentCount', 1) else '{}' end
     from unnest($4::uuid[]) with ordinality c(id, n), generate_series(1, 5) i, unnest(array['download.opened', 'extent.granted']) k`,
    [after(1), who.account, who.session, all],
  );
  const found = await find(scopes, { credential: print('key') });
  t.equal(found.files.length, all.length * 5, 'every file once');
  t.equal(new Set(found.files.map((row) => row.version)).size, found.files.length);
  const named = found.files.map((row) => row.customer).filter((name) => name !== null);
  t.same(
    named,
    [...named].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    'in the order of their names',
  );
  t.same(
    found.files.slice(named.length).map((row) => row.customerId),
    [...Array(5).fill(unknown), ...Array(5).fill(null)],
    'the others at the end',
  );
  t.same(
    found.files.map((row) => row.path),
    all.flatMap(() => ['/1', '/2', '/3', '/4', '/5']),
  );
  for (const customerId of all.filter((id) => id !== null)) {
    const { rows } = scopes.page('alice', { scope: found.scope, part: 'files', customerId });
    t.equal(rows.length, 5, 'each of its own');
  }
  t.match(found.summary.totals, { possible: all.length * 5, releasedBytes: all.length * 500 });
});
