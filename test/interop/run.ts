// Owns: `npm run interop`: real clients against a real gateway, every content compared by hash, and the pages of the
// banks' handbook typed. Last line: JSON {clients, passed, failed, left}; `left` counts what this machine has no
// toolchain or package for, each of which was left out with a sentence.

import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { wideBudgetsEnv } from '../support/bank.ts';
import { temporaryDirectory } from '../support/database.ts';
import { typistEnv } from '../support/handbook.ts';
import { run, sha256File, startWorld, type World } from '../support/world.ts';
import {
  type Client,
  emptyDirectory,
  type Gateway,
  type Kind,
  type Op,
  clients as ofDebian,
  trixie,
} from './clients.ts';
import { typePages } from './handbook.ts';
import { libraries } from './libraries.ts';
import { LeftOut } from './toolchains.ts';

const mebibyte = 1024 * 1024;
const sizes: readonly number[] = [
  0,
  1,
  ...[32 * 1024, 256 * 1024, 16 * mebibyte].flatMap((size) => [size - 1, size, size + 1]),
  100 * mebibyte,
];
const oddNames: readonly string[] = ['with two  spaces.txt', 'Überweisung €.xml', `${'n'.repeat(251)}.txt`];
const listed = 1000;
/** Ten times the time in which the slowest client has its last close answered. */
const closedMs = 30_000;
const only = process.argv.slice(2);

const endings: (() => unknown)[] = [];
const ending = { teardown: (work: () => unknown): void => void endings.push(work) };
let passed = 0;
let failed = 0;
function check(client: string, what: string, isGood: boolean, detail = ''): void {
  if (isGood) passed += 1;
  else {
    failed += 1;
    process.stdout.write(`  FAILED ${client}: ${what} ${detail.slice(-600)}\n`);
  }
}

/** A directory with Debian 13 and its OpenSSH 10; made once. */
async function makeTrixie(): Promise<void> {
  if (existsSync(join(trixie, 'usr/bin/ssh')) || process.getuid?.() !== 0) return;
  const made = await run('debootstrap', ['--variant=minbase', '--include=openssh-client', 'trixie', trixie], {
    timeoutMs: 600_000,
  }).catch(() => undefined);
  if (made?.code !== 0)
    process.stdout.write(
      `  no Debian 13 folder: ${made === undefined ? 'debootstrap is not installed' : made.out.slice(-300)}\n`,
    );
}

/** The processor fills the collect folder from which every client reads. */
async function seed(world: World, files: string): Promise<void> {
  mkdirSync(join(files, 'many'));
  for (const size of sizes) writeFileSync(join(files, `size-${size}`), randomBytes(size));
  for (const [i, name] of oddNames.entries()) writeFileSync(join(files, name), `odd name ${i}\n`);
  for (let i = 0; i < listed; i += 1) writeFileSync(join(files, 'many', `many-${String(i).padStart(4, '0')}`), '');
  const lines = [
    ...sizes.map((size) => `put "${files}/size-${size}" /acme/collect/size-${size}`),
    ...oddNames.map((name) => `put "${files}/${name}" "/acme/collect/${name}"`),
    `put -r ${files}/many /acme/collect/many`,
  ];
  const done = await world.sftp('processor', lines, 300_000);
  if (done.code !== 0) throw new Error(`the gateway could not be filled: ${done.err}`);
}

async function gatewayFor(world: World, directory: string, user = 'acme-batch'): Promise<Gateway> {
  const key = join(directory, `key-${user}`);
  const knownHosts = join(directory, 'known_hosts');
  copyFileSync(world.keyFile(user), key);
  copyFileSync(`${join(world.directory, 'demo', 'known_hosts')}`, knownHosts);
  writeFileSync(`${key}.pub`, (await run('ssh-keygen', ['-y', '-f', key])).out);
  await run('puttygen', [key, '-O', 'private', '-o', `${key}.ppk`]).catch(() => undefined);
  const lines = (await run('ssh-keygen', ['-lf', knownHosts])).out.split('\n');
  const fingerprint = /SHA256:\S+/.exec(lines.find((line) => line.includes('ED25519')) ?? '')?.[0] ?? '';
  return { ...world.demo.partner, user, key, knownHosts, fingerprint };
}

/** What a program shows of a refusal, and how it ends. */
async function tryRefusal(client: Client, gateway: Gateway): Promise<void> {
  const refused = await client.run(gateway, [['remove', 'collect/size-1']]);
  const said = refused.err + refused.out;
  const words = client.tells === 'status' ? /./ : /files here stay for everybody/;
  check(client.name, 'a refusal ends it, with words', refused.code !== 0 && words.test(said), said);
}

/** Persons in turn: each code is good once, and three of one person's count at any time. */
const persons = ['acme', 'acme-2', 'globex'];
async function tryCode(world: World, client: Client, home: string, file: string, slug: string): Promise<void> {
  const person = persons.shift() ?? 'acme';
  persons.push(person);
  const gateway = { ...(await gatewayFor(world, home, person)), code: await world.code(person) };
  const done = await client.run(gateway, [
    ['put', file, `deposit/${slug}-by-person.part`],
    ['rename', `deposit/${slug}-by-person.part`, `deposit/${slug}-by-person`],
  ]);
  check(client.name, 'a person with key and code', done.code === 0, done.err + done.out);
}

