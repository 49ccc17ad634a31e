// A file is opened by a look, of which nothing is written. Its first read is one transaction: the handle, its opening
// on the record, the charge and its entry. Nothing of a file is told before that, and nothing that was told is missing
// from the record.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { asOwner } from '../support/as-owner.ts';
import { refusal, SftpClient } from '../support/sftp-client.ts';
import { TakenEdge } from '../support/taken-edge.ts';
import { startWorld } from '../support/world.ts';

const content = randomBytes(1000);
/** So many files may be opened by a look in a session without being read. */
const looksMax = 256;
type Opened = { readonly download: string; readonly version: string; readonly closesAside?: true };

/** A gateway with these files for acme to collect. */
async function filled(t: Test, names: readonly string[]) {
  const world = await startWorld(t);
  const sql = await asOwner(t, world);
  const file = join(world.directory, 'content');
  writeFileSync(file, content);
  const put = await world.sftp(
    'processor',
    names.map((name) => `put ${file} /acme/collect/${name}`),
  );
  t.equal(put.code, 0, put.err);
  return { world, sql };
}

async function setUp(t: Test, names: readonly string[]) {
  const { world, sql } = await filled(t, names);
  const edge = await TakenEdge.take(t, world);
  const token = await edge.login('acme-batch');
  const path = (name: string): readonly string[] => ['collect', name];
  const open = async (name: string, by = token): Promise<Opened> => {
    const said = (await edge.say('download.open', { token: by, path: path(name) })) as { readonly result: Opened };
    t.match(said, { result: { size: content.length } }, `${name} is opened`);
    return said.result;
  };
  const grant = ({ download }: Pick<Opened, 'download'>, by = token) =>
    edge.say('download.grant', { token: by, download, index: 0 });
  const close = ({ download }: Opened, sentBytes: number, by = token) =>
    edge.say('download.close', { token: by, download, sentBytes, by: 'client' });
  const kinds = async ({ download }: Opened): Promise<readonly unknown[]> =>
    (await sql('select kind from ledger where handle_id = $1 order by id', [download])).map((row) => row.kind);
  const rows = ({ download }: Opened) =>
    sql('select version_id, sent_bytes::int, closed_at is not null as closed from download where id = $1', [download]);
  const done = async (...args: readonly string[]): Promise<void> => {
    const said = await world.cofferctl([...args, '--reason', 'test']);
    t.equal(said.code, 0, said.err);
  };
  return { world, sql, edge, token, path, open, grant, close, kinds, rows, done };
}

test('a look writes nothing; the first read enters, charges and records; the CLOSE is recorded once', async (t) => {
  const { edge, token, sql, open, grant, close, kinds, rows } = await setUp(t, ['one', 'two']);
  const charged = async (): Promise<number> => {
    const [row] = await sql(
      "select sum(b.total_bytes)::int as bytes from budget b join customer c on c.id = b.customer_id where c.name = 'acme' and b.direction = 'out' and b.rank = 3",
    );
    return Number(row?.bytes);
  };
  const before = await charged();
  const one = await open('one');
  t.same(await rows(one), [], 'no handle');
  t.same(await kinds(one), [], 'no entry');
  t.equal(await charged(), before, 'no charge');
  const locate = (offset: number) => edge.say('download.locate', { token, download: one.download, offset });
  t.match(await locate(999), { result: { extents: [{ index: 0, offset: 0, bytes: content.length }] } });
  t.match(await locate(1000), { result: { extents: [] } }, 'beyond its end there is nothing');
  t.same(await kinds(one), [], 'where the bytes are is told for nothing');
  t.match(await grant(one), { result: { bytes: content.length } });
  t.match(await rows(one), [{ version_id: one.version, closed: false }]);
  t.same(await kinds(one), ['download.opened', 'extent.granted'], 'its opening, and the read');
  t.equal(await charged(), before + content.length);
  const [entry] = await sql(
    "select public, version_id, bytes::int from ledger where handle_id = $1 and kind = 'download.opened'",
    [one.download],
  );
  t.match(entry, {
    version_id: one.version,
    bytes: content.length,
    public: { path: '/one', folder: 'collect', extentCount: 1 },
  });
  t.match(await grant(one), { result: { bytes: content.length } }, 'a repeated read');
  t.same(
    await kinds(one),
    ['download.opened', 'extent.granted', 'extent.granted'],
    'is recorded, and no second opening',
  );
  t.match(await close(one, content.length), { result: {} });
  t.match(await close(one, content.length), { result: {} }, 'again');
  t.same((await kinds(one)).slice(3), ['download.closed'], 'closed once');
  t.match(await rows(one), [{ sent_bytes: content.length, closed: true }]);
  t.match(await grant(one), { code: 'not-found' }, 'a closed handle releases nothing');

  const twice = await open('one');
  t.match(await grant(twice), { result: {} });
  const closes = await Promise.all(Array.from({ length: 6 }, (_, i) => close(twice, i % 2 === 0 ? 0 : content.length)));
  t.ok(
    closes.every((said) => 'result' in said),
    'many CLOSEs at once',
  );
  t.same((await kinds(twice)).slice(2), ['download.closed'], 'are one');

  const two = await open('two');
  const [first, second] = await Promise.all([grant(two), grant(two)]);
  t.match([first, second], [{ result: {} }, { result: {} }], 'two first reads at once');
  t.same(await kinds(two), ['download.opened', 'extent.granted', 'extent.granted'], 'open it once');

  const third = await open('two');
  t.match(await close(third, 0), { result: {} });
  t.same([await rows(third), await kinds(third)], [[], []], 'of what was not read nothing is left');
  t.match(await grant(third), { code: 'not-found' });
  const lied = await open('two');
  t.match(await close(lied, 5_000_000), { result: {} });
  t.same(await rows(lied), [], 'nor of what an edge says that it sent without a key');
  t.match(await edge.say('download.open', { token: 'x'.repeat(43), path: ['collect', 'one'] }), { code: /session/ });
});

