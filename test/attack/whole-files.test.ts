// T-31 and T-32 over real sessions: nothing of which anything was refused is delivered, and nothing that is closed is
// changed through another version.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { t as file, test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { idOf, type ObjectId } from '../../server/domain/ids.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { attempt, connectAs, type EdgePeer, hashOf, keyFromOpenSsh, transcript } from '../support/impostor.ts';
import { afresh, flag, onward, RawSftp, type Said } from '../support/raw-sftp.ts';
import { refusal, SftpClient } from '../support/sftp-client.ts';
import { holdsSoon } from '../support/until.ts';
import { startWorld } from '../support/world.ts';

const world = await startWorld(file, { limits: { collectEveryMs: 300 } });
const database = new pg.Client({ connectionString: world.databaseUrl });
await database.connect();
file.teardown(() => database.end());
const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Version = {
  readonly id: string;
  readonly state: string;
  readonly size: number;
  readonly sha256: string | null;
  readonly path: string;
};
/** All versions of a name, oldest first. */
async function versions(name: string): Promise<readonly Version[]> {
  const { rows } = await database.query<Version>(
    "select v.id, v.state, v.size::int, encode(v.sha256, 'hex') as sha256, f.name as path from version v join file f on f.id = v.file_id where f.name = $1 order by v.number",
    [name],
  );
  return rows;
}
const states = async (name: string): Promise<readonly string[]> => (await versions(name)).map((one) => one.state);

/** Closed versions whose extents, keys or objects are not all there. */
async function damaged(): Promise<readonly string[]> {
  const { rows } = await database.query<{ id: string; objects: string[]; whole: boolean }>(
    `select v.id, coalesce(array_agg(e.object_id) filter (where e.inline is null and e.object_id is not null), '{}') as objects,
       count(e.index) = v.extent_count and coalesce(sum(e.bytes), 0) = v.size and c.destroyed_at is null and (select count(*) from version o where o.content_id = v.content_id) = 1 as whole
     from version v join content c on c.id = v.content_id left join extent e on e.content_id = v.content_id and e.index < v.extent_count
     where v.state in ('held', 'settling', 'published', 'withdrawn') group by v.id, c.id`,
  );
  const isThere = (object: string): boolean => existsSync(objectPath(paths.objects, idOf<ObjectId>(object)));
  return rows.filter(({ whole, objects }) => !whole || !objects.every(isThere)).map((row) => row.id);
}