async function tryClient(world: World, client: Client, seeded: string): Promise<void> {
  const home = emptyDirectory(
    client.root === undefined ? join(temporaryDirectory(ending), 'client') : join(client.root, 'work'),
  );
  const gateway = await gatewayFor(world, home);
  const slug = client.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const has = (kind: Kind): boolean => client.kinds.includes(kind);
  const local = (name: string): string => join(home, name);
  // Some libraries wait for each answer before they ask again; the largest file says nothing more about them.
  const tried = client.isOptional === true ? sizes.filter((size) => size < 100 * mebibyte) : sizes;
  const largest = tried.at(-1) ?? 0;
  const hashes = new Map<string, string>();
  for (const name of [...tried.map((size) => `size-${size}`), ...oddNames]) {
    copyFileSync(join(seeded, name), local(name));
    hashes.set(name, await sha256File(local(name)));
  }
  const started = performance.now();
  const names = [...hashes.keys()];
  const deposited = (name: string): string => (oddNames.includes(name) ? `${slug}/${name}` : `${slug}-${name}`);
  await world.sftp('acme-batch', [`-mkdir deposit/${slug}`]);

  const put = await client.run(
    gateway,
    names.map((name): Op => ['put', local(name), `deposit/${deposited(name)}`]),
  );
  check(client.name, 'put', put.code === 0, put.err + put.out);
  const got = await client.run(
    gateway,
    names.map((name): Op => ['get', `collect/${name}`, local(`got-${name.slice(0, 200)}`)]),
  );
  check(client.name, 'get', got.code === 0, got.err + got.out);
  for (const name of names) {
    const hash = await sha256File(local(`got-${name.slice(0, 200)}`)).catch((error: Error) => error.message);
    check(client.name, `content of ${name.slice(0, 40)} as it was got`, hash === hashes.get(name), hash);
  }
  if (has('list')) {
    const done = await client.run(gateway, [['list', 'collect/many']]);
    const found = new Set(done.out.match(/many-\d{4}/g)).size;
    check(client.name, `a list of ${listed}`, done.code === 0 && found === listed, `${found} ${done.err}`);
  }
  if (has('rename')) {
    const done = await client.run(gateway, [
      ['put', local('size-1'), `deposit/${slug}-held.part`],
      ['rename', `deposit/${slug}-held.part`, `deposit/${slug}-renamed`],
    ]);
    check(client.name, 'rename', done.code === 0, done.err + done.out);
  }
  if (has('remove')) {
    const done = await client.run(gateway, [
      ['put', local('size-1'), `deposit/${slug}-gone.part`],
      ['remove', `deposit/${slug}-gone.part`],
    ]);
    check(client.name, 'remove', done.code === 0, done.err + done.out);
  }
  if (has('resume')) {
    const partial = local('resumed');
    copyFileSync(local(`size-${largest}`), partial);
    truncateSync(partial, Math.floor(largest / 3));
    const done = await client.run(gateway, [['resume', `collect/size-${largest}`, partial]]);
    const isWhole = (await sha256File(partial)) === hashes.get(`size-${largest}`);
    check(client.name, 'resume', done.code === 0 && isWhole, done.err + done.out);
  }
  const both = await Promise.all(
    [1, 2].map((n) =>
      client.run(gateway, [['put', local(`size-${16 * mebibyte + 1}`), `deposit/${slug}-parallel-${n}`]]),
    ),
  );
  check(
    client.name,
    'two sessions at once',
    both.every((done) => done.code === 0),
    both.map((done) => done.err).join(),
  );

  type FileRow = { readonly path: string; readonly sha256: string | null };
  const fileRows = async (): Promise<readonly FileRow[]> =>
    (
      await world.cofferctlJson<{ files: readonly FileRow[] }>([
        'file',
        'list',
        'acme',
        '--folder',
        'deposit',
        '--limit',
        '500',
      ])
    ).files;
  const hashIn = (files: readonly FileRow[], path: string): string | null | undefined =>
    files.find((file) => file.path === path || file.path === `deposit/${path}` || file.path === `/deposit/${path}`)
      ?.sha256;
  // sshfs tells the program that closed a file before it knows that the file is closed.
  const last = [1, 2].map((n) => `${slug}-parallel-${n}`);
  let files = await fileRows();
  for (
    const end = performance.now() + closedMs;
    last.some((path) => !hashIn(files, path)) && performance.now() < end;
  ) {
    await delay(100);
    files = await fileRows();
  }
  const hashOf = (path: string): string | null | undefined => hashIn(files, path);
  for (const name of names)
    check(
      client.name,
      `content of ${name.slice(0, 40)} as it was put`,
      hashOf(deposited(name)) === hashes.get(name),
      String(hashOf(deposited(name))),
    );
  for (const path of last)
    check(
      client.name,
      `content of ${path}`,
      hashOf(path) === hashes.get(`size-${16 * mebibyte + 1}`),
      String(hashOf(path)),
    );
  if (has('rename')) check(client.name, 'the renamed file', hashOf(`${slug}-renamed`) === hashes.get('size-1'));
  if (has('remove')) check(client.name, 'the removed file', hashOf(`${slug}-gone.part`) === undefined);
  if (has('remove')) await tryRefusal(client, gateway);
  if (client.answers === true) await tryCode(world, client, home, local('size-32769'), slug);
  for (const [what, isGood] of Object.entries((await client.extra?.(gateway, home, slug)) ?? {}))
    check(client.name, what, isGood);
  process.stdout.write(`  ${client.name}: ${Math.round((performance.now() - started) / 100) / 10} s\n`);
}

