// Indicators in the database: each type is found wherever it occurs, and similar values are not.
import { test } from 'tap';
import { digest } from '../support/history.ts';
import { after, incidentWorld, print } from '../support/incident-world.ts';

test('indicators are found wherever they occur, and similar values are not', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, customers, folders } = world;
  const certificate = 'cd'.repeat(32);
  for (const isFresh of [false, true]) {
    history.isFresh = isFresh;
    const who = world.newSession(accounts.thief, 'edge-1');
    const key = {
      credential: print('key'),
      also: 'password:abcdefgh',
      source: '192.0.2.7',
      client: 'SSH-2.0-rclone/v1.65',
    };
    await history.open(who, after(0), key);
    const version = await history.version(customers.a, folders.a, `file-${isFresh}`, {
      account: accounts.partner,
      published: after(-9),
    });
    await history.read(
      who,
      after(1),
      { customer: customers.a, version, path: `/file`, sha256: digest('file') },
      { extents: [0] },
    );
    await history.add({
      kind: 'login.refused',
      at: after(5),
      account: accounts.partner,
      credential: print('key'),
      source: '192.0.2.8',
      client: 'SSH-2.0-Go',
    });
    await history.add({
      kind: 'login.strangers',
      at: after(6),
      source: '2001:db8::',
      client: 'SSH-2.0-Go',
      public: { attempts: 3 },
    });
    await history.add({
      kind: 'operator.asked',
      at: after(7),
      operator: 'alice',
      sensitive: { certificate: { fingerprint: certificate, serial: '01' }, operation: 'whoami' },
    });
    await history.add({
      kind: 'login.refused',
      at: after(2),
      account: accounts.partner,
      credential: print('twice'),
      also: print('twice'),
    });
    await history.add({
      kind: 'account.changed',
      at: after(8),
      account: accounts.namesake,
      operator: 'alice',
      sensitive: { reason: 'r' },
    });
  }
  const look = async (type: Parameters<typeof scopes.hunt>[0][number]['type'], value: string) =>
    (await scopes.hunt([{ type, value }])).found[0];
  t.match(await look('fingerprint', print('key')), {
    index: 0,
    hits: 4,
    sessions: 2,
    accounts: ['bank-batch', 'pickup'],
    customers: [],
    kinds: [
      { kind: 'login.refused', count: 2 },
      { kind: 'session.opened', count: 2 },
    ],
    first: after(0).toISOString(),
    last: after(5).toISOString(),
    more: false,
  });
  t.match(await look('fingerprint', 'password:abcdefgh'), { hits: 2, accounts: ['pickup'] }, 'as second proof');
  t.match(
    await look('fingerprint', print('twice')),
    { hits: 2, kinds: [{ count: 2 }] },
    'an entry that names it twice is one',
  );
  t.match(await look('address', '192.0.2.7'), { hits: 2, sessions: 2, accounts: ['pickup'] });
  t.match(
    await look('address', '2001:db8::99'),
    { hits: 2, sessions: 0, kinds: [{ kind: 'login.strangers' }] },
    'strangers are kept by network',
  );
  t.match(await look('address', '2001:db8::'), { hits: 2 }, 'once, when the address is the network');
  t.match(await look('network', '192.0.2.0/24'), { hits: 4, sessions: 2 });
  t.match(await look('network', '192.0.2.8/31'), { hits: 2, kinds: [{ kind: 'login.refused' }] });
  t.match(await look('network', '2001:db8::/32'), { hits: 2 });
  t.match(await look('network', '2001:db8::/96'), { hits: 2 }, 'a network within what is kept');
  t.match(await look('client', 'RCLONE'), { hits: 2, accounts: ['pickup'] });
  t.match(await look('client', 'ssh-2.0'), { hits: 6 });
  t.match(await look('sha256', digest('file')), { hits: 2, customers: ['bank'], kinds: [{ kind: 'download.opened' }] });
  t.match(await look('sha256', certificate), { hits: 2, kinds: [{ kind: 'operator.asked' }] }, "an operator's key");
  t.match(await look('account', 'pickup-2'), { hits: 2, kinds: [{ kind: 'account.changed' }] });
  t.match(await look('account', 'pickup'), { hits: 2, sessions: 2 }, 'sessions, not everything that they did');
  for (const [type, value] of [
    ['fingerprint', print('key2')],
    ['address', '192.0.2.77'],
    ['address', '2001:db8:0:1::'],
    ['network', '192.0.20.0/24'],
    ['client', 'rclone_'],
    ['client', '%'],
    ['sha256', digest('other')],
    ['account', 'pick'],
  ] as const)
    t.equal(await look(type, value), undefined, `${type} ${value}`);
  const { found, completeFrom } = await scopes.hunt([
    { type: 'account', value: 'nobody' },
    { type: 'client', value: 'go' },
    { type: 'address', value: '192.0.2.7' },
    { type: 'client', value: 'go' },
  ]);
  t.same(
    found.map((one) => [one.index, one.hits]),
    [
      [1, 4],
      [2, 2],
      [3, 4],
    ],
    'in the order in which they were given',
  );
  t.equal(completeFrom, null);
});
