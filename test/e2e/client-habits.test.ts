// What public clients do and what they are told: files opened for reading and writing, sizes set by name, requests for
// the wrong kind of thing, names that cannot exist, and names that are not final yet.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { t as file, test } from 'tap';
import { sftpStatus } from '../../server/domain/errors.ts';
import { parseReceipt } from '../../server/domain/receipt.ts';
import { message, RawClient, u32 } from '../support/raw-client.ts';
import { afresh, flag, onward, RawSftp, type Said } from '../support/raw-sftp.ts';
import { startWorld } from '../support/world.ts';

const world = await startWorld(file);
const database = new pg.Client({ connectionString: world.databaseUrl });
await database.connect();
file.teardown(() => database.end());
const bank = await RawSftp.connect(world, 'acme-batch');
const ours = await RawSftp.connect(world, 'processor');

const { OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, OP_UNSUPPORTED } = sftpStatus;
const update = flag.read | flag.write;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const done: Said = { code: OK, text: '' };

type Version = { readonly id: string; readonly state: string; readonly size: number; readonly sha256: string | null };
/** All versions of a name, oldest first. */
const versions = async (name: string): Promise<readonly Version[]> =>
  (
    await database.query<Version>(
      "select v.id, v.state, v.size::int, encode(v.sha256, 'hex') as sha256 from version v join file f on f.id = v.file_id where f.name = $1 order by v.number",
      [name],
    )
  ).rows;
const states = async (name: string): Promise<readonly string[]> => (await versions(name)).map((one) => one.state);

test('a file opened for reading and writing is written; what it is asked to read is refused, and it is delivered', async (t) => {
  const bytes = randomBytes(50_000);
  for (const [name, flags] of [
    ['go.ach', update | flag.create | flag.truncate],
    ['go-keep.ach', update | flag.create],
    ['go-exclusive.ach', update | flag.create | flag.exclusive],
    ['go-append.ach', update | flag.create | flag.append],
  ] as const) {
    const handle = await bank.open(`/deposit/${name}`, flags);
    t.match(await bank.reading(handle, 0, 100), { code: EOF }, `${name}: nothing is there yet`);
    t.same(await bank.write(handle, 0, bytes), done, name);
    t.match(await bank.reading(handle, bytes.length, 1), { code: EOF }, 'nothing is behind its end');
    const read = await bank.reading(handle, 0, 100);
    t.match(read, { code: PERMISSION_DENIED, text: /being written.*open it for reading/ }, 'it cannot be read back');
    t.same(await bank.close(handle), done, 'no byte of it is missing');
    t.match(await versions(name), [{ state: 'published', sha256: sha256(bytes) }], `${name}: delivered as it was sent`);
    t.same(await ours.read(`/acme/deposit/${name}`), bytes, 'and read inside');
  }
});

test('opening for reading and writing gives no more than opening for writing does', async (t) => {
  t.same(await bank.put('/deposit/delivered.xml', Buffer.from('delivered')), done);
  for (const flags of [update, update | flag.create | flag.truncate, flag.write, flag.write | flag.append])
    t.match(await bank.opening('/deposit/delivered.xml', flags), { code: PERMISSION_DENIED }, `flags ${flags}`);
  t.match(await bank.opening('/deposit/delivered.xml', update | flag.create | flag.exclusive), {
    code: FAILURE,
    text: /exists already/,
  });
  t.match(await ours.opening('/acme/deposit/delivered.xml', update), { code: PERMISSION_DENIED }, 'who may only read');
  t.equal((await ours.read('/acme/deposit/delivered.xml')).toString(), 'delivered', 'it is what it was');
  // A refused WRITE counts on such a handle as on any other.
  const handle = await bank.open('/deposit/torn.xml', update | flag.create | flag.truncate);
  t.same(await bank.write(handle, 0, randomBytes(1000)), done);
  t.equal((await bank.write(handle, 0, randomBytes(10))).code, OP_UNSUPPORTED);
  t.not((await bank.close(handle)).code, OK);
  t.same(await states('torn.xml'), ['partial']);
});

