// A request for a key: its six lines, its signatures, and every way in which it is refused.
import { test } from 'tap';
import { keyRequestNamespace, parseSignedKeyRequest, signedKeyRequest } from '../../server/domain/key-request.ts';
import { concatBytes, wireString } from '../../server/domain/ssh-wire.ts';
import { Random } from '../fuzz/mutate.ts';
import { keyRequestText } from '../support/key-requests.ts';

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const publicKey = `ssh-ed25519 ${base64(concatBytes([wireString('ssh-ed25519'), wireString(new Uint8Array(32).fill(7))]))} name@host`;
const request = {
  installation: '6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11',
  account: 'acme-batch',
  fingerprint: `SHA256:${'b'.repeat(43)}`,
  expires: '2027-01-31',
  publicKey,
};
const text = keyRequestText(request);
const blob = (version: number, hash: string): string =>
  base64(
    concatBytes([
      new TextEncoder().encode('SSHSIG'),
      Uint8Array.of(0, 0, 0, version),
      wireString('key'),
      wireString('cofferdam-key'),
      wireString(''),
      wireString(hash),
      wireString('signature'),
    ]),
  );
const armored = (body: string): string =>
  `-----BEGIN SSH SIGNATURE-----\n${(body.match(/.{1,70}/g) ?? []).join('\n')}\n-----END SSH SIGNATURE-----\n`;
const whole = text + armored(blob(1, 'sha512'));

test('a request and its signature are parsed, in one spelling only', async (t) => {
  const parsed = parseSignedKeyRequest(whole, 1);
  t.same(parsed.request, request);
  t.equal(parsed.text, text, 'the bytes that were signed');
  t.match(parsed.signatures, [{ namespace: 'cofferdam-key', hash: 'sha512' }]);
  t.equal(Buffer.from(parsed.signatures[0]?.signature ?? []).toString(), 'signature');
  const both = parseSignedKeyRequest(whole + armored(blob(1, 'sha256')), 2);
  t.match(
    [both.text, both.signatures],
    [text, [{ hash: 'sha512' }, { hash: 'sha256' }]],
    'with two signatures, where two are asked for',
  );
  t.throws(() => parseSignedKeyRequest(whole, 2), { code: 'invalid' }, 'one of two');
  t.throws(
    () => parseSignedKeyRequest(`${whole}x${armored(blob(1, 'sha512'))}`, 2),
    { code: 'invalid' },
    'something between two',
  );
  t.throws(
    () => parseSignedKeyRequest(whole + armored(blob(1, 'sha512')) + armored(blob(1, 'sha512')), 2),
    { code: 'invalid' },
    'three',
  );
  for (const [why, input] of [
    ['nothing', ''],
    ['no signature', text],
    ['no request', armored(blob(1, 'sha512'))],
    ['two signatures', whole + armored(blob(1, 'sha512'))],
    ['something behind', `${whole}x`],
    ['something before', `x${whole}`],
    ['carriage returns', whole.replaceAll('\n', '\r\n')],
    ['lines in another order', whole.replace(/(account .*\n)(fingerprint .*\n)/, '$2$1')],
    ['a line twice', whole.replace(/(expires .*\n)/, '$1$1')],
    ['a name that is none', whole.replace('acme-batch', 'Acme')],
    ['no day', whole.replace('2027-01-31', '2027-13-45')],
    ['no fingerprint', whole.replace(/fingerprint .*/, 'fingerprint MD5:00')],
    ['no key', whole.replace(/key ssh.*/, 'key ssh-ed25519 AAAA')],
    ['another version', text + armored(blob(2, 'sha512'))],
    ['another hash', text + armored(blob(1, 'sha1'))],
    ['another magic', text + armored(base64(new TextEncoder().encode('SSHXXX and more of it')))],
    ['cut off', text + armored(blob(1, 'sha512').slice(0, 40))],
  ] as const)
    t.throws(() => parseSignedKeyRequest(input, 1), { code: 'invalid' }, why);
});

