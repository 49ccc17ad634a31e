// The command line of the certificate authority, end to end. The real openssl judges what it makes.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { certs, modeOf, openssl, snapshot } from '../support/certs.ts';
import { temporaryDirectory } from '../support/database.ts';

type Listed = {
  serial: string;
  kind: string;
  name: string;
  state: string;
  fingerprint: string;
  daysLeft: number;
  revokedAt: string | null;
};
type Listing = { certificates: Listed[]; crl: { number: number; daysLeft: number }; warnings: string[] };

class Place {
  readonly #t: Test;
  readonly root: string;
  constructor(t: Test) {
    this.#t = t;
    this.root = temporaryDirectory(t);
  }
  at(...names: readonly string[]): string {
    return join(this.root, ...names);
  }
  get authority(): string {
    return this.at('authority');
  }
  async ok(...args: readonly string[]): Promise<string> {
    const done = await certs(...args);
    this.#t.equal(done.code, 0, `certs ${args[0]}: ${done.err}`);
    return done.out;
  }
  /** The command is refused with one line and this exit code, and nothing was changed anywhere. */
  async refused(code: number, text: RegExp, ...args: readonly string[]): Promise<void> {
    const before = snapshot(this.root);
    const done = await certs(...args);
    this.#t.equal(done.code, code, `certs ${args.join(' ').replaceAll(this.root, '')} is refused`);
    this.#t.match(done.err, text);
    this.#t.equal(done.err.trim().split('\n').length, 1, 'one line');
    this.#t.equal(done.out, '');
    this.#t.same(snapshot(this.root), before, 'nothing changed');
  }
  async list(): Promise<Listing> {
    return JSON.parse((await certs('list', '--authority', this.authority, '--json')).out) as Listing;
  }
  verify(file: string, ...more: readonly string[]): ReturnType<typeof openssl> {
    const { authority } = this;
    const crl = ['-CRLfile', join(authority, 'crl.pem'), '-crl_check_all'];
    return openssl('verify', '-x509_strict', '-CAfile', join(authority, 'cert.pem'), ...crl, ...more, file);
  }
  async operator(name: string, ...more: readonly string[]): Promise<string> {
    await this.ok('request', '--name', name, '--out', this.at(name));
    await this.ok(
      'operator',
      '--authority',
      this.authority,
      '--request',
      this.at(name, 'request.pem'),
      '--name',
      name,
      ...more,
    );
    return this.at(name, 'cert.pem');
  }
}

