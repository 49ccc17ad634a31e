// Sockets that are read into memory of our own, and those that are read as Node.js does it: both ways must do the same.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type Test, test } from 'tap';
import { busyBytes, quietBytes, type ReadMemory, SocketReader } from '../../server/rpc/own-buffer.ts';
import { checkOwnBuffer } from '../../server/rpc/own-buffer-check.ts';
import { until } from '../support/until.ts';

class Counted implements ReadMemory {
  bytes = 0;
  max = Number.POSITIVE_INFINITY;
  take(bytes: number): boolean {
    if (this.bytes + bytes > this.max) return false;
    this.bytes += bytes;
    return true;
  }
  need(bytes: number): void {
    this.bytes += bytes;
  }
  give(bytes: number): void {
    this.bytes -= bytes;
  }
}

const patternOf = (bytes: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => (at * 13 + (at >> 7)) & 255));
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

async function pair(t: Test, isOwn: boolean) {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(server.address() as { port: number });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  client.on('error', () => {});
  const memory = new Counted();
  const reader = new SocketReader(accepted, memory, isOwn);
  reader.socket.on('error', () => {});
  t.teardown(async () => {
    client.destroy();
    if (!reader.socket.closed) await Promise.all([once(reader.socket, 'close'), reader.socket.destroy()]);
    await new Promise((resolve) => server.close(resolve));
    if (memory.bytes !== 0) throw new Error(`${memory.bytes} bytes stay counted`);
  });
  return { client, reader, memory, server };
}

test('reading into memory of our own works on this machine, and its text says so', async (t) => {
  t.same(await checkOwnBuffer(), { isOwn: true, text: 'sockets are read into memory of our own' });
});

for (const isOwn of [true, false]) {
  const way = isOwn ? 'own memory' : 'as Node.js does it';

  test(`${way}: nothing comes before it was asked for; then everything in order`, async (t) => {
    const { client, reader } = await pair(t, isOwn);
    const sent = patternOf(3_000_000);
    const got: Buffer[] = [];
    let gotBytes = 0;
    client.write(sent);
    await turn();
    t.equal(reader.socket.isPaused(), true);
    reader.bytesMax = busyBytes;
    reader.read((bytes) => {
      got.push(Buffer.from(bytes));
      gotBytes += bytes.length;
      return bytes.length;
    });
    reader.resume();
    await until('all bytes', () => gotBytes === sent.length);
    t.equal(Buffer.concat(got).equals(sent), true);
    t.equal(reader.socket.bytesRead, sent.length);
  });

  test(`${way}: what was not used waits in its place, and nothing comes in between`, async (t) => {
    const { client, reader } = await pair(t, isOwn);
    const sent = patternOf(400_000);
    let place = 0;
    let isHeld = false;
    let steps = 0;
    reader.bytesMax = busyBytes;
    reader.read((bytes) => {
      t.equal(isHeld, false, 'not while it is held');
      const used = Math.min(bytes.length, 7001);
      if (!bytes.subarray(0, used).equals(sent.subarray(place, place + used))) t.fail(`other bytes at ${place}`);
      place += used;
      steps += 1;
      if (used < bytes.length || steps % 3 === 0) {
        isHeld = true;
        reader.pause();
        setImmediate(() => {
          isHeld = false;
          reader.resume();
        });
      }
      return used;
    });
    reader.resume();
    client.write(sent.subarray(0, 100));
    await turn();
    client.write(sent.subarray(100));
    await until('all bytes', () => place === sent.length);
    t.ok(steps > 50);
  });

  test(`${way}: another takes over in the middle, from the next byte on, at once or later`, async (t) => {
    for (const isLater of [false, true]) {
      const { client, reader } = await pair(t, isOwn);
      let second = '';
      const goOn = (): void => {
        reader.read((bytes) => {
          second += bytes.toString('latin1');
          return bytes.length;
        });
        reader.resume();
      };
      reader.read((bytes) => {
        const end = bytes.indexOf(10);
        if (end === -1) return bytes.length;
        reader.pause();
        if (isLater) setTimeout(goOn, 10);
        else goOn();
        return end + 1;
      });
      reader.resume();
      client.write('PROXY something\r');
      await turn();
      client.write('\nSSH-2.0-me');
      await until('the rest', () => second.length === 10);
      client.write(' and more');
      await until('the rest', () => second === 'SSH-2.0-me and more');
    }
  });

  test(`${way}: the other side ends, or this side destroys in the middle of what it got`, async (t) => {
    const ended = await pair(t, isOwn);
    ended.reader.read((bytes) => bytes.length);
    ended.reader.resume();
    ended.client.end('bye');
    await once(ended.reader.socket, 'close');
    const cut = await pair(t, isOwn);
    let calls = 0;
    cut.reader.read((_bytes) => {
      calls += 1;
      cut.reader.socket.destroy();
      return 1;
    });
    cut.reader.resume();
    cut.client.write(patternOf(200_000));
    await once(cut.reader.socket, 'close');
    await turn();
    t.equal(calls, 1);
    cut.reader.resume();
    cut.reader.pause();
    t.equal(calls, 1, 'nothing comes from a socket that is gone');
  });

  test(`${way}: a half-closed client still reads what is written to it`, async (t) => {
    const { client, reader } = await pair(t, isOwn);
    let got = '';
    client.on('data', (bytes: Buffer) => (got += bytes.toString('latin1')));
    reader.read((bytes) => {
      reader.socket.write('answer');
      return bytes.length;
    });
    reader.resume();
    client.end('question');
    await once(client, 'close');
    t.equal(got, 'answer');
  });

  test(`${way}: a socket that closes before anything was read`, async (t) => {
    const { client, reader, server } = await pair(t, isOwn);
    client.destroy();
    await turn();
    reader.socket.destroy();
    await once(reader.socket, 'close');
    await until('no socket', () => new Promise((resolve) => server.getConnections((_, count) => resolve(count === 0))));
    t.pass();
  });
}

