// T-34: what one logged-in client can do to the process that serves all: as many and as small pieces as it likes,
// wherever something waits. Nobody else waits for it, and memory stays bounded. Each attack is over in seconds and
// stops by itself.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { t as file, test } from 'tap';
import { freeExtents } from '../../server/warden/transfers/extent-price.ts';
import { message, RawClient, sftpPacket, u32, u64 } from '../support/raw-client.ts';
import { statusOf } from '../support/session-bench.ts';
import { harmOf } from '../support/stall.ts';
import { run, startWorld } from '../support/world.ts';

/**
 * Measured: less than 250 ms, and less than 64 MiB. The limits leave room for a machine that does other things, too.
 */
const stallMsMax = 1000;
const grownBytesMax = 64 * 2 ** 20;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const world = await startWorld(file);
{
  // Node collects buffers after 64 MiB of them: an honest upload causes that, and the attacks are compared with it.
  const local = join(world.directory, 'warm');
  writeFileSync(local, randomBytes(100_000_000));
  const warm = await world.sftp('acme-batch', [`put ${local} deposit/warm`]);
  if (warm.code !== 0) throw new Error(warm.err);
}
const key = readFileSync(world.keyFile('globex-batch'), 'utf8');
const database = new pg.Client({ connectionString: world.databaseUrl });
await database.connect();
file.teardown(() => database.end());
/** What was charged to the attacker's account beside bytes. */
async function itemsIn(): Promise<number> {
  const { rows } = await database.query(
    "select b.total_items::int as items from budget b join account a on a.id = b.account_id where a.name = 'globex-batch' and b.direction = 'in' and b.rank = 2",
  );
  return rows[0].items;
}

async function session(): Promise<RawClient> {
  const client = await RawClient.open({ port: world.demo.partner.port });
  if (!(await client.login('globex-batch', key)) || !(await client.sftp()))
    throw new Error('the attacker could not log in');
  return client;
}

/** Sends `count` messages as fast as the server accepts them. */
async function flood(client: RawClient, count: number, messageOf: (i: number) => Buffer): Promise<void> {
  for (let i = 0; i < count && !client.isClosed; ) {
    client.socket.cork();
    for (const end = Math.min(count, i + 2000); i < end; i += 1) client.send(messageOf(i));
    client.socket.uncork();
    while (client.socket.writableLength > 4 * 2 ** 20 && !client.isClosed) await sleep(2);
    await sleep(0);
  }
  for (const end = Date.now() + 20_000; client.socket.writableLength > 0 && !client.isClosed && Date.now() < end; )
    await sleep(5);
}
const oneByte = (bytes: Buffer) => (i: number) => message(94, u32(0), u32(1), bytes.subarray(i, i + 1));
async function openDeposit(client: RawClient, name: string): Promise<Buffer> {
  const opened = await client.ask(3, `/deposit/${name}`, u32(0x1a), u32(0));
  if (opened?.[0] !== 102) throw new Error('the file could not be opened');
  return Buffer.from(opened.subarray(5));
}