test('from nothing to an operator and a server', async (t) => {
  const place = new Place(t);
  const { authority } = place;
  t.match(await place.ok('authority', '--out', authority, '--name', 'Test authority'), /new authority/);
  t.equal(modeOf(authority), 0o700);
  t.equal(modeOf(join(authority, 'key.pem')), 0o400);
  t.same(readdirSync(authority).sort(), ['cert.pem', 'crl.pem', 'index.json', 'key.pem']);
  const own = (await openssl('x509', '-in', join(authority, 'cert.pem'), '-noout', '-text')).out;
  t.match(
    own,
    /Subject: CN = Test authority[\s\S]*prime256v1[\s\S]*CA:TRUE, pathlen:0[\s\S]*Certificate Sign, CRL Sign/,
  );
  const empty = await openssl(
    'crl',
    '-in',
    join(authority, 'crl.pem'),
    '-CAfile',
    join(authority, 'cert.pem'),
    '-noout',
    '-text',
  );
  t.match(`${empty.out}${empty.err}`, /No Revoked Certificates[\s\S]*verify OK/);
  await place.refused(5, /not empty/, 'authority', '--out', authority);

  t.match(await place.ok('server', '--authority', authority, '--out', place.at('server')), /certs\/admin/);
  t.equal(modeOf(place.at('server', 'key.pem')), 0o400);
  t.same(readdirSync(place.at('server')).sort(), ['ca.pem', 'cert.pem', 'crl.pem', 'key.pem']);
  const server = place.at('server', 'cert.pem');
  t.equal(
    (await place.verify(server, '-purpose', 'sslserver', '-verify_hostname', 'cofferdam-admin')).code,
    0,
    'a server',
  );
  t.not((await place.verify(server, '-purpose', 'sslclient')).code, 0, 'and no client');
  await place.refused(5, /there already/, 'server', '--authority', authority, '--out', place.at('server'));

  const asked = await place.ok('request', '--name', 'alice', '--out', place.at('alice'));
  t.equal(modeOf(place.at('alice', 'key.pem')), 0o600);
  t.match(
    (await openssl('req', '-verify', '-noout', '-subject', '-in', place.at('alice', 'request.pem'))).out,
    /CN = alice/,
  );
  const given = await place.ok(
    'operator',
    '--authority',
    authority,
    '--request',
    place.at('alice', 'request.pem'),
    '--name',
    'alice',
  );
  const fingerprint = /key SHA-256 {2}([0-9a-f]{64})/.exec(given)?.[1] ?? 'none';
  t.match(asked, fingerprint, 'operator and keeper see the same fingerprint');
  t.match(given, /by another way/);
  const alice = place.at('alice', 'cert.pem');
  t.equal((await place.verify(alice, '-purpose', 'sslclient')).code, 0, 'a client');
  t.not((await place.verify(alice, '-purpose', 'sslserver')).code, 0, 'and no server');
  const spki = await openssl('x509', '-in', alice, '-noout', '-pubkey', '-out', place.at('alice.pub'));
  t.equal(spki.code, 0);
  await openssl('pkey', '-pubin', '-in', place.at('alice.pub'), '-outform', 'DER', '-out', place.at('alice.der'));
  t.match((await openssl('dgst', '-sha256', place.at('alice.der'))).out, fingerprint, 'openssl computes the same');
  await place.refused(5, /there already/, 'request', '--name', 'alice', '--out', place.at('alice'));

  const { certificates, warnings } = await place.list();
  t.same(
    certificates.map((one) => [one.kind, one.name, one.state]),
    [
      ['authority', 'Test authority', 'good'],
      ['server', 'cofferdam-admin', 'good'],
      ['operator', 'alice', 'good'],
    ],
  );
  t.equal(certificates[2]?.fingerprint, fingerprint);
  t.same(warnings, []);
  t.match(await place.ok('list', '--authority', authority), /operator +alice +good +364/);
});