test('a file that was published, and its continuations: each keeps its own bytes', async (t) => {
  const ours = await RawSftp.connect(world, 'processor');
  const [a, b, c] = [randomBytes(300_000), randomBytes(120_000), randomBytes(90_000)];
  const [f, g] = ['/acme/collect/f.xml', '/acme/collect/g.xml'];
  t.same(await ours.put(f, a), { code: 0, text: '' });
  const [first] = await versions('f.xml');
  t.match(first, { state: 'published', sha256: sha256(a) });
  const hold = await world.cofferctlJson<{ hold: string }>([
    'hold',
    'place',
    'acme',
    '--version',
    first?.id ?? '',
    '--reason',
    'x',
  ]);
  t.ok(hold.hold);

  const onF = await ours.open(f, onward);
  t.match(
    await ours.rename(f, g),
    { code: 4, text: /being continued/ },
    'what goes on from a published file is not renamed while it is open',
  );
  t.same(await ours.write(onF, a.length, b), { code: 0, text: '' });
  t.same(await ours.close(onF), { code: 0, text: '' });
  const over = await ours.open(f, onward);
  t.same(await ours.write(over, 10, c), { code: 0, text: '' });
  t.same(await ours.close(over), { code: 0, text: '' }, 'and written over');
  const second = Buffer.concat([a, b]);
  const third = Buffer.concat([a.subarray(0, 10), c, second.subarray(10 + c.length)]);
  t.same(
    (await versions('f.xml')).map((one) => one.sha256),
    [a, second, third].map(sha256),
    'three files, each with a receipt of its own',
  );
  t.same(await states('f.xml'), ['published', 'published', 'published']);

  const removed = await ours.open(f, onward);
  t.equal((await ours.write(removed, third.length, b)).code, 0);
  t.equal((await ours.remove(f)).code, 0, 'what is being written is taken back');
  t.match(await ours.close(removed), { code: 4, text: /taken over or ended/ });
  const cut = await ours.open(f, onward);
  t.match(await ours.resizeName('/acme/collect/g.xml', 0), { code: 2 }, 'no such name');
  t.match(await ours.resize(cut, 100), { code: 8, text: /a file cannot be shortened/ });
  const closed = await ours.close(cut);
  t.match(closed, { code: 4, text: /a file cannot be shortened/ });
  t.notMatch(closed, { text: /stays incomplete/ }, 'the file as it was is complete');
  t.same(await ours.resizeName(f, 0), { code: 0, text: '' }, 'a size of 0 by name begins a new version');
  t.same(
    (await versions('f.xml')).filter((one) => one.state === 'published').map((one) => one.sha256),
    [a, second, third].map(sha256),
    'and what was delivered is not cut',
  );
  const emptied = await ours.open(f, onward);
  t.equal((await ours.resize(emptied, 0)).code, 0, 'a new version may begin with nothing');
  t.equal((await ours.write(emptied, 0, b)).code, 0);
  t.equal((await ours.close(emptied)).code, 0);
  t.equal((await ours.put('/acme/collect/onto.tmp', c)).code, 0);
  t.equal((await ours.rename('/acme/collect/onto.tmp', f)).code, 0, 'renamed onto it');
  t.equal((await ours.put(f, a)).code, 0, 'replaced');
  t.same(
    (await versions('f.xml')).filter((one) => one.state === 'published').map((one) => one.sha256),
    [a, second, third, b, c, a].map(sha256),
  );
  await pause(1000);
  t.same(await damaged(), [], 'after some passes of the collector all are whole');
  const bank = await RawSftp.connect(world, 'acme-batch');
  t.equal(sha256(await bank.read('/collect/f.xml')), sha256(a), 'a reader gets what the newest receipt says');
  await t.rejects(ours.open(f, onward), /send the whole file again/, 'what was read is not gone on from');
  for (const one of [ours, bank]) one.client.close();
});

test('two sessions, cuts, retries and expiry of a continuation', async (t) => {
  const [one, two] = [await RawSftp.connect(world, 'processor'), await RawSftp.connect(world, 'processor')];
  const [a, b] = [randomBytes(200_000), randomBytes(150_000)];
  const path = '/acme/collect/two.xml';
  t.equal((await one.put(path, a)).code, 0);
  const mine = await one.open(path, onward);
  t.equal((await one.write(mine, a.length, b.subarray(0, 100_000))).code, 0);
  const theirs = await two.open(path, onward);
  t.match(await one.fsync(mine), { code: 4, text: /taken over/ }, 'the second session has it');
  t.match(await one.write(mine, a.length + 100_000, b), { code: 4, text: /taken over/ });
  t.match(await one.close(mine), { code: 4, text: /taken over.*incomplete/ });
  t.equal((await two.write(theirs, a.length, b)).code, 0);
  t.equal((await two.close(theirs)).code, 0);
  t.same(
    (await versions('two.xml')).map((v) => [v.state, v.sha256]),
    [
      ['published', sha256(a)],
      ['discarded', null],
      ['published', sha256(Buffer.concat([a, b]))],
    ],
  );
  const whole = Buffer.concat([a, b]);

  const short = await one.open(path, onward);
  t.equal((await one.write(short, 0, b.subarray(0, 30_000))).code, 0);
  one.client.close();
  t.ok(
    await holdsSoon(async () => (await states('two.xml')).at(-1) === 'discarded'),
    'cut before it held more than the file: it is gone, the file is as it was',
  );
  const longer = await two.open(path, onward);
  t.equal((await two.write(longer, whole.length, b)).code, 0);
  t.equal((await two.fsync(longer)).code, 0);
  two.client.close();
  t.ok(
    await holdsSoon(
      async () =>
        (await database.query("select 1 from version where state = 'partial' and upload_id is null and size = 500000"))
          .rowCount === 1,
    ),
  );
  t.same((await states('two.xml')).at(-1), 'partial', 'cut with more: it can be resumed');
  const three = await RawSftp.connect(world, 'processor');
  const again = await three.open(path, onward);
  t.match(await three.close(again), { code: 4, text: /nothing was added/ }, 'opened and closed: it stays what it was');
  const resumed = await three.open(path, onward);
  t.equal((await three.write(resumed, 500_000, b)).code, 0);
  t.equal((await three.close(resumed)).code, 0);
  t.equal((await versions('two.xml')).at(-1)?.sha256, sha256(Buffer.concat([whole, b, b])));
  const expiring = await three.open(path, onward);
  t.equal((await three.write(expiring, 650_000, b)).code, 0);
  three.client.close();
  t.ok(
    await holdsSoon(
      async () =>
        (
          await database.query(
            "update version set let_go_at = let_go_at - interval '2 days' where state = 'partial' and upload_id is null and size = 800000",
          )
        ).rowCount === 1,
    ),
  );
  t.ok(await holdsSoon(async () => (await states('two.xml')).at(-1) === 'discarded'), 'given up by nobody: it expires');
  await pause(1000);
  t.same(await damaged(), [], 'and takes nothing with it');
});

