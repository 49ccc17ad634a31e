// Key agreement: the other side computes the same secret, and invalid values are refused.
import {
  createDiffieHellmanGroup,
  createECDH,
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  generateKeyPairSync,
} from 'node:crypto';
import { test } from 'tap';
import { agree } from '../../server/edge/transport/key-agreement.ts';

const x25519Spki = Buffer.from('302a300506032b656e032100', 'hex');
const raw = (key: ReturnType<typeof createPublicKey>, bytes: number): Buffer =>
  key.export({ type: 'spki', format: 'der' }).subarray(-bytes);
const unsigned = (mpint: Buffer): Buffer => (mpint[0] === 0 ? mpint.subarray(1) : mpint);
const trimmed = (bytes: Buffer): Buffer => bytes.subarray(bytes.findIndex((byte) => byte !== 0));
const x25519With = (privateKey: ReturnType<typeof generateKeyPairSync>['privateKey'], peer: Buffer): Buffer =>
  diffieHellman({
    privateKey: privateKey as never,
    publicKey: createPublicKey({ key: Buffer.concat([x25519Spki, peer]), format: 'der', type: 'spki' }),
  });

test('both sides agree', (t) => {
  for (let round = 0; round < 20; round += 1) {
    const own = generateKeyPairSync('x25519');
    const curve = agree('curve25519-sha256', raw(own.publicKey, 32));
    t.ok(unsigned(curve.secret).equals(trimmed(x25519With(own.privateKey as never, curve.serverPublic))), 'curve25519');
    t.ok((curve.secret[0] ?? 0) < 0x80, 'as a positive mpint');

    const kem = generateKeyPairSync('ml-kem-768');
    const init = Buffer.concat([raw(kem.publicKey, 1184), raw(own.publicKey, 32)]);
    const hybrid = agree('mlkem768x25519-sha256', init);
    t.equal(hybrid.serverPublic.length, 1088 + 32);
    const shared = decapsulate(kem.privateKey, hybrid.serverPublic.subarray(0, 1088));
    const classical = x25519With(own.privateKey as never, hybrid.serverPublic.subarray(1088));
    t.ok(
      createHash('sha256').update(shared).update(classical).digest().equals(hybrid.secret),
      'ML-KEM-768 with X25519',
    );

    for (const [method, name] of [
      ['ecdh-sha2-nistp256', 'prime256v1'],
      ['ecdh-sha2-nistp384', 'secp384r1'],
    ] as const) {
      const ecdh = createECDH(name);
      const made = agree(method, ecdh.generateKeys());
      t.ok(unsigned(made.secret).equals(trimmed(ecdh.computeSecret(made.serverPublic))), method);
    }
  }
  const group = createDiffieHellmanGroup('modp14');
  const e = trimmed(group.generateKeys());
  const made = agree('diffie-hellman-group14-sha256', (e[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), e]) : e);
  t.ok(unsigned(made.secret).equals(trimmed(group.computeSecret(unsigned(made.serverPublic)))), 'group 14');
  t.end();
});

test('invalid values are refused', (t) => {
  const prime = createDiffieHellmanGroup('modp14').getPrime();
  const big = Buffer.concat([Buffer.of(0), prime]);
  const minusOne = Buffer.from(big);
  minusOne[minusOne.length - 1] = (minusOne.at(-1) ?? 0) - 1;
  const offCurve = Buffer.alloc(65, 1);
  offCurve[0] = 4;
  const bad = [
    ['curve25519-sha256', Buffer.alloc(32)],
    ['curve25519-sha256', Buffer.concat([Buffer.of(1), Buffer.alloc(31)])],
    ['curve25519-sha256', Buffer.alloc(31, 9)],
    ['curve25519-sha256', Buffer.alloc(33, 9)],
    ['ecdh-sha2-nistp256', offCurve],
    ['ecdh-sha2-nistp256', Buffer.alloc(65)],
    ['ecdh-sha2-nistp256', Buffer.of(0)],
    ['ecdh-sha2-nistp384', offCurve],
    ['mlkem768x25519-sha256', Buffer.alloc(1216, 255)],
    ['mlkem768x25519-sha256', Buffer.alloc(1215, 1)],
    ['diffie-hellman-group14-sha256', Buffer.of(1)],
    ['diffie-hellman-group14-sha256', Buffer.of(0)],
    ['diffie-hellman-group14-sha256', Buffer.alloc(0)],
    ['diffie-hellman-group14-sha256', big],
    ['diffie-hellman-group14-sha256', minusOne],
    ['diffie-hellman-group14-sha256', Buffer.of(0x80)],
    ['diffie-hellman-group14-sha256', Buffer.alloc(2000, 1)],
  ] as const;
  for (const [method, value] of bad)
    t.throws(() => agree(method, value), `${method}: ${value.length} bytes, first ${value[0] ?? '-'}`);
  t.end();
});
