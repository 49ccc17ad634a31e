// Public keys of SSH: every accepted key becomes its components, to the byte; every other one is refused with a reason.
import { test } from 'tap';
import { newOpenSshKeyPair } from '../../server/demo/openssh-key.ts';
import {
  parsePublicKeyLine,
  parseSshPublicKey,
  rsaBitsMin,
  signatureAlgorithms,
} from '../../server/domain/ssh-keys.ts';
import { concatBytes, wireString } from '../../server/domain/ssh-wire.ts';

/** Bytes of which no two neighbours are the same. */
const counted = (length: number, first = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i === 0 ? first : i % 251));
const blobOf = (...parts: readonly (string | Uint8Array)[]): Uint8Array => concatBytes(parts.map(wireString));
const zero = Uint8Array.of(0);
const e65537 = Uint8Array.of(1, 0, 1);
/** A number of this many bits as it is on the wire, without a sign bit. */
function numberOf(bits: number): Uint8Array {
  const bytes = counted(Math.ceil(bits / 8), 2 ** ((bits + 7) % 8));
  return bits % 8 === 0 ? concatBytes([zero, bytes]) : bytes;
}
const rsa = (modulus: Uint8Array, exponent: Uint8Array = e65537): Uint8Array => blobOf('ssh-rsa', exponent, modulus);
const refuses = (message: string) => ({ code: 'invalid', message });

test('an Ed25519 key is its 32 bytes', (t) => {
  const point = counted(32);
  t.same(parseSshPublicKey(blobOf('ssh-ed25519', point)), { type: 'ssh-ed25519', point });
  for (const length of [0, 31, 33])
    t.throws(
      () => parseSshPublicKey(blobOf('ssh-ed25519', counted(length))),
      refuses('an Ed25519 key has 32 bytes'),
      String(length),
    );
  t.end();
});

test('an ECDSA key is an uncompressed point of its own curve (RFC 5656 section 3.1)', (t) => {
  const kinds = [
    ['nistp256', 'P-256', 32, 'sha256'],
    ['nistp384', 'P-384', 48, 'sha384'],
    ['nistp521', 'P-521', 66, 'sha512'],
  ] as const;
  for (const [name, curve, size, hash] of kinds) {
    const type = `ecdsa-sha2-${name}`;
    const [x, y] = [counted(size, 7), counted(size, 9)];
    const point = concatBytes([Uint8Array.of(4), x, y]);
    t.same(parseSshPublicKey(blobOf(type, name, point)), { type, curve, hash, x, y });
    const wrong = refuses('the curve point has the wrong form');
    for (const [named] of kinds.filter(([other]) => other !== name))
      t.throws(() => parseSshPublicKey(blobOf(type, named, point)), wrong, named);
    t.throws(() => parseSshPublicKey(blobOf(type, '', point)), wrong, 'no curve');
    t.throws(() => parseSshPublicKey(blobOf(type, name, point.subarray(0, -1))), wrong, 'a byte less');
    t.throws(() => parseSshPublicKey(blobOf(type, name, concatBytes([point, zero]))), wrong, 'a byte more');
    for (const form of [0, 2, 3, 5])
      t.throws(
        () => parseSshPublicKey(blobOf(type, name, concatBytes([Uint8Array.of(form), x, y]))),
        wrong,
        `form ${form}`,
      );
  }
  t.end();
});

test('an RSA key is two positive numbers in their shortest form (RFC 4251 section 5)', (t) => {
  const modulus = counted(384, 0x80);
  const withSign = concatBytes([zero, modulus]);
  t.same(
    parseSshPublicKey(rsa(withSign)),
    { type: 'ssh-rsa', exponent: e65537, modulus, bits: 3072 },
    'the byte of the sign is left out',
  );
  const long = counted(385, 0x7f);
  t.same(parseSshPublicKey(rsa(long)), { type: 'ssh-rsa', exponent: e65537, modulus: long, bits: 3079 });
  const notPositive = refuses('a number in the key is not positive');
  const notShortest = refuses('a number in the key is not in its shortest form');
  for (const [what, blob, expected] of [
    ['a modulus without bytes', rsa(new Uint8Array()), notPositive],
    ['a negative modulus', rsa(modulus), notPositive],
    ['a very negative modulus', rsa(counted(384, 0xff)), notPositive],
    ['an exponent without bytes', rsa(withSign, new Uint8Array()), notPositive],
    ['a modulus of zero', rsa(zero), notShortest],
    ['a zero too many', rsa(concatBytes([zero, counted(400, 0x7f)])), notShortest],
    ['two zeros', rsa(concatBytes([zero, withSign])), notShortest],
    ['a zero before the exponent', rsa(withSign, concatBytes([zero, e65537])), notShortest],
  ] as const)
    t.throws(() => parseSshPublicKey(blob), expected, what);
  t.end();
});

test('an RSA key is as long as its listener demands, and no longer than 16384 bits', (t) => {
  t.same(rsaBitsMin, { standard: 3072, legacy: 2048 });
  for (const bits of [3072, 3073, 3079, 3080, 4096, 16_384])
    t.match(parseSshPublicKey(rsa(numberOf(bits))), { bits }, String(bits));
  for (const bits of [1024, 2048, 3064, 3065, 3071])
    t.throws(
      () => parseSshPublicKey(rsa(numberOf(bits))),
      refuses(`RSA keys need at least 3072 bits; this one has ${bits}`),
    );
  t.match(parseSshPublicKey(rsa(numberOf(2048)), rsaBitsMin.legacy), { bits: 2048 });
  t.throws(
    () => parseSshPublicKey(rsa(numberOf(2047)), rsaBitsMin.legacy),
    refuses('RSA keys need at least 2048 bits; this one has 2047'),
  );
  for (const bits of [16_385, 20_000])
    t.throws(() => parseSshPublicKey(rsa(numberOf(bits))), refuses('the RSA key is too large'), String(bits));
  t.end();
});

