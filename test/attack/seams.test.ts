// What two sessions of one bank do to each other where two features meet (T-31, T-32): a take-over and a kept hash, a
// clean-up job and a delivery.
import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { t as file, test } from 'tap';
import { asWarden } from '../support/as-warden.ts';
import { flag, onward, RawSftp } from '../support/raw-sftp.ts';
import { startWorld } from '../support/world.ts';

const world = await startWorld(file);
const database = new pg.Client({ connectionString: world.databaseUrl });
await database.connect();
file.teardown(() => database.end());
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const ok = { code: 0, text: '' };
const stored = 30_000;
const racesMax = 60;

async function isLetGo(name: string): Promise<boolean> {
  for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const { rows } = await database.query<{ held: boolean }>(
      'select bool_or(v.upload_id is not null) as held from version v join file f on f.id = v.file_id where f.name = $1',
      [name],
    );
    if (rows[0]?.held === false) return true;
  }
  return false;
}

test('an upload that was taken over leaves no hash behind: the receipt names the bytes that are stored', async (t) => {
  const name = 'kept.xml';
  const path = `/deposit/${name}`;
  const [first, second, more] = [randomBytes(stored), randomBytes(stored), randomBytes(1000)];
  const a = await RawSftp.connect(world, 'acme-batch');
  const b = await RawSftp.connect(world, 'acme-batch');
  t.same(await a.write(await a.open(path, onward), 0, first), ok);
  t.same(await b.write(await b.open(path, onward), 0, second), ok, 'the same name, taken over');
  b.client.close();
  t.ok(await isLetGo(name), 'what it wrote is stored');
  a.client.close();
  const c = await RawSftp.connect(world, 'acme-batch');
  const onC = await c.open(path, onward);
  t.same(await c.write(onC, stored, more), ok);
  t.same(await c.close(onC), ok);
  const { rows } = await database.query<{ sha256: string; receipt: string }>(
    "select encode(v.sha256, 'hex') as sha256, v.receipt from version v join file f on f.id = v.file_id where f.name = $1 and v.state = 'published'",
    [name],
  );
  const whole = sha256(Buffer.concat([second, more]));
  t.equal(rows[0]?.sha256, whole, 'of what is stored, not of what was lost');
  t.match(rows[0]?.receipt, new RegExp(whole));
  // The honest twin: nobody came in between, and the hash need not be computed again.
  const d = await RawSftp.connect(world, 'acme-batch');
  const onD = await d.open('/deposit/resumed.xml', onward);
  t.same(await d.write(onD, 0, first), ok);
  t.same(await d.fsync(onD), ok);
  d.client.close();
  t.ok(await isLetGo('resumed.xml'));
  const e = await RawSftp.connect(world, 'acme-batch');
  const onE = await e.open('/deposit/resumed.xml', onward);
  t.same(await e.write(onE, stored, more), ok);
  t.same(await e.close(onE), ok);
  const resumed = await database.query<{ sha256: string }>(
    "select encode(v.sha256, 'hex') as sha256 from version v join file f on f.id = v.file_id where f.name = 'resumed.xml' and v.state = 'published'",
  );
  t.equal(resumed.rows[0]?.sha256, sha256(Buffer.concat([first, more])));
  const { rows: read } = await database.query<{ count: number }>(
    `select count(*)::int as count from ledger l where kind = 'extent.verified'`,
  );
  t.equal(read[0]?.count, 0, 'each of the two hashes was kept with what it is of: nothing was read back');
  for (const one of [c, e]) one.client.close();
});

test('a directory is removed beside a delivery into it: one of the two is refused', async (t) => {
  const [a, b] = [await RawSftp.connect(world, 'acme-batch'), await RawSftp.connect(world, 'acme-batch')];
  let [delivered, removed] = [0, 0];
  for (let round = 0; round < racesMax; round += 1) {
    const directory = `/deposit/d${round}`;
    const path = `${directory}/f.xml`;
    t.same(await a.mkdir(directory), ok);
    const [opened, gone] = await Promise.all([
      // To append is an upload that holds its name; otherwise a small file is only offered it.
      a.open(path, round % 2 === 0 ? onward | flag.append : onward).then(
        (handle) => handle,
        () => undefined,
      ),
      new Promise((resolve) => setTimeout(resolve, round % 7)).then(() => b.rmdir(directory)),
    ]);
    if (opened === undefined) {
      t.equal(gone.code, 0, 'there is no directory any more');
      removed += 1;
      continue;
    }
    await a.write(opened, 0, randomBytes(100));
    const closed = await a.close(opened);
    if (gone.code === 0) {
      // A small file that was offered its name before is refused at its CLOSE (decision 60).
      t.not(closed.code, 0);
      t.equal(await a.exists(path), false, 'nothing is there');
      removed += 1;
      continue;
    }
    t.same(closed, ok);
    t.equal(await a.exists(path), true, 'what was delivered is there');
    delivered += 1;
  }
  t.ok(delivered > 0 && removed > 0, `${delivered} delivered, ${removed} removed`);
  const { rows } = await database.query(
    'select 1 from version v join file f on f.id = v.file_id join directory d on d.id = f.directory_id where d.removed_at is not null',
  );
  t.same(rows, [], 'nothing lies where nobody can look');
  await t.rejects(
    database.query(
      `insert into file (id, customer_id, folder_id, directory_id, name)
       select gen_random_uuid(), d.customer_id, d.folder_id, d.id, 'late' from directory d where d.removed_at is not null limit 1`,
    ),
    /the directory is gone/,
    'and the database says so too',
  );
  for (const one of [a, b]) one.client.close();
});