type Way = (sftp: RawSftp, handle: Buffer) => Promise<Said>;
const content = randomBytes(96_000);
const ways: Readonly<Record<string, readonly [Way, number]>> = {
  ahead: [(sftp, handle) => sftp.write(handle, 64 * 1024 ** 2, content), 8],
  passed: [(sftp, handle) => sftp.write(handle, 0, Buffer.from('HEADER')), 8],
  malformed: [(sftp, handle) => sftp.writeMalformed(handle, content.length), 5],
  hole: [(sftp, handle) => sftp.write(handle, 200_000, content), 0],
  smaller: [(sftp, handle) => sftp.resize(handle, 10), 8],
  announced: [(sftp, handle) => sftp.resize(handle, 1_000_000), 0],
};
const ends: Readonly<Record<string, (sftp: RawSftp, handle: Buffer) => Promise<unknown>>> = {
  close: async (sftp, handle) => sftp.close(handle),
  eof: async ({ client }) => client.send(Buffer.concat([Buffer.of(96), Buffer.alloc(4)])),
  disconnect: async ({ client }) => client.close(),
};

test('a torn file is never delivered: every way to refuse and every way to end', async (t) => {
  const ours = await RawSftp.connect(world, 'processor');
  const names: string[] = [];
  const begun = async (name: string): Promise<readonly [RawSftp, Buffer]> => {
    const sftp = await RawSftp.connect(world, 'acme-batch');
    const handle = await sftp.open(`/deposit/${name}`, afresh);
    t.equal((await sftp.write(handle, 0, content)).code, 0);
    names.push(name);
    return [sftp, handle];
  };
  for (const [way, [refuse, code]] of Object.entries(ways))
    for (const [end, finish] of Object.entries(ends)) {
      const [sftp, handle] = await begun(`${way}-${end}`);
      t.equal((await refuse(sftp, handle)).code, code, way);
      const said = await finish(sftp, handle);
      if (end === 'close')
        t.match(said, { code: 4, text: /stays incomplete and can be resumed/ }, `${way}: CLOSE says so`);
      if (end === 'close') sftp.client.close();
    }
  const killed = [await begun('ahead-kill'), await begun('hole-kill')] as const;
  await ways.ahead?.[0](...killed[0]);
  await ways.hole?.[0](...killed[1]);
  world.kill('partner-1');
  for (const name of names) {
    const isLetGo = async (): Promise<boolean> =>
      (
        await database.query(
          'select 1 from version v join file f on f.id = v.file_id where f.name = $1 and v.upload_id is not null',
          [name],
        )
      ).rowCount === 0;
    // What a killed edge held is released half a minute after its sessions.
    t.ok(await holdsSoon(isLetGo, { withinMs: 120_000 }), `${name} is let go`);
    t.same(await states(name), ['partial'], `${name}: no file`);
    t.notOk(await ours.exists(`/acme/deposit/${name}`), `${name}: our side does not see it`);
  }
  t.equal((await world.sftpWhenServed('acme-batch', ['pwd'])).code, 0);
  const sftp = await RawSftp.connect(world, 'acme-batch');
  const resumed = await sftp.open('/deposit/passed-close', onward);
  t.equal((await sftp.write(resumed, content.length, content)).code, 0, 'all that came in order is there');
  t.equal((await sftp.close(resumed)).code, 0);
  t.equal(
    sha256(await ours.read('/acme/deposit/passed-close')),
    sha256(Buffer.concat([content, content])),
    'resumed, it is delivered',
  );
  const anew = await sftp.open('/deposit/hole-close', onward);
  t.equal(
    (await sftp.write(anew, 0, Buffer.concat([content, content]))).code,
    0,
    'or the whole of it again from the start',
  );
  t.equal((await sftp.close(anew)).code, 0);
  t.same(await states('hole-close'), ['discarded', 'published']);
  for (const one of [sftp, ours]) one.client.close();
});