/** ssh-audit rejects NIST curves on principle; anything else that it fails is a fault. */
const failuresAccepted = ['ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdsa-sha2-nistp256'];
async function audit(world: World): Promise<void> {
  const done = await run('ssh-audit', ['-n', '-p', String(world.demo.partner.port), world.demo.partner.host], {
    timeoutMs: 60_000,
  }).catch(() => undefined);
  if (done === undefined) return check('ssh-audit', 'is on this machine', false);
  const failures = [...done.out.matchAll(/^\((?:kex|key|enc|mac)\) (\S+) .*\[fail\]/gm)].map((match) => match[1] ?? '');
  check(
    'ssh-audit',
    'nothing else fails',
    done.out.includes('(kex) mlkem768x25519-sha256') && failures.every((name) => failuresAccepted.includes(name)),
    failures.join(),
  );
}

const isWanted = ({ name }: Client): boolean =>
  only.length === 0 || only.some((word) => name.toLowerCase().includes(word.toLowerCase()));
const clients = [...ofDebian, ...libraries(temporaryDirectory(ending))];
const wanted = clients.filter(isWanted);
let present = 0;
const left: string[] = [];
function leftOut(what: string, why: string): void {
  left.push(what);
  process.stdout.write(`  left out: ${what}: ${why}\n`);
}
/** Made while others are tried. */
const made = wanted.some(({ root }) => root !== undefined) ? makeTrixie() : Promise.resolve();

async function tryPresent(world: World, client: Client, seeded: string): Promise<void> {
  if (client.root !== undefined) await made;
  let version: string | undefined;
  try {
    version = await client.version();
  } catch (error) {
    if (!(error instanceof LeftOut)) throw error;
    return leftOut(client.name, error.message);
  }
  if (version === undefined) return check(client.name, 'is on this machine', false);
  present += 1;
  process.stdout.write(`${client.name} (${version}), profile ${client.profile}\n`);
  await tryClient(world, client, seeded).catch((error: Error) => check(client.name, 'the run', false, error.message));
}

/** One gateway for each profile. */
async function tryProfile(profile: Client['profile']): Promise<void> {
  const mine = wanted
    .filter((client) => client.profile === profile)
    .sort((a, b) => Number(a.root !== undefined) - Number(b.root !== undefined));
  if (mine.length === 0) return;
  const world = await startWorld(ending, { env: { COFFERDAM_PROFILE: profile, ...wideBudgetsEnv } });
  const seeded = emptyDirectory(join(temporaryDirectory(ending), 'seeded'));
  await seed(world, seeded);
  for (const client of mine) await tryPresent(world, client, seeded);
  if (profile !== 'default' || only.length > 0) return;
  await audit(world);
  const person = await world.sftp('acme', [
    `put "${seeded}/size-32769" deposit/person`,
    `get collect/size-32769 ${seeded}/person`,
  ]);
  const isSame =
    (await sha256File(join(seeded, 'person')).catch(() => '')) === (await sha256File(join(seeded, 'size-32769')));
  check('OpenSSH sftp, a person with key and code', 'put and get', person.code === 0 && isSame, person.err);
}

/** The pages of the handbook, on a gateway of its own that has nothing else to collect. */
async function typeHandbook(): Promise<void> {
  const world = await startWorld(ending, { env: { COFFERDAM_PROFILE: 'legacy' } });
  const isThere = async (what: string): Promise<boolean> => {
    const [program = '', module] = what.split(':');
    const args = module === undefined ? ['-c', `command -v ${program}`] : ['-c', `${program} -c 'import ${module}'`];
    return (await run('sh', args, { env: typistEnv(), timeoutMs: 20_000 })).code === 0;
  };
  const directory = join(temporaryDirectory(ending), 'handbook');
  for (const { page, typed, faults } of await typePages(world, directory, isThere, leftOut)) {
    process.stdout.write(`handbook, ${page}: ${typed} blocks typed\n`);
    check(`handbook, ${page}`, 'is typed as it stands', faults.length === 0, faults.join('\n'));
  }
}

try {
  // Beside each other: clients mostly wait.
  await Promise.all((['default', 'legacy'] as const).map(tryProfile));
  if (only.length === 0 || only.includes('handbook')) await typeHandbook();
} finally {
  for (const end of endings.reverse()) await end();
}
process.stdout.write(`${JSON.stringify({ clients: present, passed, failed, left: left.length })}\n`);
process.exitCode = failed === 0 ? 0 : 1;
