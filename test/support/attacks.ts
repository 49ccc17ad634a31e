// Owns: every measured attack on ssh2 as a script against a port: bounded in count and time, from an address of its
// own.
import { connect, type Socket } from 'node:net';
import { message, RawClient, sftpPacket, u32 } from './raw-client.ts';

export type Target = {
  readonly port: number;
  /** A machine account that logs in with a key alone. */
  readonly account: string;
  readonly key: string;
  /** A person who is prompted after the key; absent when nobody is. */
  readonly person?: { readonly account: string; readonly key: string };
  readonly localAddress: string;
};
export type Attack = {
  readonly name: string;
  /** `ended`: the connection must be gone afterwards; `held`: it may live, costing little. */
  readonly expect: 'ended' | 'held';
  readonly run: (target: Target) => Promise<boolean>;
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export const endsWithin = (ms: number, closed: Promise<void>): Promise<boolean> =>
  Promise.race([closed.then(() => true), sleep(ms).then(() => false)]);

/** `isStubborn`: continues to send when the server says that it is done. */
export function rawSocket(
  target: Target,
  isStubborn = false,
): { readonly socket: Socket; readonly closed: Promise<void> } {
  const socket = connect({
    port: target.port,
    host: '127.0.0.1',
    localAddress: target.localAddress,
    allowHalfOpen: isStubborn,
  });
  socket.on('error', () => {});
  socket.resume();
  return { socket, closed: new Promise((resolve) => socket.once('close', () => resolve())) };
}

/** Sends chunks with a pause between them, then waits for the end. */
const plain =
  (...parts: readonly (string | Buffer)[]) =>
  async (target: Target): Promise<boolean> => {
    const { socket, closed } = rawSocket(target);
    for (const part of parts) {
      socket.write(part);
      await sleep(20);
    }
    const ended = await endsWithin(5000, closed);
    socket.destroy();
    return ended;
  };

/** An unencrypted packet (RFC 4253 section 6). */
export function plainPacket(payload: Buffer): Buffer {
  const padding = 8 - ((5 + payload.length) % 8) + 8;
  return Buffer.concat([u32(1 + payload.length + padding), Buffer.of(padding), payload, Buffer.alloc(padding)]);
}

const client = (target: Target, more: object = {}): Promise<RawClient> =>
  RawClient.open({ port: target.port, localAddress: target.localAddress, ...more });

async function loggedIn(target: Target): Promise<RawClient> {
  const one = await client(target);
  if (!(await one.login(target.account, target.key))) throw new Error('the attacker could not log in');
  return one;
}

/** Runs `work` on a client after its key exchange. Returns whether the connection ended within 5 s. */
const withKeys =
  (work: (one: RawClient) => unknown) =>
  async (target: Target): Promise<boolean> => {
    const one = await client(target);
    await one.exchanged();
    await work(one);
    const ended = await endsWithin(5000, one.closed);
    one.close();
    return ended;
  };

/** Runs `work` on a fresh logged-in client. Returns whether the connection ended within 5 s. */
const after =
  (work: (one: RawClient) => unknown, waitMs = 5000) =>
  async (target: Target): Promise<boolean> => {
    const one = await loggedIn(target);
    await work(one);
    const ended = await endsWithin(waitMs, one.closed);
    one.close();
    return ended;
  };

const ident = 'SSH-2.0-attacker\r\n';
const pemLike = `-----BEGIN RSA PRIVATE KEY-----\n${'a:b\n'.repeat(8000)}`;
const hostKeys = message(80, 'hostkeys-00@openssh.com', Uint8Array.of(0), pemLike);
const kexInit = (compress: string, method: string): Buffer =>
  message(
    20,
    Buffer.alloc(16, 7),
    `${method},kex-strict-c-v00@openssh.com`,
    'ssh-ed25519,rsa-sha2-512,ssh-rsa',
    'aes128-gcm@openssh.com',
    'aes128-gcm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-256',
    compress,
    compress,
    '',
    '',
    Uint8Array.of(0),
    u32(0),
  );

export const beforeLogin: readonly Attack[] = [
  {
    name: '1 random bytes after the identification',
    expect: 'ended',
    run: plain(ident, Buffer.from('89ab'.repeat(200), 'hex')),
  },
  {
    name: '2 a bad packet length, then more',
    expect: 'ended',
    run: async (target) => {
      const { socket, closed } = rawSocket(target, true);
      socket.write(Buffer.concat([Buffer.from(ident), Buffer.from([0x7f, 0xff, 0xff, 0xff, 4, 20])]));
      for (let i = 0; i < 300 && !socket.destroyed; i += 1) {
        socket.write(Buffer.alloc(1_000_000, 1));
        await sleep(3);
      }
      const ended = await endsWithin(5000, closed);
      socket.destroy();
      return ended;
    },
  },
  {
    name: '3 a prompt answered with 2^25-1 answers',
    expect: 'ended',
    run: async (target) => {
      const one = await client(target);
      if (target.person === undefined || !(await one.ready)) return false;
      one.send(message(5, 'ssh-userauth'));
      await one.next(6);
      one.send(one.authRequest(target.person.account, target.person.key));
      await one.next(51);
      one.send(message(50, target.person.account, 'ssh-connection', 'keyboard-interactive', '', ''));
      await one.next(60);
      for (let i = 0; i < 20; i += 1) one.send(Buffer.concat([Buffer.of(61), u32(2 ** 25 - 1)]));
      const ended = await endsWithin(5000, one.closed);
      one.close();
      return ended;
    },
  },
  {
    name: '4 PEM-like text in a global request',
    expect: 'ended',
    run: withKeys((one) => {
      for (let i = 0; i < 10; i += 1) one.send(hostKeys);
    }),
  },
  {
    name: '5 compression before the login',
    expect: 'ended',
    run: plain(ident, plainPacket(kexInit('zlib', 'curve25519-sha256'))),
  },
  {
    name: '6 global requests that want replies nobody reads',
    expect: 'ended',
    run: withKeys(async (one) => {
      one.socket.pause();
      for (let i = 0; i < 5000 && one.send(message(80, 'x', Uint8Array.of(1))); i += 1)
        if (i % 500 === 0) await sleep(1);
      one.socket.resume();
    }),
  },
  {
    name: '7 a large finite-field group',
    expect: 'ended',
    run: plain(ident, plainPacket(kexInit('none', 'diffie-hellman-group18-sha512'))),
  },
  {
    name: '8 key exchanges again and again before the login',
    expect: 'ended',
    run: withKeys((one) => {
      one.rekey();
    }),
  },
  {
    name: '12 recipient 0xffffffff',
    expect: 'ended',
    run: withKeys((one) => {
      one.send(message(94, u32(0xffffffff), u32(1), Uint8Array.of(0)));
    }),
  },
  {
    name: '13 a key exchange message before KEXINIT',
    expect: 'ended',
    run: plain(ident, plainPacket(message(30, Buffer.alloc(32)))),
  },
  {
    name: 'T-16 a message slipped in before KEXINIT (prefix truncation)',
    expect: 'ended',
    run: plain(ident, plainPacket(message(2, '')), plainPacket(kexInit('none', 'curve25519-sha256'))),
  },
  {
    name: 'a public key of impossible length',
    expect: 'ended',
    run: withKeys((one) => {
      one.send(message(5, 'ssh-userauth'));
      one.send(message(50, u32(0xffffffff), 'ssh-connection'));
    }),
  },
];

const init = sftpPacket(1, u32(3));

async function readFlood(one: RawClient): Promise<void> {
  await one.sftp();
  const opened = await one.ask(3, '/collect/flood', u32(1), u32(0));
  const handle = opened?.[0] === 102 ? opened.subarray(5) : Buffer.from([0, 0, 0, 1, 48]);
  one.socket.pause();
  const read = sftpPacket(5, u32(9), Buffer.from(handle), u32(0), u32(0), u32(262_144));
  for (let i = 0; i < 1200 && one.data(read); i += 1) if (i % 100 === 0) await sleep(1);
  await sleep(1500);
}

export const afterLogin: readonly Attack[] = [
  {
    name: '4 PEM-like text in a global request, after the login',
    expect: 'held',
    run: after(async (one) => {
      for (let i = 0; i < 10; i += 1) one.send(hostKeys);
      await sleep(500);
    }, 500),
  },
  {
    name: '8 key exchanges again and again',
    expect: 'ended',
    run: after(async (one) => {
      for (let i = 0; i < 40 && !one.isClosed; i += 1) {
        const before = one.handshakes;
        one.rekey();
        for (let waited = 0; one.handshakes === before && !one.isClosed && waited < 200; waited += 1) await sleep(5);
      }
    }),
  },
  {
    name: '15 a channel whose packets hold nothing',
    expect: 'ended',
    run: after(async (one) => {
      await one.sftp(0x7fffffff, 0);
      one.send(message(98, u32(0), 'subsystem', Uint8Array.of(1), 'sftp'));
      one.data(init);
      await sleep(500);
    }, 500),
  },
  {
    name: '16 a channel whose packets hold one byte',
    expect: 'ended',
    run: after(async (one) => {
      await one.sftp(0x7fffffff, 1);
      one.data(init);
      await sleep(500);
    }, 500),
  },
  {
    name: '18 channels opened and closed 5,000 times',
    expect: 'ended',
    run: after(async (one) => {
      for (let i = 0; i < 5000 && one.send(message(90, 'session', u32(i), u32(1000), u32(32_768))); i += 1) {
        one.send(message(97, u32(0)));
        if (i % 200 === 0) await sleep(1);
      }
      await sleep(500);
    }, 500),
  },
  {
    name: '19 many channels at once',
    expect: 'ended',
    run: after(async (one) => {
      for (let i = 0; i < 2000; i += 1) one.send(message(90, 'session', u32(i), u32(1000), u32(32_768)));
      await sleep(500);
    }, 500),
  },
  {
    name: '20 the subsystem twice, with and without a wish for replies',
    expect: 'held',
    run: after(async (one) => {
      await one.sftp();
      for (const wantsReply of [1, 0]) one.send(message(98, u32(0), 'subsystem', Uint8Array.of(wantsReply), 'sftp'));
      await sleep(300);
    }, 500),
  },
  {
    name: '21 more data than the window allows',
    expect: 'ended',
    run: after(async (one) => {
      await one.sftp();
      // A packet that never ends: nothing of it can be processed.
      one.data(Buffer.concat([u32(200_000), Buffer.of(6)]));
      const piece = Buffer.alloc(32_000, 1);
      for (let i = 0; i < 2000 && one.data(piece); i += 1) if (i % 20 === 0) await sleep(1);
    }),
  },
  { name: '21 reads whose replies nobody takes', expect: 'held', run: after(readFlood, 500) },
  {
    name: '21 an SFTP packet of 2 GB, then more',
    expect: 'ended',
    run: after(async (one) => {
      await one.sftp();
      one.data(Buffer.from([0x7f, 0xff, 0xff, 0xff, 6]));
      for (let i = 0; i < 20; i += 1) one.data(Buffer.alloc(32_000));
    }),
  },
  {
    name: '21 paths that are not there',
    expect: 'ended',
    run: after(async (one) => {
      await one.sftp();
      for (const type of [3, 14, 9, 18, 20, 17, 13, 11, 16, 200]) one.data(sftpPacket(type, u32(1), u32(0xffffffff)));
      await sleep(300);
    }, 500),
  },
  {
    name: '6 global requests that want replies nobody reads, after the login',
    expect: 'ended',
    run: after(async (one) => {
      one.socket.pause();
      for (let i = 0; i < 100_000 && one.send(message(80, 'x', Uint8Array.of(1))); i += 1)
        if (i % 1000 === 0) await sleep(1);
      await sleep(500);
    }, 500),
  },
  {
    name: '12 a recipient that does not exist',
    expect: 'ended',
    run: after((one) => one.send(message(94, u32(0xffffffff), u32(1), Uint8Array.of(0)))),
  },
  {
    name: '23 data after the channel was closed',
    expect: 'held',
    run: after(async (one) => {
      await one.sftp();
      one.send(message(97, u32(0)));
      for (let i = 0; i < 100; i += 1) one.data(Buffer.alloc(1000));
      await sleep(200);
    }, 500),
  },
  {
    name: '22 requests nobody serves',
    expect: 'held',
    run: after(async (one) => {
      await one.sftp();
      for (const type of ['shell', 'exec', 'pty-req', 'x11-req', 'auth-agent-req@openssh.com', 'env'])
        one.send(message(98, u32(0), type, Uint8Array.of(1), 'x'));
      for (const type of ['tcpip-forward', 'streamlocal-forward@openssh.com'])
        one.send(message(80, type, Uint8Array.of(1), 'x', u32(1)));
      for (const type of ['direct-tcpip', 'x11', 'auth-agent@openssh.com', 'forwarded-tcpip'])
        one.send(message(90, type, u32(1), u32(1000), u32(32_768)));
      await sleep(300);
    }, 500),
  },
];
