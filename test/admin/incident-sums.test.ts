// T-35: whatever an edge once stated about what it sent, the question whose files were exposed is answered.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { after, find, incidentWorld, print } from '../support/incident-world.ts';

const beyond = Number.MAX_SAFE_INTEGER;
const admin = join(import.meta.dirname, '..', '..', 'server', 'admin');

test('sums of what edges stated are answered, however large: of one file, of a customer, of everything', async (t) => {
  const world = await incidentWorld(t);
  const { accounts, history, scopes, customers, folders } = world;
  const thief = world.newSession(accounts.thief, 'edge-1');
  const options = { account: accounts.stranger, published: after(-600) };
  const version = await history.version(customers.b, folders.b, 'statement', options);
  const other = await history.version(customers.b, folders.b, 'other', options);
  await history.open(thief, after(0), { credential: print('key'), source: '192.0.2.7', client: 'SSH-2.0-x' });
  for (const [minutes, which, path] of [
    [1, version, '/statement'],
    [2, version, '/statement'],
    [3, other, '/other'],
  ] as const)
    await history.read(
      thief,
      after(minutes),
      { customer: customers.b, version: which, path },
      { extents: [0], closed: { by: 'client', sent: beyond } },
    );
  await history.add({
    kind: 'session.ended',
    at: after(9),
    ...thief,
    public: { reason: 'client-closed', bytesIn: '9'.repeat(30), bytesOut: beyond },
  });
  await history.add({
    kind: 'folder.listed',
    at: after(4),
    ...thief,
    customer: customers.b,
    public: { folder: 'collect', path: '/', names: beyond },
  });
  await history.add({
    kind: 'folder.listed',
    at: after(5),
    ...thief,
    customer: customers.b,
    public: { folder: 'collect', path: '/', names: beyond },
  });
  for (const attempts of [beyond, beyond])
    await history.add({
      kind: 'login.strangers',
      at: after(6),
      node: 'edge-1',
      source: '192.0.2.9',
      public: { attempts },
    });
  const found = await find(scopes, { node: 'edge-1' });
  t.same(
    found.files.map(({ path, sentBytes, certainty }) => [path, sentBytes, certainty]),
    [
      ['/other', beyond, 'certain'],
      ['/statement', beyond, 'certain'],
    ],
    'at least so much: the largest number that every reader holds exactly',
  );
  t.equal(found.summary.totals.sentBytes, beyond);
  t.equal(found.summary.totals.strangerLogins, beyond);
  t.same(
    found.names.map(({ names }) => names),
    [beyond],
  );
  t.match(found.sessions[0], { bytesIn: beyond, bytesOut: beyond });
  t.match(found.customers[0], { sentBytes: beyond, certain: 2 }, 'the twin: what is counted in files is exact');
});

test('every sum of a report uses whole_number: none can be too large to be answered', async (t) => {
  let sums = 0;
  for (const entry of readdirSync(admin, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('-queries.ts'),
  ))
    for (const line of readFileSync(join(admin, entry), 'utf8')
      .split('\n')
      .filter((text) => /\bsum\(/.test(text))) {
      sums += 1;
      t.match(line, /whole_number\(|order by coalesce\(sum\(|sum\(c\.reltuples\)/, `${entry}: ${line.trim()}`);
    }
  t.ok(sums >= 8, `${sums} lines with sums were found`);
});