test('a sound request that openssl made is accepted, and only its key is used', async (t) => {
  const place = new Place(t);
  const { authority } = place;
  await place.ok('authority', '--out', authority);
  const request = async (
    file: string,
    key: readonly string[],
    subject: string,
    ...more: readonly string[]
  ): Promise<string> => {
    const args = [
      'req',
      '-new',
      '-nodes',
      '-newkey',
      ...key,
      '-keyout',
      place.at(`${file}.key`),
      '-out',
      place.at(file),
      '-subj',
      subject,
    ];
    const done = await openssl(...args, ...more);
    t.equal(done.code, 0, done.err);
    return place.at(file);
  };
  const operator = (file: string, name: string, ...more: readonly string[]): readonly string[] => [
    ...['operator', '--authority', authority, '--request', file, '--name', name, '--out', place.at(`${name}.pem`)],
    ...more,
  ];
  const kinds = {
    p256: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    p384: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    ed25519: ['ed25519'],
  } as const;
  for (const [name, key] of Object.entries(kinds)) {
    const wish = [
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-addext',
      'extendedKeyUsage=serverAuth',
      '-addext',
      'subjectAltName=DNS:cofferdam-admin',
    ];
    await place.ok(...operator(await request(`${name}.csr`, key, `/O=Somewhere/CN=${name}`, ...wish), name));
    const text = (await openssl('x509', '-in', place.at(`${name}.pem`), '-noout', '-text')).out;
    t.match(text, new RegExp(`Subject: CN = ${name}\\n`), 'the name alone');
    t.match(text, /CA:FALSE[\s\S]*TLS Web Client Authentication\n/);
    t.notMatch(text, /CA:TRUE|Server Authentication|cofferdam-admin/, 'wishes are not granted');
    t.equal((await place.verify(place.at(`${name}.pem`), '-purpose', 'sslclient')).code, 0);
  }
  for (const [name, key] of Object.entries({
    rsa: ['rsa:2048'],
    p521: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-521'],
    k1: ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
    ed448: ['ed448'],
  }))
    await place.refused(2, /key of the kind/, ...operator(await request(`${name}.csr`, key, `/CN=${name}`), name));

  const dave = await request('dave.csr', kinds.p256, '/CN=dave');
  await place.refused(2, /is for "dave", not for "erin"/, ...operator(dave, 'erin'));
  await place.refused(
    2,
    /is for "dave" and "erin"/,
    ...operator(await request('two.csr', kinds.p256, '/CN=dave/CN=erin'), 'dave'),
  );
  await place.refused(
    2,
    /has no name, and must be for "dave"/,
    ...operator(await request('none.csr', kinds.p256, '/O=dave'), 'dave'),
  );
  for (const name of ['Dave', '-dave', 'd ave', '../dave', 'x'.repeat(65)])
    await place.refused(
      2,
      /no operator name|argument is ambiguous/,
      'operator',
      '--authority',
      authority,
      '--request',
      dave,
      '--name',
      name,
    );
  // The last byte of the DER belongs to the signature.
  const der = Buffer.from(readFileSync(dave, 'utf8').replace(/-----[^-]+-----|\s/g, ''), 'base64');
  der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
  writeFileSync(
    place.at('bent.csr'),
    `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`,
  );
  await place.refused(2, /not signed by its own key/, ...operator(place.at('bent.csr'), 'dave'));
  writeFileSync(place.at('text.csr'), 'hello');
  await place.refused(2, /not a PKCS#10/, ...operator(place.at('text.csr'), 'dave'));
  await place.refused(2, /cannot be read from .*ENOENT/, ...operator(place.at('nowhere.csr'), 'dave'));
  for (const days of ['0', '367', '-1', '1.5', 'ten', ''])
    await place.refused(2, /--days/, ...operator(dave, 'dave', `--days=${days}`));
  await place.ok(...operator(dave, 'dave', '--days=366'));

  const again = await request('again.csr', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], '/CN=mallory');
  await openssl('req', '-new', '-key', place.at('dave.csr.key'), '-subj', '/CN=mallory', '-out', again);
  await place.refused(5, /belongs to the operator dave/, ...operator(again, 'mallory'));
});