test('memory grows with what comes as far as it may, and becomes small again', async (t) => {
  const { client, reader, memory } = await pair(t, true);
  const sizes = new Set<number>();
  reader.read((bytes) => {
    sizes.add(bytes.buffer.byteLength);
    return bytes.length;
  });
  reader.resume();
  const sent = patternOf(4_000_000);
  const flood = async (): Promise<void> => {
    sizes.clear();
    const before = reader.socket.bytesRead;
    client.write(sent);
    await until('all bytes', () => reader.socket.bytesRead === before + sent.length);
  };
  await flood();
  t.same([...sizes], [quietBytes], 'as long as nobody allowed more');
  t.equal(memory.bytes, quietBytes);
  reader.bytesMax = busyBytes;
  memory.max = 100_000;
  await flood();
  t.equal(Math.max(...sizes), 4 * quietBytes, 'as far as there is room');
  memory.max = Number.POSITIVE_INFINITY;
  await flood();
  t.equal(Math.max(...sizes), busyBytes);
  t.equal(memory.bytes, busyBytes);
  for (let i = 0; i < 12; i += 1) {
    client.write('x');
    await turn();
  }
  t.equal(memory.bytes, quietBytes);
  sizes.clear();
  client.write('x');
  await until('a read', () => sizes.size === 1);
  t.same([...sizes], [quietBytes]);
});

test('two sockets never have the same memory', async (t) => {
  const [one, other] = [await pair(t, true), await pair(t, true)];
  const memories: ArrayBufferLike[] = [];
  for (const { client, reader } of [one, other]) {
    reader.read((bytes) => {
      memories.push(bytes.buffer);
      return bytes.length;
    });
    reader.resume();
    client.write('x');
  }
  await until('two reads', () => memories.length === 2);
  t.not(memories[0], memories[1]);
});

test('one socket that sends without a pause leaves others their turn', async (t) => {
  const { client, reader } = await pair(t, true);
  reader.bytesMax = busyBytes;
  let inTurn = 0;
  let most = 0;
  const count = (): void => {
    most = Math.max(most, inTurn);
    inTurn = 0;
    if (!reader.socket.destroyed) setImmediate(count);
  };
  reader.read((bytes) => {
    inTurn += bytes.length;
    return bytes.length;
  });
  reader.resume();
  setImmediate(count);
  const sent = patternOf(16_000_000);
  client.write(sent);
  await until('all bytes', () => reader.socket.bytesRead === sent.length);
  t.ok(most <= 4 * 1024 * 1024, `${most} bytes in one turn`);
});