test('a put that a budget refuses is not delivered; the client is told', async (t) => {
  const local = join(world.directory, 'local');
  writeFileSync(local, randomBytes(40 * 1024 ** 2));
  const narrow = [
    'budget',
    'tighten',
    '--account',
    'globex-batch',
    '--direction',
    'in',
    '--bytes-hour',
    '20MiB',
    '--reason',
    'x',
  ];
  const tightened = await world.cofferctl(narrow);
  t.equal(tightened.code, 0, tightened.err);
  const put = await world.sftp('globex-batch', [`put ${local} deposit/over`]);
  t.not(put.code, 0);
  t.match(put.err, /close remote: Failure/, 'at the end too, not only on the way');
  t.same(await states('over'), ['partial']);
  const refused = await database.query(
    "select 1 from version v join file f on f.id = v.file_id where f.name = 'over' and v.refused = 'over-limit'",
  );
  t.equal(refused.rowCount, 1, 'and the warden knows it by itself');
});

test('a colleague of the same bank cannot continue, replace, rename or take back what is not published', async (t) => {
  const batch = await RawSftp.connect(world, 'acme-batch');
  t.equal((await batch.put('/deposit/own.tmp', content)).code, 0, 'held');
  const partial = await batch.open('/deposit/open.xml', afresh);
  const options = {
    port: world.demo.partner.port,
    username: 'acme',
    privateKey: readFileSync(world.keyFile('acme'), 'utf8'),
  };
  const colleague = await SftpClient.connect({ ...options, code: await world.code('acme') });
  for (const name of ['own.tmp', 'open.xml'])
    for (const how of ['w', 'a'] as const)
      t.equal(await refusal(colleague.open(`/deposit/${name}`, how)), 'the name is in use', `${name} ${how}`);
  const handle = await colleague.open('/deposit/theirs.tmp', 'w');
  await colleague.close(handle);
  t.equal((await batch.rename('/deposit/own.tmp', '/deposit/theirs.tmp')).text, 'the name is in use');
  t.match(await batch.remove('/deposit/theirs.tmp'), { code: 2 });
  colleague.end();
  t.equal((await batch.write(partial, 0, content)).code, 0, 'its owner goes on');
  t.equal((await batch.close(partial)).code, 0);
  t.equal((await batch.setTimes('/deposit/open.xml', 1_700_000_000)).code, 0);
  t.equal((await batch.setTimes('/deposit/open.xml', 1_700_000_000)).code, 0, 'the same again changes nothing');
  const set = await database.query("select public from ledger where kind = 'file.times-set'");
  t.same(
    set.rows,
    [{ public: { folder: 'deposit', path: '/open.xml', modifiedAt: 1_700_000_000 } }],
    'a time that is set on a file is on the record, once',
  );
  await t.rejects(
    batch.open('/deposit/open.xml', flag.write | flag.append),
    /cannot be changed or replaced/,
    'what is delivered is closed to its sender too',
  );
  batch.client.close();
});