test('after a revocation openssl refuses the certificate; list numbers rise; revoking twice is revoking once', async (t) => {
  const place = new Place(t);
  const { authority } = place;
  await place.ok('authority', '--out', authority);
  const [alice, bob, carol] = [
    await place.operator('alice'),
    await place.operator('bob'),
    await place.operator('carol'),
  ];
  const numberOf = async (): Promise<number> => {
    const { out } = await openssl('crl', '-in', join(authority, 'crl.pem'), '-noout', '-crlnumber');
    return Number.parseInt(/crlNumber=(?:0x)?([0-9A-F]+)/i.exec(out)?.[1] ?? '', 16);
  };
  t.equal(await numberOf(), 1);
  const renewed = place.at('alice', 'cert.new.pem');
  t.match(await place.ok('renew', '--authority', authority, '--certificate', alice, '--out', renewed), /the same key/);
  t.equal((await place.verify(renewed)).code, 0);
  const key = (file: string): Promise<string> =>
    openssl('x509', '-in', file, '-noout', '-pubkey').then((done) => done.out);
  t.equal(await key(renewed), await key(alice));

  const revoke = ['revoke', '--authority', authority];
  t.match(
    await place.ok(...revoke, '--certificate', alice, '--reason', 'key-compromise: laptop stolen'),
    /(revoked: .*alice[\s\S]*){2}Copy/,
  );
  t.equal(await numberOf(), 2);
  for (const file of [alice, renewed])
    t.match((await place.verify(file)).err, /certificate revoked/, 'both certificates of the key');
  t.equal((await place.verify(bob)).code, 0, 'nobody else');
  const crl = await openssl(
    'crl',
    '-in',
    join(authority, 'crl.pem'),
    '-CAfile',
    join(authority, 'cert.pem'),
    '-noout',
    '-text',
  );
  t.match(`${crl.out}${crl.err}`, /Key Compromise[\s\S]*verify OK/);
  const before = snapshot(authority);
  t.match(await place.ok(...revoke, '--certificate', alice, '--reason', 'again'), /was revoked at .* already/);
  t.same(snapshot(authority), before, 'twice is once');
  await place.refused(
    5,
    /was revoked/,
    'renew',
    '--authority',
    authority,
    '--certificate',
    alice,
    '--out',
    place.at('x.pem'),
  );
  const request = place.at('alice', 'request.pem');
  const back = [
    'operator',
    '--authority',
    authority,
    '--request',
    request,
    '--name',
    'alice',
    '--out',
    place.at('x.pem'),
  ];
  await place.refused(5, /key was revoked .*laptop stolen/, ...back);

  const carolNew = place.at('carol', 'cert.new.pem');
  await place.ok('renew', '--authority', authority, '--certificate', carol, '--out', carolNew);
  const serial = (await openssl('x509', '-in', carol, '-noout', '-serial')).out.trim().split('=')[1] ?? '';
  await place.ok(...revoke, '--serial', serial, '--reason', 'superseded');
  t.match((await place.verify(carol)).err, /certificate revoked/);
  t.equal((await place.verify(carolNew)).code, 0, 'its successor stays');
  t.match(
    await place.ok(
      ...revoke,
      '--serial',
      serial.toLowerCase().replace(/(..)(?=.)/g, '$1:'),
      '--reason',
      'keyCompromise',
    ),
    /(revoked: .*carol[\s\S]*){2}/,
  );
  t.match((await place.verify(carolNew)).err, /certificate revoked/, 'until the key itself is in doubt');

  await place.ok('crl', '--authority', authority);
  t.equal(await numberOf(), 5);
  const next = (await openssl('crl', '-in', join(authority, 'crl.pem'), '-noout', '-nextupdate')).out;
  t.ok(Math.abs(Date.parse(next.split('=')[1] ?? '') - Date.now() - 180 * 86_400_000) < 86_400_000, next);
  t.equal(
    ((await openssl('crl', '-in', join(authority, 'crl.pem'), '-noout', '-text')).out.match(/Serial Number/g) ?? [])
      .length,
    4,
  );

  // The process was killed between index and list: the next call writes the list.
  await place.ok(...revoke, '--certificate', bob, '--reason', 'left');
  await place.ok('authority', '--out', place.at('other'));
  writeFileSync(join(authority, 'crl.pem'), readFileSync(place.at('other', 'crl.pem')));
  t.match(await place.ok(...revoke, '--certificate', bob, '--reason', 'left'), /already/);
  t.match((await place.verify(bob)).err, /certificate revoked/);

  await place.refused(3, /no certificate with the serial/, ...revoke, '--serial', 'abcd', '--reason', 'x');
  await place.refused(2, /hexadecimal/, ...revoke, '--serial', 'xyz', '--reason', 'x');
  await place.refused(2, /--certificate FILE or --serial/, ...revoke, '--reason', 'x');
  await place.refused(2, /--reason is missing/, ...revoke, '--certificate', bob);
  await place.refused(2, /one line/, ...revoke, '--certificate', bob, '--reason', 'a\nb');
  await place.refused(
    2,
    /not issued by this authority/,
    'revoke',
    '--authority',
    place.at('other'),
    '--certificate',
    bob,
    '--reason',
    'x',
  );
  const own = (await place.list()).certificates.find((one) => one.kind === 'authority')?.serial ?? '';
  await place.refused(2, /cannot revoke itself/, ...revoke, '--serial', own, '--reason', 'x');
});

