// An identification in many small TCP segments is valid (stock ssh2 refuses it from three segments on).
import { connect } from 'node:net';
import { test } from 'tap';
import { startWorld } from '../support/world.ts';

test('an identification in many small pieces is valid', async (t) => {
  const world = await startWorld(t);
  const socket = connect(world.demo.partner.port, '127.0.0.1');
  socket.on('error', () => {});
  const answered = new Promise<boolean>((resolve) => {
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      // Its identification is short. A key exchange offer follows only for a client that was understood.
      if (bytes > 300) resolve(true);
    });
    socket.on('close', () => resolve(false));
  });
  for (const letter of 'SSH-2.0-slow_1.0\r\n') {
    socket.write(letter);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  t.equal(await answered, true);
  socket.destroy();
});