test('what is not there is not made unless the client asks for it', async (t) => {
  const absent = { code: NO_SUCH_FILE, text: 'no such file or directory' };
  for (const flags of [update, flag.write, flag.write | flag.append, flag.write | flag.truncate])
    t.same(await bank.opening('/deposit/absent.xml', flags), absent, `flags ${flags}`);
  t.same(await states('absent.xml'), []);
  const cut = await RawSftp.connect(world, 'acme-batch');
  const [first, rest] = [randomBytes(70_000), randomBytes(5000)];
  const begun = await cut.open('/deposit/begun.xml', onward);
  t.same(await cut.write(begun, 0, first), done);
  t.same(await cut.fsync(begun), done);
  // What is there is opened without being asked for.
  const handle = await bank.open('/deposit/begun.xml', flag.write);
  t.same(await bank.write(handle, first.length, rest), done);
  t.same(await bank.close(handle), done);
  t.match((await versions('begun.xml')).at(-1), { state: 'published', sha256: sha256(Buffer.concat([first, rest])) });
  cut.client.close();
});

test('a size set by name: nothing begins anew, one that is open in this session is announced, any other is refused', async (t) => {
  const [old, anew] = [randomBytes(60_000), randomBytes(700)];
  // Nobody has it open: it begins anew, and nothing of it is delivered until it is written.
  t.same(await bank.put('/deposit/cut.xml.tmp', old), done);
  t.same(await bank.resizeName('/deposit/cut.xml.tmp', old.length), done, 'its size is confirmed');
  for (const size of [1, old.length - 1, old.length + 1])
    t.match(await bank.resizeName('/deposit/cut.xml.tmp', size), { code: OP_UNSUPPORTED, text: /size/ }, `${size}`);
  t.same(await states('cut.xml.tmp'), ['held'], 'what was refused changed nothing');
  t.same(await bank.resizeName('/deposit/cut.xml.tmp', 0), done);
  t.same(await states('cut.xml.tmp'), ['discarded', 'partial']);
  t.equal(await bank.size('/deposit/cut.xml.tmp'), 0);
  t.same(await bank.resizeName('/deposit/cut.xml.tmp', 0), done, 'once more');
  let handle = await bank.open('/deposit/cut.xml.tmp', flag.write);
  t.same(await bank.write(handle, 0, anew), done);
  t.same(await bank.close(handle), done);
  t.match((await versions('cut.xml.tmp')).at(-1), { state: 'held', sha256: sha256(anew) });

  // It is open in this session: the size counts as one that is set on the handle.
  handle = await bank.open('/deposit/cut.xml.tmp', onward);
  t.same(await bank.resizeName('/deposit/cut.xml.tmp', 0), done, 'before the first byte');
  t.same(await bank.write(handle, 0, old.subarray(0, 300)), done);
  t.same(await bank.close(handle), done);
  t.match((await versions('cut.xml.tmp')).at(-1), { state: 'held', sha256: sha256(old.subarray(0, 300)) });
  handle = await bank.open('/deposit/announced.xml', onward);
  t.same(await bank.resizeName('/deposit/announced.xml', 5000), done);
  t.same(await bank.write(handle, 0, anew), done);
  t.match(await bank.close(handle), { code: FAILURE, text: /5000 bytes were announced/ });

  // It is open elsewhere, or was delivered: nothing is changed.
  const other = await RawSftp.connect(world, 'acme-batch');
  handle = await other.open('/deposit/elsewhere.xml', onward);
  for (const size of [0, 1])
    t.match(
      await bank.resizeName('/deposit/elsewhere.xml', size),
      { code: NO_SUCH_FILE },
      `${size}, while it is only offered, nobody else sees it`,
    );
  t.same(await other.write(handle, 0, anew), done);
  t.same(await other.fsync(handle), done);
  t.match(await bank.resizeName('/deposit/elsewhere.xml', 0), { code: FAILURE, text: /open in another session/ });
  t.same(await other.close(handle), done);
  t.match(await bank.resizeName('/deposit/elsewhere.xml', 0), { code: PERMISSION_DENIED, text: /delivered/ });
  t.match(await bank.resizeName('/deposit/nothing.xml', 0), { code: NO_SUCH_FILE });
  t.match(await versions('elsewhere.xml'), [{ state: 'published', sha256: sha256(anew) }]);
  other.client.close();
});