test('a marker whose close is repeated, and a marker that comes again, get true answers', async (t) => {
  await asWarden(
    world,
    "update folder set publish_rule = 'on-marker' where name = 'deposit' and customer_id = (select id from customer where name = 'globex')",
  );
  const bank = await RawSftp.connect(world, 'globex-batch');
  t.same(await bank.put('/deposit/pay.xml', randomBytes(100)), ok);
  t.same(await bank.put('/deposit/pay.xml.done', Buffer.alloc(0)), ok);
  const { rows } = await database.query<{ name: string; state: string; known: boolean }>(
    `select f.name, v.state, v.closed_by_upload is not null as known from version v join file f on f.id = v.file_id where f.name like 'pay.xml%' order by f.name`,
  );
  t.same(rows, [
    { name: 'pay.xml', state: 'published', known: true },
    { name: 'pay.xml.done', state: 'discarded', known: true },
  ]);
  t.match(await bank.put('/deposit/pay.xml.done', Buffer.alloc(0)), { code: 4, text: /pay\.xml was released already/ });
  t.same(await bank.put('/deposit/half.xml.filepart', randomBytes(10)), ok);
  t.match(await bank.put('/deposit/half.xml.filepart.done', Buffer.alloc(0)), {
    code: 4,
    text: /half\.xml\.filepart is a temporary name/,
  });
  t.match(await bank.put('/deposit/other.xml.done', Buffer.alloc(0)), {
    code: 4,
    text: /no complete file other\.xml to release/,
  });
  bank.client.close();
});

test('a marker that gets its name by a rename releases as one that is closed under it, and is refused in the same words', async (t) => {
  await asWarden(
    world,
    "update folder set publish_rule = 'on-marker' where name = 'deposit' and customer_id = (select id from customer where name = 'globex')",
  );
  const bank = await RawSftp.connect(world, 'globex-batch');
  const empty = Buffer.alloc(0);
  const put = async (name: string, bytes: Buffer): Promise<void> => {
    t.same(await bank.put(`/deposit/${name}`, bytes), ok, name);
  };
  const rename = (from: string, to: string) => bank.rename(`/deposit/${from}`, `/deposit/${to}`);
  const states = async (like: string): Promise<readonly string[]> =>
    (
      await database.query<{ said: string }>(
        "select f.name || ' ' || v.state as said from version v join file f on f.id = v.file_id where f.name like $1 order by f.name",
        [like],
      )
    ).rows.map(({ said }) => said);
  await put('by-name.xml', randomBytes(100));
  await put('by-name.xml.done.partial', empty);
  t.same(await states('by-name%'), ['by-name.xml held', 'by-name.xml.done.partial held'], 'no marker yet');
  t.same(await rename('by-name.xml.done.partial', 'by-name.xml.done'), ok);
  t.same(await states('by-name%'), ['by-name.xml published', 'by-name.xml.done discarded']);
  const { rows } = await database.query<{ said: string }>(
    `select f.name || ': ' || l.kind || coalesce(' ' || (l.public ->> 'by'), ' ' || (l.public ->> 'state'), '')
         || coalesce(', releases ' || (select r.name from version rv join file r on r.id = rv.file_id where rv.id::text = l.public ->> 'releases'), '') as said
       from ledger l join version v on v.id = l.version_id join file f on f.id = v.file_id
       where f.name like 'by-name%' and l.kind like 'file.%' order by f.name, l.kind`,
  );
  t.same(
    rows.map(({ said }) => said),
    [
      'by-name.xml: file.published marker',
      'by-name.xml.done: file.discarded, releases by-name.xml',
      'by-name.xml.done: file.renamed discarded',
    ],
    'each end is on the record',
  );

  await put('again.tmp', empty);
  const refusals: Readonly<Record<string, RegExp>> = {
    'by-name.xml.done': /by-name\.xml was released already/,
    'none.xml.done': /no complete file none\.xml to release/,
    'half.xml.tmp.done': /half\.xml\.tmp is a temporary name/,
  };
  for (const [to, text] of Object.entries(refusals)) t.match(await rename('again.tmp', to), { code: 4, text }, to);
  t.same(await states('again%'), ['again.tmp held'], 'what was refused changed nothing');
  t.same(await rename('again.tmp', 'again.xml'), ok, 'the twin: another name is that of a file');
  await put('full.xml', randomBytes(100));
  await put('full.tmp', randomBytes(1));
  t.same(await rename('full.tmp', 'full.xml.done'), ok);
  t.same(await states('full%'), ['full.xml held', 'full.xml.done held'], 'what has bytes is no marker');

  t.same(await bank.mkdir('/deposit/.uploading'), ok);
  await put('.uploading/aside.xml', randomBytes(100));
  await put('.uploading/aside.xml.done', empty);
  t.same(await rename('.uploading/aside.xml', 'aside.xml'), ok);
  t.same(await rename('.uploading/aside.xml.done', 'aside.xml.done'), ok, 'moved out of a directory of its own');
  t.same(await states('aside%'), ['aside.xml published', 'aside.xml.done discarded']);
  bank.client.close();
});