test('the exponent of an RSA key is odd, at least 65537, and no longer than 8 bytes', (t) => {
  const modulus = numberOf(3072);
  const small = refuses('the exponent of an RSA key is odd and at least 65537: make another key');
  for (const exponent of [[1], [3], [17], [0, 0xff, 0xff], [1, 0, 0], [1, 0, 2], [2, 0, 0], [127, 0, 0, 0, 0, 0, 0, 0]])
    t.throws(() => parseSshPublicKey(rsa(modulus, Uint8Array.from(exponent))), small, exponent.join());
  for (const exponent of [
    [1, 0, 1],
    [1, 0, 3],
    [1, 0, 0, 0, 1],
    [127, 0, 0, 0, 0, 0, 0, 1],
  ])
    t.same(parseSshPublicKey(rsa(modulus, Uint8Array.from(exponent))), {
      type: 'ssh-rsa',
      exponent,
      modulus: modulus.subarray(1),
      bits: 3072,
    });
  t.throws(() => parseSshPublicKey(rsa(modulus, counted(9))), refuses('the RSA key is too large'));
  t.end();
});

test('every other key is refused with a reason', (t) => {
  const notAccepted = refuses(
    'keys of this type are not accepted: use ssh-ed25519, ecdsa-sha2-nistp256/384/521 or RSA',
  );
  for (const type of [
    'ssh-dss',
    'ssh-ed25519-cert-v01@openssh.com',
    'sk-ssh-ed25519@openssh.com',
    'toString',
    'rsa-sha2-256',
    '',
  ])
    t.throws(() => parseSshPublicKey(blobOf(type, 'x')), notAccepted, type);
  const point = concatBytes([Uint8Array.of(4), counted(64)]);
  for (const blob of [
    blobOf('ssh-ed25519', counted(32)),
    blobOf('ecdsa-sha2-nistp256', 'nistp256', point),
    rsa(numberOf(3072)),
  ]) {
    t.throws(() => parseSshPublicKey(concatBytes([blob, zero])), refuses('unexpected bytes at the end'));
    t.throws(() => parseSshPublicKey(blob.subarray(0, -1)), refuses('the value ends before its last byte'));
  }
  t.throws(() => parseSshPublicKey(Uint8Array.of(255, 255, 255, 255)), refuses('the value ends before its last byte'));
  t.throws(
    () => parseSshPublicKey(concatBytes([blobOf('x'), new Uint8Array(4096 - 5)])),
    notAccepted,
    'as long as a key may be',
  );
  t.throws(
    () => parseSshPublicKey(concatBytes([blobOf('x'), new Uint8Array(4096 - 4)])),
    refuses('the key is too long'),
  );
  t.end();
});

test('the signatures of a key: RSA only with SHA-2 (RFC 8332)', (t) => {
  const [ed25519, rsaKey] = [
    parseSshPublicKey(blobOf('ssh-ed25519', counted(32))),
    parseSshPublicKey(rsa(numberOf(3072))),
  ];
  const point = concatBytes([Uint8Array.of(4), counted(64)]);
  t.same(signatureAlgorithms(ed25519), ['ssh-ed25519']);
  t.same(signatureAlgorithms(parseSshPublicKey(blobOf('ecdsa-sha2-nistp256', 'nistp256', point))), [
    'ecdsa-sha2-nistp256',
  ]);
  t.same(signatureAlgorithms(rsaKey), ['rsa-sha2-256', 'rsa-sha2-512']);
  t.end();
});

test('public keys in one line', (t) => {
  const pair = newOpenSshKeyPair('somebody@somewhere');
  t.equal(parsePublicKeyLine(pair.publicLine).comment, 'somebody@somewhere');
  const blob = blobOf('ssh-ed25519', counted(32));
  const base64 = Buffer.from(blob).toString('base64');
  const key = parseSshPublicKey(blob);
  t.same(parsePublicKeyLine(`ssh-ed25519 ${base64}`), { blob, key, comment: '' }, 'without a comment');
  t.same(parsePublicKeyLine(`  ssh-ed25519 ${base64} on my  desk\n`), { blob, key, comment: 'on my  desk' });
  t.same(parsePublicKeyLine(`ssh-ed25519 ${base64} ${'c'.repeat(256)}`).comment.length, 256);
  const short = `ssh-rsa ${Buffer.from(rsa(numberOf(2048))).toString('base64')}`;
  t.match(parsePublicKeyLine(short, rsaBitsMin.legacy).key, { bits: 2048 });
  t.throws(() => parsePublicKeyLine(short), refuses('RSA keys need at least 3072 bits; this one has 2048'));
  t.throws(() => parsePublicKeyLine(`ssh-rsa ${base64}`), refuses('the key type and its content differ'));
  t.throws(() => parsePublicKeyLine(`ssh-ed25519 ${base64.slice(0, -1)}`), refuses('this is not base64'));
  const expected = refuses('expected one line of a public key file: type, base64, comment');
  const line = `ssh-ed25519 ${base64}`;
  for (const odd of [
    '',
    '/etc/passwd',
    pair.privateText,
    `command="x" ${line}`,
    `${line} a\nb`,
    `${line} ${'c'.repeat(257)}`,
    line.replace(' ', '  '),
  ])
    t.throws(() => parsePublicKeyLine(odd), expected, odd.slice(0, 40));
  t.end();
});
