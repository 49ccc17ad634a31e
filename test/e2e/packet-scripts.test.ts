// What clients that cannot run here send, packet by packet: WinSCP (temporary name, rename, times and permissions
// afterwards), FileZilla (probes, attributes by handle), Go's sftp package of 2022 (a WRITE with more bytes than its
// length).
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { t as file, test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { message, RawClient, sftpPacket, u32, u64 } from '../support/raw-client.ts';
import { startWorld, type World } from '../support/world.ts';

const ok = 0;
const noSuchFile = 2;
const noAttributes = u32(0);
const permissionsAndTimes = Buffer.concat([u32(0x4 | 0x8), u32(0o640), u32(1_700_000_000), u32(1_700_000_000)]);
const isStatus = (packet: Buffer | undefined, code: number): boolean =>
  packet?.[0] === fx.status && packet.readUInt32BE(5) === code;

async function open(world: World, version = 3): Promise<RawClient> {
  const client = await RawClient.open({ port: world.demo.partner.port, identification: 'WinSCP_release_6.3.5' });
  if (!(await client.login('acme-batch', readFileSync(world.keyFile('acme-batch'), 'utf8'))))
    throw new Error('no login');
  client.send(Buffer.concat([Buffer.of(90), u32(7), Buffer.from('session'), u32(7), u32(0x7fffffff), u32(0x4000)]));
  await client.next(91);
  client.send(
    Buffer.concat([Buffer.of(98), u32(0), u32(9), Buffer.from('subsystem'), Buffer.of(1), u32(4), Buffer.from('sftp')]),
  );
  await client.next(99);
  client.data(sftpPacket(1, u32(version)));
  const greeting = await client.sftpReply();
  if (greeting?.[0] !== 2 || greeting.readUInt32BE(1) !== 3) throw new Error('no version 3');
  return client;
}

async function write(client: RawClient, path: string, content: Buffer, pieceBytes = 32_000): Promise<Buffer> {
  const opened = await client.ask(fx.open, path, u32(0x1a), noAttributes);
  if (opened?.[0] !== fx.handle) throw new Error(`open: ${opened?.toString('latin1')}`);
  const handle = Buffer.from(opened.subarray(5));
  for (let at = 0; at < content.length; at += pieceBytes) {
    const piece = content.subarray(at, at + pieceBytes);
    if (!isStatus(await client.ask(fx.write, handle, u64(at), u32(piece.length), piece), ok)) throw new Error('write');
  }
  return handle;
}

const stored = async (world: World, name: string): Promise<{ sha256: string | null; size: number } | undefined> =>
  (
    await world.cofferctlJson<{ files: { path: string; sha256: string | null; size: number }[] }>([
      'file',
      'list',
      'acme',
      '--limit',
      '500',
    ])
  ).files.find((file) => file.path.endsWith(name));
const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** Each client has names and a connection of its own. */
const world = await startWorld(file, { limits: { channelsPerConnectionMax: 2 } });

test('WinSCP: asks for version 6, then temporary name, rename, times and permissions', async (t) => {
  const client = await open(world, 6);
  const content = randomBytes(300_000);
  t.equal((await client.ask(fx.realpath, '.'))?.[0], fx.name, 'where am I');
  t.equal(
    (await client.ask(fx.realpath, '/deposit/'))?.subarray(13).toString('latin1', 0, 8),
    '/deposit',
    'the name of a folder',
  );
  const listing = await client.ask(fx.opendir, '/deposit');
  t.equal(listing?.[0], fx.handle);
  let last: Buffer | undefined;
  do last = await client.ask(fx.readdir, Buffer.from(listing?.subarray(5) ?? []));
  while (last?.[0] === fx.name);
  t.ok(isStatus(last, 1), 'a listing ends with EOF');
  t.ok(isStatus(await client.ask(fx.close, Buffer.from(listing?.subarray(5) ?? [])), ok));
  t.ok(isStatus(await client.ask(fx.lstat, '/deposit/pay.xml'), noSuchFile), 'is there a file already');
  t.ok(isStatus(await client.ask(fx.lstat, '/deposit/pay.xml.filepart'), noSuchFile), 'is there a part of one');
  const handle = await write(client, '/deposit/pay.xml.filepart', content);
  t.ok(isStatus(await client.ask(fx.fsetstat, handle, permissionsAndTimes), ok), 'attributes by handle');
  t.ok(isStatus(await client.ask(fx.close, handle), ok));
  t.ok(
    isStatus(await client.ask(fx.rename, '/deposit/pay.xml.filepart', '/deposit/pay.xml'), ok),
    'the temporary name becomes the name',
  );
  t.ok(
    isStatus(await client.ask(fx.setstat, '/deposit/pay.xml', permissionsAndTimes), ok),
    'attributes by name afterwards',
  );
  t.equal((await client.ask(fx.stat, '/deposit/pay.xml'))?.[0], fx.attrs);
  t.equal((await stored(world, 'pay.xml'))?.sha256, sha256(content), 'what is stored is what was sent');
  client.close();
});

test('FileZilla: a zero-length probe, then the file; permissions by name; a listing beside it', async (t) => {
  const client = await open(world);
  const probe = await write(client, '/deposit/.probe', Buffer.alloc(0));
  t.ok(isStatus(await client.ask(fx.close, probe), ok), 'an empty file is a file');
  t.ok(isStatus(await client.ask(fx.remove, '/deposit/.probe'), ok), 'a held one can be taken back');
  const content = randomBytes(70_001);
  const handle = await write(client, '/deposit/statement.csv', content, 16_000);
  t.equal((await client.ask(fx.fstat, handle))?.[0], fx.attrs);
  t.ok(isStatus(await client.ask(fx.close, handle), ok));
  t.ok(
    isStatus(await client.ask(fx.setstat, '/deposit/statement.csv', Buffer.concat([u32(0x4), u32(0o100644)])), ok),
    'permissions are accepted',
  );
  t.equal((await stored(world, 'statement.csv'))?.sha256, sha256(content));
  client.close();
});

test('a WRITE with more bytes than its length writes its length; one with fewer is an error, and makes no file', async (t) => {
  const client = await open(world);
  const content = randomBytes(40_000);
  const handle = await write(client, '/deposit/go.bin', content);
  const more = Buffer.concat([Buffer.from('!'), randomBytes(5000)]);
  t.ok(isStatus(await client.ask(fx.write, handle, u64(content.length), u32(1), more), ok));
  t.ok(isStatus(await client.ask(fx.close, handle), ok));
  t.equal((await stored(world, 'go.bin'))?.sha256, sha256(Buffer.concat([content, Buffer.from('!')])));
  const torn = await write(client, '/deposit/torn.bin', content);
  t.equal(
    (await client.ask(fx.write, torn, u64(content.length), u32(100), Buffer.alloc(50)))?.readUInt32BE(5),
    5,
    'SSH_FX_BAD_MESSAGE',
  );
  const closed = await client.ask(fx.close, torn);
  t.match(closed?.toString('latin1'), /packet is too short; the file stays incomplete and can be resumed/);
  t.equal((await stored(world, 'torn.bin'))?.sha256, null, 'what arrived in order is kept, and is no file');
  client.close();
});

test('as many channels as the configuration allows, and no more', async (t) => {
  const client = await RawClient.open({ port: world.demo.partner.port });
  t.ok(await client.login('acme-batch', readFileSync(world.keyFile('acme-batch'), 'utf8')));
  const opened: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    client.send(message(90, 'session', u32(i), u32(100_000), u32(32_768)));
    const answer = await client.next(91, 92);
    opened.push(answer?.[0] === 91 ? answer.readUInt32BE(5) : -1);
  }
  t.same(opened, [0, 1, -1], 'two have places, the third is refused');
  for (const place of [0, 1]) {
    client.send(message(98, u32(place), 'subsystem', Uint8Array.of(1), 'sftp'));
    t.equal((await client.next(99, 100))?.readUInt32BE(1), place, `SFTP on channel ${place}`);
    client.send(message(94, u32(place), u32(9), sftpPacket(1, u32(3))));
  }
  client.send(message(97, u32(0)));
  t.equal((await client.next(97))?.readUInt32BE(1), 0);
  client.send(message(90, 'session', u32(9), u32(100_000), u32(32_768)));
  t.equal((await client.next(91, 92))?.readUInt32BE(5), 0, 'a closed one gives its place');
  client.close();
});
