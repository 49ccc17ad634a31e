// T-04: certificates, revocation lists and authorities end while the admin process runs. The admin process needs no
// restart, and at no time believes a file that is broken.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import type { AdminAddress } from '../../admin-cli/connection/identity.ts';
import {
  createAuthority,
  type Issued,
  issueFor,
  keyFingerprint,
  signRevocationList,
  spkiOf,
} from '../../certs/authority.ts';
import { certs } from '../support/certs.ts';
import { temporaryDirectory } from '../support/database.ts';
import { issueServerCertificate } from '../support/issued.ts';
import { knock, type Shown, Visitor } from '../support/operator.ts';
import { freePorts, startWorld, type World } from '../support/world.ts';

type Given = { readonly cert: string; readonly key: string };
const pair = (directory: string): Given => ({
  cert: readFileSync(join(directory, 'cert.pem'), 'utf8'),
  key: readFileSync(join(directory, 'key.pem'), 'utf8'),
});
const operator = (world: World, name: string): Given => pair(join(world.directory, 'operators', name));
const socketOf = (world: World): string => join(world.directory, 'run', 'admin', 'admin.sock');
const authorityOf = (world: World): string => join(world.directory, 'certs', 'authority');
const issuedOf = (world: World): Issued => {
  const { cert, key } = pair(authorityOf(world));
  return { certificate: cert, key };
};

/** Puts each file into place as a whole, as `mv` does, with the mode that the admin user needs. */
function install(world: World, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(world.directory, 'certs', 'admin', name);
    writeFileSync(`${path}.new`, text, { mode: 0o644 });
    renameSync(`${path}.new`, path);
  }
}

/** Waits until the log has one more line like this than before `work`. */
async function logged(world: World, text: RegExp, work: () => void | Promise<void>): Promise<void> {
  const count = (): number => world.log.match(new RegExp(text, 'g'))?.length ?? 0;
  const before = count();
  await work();
  while (count() === before) await new Promise((resolve) => setTimeout(resolve, 50));
}

const installed = (world: World, files: Readonly<Record<string, string>>): Promise<void> =>
  logged(world, /were read again/, () => install(world, files));
const rejected = (world: World, text: RegExp, files: Readonly<Record<string, string>>): Promise<void> =>
  logged(world, text, () => install(world, files));