test('what ends soon is reported with the next step, until it is done', async (t) => {
  const place = new Place(t);
  const { authority } = place;
  await place.ok('authority', '--out', authority, '--days', '100');
  await place.refused(
    2,
    /the authority itself ends in \d+ days/,
    'server',
    '--authority',
    authority,
    '--out',
    place.at('s'),
  );
  await place.ok('server', '--authority', authority, '--out', place.at('s'), '--days', '20');
  const alice = await place.operator('alice', '--days', '29');
  await place.operator('bob', '--days', '60');
  const warned = await certs('list', '--authority', authority);
  t.equal(warned.code, 1);
  t.match(warned.err, /server cofferdam-admin expires in 19 days: certs server/);
  t.match(warned.err, /operator alice expires in 28 days: certs renew/);
  t.notMatch(warned.err, /bob|authority Cofferdam|revocation list/);
  const renewServer = [
    'renew',
    '--authority',
    authority,
    '--certificate',
    place.at('s', 'cert.pem'),
    '--out',
    place.at('x'),
  ];
  await place.refused(2, /gets a new key .*certs server/, ...renewServer);
  await place.ok('server', '--authority', authority, '--out', place.at('s2'), '--days', '60');
  await place.ok(
    'renew',
    '--authority',
    authority,
    '--certificate',
    alice,
    '--days',
    '60',
    '--out',
    place.at('alice.pem'),
  );
  const done = await certs('list', '--authority', authority, '--json');
  t.match([done.code, done.err], [0, '']);
  t.same(
    (JSON.parse(done.out) as Listing).certificates.map((one) => one.state),
    ['good', 'replaced', 'replaced', 'good', 'good', 'good'],
  );
  // A revoked certificate replaces nothing: the one before it is valid again.
  const { serial } = (JSON.parse(done.out) as Listing).certificates.at(-1) ?? { serial: '' };
  await place.ok('revoke', '--authority', authority, '--serial', serial, '--reason', 'superseded');
  const again = await certs('list', '--authority', authority);
  t.equal(again.code, 1);
  t.match(again.err, /operator alice expires in 28 days: certs renew/);
  t.notMatch(again.err, /server|bob/);
  await place.ok('authority', '--out', place.at('short'), '--days', '10');
  t.match(
    (await certs('list', '--authority', place.at('short'))).err,
    /authority Cofferdam authority expires in 9 days: make a new authority/,
  );
});

test('invalid words change nothing', async (t) => {
  const place = new Place(t);
  await place.ok('authority', '--out', place.authority);
  t.match((await certs('--help')).out, /request --name NAME --out[\s\S]*Exit codes/);
  t.equal((await certs()).code, 0);
  await place.refused(2, /no verb "issue"/, 'issue');
  await place.refused(2, /Unknown option '--force'/, 'crl', '--authority', place.authority, '--force');
  await place.refused(2, /--out is missing: authority --out/, 'authority');
  await place.refused(2, /Unexpected argument/, 'crl', place.authority);
  await place.refused(2, /--name takes/, 'authority', '--out', place.at('b'), '--name', 'A, CN=B');
  await place.refused(2, /certificate cannot be read/, 'list', '--authority', place.at('nowhere'));
  await place.refused(
    2,
    /cannot be written/,
    'request',
    '--name',
    'x',
    '--out',
    join(place.authority, 'cert.pem', 'x'),
  );
  mkdirSync(place.at('taken'));
  writeFileSync(place.at('taken', 'note'), '');
  await place.refused(5, /not empty/, 'authority', '--out', place.at('taken'));
  writeFileSync(join(place.authority, 'index.json'), '{"format":1}');
  await place.refused(2, /not an index of this form/, 'crl', '--authority', place.authority);
});

test('with several commands at once, each certificate is in the index', async (t) => {
  const place = new Place(t);
  const { authority } = place;
  await place.ok('authority', '--out', authority);
  const names = Array.from({ length: 6 }, (_, i) => `op-${i}`);
  await Promise.all(names.map((name) => place.ok('request', '--name', name, '--out', place.at(name))));
  const done = await Promise.all(
    names.map((name) =>
      certs('operator', '--authority', authority, '--request', place.at(name, 'request.pem'), '--name', name),
    ),
  );
  for (const [i, one] of done.entries()) {
    t.equal(one.code === 0, existsSync(place.at(names[i] ?? '', 'cert.pem')));
    if (one.code !== 0) t.match([one.code, one.err], [5, /another command/]);
  }
  const { certificates } = await place.list();
  t.same(
    certificates
      .map((one) => one.name)
      .filter((name) => name.startsWith('op-'))
      .sort(),
    names.filter((_, i) => done[i]?.code === 0),
  );
  t.ok(certificates.length > 1, 'one of them at least');
  writeFileSync(join(authority, 'lock'), '1');
  await place.refused(5, /process 1\) holds/, 'crl', '--authority', authority);
  writeFileSync(join(authority, 'lock'), '4194999');
  await place.ok('crl', '--authority', authority);
  t.notOk(existsSync(join(authority, 'lock')), 'what a dead process held is taken over');
});
