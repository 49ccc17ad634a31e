// A cipher that is collected outside any JavaScript context must not end the process.
import { createRequire } from 'node:module';
import { test } from 'tap';
import { run } from '../support/world.ts';

test('ciphers of closed connections are collected between socket reads without harm', async (t) => {
  const core = createRequire(import.meta.url).resolve('ssh2/lib/protocol/crypto.js');
  const program = `
    const { createCipher, createDecipher, bindingAvailable, init } = require(${JSON.stringify(core)});
    init.then(async () => {
      if (!bindingAvailable) throw new Error('no native cipher');
      const gcm = { cipherInfo: { sslName: 'aes-128-gcm', blockLen: 16, keyLen: 16, ivLen: 12, authLen: 16, discardLen: 0, stream: false }, cipherKey: Buffer.alloc(16), cipherIV: Buffer.alloc(12) };
      const garbage = () => {
        for (let i = 0; i < 20; i += 1) {
          createCipher({ outbound: { seqno: 0, onWrite() {}, ...gcm } });
          createDecipher({ inbound: { seqno: 0, decipherIV: gcm.cipherIV, decipherKey: gcm.cipherKey, decipherInfo: gcm.cipherInfo, onPayload() {} } });
        }
      };
      // Buffers for socket data are allocated outside of any context: their pressure starts collections there.
      const server = require('node:net').createServer({ highWaterMark: 262144 }, (socket) => socket.on('data', garbage));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      const client = require('node:net').connect(server.address().port, '127.0.0.1');
      const chunk = Buffer.alloc(1 << 20);
      for (let i = 0; i < 800; i += 1) if (!client.write(chunk)) await new Promise((resolve) => client.once('drain', resolve));
      client.destroy();
      server.close();
      process.stdout.write('survived');
    });`;
  const done = await run(process.execPath, ['-e', program], { timeoutMs: 60_000 });
  t.equal(done.out, 'survived', done.err.slice(0, 500));
  t.equal(done.code, 0);
});