type Attack = { readonly name: string; readonly survives: boolean; readonly run: (client: RawClient) => Promise<void> };
const attacks: readonly Attack[] = [
  {
    name: 'a packet of 256 KiB, one byte at a time',
    survives: true,
    run: async (client) => {
      const packet = sftpPacket(6, u32(7), Buffer.from('nohandle'), u64(0), u32(260_000), Buffer.alloc(260_000, 3));
      await flood(client, packet.length, oneByte(packet));
      if (statusOf(await client.sftpReply()) !== 5) throw new Error('the packet did not arrive');
    },
  },
  {
    name: 'answers that nobody reads, and requests behind them, one byte at a time',
    survives: true,
    run: async (client) => {
      const request = sftpPacket(20, u32(5), 'a', 'b');
      const all = Buffer.concat(Array.from({ length: 400_000 / request.length }, () => request));
      client.socket.pause();
      // What is refused at once fills what may wait for its reader.
      const refused = Buffer.concat(Array.from({ length: 1000 }, () => request));
      await flood(client, 120, () => message(94, u32(0), u32(refused.length), refused));
      await flood(client, all.length, oneByte(all));
      client.socket.resume();
      for (let answers = 0; answers < 20_000; answers += 1)
        if ((await client.sftpReply()) === undefined) throw new Error(`answer ${answers} did not come`);
    },
  },
  {
    name: 'writes ahead of their place, in many files, one byte each',
    survives: true,
    run: async (client) => {
      for (let one = 0; one < 40; one += 1) {
        const handle = await openDeposit(client, `ahead-${one}`);
        await flood(client, 1200, (i) => {
          const write = sftpPacket(6, u32(i), handle, u64(10 + 2 * i), u32(1), Buffer.of(1));
          return message(94, u32(0), u32(write.length), write);
        });
        for (let i = 0; i < 1200; i += 1)
          if ((await client.sftpReply()) === undefined) throw new Error('a write was not answered');
      }
    },
  },
  {
    name: 'writes ahead of their place, in many files, as large as they may be',
    survives: true,
    run: async (client) => {
      const data = Buffer.alloc(32_000, 1);
      for (let one = 0; one < 30; one += 1) {
        const handle = await openDeposit(client, `far-${one}`);
        for (let i = 0; i < 128; i += 1) {
          const write = sftpPacket(6, u32(i), handle, u64(1 + i * data.length), u32(data.length), data);
          client.data(write.subarray(0, 32_000));
          client.data(write.subarray(32_000));
        }
        for (let i = 0; i < 128; i += 1)
          if ((await client.sftpReply()) === undefined) throw new Error('a write was not answered');
      }
    },
  },
  {
    name: 'many files in turn, each far below an extent',
    survives: true,
    run: async (client) => {
      const handles: Buffer[] = [];
      for (let one = 0; one < 62; one += 1) handles.push(await openDeposit(client, `turn-${one}`));
      const data = Buffer.alloc(30_000, 1);
      for (let round = 0; round < 30; round += 1) {
        for (const [one, handle] of handles.entries()) {
          const write = sftpPacket(6, u32(one), handle, u64(round * data.length), u32(data.length), data);
          client.data(write);
        }
        for (const _ of handles)
          if (statusOf(await client.sftpReply(60_000)) !== 0) throw new Error('a write was refused');
      }
      for (const handle of handles)
        if (statusOf(await client.ask(4, handle)) !== 0) throw new Error('a file was not taken');
      const { rows } = await database.query(
        "select max(extent_count)::int as most from version v join file f on f.id = v.file_id where f.name like 'turn-%'",
      );
      // With one for each WRITE there would be thirty.
      if (rows[0].most > 10) throw new Error(`a file of 900,000 bytes has ${rows[0].most} extents`);
    },
  },
  {
    name: 'fsync after every byte',
    survives: true,
    run: async (client) => {
      const handle = await openDeposit(client, 'bytes');
      const before = await itemsIn();
      const bytes = freeExtents + 20;
      for (let at = 0; at < bytes; at += 1) {
        client.data(sftpPacket(6, u32(1), handle, u64(at), u32(1), Buffer.of(at)));
        client.data(sftpPacket(200, u32(2), 'fsync@openssh.com', handle));
      }
      for (let i = 0; i < 2 * bytes; i += 1)
        if (statusOf(await client.sftpReply(60_000)) !== 0) throw new Error('it was refused');
      if (statusOf(await client.ask(4, handle)) !== 0) throw new Error('the file was not taken');
      const paid = (await itemsIn()) - before;
      if (paid !== 20) throw new Error(`${bytes} extents of a byte cost ${paid} items`);
      const get = (): ReturnType<typeof world.sftp> =>
        world.sftp('processor', [`get globex/deposit/bytes ${join(world.directory, 'bytes')}`]);
      // It settles first.
      for (const end = Date.now() + 60_000; (await get()).code !== 0 && Date.now() < end; ) await sleep(200);
      const sent = Buffer.from(Array.from({ length: bytes }, (_, at) => at));
      if (!readFileSync(join(world.directory, 'bytes')).equals(sent)) throw new Error('it cannot be read');
      // It silently ends a file where a READ in the middle of it was answered short.
      const [options, target] = [
        world.sftpArguments('processor').slice(0, -1),
        world.sftpArguments('processor').at(-1) ?? '',
      ];
      const copy = join(world.directory, 'copy');
      const copied = await run('scp', [...options, `${target}:globex/deposit/bytes`, copy], {
        env: await world.sftpEnvironment('processor'),
      });
      if (copied.code !== 0 || !readFileSync(copy).equals(sent))
        throw new Error(`scp cannot read it: ${copied.code} ${copied.err}`);
    },
  },
  {
    name: 'fsync on an upload that another session has taken over',
    survives: true,
    run: async (client) => {
      const [handle, other] = [await openDeposit(client, 'taken'), await session()];
      const data = Buffer.alloc(100, 1);
      if (statusOf(await client.ask(6, handle, u64(0), u32(100), data)) !== 0) throw new Error('the write was refused');
      await openDeposit(other, 'taken');
      for (let i = 0; i < 3; i += 1)
        if (statusOf(await client.ask(200, 'fsync@openssh.com', handle)) === 0)
          throw new Error('what is lost was called durable');
      if (statusOf(await client.ask(4, handle)) === 0) throw new Error('a close of nothing was called one');
      other.close();
    },
  },
  {
    name: '100,000 messages that say nothing',
    survives: true,
    run: (client) => flood(client, 100_000, () => message(2, '')),
  },
  {
    name: 'reads beyond every end, and every other number of 64 bits',
    survives: true,
    run: async (client) => {
      for (const value of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
        // What was refused once is refused with other words afterwards, so each has a file of its own.
        const [written, sized, named] = [
          await openDeposit(client, 'written'),
          await openDeposit(client, 'sized'),
          await openDeposit(client, 'named'),
        ];
        for (const packet of [
          await client.ask(6, written, u64(value), u32(1), Buffer.of(1)),
          await client.ask(10, sized, u32(1), u64(value)),
          await client.ask(9, '/deposit/named', u32(1), u64(value)),
        ])
          if (statusOf(packet) !== 8) throw new Error(`${value}: ${statusOf(packet)}`);
        for (const handle of [written, sized, named])
          if (statusOf(await client.ask(4, handle)) !== 4) throw new Error(`${value}: a file was made`);
      }
    },
  },
];