test('each request for the wrong kind of thing is told what is there', async (t) => {
  const [d, f] = ['/deposit/kinds', '/deposit/kinds/f.tmp'];
  t.same(await bank.mkdir(d), done);
  t.same(await bank.put(f, Buffer.from('f')), done);
  t.same(await bank.put('/deposit/kinds/g.xml', Buffer.from('g')), done);
  const cases: Readonly<Record<string, readonly [() => Promise<Said>, number, RegExp]>> = {
    'remove a directory': [() => bank.remove(d), FAILURE, /^this is a directory/],
    'remove a folder': [() => bank.remove('/deposit'), FAILURE, /^this is a directory/],
    'read a directory': [() => bank.opening(d, flag.read), FAILURE, /^this is a directory/],
    'read a folder': [() => bank.opening('/deposit', flag.read), FAILURE, /^this is a directory/],
    'write a directory': [() => bank.opening(d, afresh), FAILURE, /^this is a directory/],
    'write a folder': [() => bank.opening('/deposit', afresh), FAILURE, /^this is a directory/],
    'write the root': [() => bank.opening('/', afresh), FAILURE, /^this is a directory/],
    'remove a file as a directory': [() => bank.rmdir(f), FAILURE, /^this is not a directory/],
    'list a file': [() => bank.opendir(f), FAILURE, /^this is not a directory/],
    'write below a file': [() => bank.opening(`${f}/x`, afresh), FAILURE, /^f\.tmp is not a directory/],
    'make a directory below a file': [() => bank.mkdir(`${f}/x`), FAILURE, /^f\.tmp is not a directory/],
    'list below a file': [() => bank.opendir(`${f}/x`), NO_SUCH_FILE, /^no such/],
    'rename a directory': [() => bank.move(d, `${d}-2`), FAILURE, /^directories are not renamed here/],
    'rename a directory, replacing': [() => bank.rename(d, `${d}-2`), FAILURE, /^directories are not renamed here/],
    'rename a folder': [() => bank.move('/deposit', '/deposit2'), FAILURE, /^directories are not renamed here/],
    'rename a file onto a directory': [() => bank.rename(f, d), FAILURE, /^the target is a directory/],
    'rename a file onto a folder': [() => bank.rename(f, '/deposit'), FAILURE, /^the target is a directory/],
    'rename a file onto a file': [() => bank.move(f, '/deposit/kinds/g.xml'), FAILURE, /^the target exists already/],
    'rename into the root': [() => bank.move(f, '/f.tmp'), FAILURE, /^files go into deposit\//],
    'make a directory that exists': [() => bank.mkdir(d), FAILURE, /^it exists already/],
    'make a directory over a file': [() => bank.mkdir(f), FAILURE, /^it exists already/],
    'make the root': [() => bank.mkdir('/'), FAILURE, /^it exists already/],
    'make a folder': [() => bank.mkdir('/deposit'), FAILURE, /^it exists already/],
    'make a folder with a slash': [() => bank.mkdir('/deposit/'), FAILURE, /^it exists already/],
    'make a directory in the root': [() => bank.mkdir('/nothing'), FAILURE, /^directories go into deposit\//],
    'write in the root': [() => bank.opening('/pay.xml', afresh), FAILURE, /^files go into deposit\//],
    'write at a missing level': [() => bank.opening('/nothing/pay.xml', afresh), NO_SUCH_FILE, /^no such/],
    'write below a missing directory': [() => bank.opening(`${d}/no/pay.xml`, afresh), NO_SUCH_FILE, /^no such/],
    'remove a folder as a directory': [() => bank.rmdir('/deposit'), PERMISSION_DENIED, /set up by the operator/],
    'remove a directory with something in it': [() => bank.rmdir(d), FAILURE, /not empty/],
    'look up what is not there': [() => bank.stat('/deposit/none'), NO_SUCH_FILE, /^no such/],
    'look up in the root': [() => bank.stat('/pay.xml'), NO_SUCH_FILE, /^no such/],
    'read what is not there': [() => bank.opening('/deposit/none', flag.read), NO_SUCH_FILE, /^no such/],
    'remove what is not there': [() => bank.remove('/deposit/none'), NO_SUCH_FILE, /^no such/],
    'remove in the root': [() => bank.remove('/pay.xml'), NO_SUCH_FILE, /^no such/],
    'rename what is not there': [() => bank.move('/deposit/none', `${d}/x`), NO_SUCH_FILE, /^no such/],
    'make a bank': [() => ours.mkdir('/acme'), FAILURE, /^it exists already/],
    'make a folder of a bank': [() => ours.mkdir('/acme/collect'), FAILURE, /^it exists already/],
    'write among the banks': [() => ours.opening('/x.xml', afresh), FAILURE, /^files go into the folders/],
    'write beside the folders of a bank': [
      () => ours.opening('/acme/x.xml', afresh),
      FAILURE,
      /^files go into collect\//,
    ],
    'write at a bank that is not there': [() => ours.opening('/nobody/x.xml', afresh), NO_SUCH_FILE, /^no such/],
  };
  for (const [what, [ask, code, text]] of Object.entries(cases)) t.match(await ask(), { code, text }, what);
  t.same(await states('f.tmp'), ['held'], 'none of this changed anything');
  // The twins: what is of the right kind.
  t.same(await bank.move(f, '/deposit/kinds/h.tmp'), done);
  t.same(await bank.remove('/deposit/kinds/h.tmp'), done);
  t.same(await bank.mkdir(`${d}/e`), done);
  t.equal((await bank.opendir(`${d}/e`)).code, OK);
  t.same(await bank.rmdir(`${d}/e`), done);
});

test('a name that cannot exist is not there when it is looked up, and is refused with the reason when it would be made', async (t) => {
  const impossible: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    'latin-1': [Buffer.from('/deposit/M\u00fcller.xml', 'latin1'), /UTF-8/],
    'a control character': [Buffer.from('/deposit/a\nb.xml'), /control character/],
    'a control character of latin-1': [Buffer.from('/deposit/a\u0085b.xml'), /control character/],
    '256 bytes': [Buffer.from(`/deposit/${'x'.repeat(256)}`), /255 bytes/],
    '256 bytes of UTF-8': [Buffer.from(`/deposit/${'ü'.repeat(128)}`), /255 bytes/],
    'a directory of 256 bytes': [Buffer.from(`/deposit/${'x'.repeat(256)}/f`), /255 bytes/],
    '33 levels': [Buffer.from(`/deposit${'/d'.repeat(32)}`), /32 levels/],
    'a long path': [Buffer.from(`/${'x'.repeat(4096)}`), /4096 bytes/],
  };
  t.same(await bank.put('/deposit/possible.tmp', Buffer.from('x')), done);
  const possible = '/deposit/possible.tmp';
  for (const [what, [bytes, reason]] of Object.entries(impossible)) {
    const path = Buffer.concat([u32(bytes.length), bytes]);
    const absent = { code: NO_SUCH_FILE, text: reason };
    t.match(await bank.stat(path), absent, `${what}: looked up`);
    t.match(await bank.opening(path, flag.read), absent, `${what}: read`);
    t.match(await bank.move(path, possible), absent, `${what}: renamed`);
    const refused = { code: FAILURE, text: reason };
    t.match(await bank.opening(path, afresh), refused, `${what}: written`);
    t.match(await bank.mkdir(path), refused, `${what}: made`);
    t.match(await bank.move(possible, path), refused, `${what}: renamed to`);
  }
  t.same(await bank.put(`/deposit/${'x'.repeat(251)}.tmp`, Buffer.from('x')), done, 'the twin: 255 bytes');
  t.same(await states('possible.tmp'), ['held']);
});

test('a name that is not final is delivered when it is renamed; its receipt and the record name it as it was delivered', async (t) => {
  const bytes = randomBytes(900);
  t.same(await bank.mkdir('/deposit/.uploading'), done);
  const temporary = [
    ...['a.xml.writing', 'a.xml.inprogress', 'a.xml.UPLOADING', 'a.xml.upload', '_tmp_a.xml', 'a.xml~', 'a.xml.in'],
    ...['a.xml.filepart', 'a.xml.part', 'a.xml.crdownload', '.a.xml', '.uploading/a.xml'],
  ];
  for (const [i, name] of temporary.entries()) {
    const [from, to] = [`/deposit/${name}`, `/deposit/final-${i}.xml`];
    const content = Buffer.concat([bytes, Buffer.of(i)]);
    t.same(await bank.put(from, content), done);
    t.match(await ours.stat(`/acme${from}`), { code: NO_SUCH_FILE }, `${name} is not delivered`);
    const before = await world.cofferctlJson<{ receipt: string }>([
      'file',
      'receipt',
      '--customer',
      'acme',
      '--path',
      from,
    ]);
    t.match(parseReceipt(before.receipt).fields, { path: from });
    t.same(await bank.move(from, to), done, `${name} is renamed`);
    t.same(await ours.read(`/acme${to}`), content, 'and delivered');
    const after = await world.cofferctl(['file', 'receipt', '--customer', 'acme', '--path', to]);
    t.equal(after.code, 0, 'a genuine receipt');
    const { fields } = parseReceipt(after.out);
    t.match(
      fields,
      { path: to, closedAs: from, sha256: sha256(content) },
      'names what was delivered, and what was sent',
    );
    t.equal(fields.version, parseReceipt(before.receipt).fields.version);
    t.equal(fields.closedAt, parseReceipt(before.receipt).fields.closedAt);
    const { rows } = await database.query(
      `select public ->> 'path' as path, public ->> 'closedAs' as "closedAs", public ->> 'folder' as folder
       from (select public, version_id, kind from ledger_fresh union all select public, version_id, kind from ledger_sealed) e
       where version_id = $1 and kind = 'file.published'`,
      [fields.version],
    );
    t.same(rows, [{ folder: 'deposit', path: to.slice('/deposit'.length), closedAs: from.slice('/deposit'.length) }]);
  }
  // The twins: a final name that looks almost so is delivered at once, and its receipt says nothing more.
  for (const name of ['final.writing.xml', 'upload', 'in', 'tmp_a.xml', 'x~y.xml']) {
    t.same(await bank.put(`/deposit/${name}`, Buffer.concat([bytes, Buffer.from(name)])), done);
    t.match(await states(name), ['published'], name);
    const { out } = await world.cofferctl(['file', 'receipt', '--customer', 'acme', '--path', `/deposit/${name}`]);
    t.notOk('closedAs' in parseReceipt(out).fields, name);
  }
});

test('a client that asks for the service of logins before each proof, as paramiko does, is asked for its code', async (t) => {
  const { port } = world.demo.partner;
  const pem = readFileSync(world.keyFile('acme'), 'utf8');
  const asks = async (service: string): Promise<readonly (number | undefined)[]> => {
    const client = await RawClient.open({ port });
    await client.beginLogin();
    client.send(client.authRequest('acme', pem));
    await client.next(51);
    client.send(message(5, service));
    const accepted = await client.next(6);
    client.send(message(50, 'acme', 'ssh-connection', 'keyboard-interactive', '', ''));
    const asked = await client.next(60);
    client.close();
    return [accepted?.[0], asked?.[0]];
  };
  t.same(await asks('ssh-userauth'), [6, 60]);
  t.same(await asks('ssh-connection'), [undefined, undefined], 'the twin: another service ends the connection');
});
