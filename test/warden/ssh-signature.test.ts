// Signatures of SSH keys, of every accepted algorithm.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'tap';
import { profiles } from '../../server/domain/algorithms.ts';
import { concatBytes, wireString } from '../../server/domain/ssh-wire.ts';
import { signedBlob, verifyUserSignature } from '../../server/warden/credentials/ssh-signature.ts';

function mpint(bytes: Buffer): Uint8Array {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from += 1;
  const number = bytes.subarray(from);
  return wireString((number[0] ?? 0) >= 0x80 ? concatBytes([Uint8Array.of(0), number]) : number);
}

const url = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');

function ed25519(): { readonly blob: Uint8Array; readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    privateKey,
    blob: concatBytes([wireString('ssh-ed25519'), wireString(url(publicKey.export({ format: 'jwk' }).x))]),
  };
}

test('signatures of every accepted algorithm verify; the same signatures with a field changed do not', async (t) => {
  const sessionIdentifier = Buffer.alloc(32, 7);
  const makers: readonly (readonly [string, () => { blob: Uint8Array; signData: (data: Uint8Array) => Uint8Array }])[] =
    [
      [
        'ssh-ed25519',
        () => {
          const key = ed25519();
          return { blob: key.blob, signData: (data) => wireString(sign(null, data, key.privateKey)) };
        },
      ],
      ...(['P-256', 'P-384', 'P-521'] as const).map((namedCurve) => {
        const name = `nistp${namedCurve.slice(2)}`;
        const algorithm = `ecdsa-sha2-${name}`;
        return [
          algorithm,
          () => {
            const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
            const jwk = publicKey.export({ format: 'jwk' });
            const hash = { 'P-256': 'sha256', 'P-384': 'sha384', 'P-521': 'sha512' }[namedCurve];
            return {
              blob: concatBytes([
                wireString(algorithm),
                wireString(name),
                wireString(concatBytes([Uint8Array.of(4), url(jwk.x), url(jwk.y)])),
              ]),
              signData: (data: Uint8Array) => {
                const raw = sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
                return wireString(
                  concatBytes([mpint(raw.subarray(0, raw.length / 2)), mpint(raw.subarray(raw.length / 2))]),
                );
              },
            };
          },
        ] as const;
      }),
      ...(['rsa-sha2-256', 'rsa-sha2-512'] as const).map(
        (algorithm) =>
          [
            algorithm,
            () => {
              const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
              const jwk = publicKey.export({ format: 'jwk' });
              return {
                blob: concatBytes([wireString('ssh-rsa'), mpint(url(jwk.e)), mpint(url(jwk.n))]),
                signData: (data: Uint8Array) =>
                  wireString(sign(algorithm === 'rsa-sha2-256' ? 'sha256' : 'sha512', data, privateKey)),
              };
            },
          ] as const,
      ),
    ];
  for (const [algorithm, make] of makers) {
    const key = make();
    const fields = { username: 'acme', algorithm, keyBlob: key.blob, sessionIdentifier };
    const signatureBlob = concatBytes([wireString(algorithm), key.signData(signedBlob(fields))]);
    t.ok(verifyUserSignature({ ...fields, profile: profiles.default, signatureBlob }), algorithm);
    t.notOk(
      verifyUserSignature({ ...fields, profile: profiles.default, username: 'acme-2', signatureBlob }),
      'another user',
    );
    t.notOk(
      verifyUserSignature({
        ...fields,
        profile: profiles.default,
        sessionIdentifier: Buffer.alloc(32, 8),
        signatureBlob,
      }),
      'another session',
    );
    t.notOk(
      verifyUserSignature({ ...fields, profile: profiles.default, keyBlob: make().blob, signatureBlob }),
      'another key',
    );
    t.notOk(
      verifyUserSignature({ ...fields, profile: profiles.default, algorithm: 'ssh-rsa', signatureBlob }),
      'SHA-1',
    );
    const flipped = Uint8Array.from(signatureBlob);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    t.notOk(verifyUserSignature({ ...fields, profile: profiles.default, signatureBlob: flipped }), 'a flipped bit');
    t.notOk(
      verifyUserSignature({ ...fields, profile: profiles.default, signatureBlob: signatureBlob.subarray(0, -1) }),
      'cut short',
    );
    const isFips = algorithm !== 'ssh-ed25519';
    t.equal(
      verifyUserSignature({ ...fields, profile: profiles.fips, signatureBlob }),
      isFips,
      `profile fips: ${isFips ? 'good' : 'refused'}`,
    );
  }
});