test('a request with any byte changed is refused, or is still the same text that would have to be signed', async (t) => {
  const random = new Random(5);
  let accepted = 0;
  let wrong = 0;
  for (let i = 0; i < 20_000; i += 1) {
    const at = random.below(whole.length);
    const changed = whole.slice(0, at) + String.fromCharCode(random.below(128)) + whole.slice(at + 1);
    try {
      const parsed = parseSignedKeyRequest(changed, 1);
      accepted += 1;
      if (!changed.startsWith(parsed.text) || keyRequestText(parsed.request) !== parsed.text) wrong += 1;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'invalid')) wrong += 1;
    }
  }
  t.equal(wrong, 0, `${accepted} were well-formed`);
});

test('a refusal says what was expected, for one signature and for two', (t) => {
  t.equal(keyRequestNamespace, 'cofferdam-key');
  t.throws(() => parseSignedKeyRequest(text, 1), {
    message: 'expected the request and, after it, its signature by `ssh-keygen -Y sign`',
  });
  t.throws(() => parseSignedKeyRequest(text, 2), {
    message: /two signatures by `ssh-keygen -Y sign`: by a current key of the account, and by the new key$/,
  });
  t.throws(
    () => parseSignedKeyRequest(`${whole}-----END SSH SIGNATURE-----\n`, 1),
    { message: /^expected the request/ },
    'an end twice',
  );
  t.throws(
    () => parseSignedKeyRequest(whole.replace('-----END SSH SIGNATURE-----\n', ''), 1),
    { message: /^expected the request/ },
    'no end',
  );
  t.throws(() => parseSignedKeyRequest(`x\n${whole}`, 1), { message: /^expected six lines/ });
  t.throws(() => parseSignedKeyRequest(text + armored('AAAA*AAA'), 1), {
    message: 'the signature is malformed or cut off',
  });
  t.throws(() => parseSignedKeyRequest(text + armored(base64(new TextEncoder().encode('SSHXXX and more of it'))), 1), {
    message: 'this is no SSH signature',
  });
  t.throws(() => parseSignedKeyRequest(text + armored(base64(new TextEncoder().encode('XSHSIG and more of it'))), 1), {
    message: 'this is no SSH signature',
  });
  t.throws(() => parseSignedKeyRequest(text + armored(blob(2, 'sha512')), 1), {
    message: 'an SSH signature of another version',
  });
  t.throws(() => parseSignedKeyRequest(text + armored(blob(1, 'sha1')), 1), {
    message: 'the signature uses a hash that is not accepted',
  });
  const longer = base64(concatBytes([new Uint8Array(Buffer.from(blob(1, 'sha512'), 'base64')), Uint8Array.of(0)]));
  t.throws(() => parseSignedKeyRequest(text + armored(longer), 1), 'a byte behind the last field');
  t.end();
});

test('the smallest RSA key of a request has 2048 bits', (t) => {
  const rsa = (bits: number): string => {
    const modulus = new Uint8Array(bits / 8 + 1).fill(0xff, 1);
    return `ssh-rsa ${base64(concatBytes([wireString('ssh-rsa'), wireString(Uint8Array.of(1, 0, 1)), wireString(modulus)]))}`;
  };
  const asked = (bits: number): string =>
    keyRequestText({ ...request, publicKey: rsa(bits) }) + armored(blob(1, 'sha512'));
  t.doesNotThrow(() => parseSignedKeyRequest(asked(2048), 1));
  t.throws(() => parseSignedKeyRequest(asked(2040), 1));
  t.end();
});

test('the bytes that are signed, field by field (PROTOCOL.sshsig)', (t) => {
  const digest = Uint8Array.of(1, 2, 3);
  t.equal(
    Buffer.from(signedKeyRequest('name', 'sha512', digest)).toString('hex'),
    `${Buffer.from('SSHSIG').toString('hex')}00000004${Buffer.from('name').toString('hex')}0000000000000006${Buffer.from('sha512').toString('hex')}00000003010203`,
  );
  t.end();
});
