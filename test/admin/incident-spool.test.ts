// The spool of an answer: every row once, bounded in length and age, and no file that stays.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { Spool } from '../../server/admin/incident/spool.ts';
import { after, find, incidentWorld, print } from '../support/incident-world.ts';

const frameMax = 128 * 1024;

/** Every row of a part, or of one group of it, page by page. */
function all(spool: Spool, part: string, group?: string): readonly unknown[] {
  const list: unknown[] = [];
  for (let offset: number | null = 0; offset !== null; ) {
    const page = spool.page(part, group, offset);
    if (Buffer.byteLength(JSON.stringify(page.rows)) > 5002) throw new Error('a page is longer than it may be');
    list.push(...page.rows);
    offset = page.next;
  }
  return list;
}

test('a spool returns every row once, of all groups or of one, and leaves no file', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-spool-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const spool = new Spool(directory, { bytesMax: 10_000_000, pageBytesMax: 5000 });
  t.same(readdirSync(directory), [], 'its file has no name');
  const rows = Array.from({ length: 3000 }, (_, i) => ({ i, text: `${'ü\n"'.repeat(i % 40)}` }));
  for (const row of rows) spool.add('files', `group-${Math.floor(row.i / 1000)}`, row);
  spool.add('names', '', { i: 'other' });
  spool.flush();
  t.same(all(spool, 'files'), rows);
  t.same(all(spool, 'files', 'group-1'), rows.slice(1000, 2000));
  t.same(all(spool, 'names'), [{ i: 'other' }]);
  t.same(all(spool, 'files', 'group-9'), []);
  t.same(all(spool, 'deposits'), []);
  t.equal(spool.rowsOf('files'), 3000);
  for (const offset of [1, 7, 10_000_000, Number.MAX_SAFE_INTEGER])
    t.throws(() => spool.page('files', undefined, offset), { code: 'invalid' }, `offset ${offset}`);
  t.throws(() => spool.add('files', 'group-0', {}), /do not stand together/);
  spool.close();
  t.throws(() => spool.page('files', undefined, 0), { code: 'not-found' });
  const small = new Spool(directory, { bytesMax: 100, pageBytesMax: 50 });
  small.add('files', '', 'x'.repeat(90));
  t.throws(() => small.add('files', '', 'x'.repeat(90)), { code: 'over-limit' });
  small.close();
});

test('an answer that is written into several files is one in the end', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-spool-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const spool = new Spool(directory, { bytesMax: 20_000_000, pageBytesMax: 5000 });
  const [one, two, three] = [spool.beside(), spool.beside(), spool.beside()];
  const rows = Array.from({ length: 90_000 }, (_, i) => ({ i, text: 'ü'.repeat(i % 40) }));
  spool.add('sessions', '', { session: 1 });
  // At once, as they are found.
  for (const row of rows) {
    if (row.i >= 60_000) two.add('files', `group-${Math.floor(row.i / 10_000)}`, row);
    else one.add('files', `group-${Math.floor(row.i / 10_000)}`, row);
    if (row.i % 1000 === 0) three.add('names', '', row);
  }
  two.add('deposits', 'a', { deposit: 1 });
  t.equal(spool.rows, 90_092, 'rows are counted wherever they are');
  for (const other of [one, two, three]) await spool.append(other);
  spool.add('customers', '', { customer: 1 });
  spool.flush();
  t.equal(spool.rows, 90_093);
  t.equal(spool.rowsOf('files'), 90_000);
  t.same(all(spool, 'files'), rows, 'every row once, in order');
  for (const group of [0, 5, 6, 8])
    t.same(all(spool, 'files', `group-${group}`), rows.slice(group * 10_000, (group + 1) * 10_000), `group ${group}`);
  t.equal(all(spool, 'names').length, 90);
  t.same(
    ['sessions', 'deposits', 'customers'].map((part) => all(spool, part)),
    [[{ session: 1 }], [{ deposit: 1 }], [{ customer: 1 }]],
  );
  t.throws(() => one.page('files', undefined, 0), { code: 'not-found' }, 'what was taken over is closed');
  const late = spool.beside();
  late.add('files', 'group-9', {});
  await t.rejects(spool.append(late), /do not stand together/);
  late.close();
  spool.close();

  const small = new Spool(directory, { bytesMax: 100, pageBytesMax: 50 });
  const other = small.beside();
  small.add('files', 'a', 'x'.repeat(60));
  t.throws(() => other.add('files', 'b', 'x'.repeat(60)), { code: 'over-limit' }, 'the room is one for all of them');
  const wide = new Spool(directory, { bytesMax: 1000, pageBytesMax: 50 });
  const again = wide.beside();
  for (const half of [wide, again]) half.add('files', 'a', 'x');
  await t.rejects(wide.append(again), /not in order/, 'a group does not come twice');
  for (const left of [small, other, wide, again]) left.close();
  t.same(readdirSync(directory), []);
});