test('a file and a directory never share a name, whichever comes first', async (t) => {
  const [a, b] = [await RawSftp.connect(world, 'acme-batch'), await RawSftp.connect(world, 'acme-batch')];
  let [files, directories] = [0, 0];
  for (let round = 0; round < 30; round += 1) {
    const path = `/deposit/n${round}`;
    const [handle, made] = await Promise.all([a.open(path, onward).catch(() => undefined), b.mkdir(path)]);
    t.ok(handle !== undefined || made.code === 0, 'one of the two');
    if (made.code === 0) {
      directories += 1;
      // A small file that was offered the name before the directory was made is refused at its CLOSE (decision 60).
      if (handle !== undefined) {
        t.same(await a.write(handle, 0, randomBytes(10)), ok);
        t.not((await a.close(handle)).code, 0, 'never both');
      }
    } else if (handle !== undefined) {
      t.same(await a.write(handle, 0, randomBytes(10)), ok);
      t.same(await a.close(handle), ok);
      t.not((await b.mkdir(path)).code, 0, 'nor afterwards');
      files += 1;
    }
  }
  t.ok(files + directories === 30, `${files} files, ${directories} directories`);
  for (const one of [a, b]) one.client.close();
});

test('a small file whose directory is gone answers every request on its handle', async (t) => {
  const [a, b] = [await RawSftp.connect(world, 'acme-batch'), await RawSftp.connect(world, 'acme-batch')];
  t.same(await a.mkdir('/deposit/going'), ok);
  const handle = await a.open('/deposit/going/f.xml', onward);
  t.same(await b.rmdir('/deposit/going'), ok);
  t.not((await a.fsync(handle)).code, 0);
  t.not((await a.write(handle, 0, randomBytes(100))).code, 0);
  t.not((await a.close(handle)).code, 0, 'the CLOSE, too');
  for (const one of [a, b]) one.client.close();
});

test('a version with a receipt whose continuation takes its place has an end on the record', async (t) => {
  const bank = await RawSftp.connect(world, 'acme-batch');
  const ends = async (name: string): Promise<readonly string[]> => {
    const { rows } = await database.query<{ kind: string }>(
      `select l.kind from ledger l
         join version v on v.id = l.version_id join file f on f.id = v.file_id where f.name = $1 and v.number = 1 and l.kind = 'file.discarded'`,
      [name],
    );
    return rows.map((row) => row.kind);
  };
  for (const [name, how] of [
    ['closed.xml.tmp', 'closed'],
    ['cut.xml.tmp', 'cut'],
    ['left.xml.tmp', 'left'],
  ] as const) {
    t.same(await bank.put(`/deposit/${name}`, randomBytes(100)), ok, 'held, with a receipt');
    const other = await RawSftp.connect(world, 'acme-batch');
    const handle = await other.open(`/deposit/${name}`, onward);
    if (how === 'cut') t.same(await other.resize(handle, 0), ok);
    t.same(await other.write(handle, how === 'cut' ? 0 : 100, randomBytes(50)), ok);
    if (how === 'closed') t.same(await other.close(handle), ok);
    other.client.close();
    t.ok(await isLetGo(name));
    t.same(await ends(name), how === 'left' ? [] : ['file.discarded'], how);
    if (how !== 'left') continue;
    const { rows } = await database.query<{ state: string }>(
      'select v.state from version v join file f on f.id = v.file_id where f.name = $1 order by v.number',
      [name],
    );
    t.same(
      rows.map((row) => row.state),
      ['held', 'partial'],
      'what was left unfinished takes no place: the receipted one waits below it',
    );
    // When it is renamed, the incomplete version takes along what waits below it; finished there, it takes its place.
    t.same(await bank.rename(`/deposit/${name}`, '/deposit/moved.xml'), ok);
    t.same(await ends(name), [], 'the old name is free');
    const resumed = await bank.open('/deposit/moved.xml', onward);
    t.same(await bank.write(resumed, 150, randomBytes(50)), ok);
    t.same(await bank.close(resumed), ok);
    const { rows: there } = await database.query<{ state: string; successor: boolean }>(
      `select v.state, exists (select 1 from ledger l join version n on n.file_id = v.file_id and n.number > v.number
          where l.version_id = v.id and l.kind = 'file.discarded' and l.public ->> 'successor' = n.id::text) as successor
         from version v join file f on f.id = v.file_id where f.name = 'moved.xml' order by v.number`,
    );
    t.same(there, [
      { state: 'discarded', successor: true },
      { state: 'published', successor: false },
    ]);
  }
  bank.client.close();
});