test('a handle is that of its session, and what happened since the look decides', async (t) => {
  const { edge, open, grant, kinds, rows, done, sql, path, token } = await setUp(t, [
    'mine',
    'gone',
    'stopped',
    'drawn',
  ]);
  const mine = await open('mine');
  const other = await edge.login('acme-batch');
  t.match(await grant(mine, other), { code: 'not-found' }, 'another session of the account has no such handle');
  t.match(await edge.say('download.close', { token: other, download: mine.download, sentBytes: 0, by: 'client' }), {
    result: {},
  });
  t.match(await grant(mine), { result: {} }, 'and cannot close it');

  const gone = await open('gone');
  await sql('set session_replication_role = replica');
  await sql("update version set state = 'withdrawn' where id = $1", [gone.version]);
  await sql('set session_replication_role = origin');
  t.match(await grant(gone), { code: 'not-found' }, 'a file that was withdrawn meanwhile is not read');
  t.notOk((await kinds(gone)).includes('extent.granted'));
  t.match(await edge.say('download.open', { token, path: path('gone') }), { code: 'not-found' });

  const stopped = await open('stopped');
  await done('customer', 'suspend', 'acme');
  t.match(await grant(stopped), { code: 'session-ended' }, 'nor by who may no longer read');
  t.same(await rows(stopped), []);
  t.same(await kinds(stopped), []);
  await done('customer', 'resume', 'acme');
  const again = await edge.login('acme-batch');
  t.match(await grant(await open('stopped', again), again), { result: {} }, 'the twin');
});

test('looks are free only for so long, and names that are not there never are', async (t) => {
  const { edge, token, open, grant, close, kinds, rows, path } = await setUp(t, ['often']);
  t.match(await edge.say('download.open', { token, path: path('nothing') }), { code: 'not-found' });
  const looked = await Promise.all(Array.from({ length: looksMax }, () => open('often')));
  t.same(await Promise.all([kinds(looked[0] as Opened), kinds(looked.at(-1) as Opened)]), [[], []]);
  const paid = await open('often');
  t.same(await kinds(paid), ['download.opened'], 'the next one is recorded when it is opened');
  const lied = await open('often');
  t.match(await close(lied, 5_000_000), { result: {} });
  t.match(await rows(lied), [{ sent_bytes: 0, closed: true }], 'without a key nothing was sent, whatever is said');
  t.same(await kinds(lied), ['download.opened', 'download.closed']);
  t.match(await grant(paid), { result: {} });
  t.match(await grant(looked[0] as Opened), { result: {} }, 'who reads after all');
  const free = await open('often');
  t.same(await kinds(free), [], 'may look once more');
});

test('a version that is locked holds up its first read, and the budgets only for a moment', async (t) => {
  const { sql, open, grant, kinds } = await setUp(t, ['locked', 'beside']);
  const [locked, beside] = [await open('locked'), await open('beside')];
  await sql('begin');
  await sql('select from version where id = $1 for update', [locked.version]);
  const waiting = grant(locked);
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.match(await grant(beside), { result: { bytes: content.length } }, 'another file is read meanwhile');
  t.same(await kinds(locked), []);
  await sql('commit');
  t.match(await waiting, { result: { bytes: content.length } }, 'and this one afterwards');
  t.same(await kinds(locked), ['download.opened', 'extent.granted']);
});

test('without its opening on the record nothing is released', async (t) => {
  const { sql, open, grant, kinds } = await setUp(t, ['quiet', 'twin']);
  const twin = await open('twin');
  t.match(await grant(twin), { result: {} }, 'the twin');
  const quiet = await open('quiet');
  await sql(`create function drops() returns trigger language plpgsql as $$ begin
    if new.kind = 'download.opened' then return null; end if; return new; end $$`);
  await sql('create trigger drops before insert on ledger_fresh for each row execute function drops()');
  t.match(await grant(quiet), { code: 'unavailable' });
  t.notOk((await kinds(quiet)).includes('download.opened'));
});

test('a warden that ends between OPEN and the first READ is not noticed; another file under the name is', async (t) => {
  const { world, sql } = await filled(t, ['kept', 'other']);
  const reader = await SftpClient.connect({
    port: world.demo.partner.port,
    username: 'acme-batch',
    privateKey: readFileSync(world.keyFile('acme-batch'), 'utf8'),
  });
  const [kept, other] = [await reader.open('collect/kept'), await reader.open('collect/other')];
  world.kill('warden');
  t.equal((await world.sftpWhenServed('acme-batch', ['pwd'])).code, 0, 'there is a warden again');
  t.same(await reader.read(kept, 0, content.length), content, 'the file is opened again');
  await sql('set session_replication_role = replica');
  await sql("update file set name = 'elsewhere' where name = 'other'");
  await sql("update file set name = 'other' where name = 'kept'");
  await sql('set session_replication_role = origin');
  t.match(await refusal(reader.read(other, 0, content.length)), /no longer open|No such file/i, 'and is the same one');
  await reader.close(kept);
  const closed = async (): Promise<number> =>
    Number((await sql("select count(*)::int as n from ledger where kind = 'download.closed'"))[0]?.n);
  for (const end = Date.now() + 20_000; (await closed()) === 0 && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(await closed(), 1, 'the CLOSE that was answered at once is on the record');
  reader.end();
});
