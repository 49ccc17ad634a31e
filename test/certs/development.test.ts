// The certificates of development: made once, complete, renewed in time, and adopted from an earlier version.
import { createPublicKey } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { createAuthority, keyFingerprint, spkiFingerprint } from '../../certs/authority.ts';
import { Authority } from '../../certs/authority-directory.ts';
import { createDevelopmentCertificates, type DevelopmentPaths } from '../../certs/development.ts';
import { certs, modeOf, openssl, snapshot } from '../support/certs.ts';
import { temporaryDirectory } from '../support/database.ts';
import { issueOperatorCertificate } from '../support/issued.ts';

function places(directory: string): DevelopmentPaths {
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return { certs: join(directory, 'certs'), operators: join(directory, 'operators'), admin: self };
}

test('the set is complete, and a second start changes nothing in it', async (t) => {
  const directory = temporaryDirectory(t);
  const operators = await createDevelopmentCertificates(places(directory));
  t.same(
    operators.map((one) => `${one.name} ${one.role}`),
    ['alice security-officer', 'bob security-officer', 'carol operator'],
  );
  const admin = join(directory, 'certs', 'admin');
  for (const name of ['cert.pem', 'key.pem']) t.equal(modeOf(join(admin, name)), 0o400);
  const checked = ['-CAfile', join(admin, 'ca.pem'), '-CRLfile', join(admin, 'crl.pem'), '-crl_check_all'];
  t.equal((await openssl('verify', ...checked, '-purpose', 'sslserver', join(admin, 'cert.pem'))).code, 0);
  for (const { name, keyFingerprint: fingerprint, publicKey } of operators) {
    const own = (file: string): string => join(directory, 'operators', name, file);
    t.equal((await openssl('verify', ...checked, '-purpose', 'sslclient', own('cert.pem'))).code, 0, name);
    t.equal(modeOf(own('key.pem')), 0o600);
    t.equal(fingerprint, keyFingerprint(readFileSync(own('cert.pem'), 'utf8')));
    t.equal(spkiFingerprint(Buffer.from(publicKey, 'base64')), fingerprint);
    const spki = createPublicKey(readFileSync(own('key.pem'))).export({ type: 'spki', format: 'der' });
    t.equal(spki.toString('base64'), publicKey, 'of the key beside it');
  }
  const listed = await certs('list', '--authority', join(directory, 'certs', 'authority'));
  t.equal(listed.code, 0, listed.err);
  const before = snapshot(directory);
  t.same(await createDevelopmentCertificates(places(directory)), operators);
  t.same(snapshot(directory), before);
});

test('what is revoked stays revoked, and the admin process gets the list', async (t) => {
  const directory = temporaryDirectory(t);
  await createDevelopmentCertificates(places(directory));
  const authority = join(directory, 'certs', 'authority');
  const bob = join(directory, 'operators', 'bob', 'cert.pem');
  t.equal((await certs('revoke', '--authority', authority, '--certificate', bob, '--reason', 'test')).code, 0);
  await createDevelopmentCertificates(places(directory));
  const admin = join(directory, 'certs', 'admin');
  t.match(
    (await openssl('verify', '-CAfile', join(admin, 'ca.pem'), '-CRLfile', join(admin, 'crl.pem'), '-crl_check', bob))
      .err,
    /revoked/,
  );
});

test('what ends soon is renewed at a start: lists, the server, and operators with their keys', async (t) => {
  const directory = temporaryDirectory(t);
  const before = await createDevelopmentCertificates(places(directory));
  const authority = join(directory, 'certs', 'authority');
  const index = join(authority, 'index.json');
  // As if time had passed: the index says when each certificate ends.
  const soon = new Date(Date.now() + 10 * 86_400_000).toISOString();
  const aged = JSON.parse(readFileSync(index, 'utf8')) as { certificates: { kind: string; notAfter: string }[] };
  for (const one of aged.certificates) if (one.kind !== 'authority') one.notAfter = soon;
  writeFileSync(index, JSON.stringify(aged));
  await Authority.open(authority, async (opened) => void (await opened.reissueCrl(10)));
  t.equal((await certs('list', '--authority', authority)).code, 1);
  t.same(await createDevelopmentCertificates(places(directory)), before, 'the keys stay');
  const listed = await certs('list', '--authority', authority);
  t.equal(listed.code, 0, listed.err);
});

test('a set of an earlier version gets an index, a revocation list and the third operator', async (t) => {
  const directory = temporaryDirectory(t);
  const before = await createDevelopmentCertificates(places(directory));
  const authority = join(directory, 'certs', 'authority');
  for (const name of ['index.json', 'crl.pem']) rmSync(join(authority, name));
  rmSync(join(directory, 'certs', 'admin', 'crl.pem'));
  rmSync(join(directory, 'operators', 'carol'), { recursive: true });
  const after = await createDevelopmentCertificates(places(directory));
  t.same(after.slice(0, 2), before.slice(0, 2));
  const { out, code } = await certs('list', '--authority', authority);
  t.equal(code, 0);
  for (const name of ['cofferdam-admin', 'alice', 'bob', 'carol']) t.match(out, new RegExp(`${name} +good`));
});

test('another authority of the same name is another authority', async (t) => {
  const directory = temporaryDirectory(t);
  await createDevelopmentCertificates(places(directory));
  const other = await createAuthority('Cofferdam development authority', 10);
  const { certificate } = await issueOperatorCertificate(other, 'alice', 5);
  const file = join(directory, 'alice.pem');
  writeFileSync(file, certificate);
  const done = await certs(
    'revoke',
    '--authority',
    join(directory, 'certs', 'authority'),
    '--certificate',
    file,
    '--reason',
    'x',
  );
  t.match([done.code, done.err], [2, /not issued by this authority/]);
});
