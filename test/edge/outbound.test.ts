// When one connection is read: not while too much waits to be written to it, and not while others have their turn.
import type { Socket } from 'node:net';
import { test } from 'tap';
import { bounds } from '../../server/edge/transport/connection-bounds.ts';
import { Outbound } from '../../server/edge/transport/outbound.ts';

const waitingMax = 1000;
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A socket whose client takes what it is sent only when the test says so. */
class DeafSocket {
  destroyed = false;
  writableLength = 0;
  readonly steps: string[] = [];
  #isPaused = false;
  pause(): void {
    this.#isPaused = true;
  }
  resume(): void {
    this.#isPaused = false;
  }
  isPaused(): boolean {
    return this.#isPaused;
  }
  cork(): void {
    this.steps.push('cork');
  }
  uncork(): void {
    this.steps.push('uncork');
  }
  write(data: Buffer): void {
    this.steps.push('write');
    this.writableLength += data.length;
  }
}
function connected() {
  const socket = new DeafSocket();
  const outbound = new Outbound(socket as unknown as Socket, waitingMax);
  const takeTurn = (): void => {
    for (let i = 0; i < bounds.messagesPerTurnMax; i += 1) outbound.tookMessage();
  };
  const accept = (): void => {
    socket.writableLength = 0;
    outbound.drained();
  };
  return { socket, outbound, takeTurn, accept };
}

test('a connection is read while its bound is kept, and again when its client has taken what waits', (t) => {
  const { socket, outbound, accept } = connected();
  t.equal(outbound.write(Buffer.alloc(waitingMax)), true);
  t.equal(socket.isPaused(), false, 'to the byte');
  t.equal(outbound.write(Buffer.alloc(1)), true);
  t.equal(socket.isPaused(), true, 'a byte more');
  accept();
  t.equal(socket.isPaused(), false);
  t.equal(outbound.write(Buffer.alloc(4 * waitingMax)), true, 'four times the bound');
  t.equal(outbound.write(Buffer.alloc(1)), false, 'a byte more: this client does not read');
  t.equal(outbound.writtenBytes, 5 * waitingMax + 2);
  t.end();
});

test('after a number of messages others have their turn, and then it is read again', async (t) => {
  const { socket, outbound, takeTurn } = connected();
  for (let i = 1; i < bounds.messagesPerTurnMax; i += 1) outbound.tookMessage();
  t.equal(socket.isPaused(), false, 'one fewer');
  outbound.tookMessage();
  t.equal(socket.isPaused(), true);
  await nextTurn();
  t.equal(socket.isPaused(), false);
  takeTurn();
  t.equal(socket.isPaused(), true, 'as many again');
  await nextTurn();
});

test('neither reason alone ends the other', async (t) => {
  const { socket, outbound, takeTurn, accept } = connected();
  outbound.write(Buffer.alloc(waitingMax + 1));
  takeTurn();
  await nextTurn();
  t.equal(socket.isPaused(), true, 'the turn of the others is over, and the client has taken nothing');
  accept();
  t.equal(socket.isPaused(), false);
  outbound.write(Buffer.alloc(waitingMax + 1));
  takeTurn();
  accept();
  t.equal(socket.isPaused(), true, 'the client has taken everything, and others have their turn');
  await nextTurn();
  t.equal(socket.isPaused(), false);
});

test('what is written in one turn leaves together; to a socket that is gone nothing is written', async (t) => {
  const { socket, outbound, takeTurn } = connected();
  for (let i = 0; i < 3; i += 1) outbound.write(Buffer.alloc(1));
  await nextTurn();
  t.same(socket.steps, ['cork', 'write', 'write', 'write', 'uncork']);
  takeTurn();
  socket.destroyed = true;
  t.equal(outbound.write(Buffer.alloc(9 * waitingMax)), true);
  t.equal(outbound.writtenBytes, 3);
  await nextTurn();
  t.equal(socket.isPaused(), true, 'nor is it read');
});
