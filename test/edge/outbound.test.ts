// When one connection is read: not while too much waits to be written to it, not while others have their turn, and not
// while a channel cannot take more. And what is written: whole, in few pieces, from memory that is used again.
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'tap';
import { bounds } from '../../server/edge/transport/connection-bounds.ts';
import { Outbound, pieceBytes } from '../../server/edge/transport/outbound.ts';
import type { SocketReader } from '../../server/rpc/own-buffer.ts';

const waitingMax = 1000;
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A socket whose client takes what it is sent only when the test says so. */
class DeafSocket {
  destroyed = false;
  readonly written: Buffer[] = [];
  readonly #callbacks: ((error?: Error | null) => void)[] = [];
  write(data: Buffer, done: (error?: Error | null) => void): void {
    this.written.push(data);
    this.#callbacks.push(done);
  }
  accept(): void {
    for (const done of this.#callbacks.splice(0)) done(null);
  }
}
function connected() {
  const socket = new DeafSocket();
  const reader = {
    socket,
    isPaused: false,
    pause: () => (reader.isPaused = true),
    resume: () => (reader.isPaused = false),
  };
  let rooms = 0;
  const outbound = new Outbound({
    reader: reader as unknown as SocketReader,
    waitingMax,
    onRoom: () => (rooms += 1),
  });
  const takeTurn = (): void => {
    for (let i = 0; i < bounds.messagesPerTurnMax; i += 1) outbound.tookMessage();
  };
  const accept = (): void => {
    outbound.flush();
    socket.accept();
  };
  return { socket, reader, outbound, takeTurn, accept, rooms: () => rooms };
}

test('a connection is read while its bound is kept, and again when its client has taken what waits', (t) => {
  const { reader, outbound, accept } = connected();
  t.equal(outbound.write(Buffer.alloc(waitingMax)), true);
  t.equal(reader.isPaused, false, 'to the byte');
  t.equal(outbound.write(Buffer.alloc(1)), true);
  t.equal(reader.isPaused, true, 'a byte more');
  accept();
  t.equal(reader.isPaused, false);
  t.equal(outbound.write(Buffer.alloc(4 * waitingMax)), true, 'four times the bound');
  t.equal(outbound.write(Buffer.alloc(1)), false, 'a byte more: this client does not read');
  t.equal(outbound.writtenBytes, 5 * waitingMax + 2);
  t.end();
});

test('after a number of messages others have their turn, and then it is read again', async (t) => {
  const { reader, outbound, takeTurn } = connected();
  for (let i = 1; i < bounds.messagesPerTurnMax; i += 1) outbound.tookMessage();
  t.equal(reader.isPaused, false, 'one fewer');
  outbound.tookMessage();
  t.equal(reader.isPaused, true);
  await nextTurn();
  t.equal(reader.isPaused, false);
  takeTurn();
  t.equal(reader.isPaused, true, 'as many again');
  await nextTurn();
});

test('reading resumes only when neither reason holds any more', async (t) => {
  const { reader, outbound, takeTurn, accept } = connected();
  outbound.write(Buffer.alloc(waitingMax + 1));
  takeTurn();
  await nextTurn();
  t.equal(reader.isPaused, true, 'the turn of the others is over, and the client has taken nothing');
  accept();
  t.equal(reader.isPaused, false);
  outbound.write(Buffer.alloc(waitingMax + 1));
  takeTurn();
  accept();
  t.equal(reader.isPaused, true, 'the client has taken everything, and others have their turn');
  await nextTurn();
  t.equal(reader.isPaused, false);
});

test('bytes wait while a channel cannot take more, for a short while; a channel that was released and is held again waits the full time again', async (t) => {
  const { reader, outbound } = connected();
  const [one, other] = [{}, {}];
  outbound.hold(one, true);
  outbound.hold(one, true);
  t.equal(reader.isPaused, true);
  t.equal(outbound.isHolding, true);
  outbound.hold(one, false);
  t.equal(reader.isPaused, true, 'it may be held again at once');
  await nextTurn();
  t.equal(reader.isPaused, false);
  t.equal(outbound.isHolding, false);
  outbound.hold(one, true);
  outbound.hold(other, true);
  outbound.hold(one, false);
  await nextTurn();
  t.equal(reader.isPaused, true, 'another channel cannot take more either');
  await delay(bounds.heldMsMax + 30);
  t.equal(reader.isPaused, false, 'what waits may be for somebody else');
  outbound.hold(other, true);
  t.equal(reader.isPaused, false, 'not again for the same reason');
  outbound.hold(other, false);
  outbound.hold(other, true);
  t.equal(reader.isPaused, true);
  outbound.hold(other, false);
  outbound.hold({}, false);
  await nextTurn();
  t.equal(reader.isPaused, false);
});

test('what is written in one turn leaves together; to a socket that is gone nothing is written', async (t) => {
  const { socket, reader, outbound, takeTurn } = connected();
  for (let i = 0; i < 3; i += 1) outbound.write(Buffer.alloc(1, i));
  t.same(socket.written, []);
  await nextTurn();
  t.same(socket.written, [Buffer.from([0, 1, 2])]);
  takeTurn();
  socket.destroyed = true;
  t.equal(outbound.write(Buffer.alloc(9 * waitingMax)), true);
  t.equal(outbound.writtenBytes, 3);
  await nextTurn();
  t.equal(socket.written.length, 1);
  t.equal(reader.isPaused, true, 'nor is it read');
});

test('whatever the sizes of the writes, what leaves is what was written, and memory is used again only after the socket has written it', (t) => {
  const { socket, outbound } = connected();
  const sent: Buffer[] = [];
  let number = 0;
  const put = (bytes: number): void => {
    number += 1;
    const data = Buffer.alloc(bytes, number);
    sent.push(data);
    if (number % 2 === 0) outbound.write(data);
    else {
      outbound.room(bytes).set(data);
      outbound.filled(bytes);
    }
  };
  for (let round = 0; round < 8; round += 1) {
    for (const bytes of [35_000, 1, 35_000, 34_999, 35_000, 35_000, 35_000, 35_000, 35_000, 200]) put(bytes);
    if (round % 3 === 0) outbound.flush();
  }
  outbound.flush();
  t.ok(Buffer.concat(socket.written).equals(Buffer.concat(sent)), 'nothing was used again while it waited');
  t.ok(socket.written.every(({ length }) => length <= pieceBytes));
  t.ok(outbound.waitingBytes >= Buffer.concat(sent).length, 'all of its memory counts');
  const memories = new Set(socket.written.map(({ buffer }) => buffer));
  socket.accept();
  t.equal(outbound.waitingBytes, 0);
  socket.written.length = 0;
  put(pieceBytes - 10);
  outbound.flush();
  t.ok(memories.has(socket.written[0]?.buffer as ArrayBuffer), 'a piece is used again once it was written');
  t.end();
});

test('a few bytes for a slow client do not hold a piece of memory', (t) => {
  const { socket, outbound, rooms } = connected();
  for (let i = 0; i < 100; i += 1) {
    outbound.write(Buffer.alloc(60, i));
    outbound.flush();
  }
  t.equal(outbound.waitingBytes, 6000);
  t.ok(socket.written.every((data, i) => data.length === 60 && data[0] === i && data.buffer.byteLength < pieceBytes));
  t.equal(rooms(), 0);
  socket.accept();
  t.equal(rooms(), 100);
  t.end();
});