test('a revoked certificate: its connections end and no new one begins; the others notice nothing', async (t) => {
  const [port = 0] = await freePorts(1);
  const world = await startWorld(t, { env: { COFFERDAM_ADMIN_TCP: `127.0.0.1:${port}` } });
  const addresses: readonly AdminAddress[] = [socketOf(world), { host: '127.0.0.1', port }];
  const [alice, carol] = [operator(world, 'alice'), operator(world, 'carol')];
  const visit = async (shown: Shown, name: string): Promise<Visitor[]> => {
    const visitors = addresses.map((address) => new Visitor(address, shown));
    for (const one of visitors) t.match(await one.whoami(), name);
    return visitors;
  };
  const [alices, carols] = [await visit(alice, 'alice'), await visit(carol, 'carol')];
  const empty = readFileSync(join(authorityOf(world), 'crl.pem'), 'utf8');
  const certificate = join(world.directory, 'operators', 'carol', 'cert.pem');
  const done = await certs(
    'revoke',
    '--authority',
    authorityOf(world),
    '--certificate',
    certificate,
    '--reason',
    'key-compromise',
  );
  t.equal(done.code, 0, done.err);
  const revoked = readFileSync(join(authorityOf(world), 'crl.pem'), 'utf8');
  install(world, { 'crl.pem': revoked });
  await Promise.all(carols.map((one) => one.closed));
  t.pass('her connections are closed');
  for (const address of addresses) t.match(await knock(address, carol), /^refused/, 'and no new one begins');
  for (const one of alices) t.match(await one.whoami(), /alice/, "alice's connections go on");
  for (const address of addresses) t.match(await knock(address, operator(world, 'bob')), /bob/);
  const told = await world.cofferctl(['whoami', '--operator', 'carol']);
  t.match([told.code, told.err], [7, /ended the connection without an answer[\s\S]*revoked/]);

  t.ok(await world.logged(/CERT_REVOKED/), 'and the log says why');

  const aliceStays = async (): Promise<void> => {
    for (const one of alices) t.match(await one.whoami(), /alice/);
    for (const address of addresses) {
      t.match(await knock(address, alice), /alice/);
      t.match(await knock(address, carol), /^refused/);
    }
  };
  await rejected(world, /number 1, older than number 2/, { 'crl.pem': empty });
  await aliceStays();
  await rejected(world, /not a revocation list|no revocation list/, { 'crl.pem': revoked.slice(0, 200) });
  await aliceStays();
  await rejected(world, /no revocation list of the authority/, { 'crl.pem': '' });
  await aliceStays();
  const other = await createAuthority('Cofferdam development authority', 10);
  await rejected(world, /no revocation list of the authority/, {
    'crl.pem': await signRevocationList(other, [], 9, 9),
  });
  await aliceStays();
  const own = pair(join(world.directory, 'certs', 'admin'));
  await rejected(world, /do not fit together/, { 'crl.pem': revoked, 'key.pem': other.key });
  await aliceStays();
  const doctor = await world.cofferctl(['doctor']);
  t.match(
    [doctor.code, doctor.out],
    [1, /admin certificate: .*do not fit together[\s\S]*cert\.pem, key\.pem, ca\.pem and crl\.pem/],
    'doctor says so',
  );
  await installed(world, { 'key.pem': own.key });
  await aliceStays();

  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  t.teardown(() => client.end());
  type Row = {
    kind: string;
    operator: string;
    operation: string;
    certificate: { fingerprint: string; serial: string };
  };
  const { rows } = await client.query<Row>(
    "select kind, sensitive->>'operator' as operator, sensitive->>'operation' as operation, sensitive->'certificate' as certificate from ledger where kind in ('operator.asked', 'operator.answered')",
  );
  t.ok(rows.length > 10);
  const { certificates } = JSON.parse((await certs('list', '--authority', authorityOf(world), '--json')).out) as {
    certificates: { name: string; serial: string }[];
  };
  for (const row of rows) {
    const wanted = {
      fingerprint: keyFingerprint(operator(world, row.operator).cert),
      serial: certificates.find((one) => one.name === row.operator)?.serial,
    };
    if (row.certificate.fingerprint !== wanted.fingerprint || row.certificate.serial !== wanted.serial)
      t.fail(JSON.stringify(row));
  }
  for (const kind of ['operator.asked', 'operator.answered'])
    for (const name of ['alice', 'bob', 'carol'])
      t.ok(
        rows.some((row) => row.kind === kind && row.operator === name),
        `${kind} of ${name} holds key and serial`,
      );
});

