// What the admin process reads from a revocation list is what openssl reads from the same bytes.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { createAuthority, signRevocationList } from '../../certs/authority.ts';
import { daysLeft, plainSerial, readRevocationList } from '../../certs/inspect.ts';
import { openssl } from '../support/certs.ts';
import { temporaryDirectory } from '../support/database.ts';

test('numbers, ends and serial numbers are those that openssl reads', async (t) => {
  const authority = await createAuthority('a', 100);
  const directory = temporaryDirectory(t);
  for (const [number, count, days] of [
    [1, 0, 180],
    [127, 1, 1],
    [128, 2, 20_000],
    [65_535, 300, 9000],
    [2 ** 40, 1, 400],
  ] as const) {
    const serials = Array.from({ length: count }, (_, i) => `01${i.toString(16).padStart(30, '0')}`);
    const revocations = serials.map((serial, i) => ({ serial, revokedAt: new Date(), reasonCode: i % 5 }));
    const pem = await signRevocationList(authority, revocations, number, days);
    const list = readRevocationList(pem, authority.certificate);
    const file = join(directory, `${number}.pem`);
    writeFileSync(file, pem);
    const { out } = await openssl('crl', '-in', file, '-noout', '-text');
    t.equal(list.number, number);
    t.match((await openssl('crl', '-in', file, '-noout', '-crlnumber')).out.toLowerCase(), number.toString(16));
    t.equal(list.nextUpdate.toISOString(), new Date(/Next Update: (.*)/.exec(out)?.[1] ?? '').toISOString());
    const seen = [...out.matchAll(/Serial Number: ([0-9A-F]+)/g)].map((match) => plainSerial(match[1] ?? ''));
    t.same([...list.revoked].sort(), seen.sort());
  }
});

test('lists made by openssl, with other keys and without a number', async (t) => {
  const directory = temporaryDirectory(t);
  const at = (name: string): string => join(directory, name);
  writeFileSync(
    at('database'),
    `V\t360101000000Z\t\t0A\tunknown\t/CN=x\nR\t360101000000Z\t260101000000Z,keyCompromise\t7F00\tunknown\t/CN=y\n`,
  );
  writeFileSync(at('config'), `[ca]\ndefault_ca=d\n[d]\ndatabase=${at('database')}\ndefault_crl_days=5\n`);
  for (const [key, digest] of [
    [['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], 'sha384'],
    [['rsa:2048'], 'sha256'],
    [['rsa:2048'], 'sha512'],
    [['ed25519'], 'null'],
  ] as const) {
    const made = await openssl(
      ...[
        'req',
        '-x509',
        '-nodes',
        '-newkey',
        ...key,
        '-keyout',
        at('key'),
        '-out',
        at('ca'),
        '-subj',
        '/CN=else',
        '-days',
        '9',
      ],
    );
    t.equal(made.code, 0, made.err);
    const signed = await openssl(
      'ca',
      '-config',
      at('config'),
      '-gencrl',
      '-md',
      digest,
      '-keyfile',
      at('key'),
      '-cert',
      at('ca'),
      '-out',
      at('crl'),
    );
    t.equal(signed.code, 0, signed.err);
    const list = readRevocationList(readFileSync(at('crl'), 'utf8'), readFileSync(at('ca'), 'utf8'));
    t.same([list.number, [...list.revoked], daysLeft(list.nextUpdate)], [0, ['7f00'], 4], `${key[0]} ${digest}`);
  }
});

test('a list that is altered, cut, or signed by somebody else is refused', async (t) => {
  const [authority, other] = [await createAuthority('a', 100), await createAuthority('a', 100)];
  const revocations = [{ serial: '01aa', revokedAt: new Date(), reasonCode: 1 }];
  const pem = await signRevocationList(authority, revocations, 7, 180);
  const read = (text: string): unknown => readRevocationList(text, authority.certificate);
  t.ok(read(pem));
  t.throws(() => readRevocationList(pem, other.certificate), {
    code: 'invalid',
    message: /not signed by this authority/,
  });
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const wrap = (bytes: Buffer): string =>
    `-----BEGIN X509 CRL-----\n${bytes.toString('base64')}\n-----END X509 CRL-----\n`;
  t.ok(read(wrap(der)));
  let passed = 0;
  for (let at = 0; at < der.length; at += 1) {
    const bent = Buffer.from(der);
    bent[at] = (bent[at] ?? 0) ^ 0x41;
    try {
      read(wrap(bent));
      passed += 1;
    } catch (error) {
      t.match(error, { code: 'invalid' });
    }
    t.throws(() => read(wrap(der.subarray(0, at))), { code: 'invalid' }, `cut at ${at}`);
  }
  t.ok(passed <= 2, `${passed} bytes are not signed and may say anything`);
  for (const text of ['', 'x', wrap(Buffer.alloc(0)), wrap(Buffer.alloc(1000, 0x30)), authority.certificate])
    t.throws(() => read(text), { code: 'invalid' });
});