async function logIn(peer: EdgePeer, challenge: string): Promise<string> {
  const exchange = transcript(challenge);
  const hash = hashOf(exchange, await peer.call('exchange.sign', exchange));
  const key = keyFromOpenSsh(readFileSync(world.keyFile('acme-batch'), 'utf8'));
  const login = await attempt(peer, exchange.connection, 'acme-batch', key.evidence('acme-batch', hash));
  if (login.outcome !== 'accepted') throw new Error(login.outcome);
  return login.session.token;
}

test('a compromised edge that states a torn file to be whole, and one session with the handles of another', async (t) => {
  for (const pid of world.pidsOf('partner-1')) process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of world.pidsOf('partner-1')) process.kill(pid, 'SIGCONT');
  });
  const peer = connectAs(paths.wardenSocket('partner-1'));
  t.teardown(() => peer.close());
  const { challenge } = await peer.call('node.hello', { protocol: 1, startId: randomUUID() });
  const [token, other] = [await logIn(peer, challenge), await logIn(peer, challenge)];
  const bytes = 1000;
  const inline = {
    bytes,
    sealedBytes: sealedLength(bytes),
    inline: randomBytes(sealedLength(bytes)).toString('base64'),
  };
  const open = async (name: string) => {
    const { upload, firstExtent } = await peer.call('upload.open', {
      token,
      path: ['deposit', name],
      continue: false,
      exclusive: false,
    });
    return { upload, lastExtent: { index: firstExtent.index, objectId: firstExtent.objectId, ...inline } };
  };
  const close = { token, whole: true, size: bytes, sha256: 'a'.repeat(64) };

  const torn = await open('torn');
  await t.rejects(
    peer.call('upload.close', { ...close, ...torn, whole: false }),
    { code: 'conflict', message: /not whole/ },
    'not said to be whole',
  );
  const { whole: _, ...silent } = close;
  await t.rejects(
    peer.call('upload.close', { ...silent, ...torn } as never),
    { code: 'invalid' },
    'nothing said about it',
  );
  await t.rejects(
    peer.call('upload.close', { ...close, ...torn, size: bytes + 1 }),
    { message: /stored size differs/ },
    'another size',
  );
  const wrong = { ...torn.lastExtent, sealedBytes: 999 };
  await t.rejects(peer.call('upload.seal-extent', { token, upload: torn.upload, extent: wrong }), {
    message: /length of the extent does not fit/,
  });
  await t.rejects(
    peer.call('upload.close', { ...close, ...torn }),
    { message: /a part of this file was refused/ },
    'the warden remembers what it refused',
  );
  t.same(await states('torn'), ['partial']);

  const good = await open('good');
  const tries: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['begin', () => peer.call('upload.begin-extent', { token: other, upload: good.upload })],
    ['seal', () => peer.call('upload.seal-extent', { token: other, upload: good.upload, extent: good.lastExtent })],
    ['rewrite', () => peer.call('upload.rewrite', { token: other, upload: good.upload, cut: true })],
    ['base', () => peer.call('upload.base-extent', { token: other, upload: good.upload, offset: 0 })],
    ['verify', () => peer.call('upload.verify-extent', { token: other, upload: good.upload, index: 0 })],
    ['close', () => peer.call('upload.close', { ...close, ...good, token: other })],
    ['interrupt', () => peer.call('upload.interrupt', { token: other, upload: good.upload })],
  ];
  for (const [name, work] of tries)
    await t.rejects(
      work(),
      { code: 'conflict', message: /taken over or ended/ },
      `${name} by another session of the same account`,
    );
  await peer.call('upload.close', { ...close, ...good });
  t.same(await states('good'), ['published'], 'the session whose it is may');

  const read = await peer.call('download.open', { token, path: ['collect', 'f.xml'] });
  await t.rejects(peer.call('download.grant', { token: other, download: read.download, index: 0 }), {
    code: 'not-found',
  });
  await t.rejects(peer.call('download.locate', { token: other, download: read.download, offset: 0 }), {
    code: 'not-found',
  });
  await peer.call('download.close', { token: other, download: read.download, sentBytes: 1, by: 'client' });
  t.equal(
    (await peer.call('download.grant', { token, download: read.download, index: 0 })).index,
    0,
    'it is still open, for its own session',
  );
});