for (const attack of attacks)
  test(attack.name, async (t) => {
    const [pid] = world.pidsOf('partner-1');
    if (pid === undefined) throw new Error('no edge');
    const local = join(world.directory, 'good');
    writeFileSync(local, randomBytes(3_000_000));
    const name = attack.name.replaceAll(/\W+/g, '-');
    const client = await session();
    const good = world.sftp('acme-batch', [`put ${local} deposit/${name}`, `ls -l deposit/${name}`]);
    const harm = await harmOf(world.demo.partner.port, pid, async () => {
      await attack.run(client).catch((error: unknown) => {
        t.comment(String(error));
        throw error;
      });
      return client.isClosed;
    });
    t.comment(`longest wait ${harm.stallMs} ms, memory ${Math.round(harm.grownBytes / 2 ** 20)} MiB more`);
    t.equal(harm.result, !attack.survives, attack.survives ? 'it is answered, or refused in words' : 'it is ended');
    t.ok(harm.stallMs < stallMsMax, 'nobody waits');
    t.ok(harm.grownBytes < grownBytesMax, 'memory stays');
    const done = await good;
    t.ok(done.code === 0 && done.out.includes('3000000'), 'a transfer beside it is whole');
    t.equal(world.pidsOf('partner-1')[0], pid, 'the same process');
    client.close();
  });