test('several answers are kept, a few at a time, for whoever asked', async (t) => {
  const world = await incidentWorld(t, {}, 2);
  const { scopes, sql, accounts, customers, history, directory } = world;
  const who = world.newSession(accounts.thief, 'edge-1');
  await history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'x' });
  await sql.query(
    `insert into ledger_fresh (at, kind, observer, customer_id, account_id, session_id, node, handle_id, version_id, extent, bytes, public)
     select $1::timestamptz + i * interval '1 ms', k, 'warden', $2, $3, $4, 'edge-1', md5('h' || i)::uuid, md5('v' || i)::uuid, case k when 'extent.granted' then 0 end, 100,
       case k when 'download.opened' then jsonb_build_object('folder', 'collect', 'path', '/' || repeat('long', 50) || i, 'sha256', repeat('a', 64), 'extentCount', 1) else '{}' end
     from generate_series(1, 3000) i, unnest(array['download.opened', 'extent.granted']) k`,
    [after(1), customers.a, who.account, who.session],
  );
  const first = await find(scopes, { credential: print('key') });
  t.equal(first.files.length, 3000);
  t.equal(new Set(first.files.map((row) => row.path)).size, 3000, 'each once');
  t.equal(first.summary.totals.unknownVersions, 3000, 'none of them in the catalogue');
  let pages = 0;
  for (let offset: number | null = 0; offset !== null; pages += 1) {
    const page = scopes.page('alice', { scope: first.scope, part: 'files', customerId: customers.a, offset });
    t.ok(Buffer.byteLength(JSON.stringify(page)) < frameMax, 'fits into a frame');
    offset = page.next;
  }
  t.ok(pages > 8, `${pages} pages`);
  t.same(
    scopes.page('alice', { scope: first.scope, part: 'files', customerId: customers.b }).rows,
    [],
    'of another customer nothing',
  );
  t.throws(() => scopes.page('bob', { scope: first.scope, part: 'files' }), { code: 'not-found' }, 'another operator');
  await t.rejects(scopes.progress('bob', { scope: first.scope }), { code: 'not-found' });
  t.throws(() => scopes.page('alice', { scope: randomUUID(), part: 'files' }), { code: 'not-found' });
  const second = await find(scopes, { credential: print('key') });
  const third = await find(scopes, { account: 'pickup-2' });
  t.throws(
    () => scopes.page('alice', { scope: first.scope, part: 'files' }),
    { code: 'not-found' },
    'the oldest made room',
  );
  t.equal(scopes.page('alice', { scope: second.scope, part: 'sessions' }).rows.length, 1, 'the newer ones are there');
  t.equal(scopes.page('alice', { scope: third.scope, part: 'sessions' }).rows.length, 0);
  // Each on a connection of its own, as from several terminals.
  let hasLeft = false;
  const question = { selection: { credential: print('key') } };
  const by = { holder: 'alice', group: 'others' };
  const running = scopes.start(by, question, () => hasLeft);
  scopes.start(by, question, () => false);
  t.throws(
    () => scopes.start(by, question, () => false),
    { code: 'over-limit' },
    'none that somebody waits for makes room',
  );
  t.match(await scopes.progress('alice', { scope: running, waitMs: 20_000 }), { state: 'done' }, 'it comes to its end');
  t.throws(() => scopes.start(by, question, () => false), { code: 'over-limit' }, 'nor one that is being read');
  t.equal(scopes.page('alice', { scope: running, part: 'sessions' }).rows.length, 1);
  hasLeft = true;
  scopes.start(by, question, () => false);
  t.throws(
    () => scopes.page('alice', { scope: running, part: 'files' }),
    { code: 'not-found' },
    'whoever left makes room',
  );
  t.same(readdirSync(directory), []);
  t.ok(statSync(directory).isDirectory());
});

test('an answer that is too long, too slow or too old is not kept', async (t) => {
  for (const [limits, text] of [
    [{ bytesMax: 200 }, /over-limit: the answer is longer/],
    [{ takesMs: 1 }, /over-limit: the answer took too long|unavailable/],
  ] as const) {
    const world = await incidentWorld(t, limits);
    const who = world.newSession(world.accounts.thief, 'edge-1');
    await world.history.open(who, after(0), { credential: print('key'), source: '192.0.2.7', client: 'x' });
    await t.rejects(find(world.scopes, { credential: print('key') }), text);
    const { scopes, customers } = world;
    const by = { holder: 'alice', group: 'others' };
    const scope = scopes.start(by, { selection: { credential: print('key') } });
    const now = await scopes.progress('alice', { scope, waitMs: 20_000 });
    const { code, text: message } = now.state === 'failed' ? now : { code: 'none', text: 'it did not fail' };
    const page = async (): Promise<unknown> => scopes.page('alice', { scope, part: 'files' });
    await t.rejects(page(), { code, message }, 'whoever asks for a part of it is told why there is none');
    const slice = scopes.slice('alice', { scope, customerId: customers.a });
    await t.rejects(slice, { code, message }, 'and whoever asks for a slice is not told to wait');
  }
  const world = await incidentWorld(t, { livesMs: 1 });
  const scope = world.scopes.start({ holder: 'alice', group: 'others' }, { selection: { account: 'pickup' } });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await t.rejects(world.scopes.progress('alice', { scope, waitMs: 20_000 }), { code: 'not-found' });
});