test('a size by name is confirmed or refused, whoever has the name now: an open upload is not affected', async (t) => {
  // More than is kept in memory until it is closed: a cut leaves it.
  const stored = randomBytes(90_000);
  const other = randomBytes(1200);
  /** What has the old name when its size is set: nothing, or another file. */
  const renames: Readonly<Record<string, (mine: RawSftp, theirs: RawSftp, from: string, to: string) => Promise<void>>> =
    {
      'renamed in this session': async (mine, _theirs, from, to) => {
        t.equal((await mine.rename(from, to)).code, 0);
        t.equal((await mine.put(from, other)).code, 0);
      },
      'renamed in another session': async (_mine, theirs, from, to) => {
        t.equal((await theirs.rename(from, to)).code, 0);
        t.equal((await theirs.put(from, other)).code, 0);
      },
      'removed, and another one made': async (mine, theirs, from) => {
        t.equal((await theirs.remove(from)).code, 0);
        t.equal((await mine.put(from, other)).code, 0);
      },
    };
  for (const [what, change] of Object.entries(renames)) {
    const name = what.replaceAll(/\W+/g, '-');
    const [from, to] = [`/deposit/${name}`, `/deposit/${name}-2`];
    const cut = await RawSftp.connect(world, 'acme-batch');
    t.equal((await cut.write(await cut.open(from, onward), 0, stored)).code, 0);
    cut.client.close();
    const isLetGo = async (): Promise<boolean> =>
      (
        await database.query(
          'select 1 from version v join file f on f.id = v.file_id where f.name = $1 and v.size = $2 and v.upload_id is null',
          [name, stored.length],
        )
      ).rowCount === 1;
    t.ok(await holdsSoon(isLetGo), 'an incomplete file');
    const [mine, theirs] = [await RawSftp.connect(world, 'acme-batch'), await RawSftp.connect(world, 'acme-batch')];
    const handle = await mine.open(from, onward);
    await change(mine, theirs, from, to);
    t.match(
      await mine.resizeName(from, 0),
      { code: 3, text: /delivered file cannot be changed/ },
      `${what}: it has not begun anew`,
    );
    for (const size of [10, 1_000_000])
      t.match(
        await mine.resizeName(from, size),
        { code: 8, text: /a file's size cannot be changed/ },
        `${what}: ${size}`,
      );
    t.same(await mine.resizeName(from, other.length), { code: 0, text: '' }, `${what}: confirmed`);
    const said = await mine.write(handle, stored.length, stored);
    const closed = await mine.close(handle);
    if (what.startsWith('removed'))
      t.match(closed, { code: 4, text: /taken over or ended/ }, 'what was removed is gone');
    else {
      t.same([said.code, closed.code], [0, 0], `${what}: its upload goes on`);
      t.equal(
        (await versions(`${name}-2`)).at(-1)?.sha256,
        sha256(Buffer.concat([stored, stored])),
        'and is whole under its new name',
      );
    }
    t.equal((await versions(name)).at(-1)?.sha256, sha256(other), `${what}: the other file is what it was`);
    for (const one of [mine, theirs]) one.client.close();
  }
});