test('lists that end, a new server certificate, one authority after another', async (t) => {
  const world = await startWorld(t);
  const address = socketOf(world);
  const alice = operator(world, 'alice');
  const authority = issuedOf(world);
  const stays = new Visitor(address, alice);
  t.match(await stays.whoami(), /alice/);

  t.match(
    (await world.cofferctl(['doctor'])).out,
    /ok +revocation list: number 1, with 0 revoked, is good for 179 more days/,
  );
  await installed(world, { 'crl.pem': await signRevocationList(authority, [], 20, 10) });
  const warned = await world.cofferctl(['doctor']);
  t.match(
    warned.out,
    /revocation list: number 20, with 0 revoked, ends in 9 days[\s\S]*npm run certs -- crl --authority DIR/,
  );
  await logged(world, /operators cannot connect until this is renewed/, async () =>
    install(world, { 'crl.pem': await signRevocationList(authority, [], 21, -0.01) }),
  );
  t.match(await knock(address, alice), /^refused/, 'without a fresh list nobody gets in');
  t.match((await world.cofferctl(['whoami'])).err, /its revocation list has expired/);
  t.ok(await world.logged(/CRL_HAS_EXPIRED/));
  await installed(world, { 'crl.pem': await signRevocationList(authority, [], 22, 180) });
  t.match(await knock(address, alice), /alice/, 'with one everybody does');

  const serial = async (): Promise<string> => {
    const visitor = new Visitor(address, alice);
    await visitor.whoami();
    const shown = visitor.socket.getPeerX509Certificate()?.serialNumber ?? '';
    visitor.close();
    return shown;
  };
  const before = await serial();
  const next = await issueServerCertificate(authority, 'cofferdam-admin', 40);
  await installed(world, { 'cert.pem': next.certificate, 'key.pem': next.key });
  t.not(await serial(), before, 'new connections see the new certificate');
  t.match(await stays.whoami(), /alice/, 'and the open one goes on');

  const second = await createAuthority('The next authority', 400);
  const secondCrl = await signRevocationList(second, [], 1, 180);
  const firstCrl = readFileSync(join(world.directory, 'certs', 'admin', 'crl.pem'), 'utf8');
  const aliceNext = { cert: await issueFor(second, spkiOf(alice.cert), 'alice', 100, 'operator'), key: alice.key };
  t.match(await knock(address, aliceNext), /^refused/);
  await installed(world, {
    'ca.pem': `${authority.certificate}${second.certificate}`,
    'crl.pem': `${firstCrl}${secondCrl}`,
  });
  for (const shown of [alice, aliceNext]) t.match(await knock(address, shown), /alice/, 'both authorities are good');
  t.match(await stays.whoami(), /alice/);
  const server = await issueServerCertificate(second, 'cofferdam-admin', 40);
  await installed(world, {
    'cert.pem': server.certificate,
    'key.pem': server.key,
    'ca.pem': second.certificate,
    'crl.pem': secondCrl,
  });
  await stays.closed;
  t.match(await knock(address, alice), /^refused/, 'the former is no longer');
  t.match(await knock(address, aliceNext), /alice/);
});

function identity(t: Test, shown: Given, ca: string): string {
  const directory = join(temporaryDirectory(t), 'identity');
  mkdirSync(directory);
  for (const [name, text] of Object.entries({ 'cert.pem': shown.cert, 'key.pem': shown.key, 'ca.pem': ca }))
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  return directory;
}

test('an operator is told in time that the certificate ends; with an expired certificate, cofferctl sends nothing', async (t) => {
  const world = await startWorld(t);
  const authority = issuedOf(world);
  const alice = operator(world, 'alice');
  const lasting = async (days: number): Promise<string> => {
    const cert = await issueFor(authority, spkiOf(alice.cert), 'alice', days, 'operator');
    return identity(t, { cert, key: alice.key }, authority.certificate);
  };
  const soon = await lasting(29.5);
  for (const [args, code] of [
    [['whoami'], 0],
    [['customer', 'show', 'nobody'], 3],
  ] as const) {
    const done = await world.cofferctl([...args, '--identity', soon]);
    t.match(
      [done.code, done.err],
      [
        code,
        /your certificate ends in 29 days, on \d{4}-\d\d-\d\d\. Give .*cert\.pem[\s\S]*npm run certs -- renew --authority DIR/,
      ],
    );
  }
  const enough = await world.cofferctl(['whoami', '--identity', await lasting(31)]);
  t.match([enough.code, enough.err], [0, '']);
  const over = await world.cofferctl(['whoami', '--identity', await lasting(-0.0005)]);
  t.match(
    [over.code, over.out, over.err],
    [4, '', /your certificate expired on .*Nothing was done[\s\S]*npm run certs -- renew/],
  );
});
