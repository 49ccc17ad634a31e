// The rules of the house: which room may import which, where each outside package may be imported, where SQL may stand,
// and what no file may contain.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { test } from 'tap';
import { verbs } from '../../admin-cli/verbs.ts';
import { linesOf } from '../support/sources.ts';

const root = join(import.meta.dirname, '..', '..');

function* files(directory: string): Generator<string> {
  for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (entry.name.endsWith('.ts') || (directory === 'verifier' && entry.name.endsWith('.js'))) yield path;
  }
}

const sources = ['server', 'admin-cli', 'certs', 'verifier'].flatMap((directory) => [...files(directory)]);
const importsOf = (text: string): readonly string[] =>
  [...text.matchAll(/(?<![.\w'-])(?:from|import|require)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
const roomOf = (path: string): string =>
  path.startsWith('server/') ? (path.split('/')[1] ?? '').replace(/\.ts$/, '') : (path.split('/')[0] ?? '');

const mayImport: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  rpc: ['domain'],
  config: ['domain'],
  observability: ['config', 'domain'],
  // Writing files durably is the same for everybody who writes one.
  disk: [],
  extents: ['domain', 'disk'],
  postgres: ['config', 'domain'],
  edge: ['rpc', 'extents', 'domain', 'config', 'observability'],
  warden: ['domain', 'rpc', 'postgres', 'extents', 'disk', 'config', 'observability'],
  store: ['domain', 'rpc', 'extents', 'config', 'observability'],
  admin: ['domain', 'rpc', 'postgres', 'config', 'observability', 'certs/inspect.ts', 'verifier'],
  // What exists in the demo world only, made as an operator would make it.
  demo: ['domain', 'disk', 'config', 'admin'],
  supervisor: ['domain', 'disk', 'config', 'postgres', 'observability', 'admin', 'certs', 'demo'],
  // This room runs on another host: it reads the record as operators' verifications do, and reports its verdict.
  verify: ['config', 'disk', 'domain', 'postgres', 'admin', 'verifier'],
  main: ['config', 'domain', 'observability', 'supervisor', 'warden', 'store', 'admin', 'edge', 'verify'],
  'admin-cli': ['rpc', 'domain', 'disk', 'verifier'],
  certs: ['domain', 'disk'],
  // Whoever checks the record takes this room away: it shares nothing with what it checks.
  verifier: [],
};

/** The outside packages, with the only folder that may import each of them. */
const homes: Readonly<Record<string, string>> = {
  ssh2: 'server/edge/transport/',
  pg: 'server/postgres/',
  otplib: 'server/warden/factors/',
  '@node-rs/argon2': 'server/warden/credentials/',
  uqr: 'server/warden/console/',
  pino: 'server/observability/',
  'pino-pretty': 'server/observability/',
  '@peculiar/x509': 'certs/',
  'reflect-metadata': 'certs/',
};
const everywhere = ['zod'];
/** Rooms that use no outside package. */
const alone = ['verifier'];

test('each room imports only what it may import', async (t) => {
  t.ok(sources.length > 80, 'the walk found the house');
  for (const path of sources) {
    const room = roomOf(path);
    const allowed = mayImport[room];
    if (allowed === undefined) {
      t.fail(`${path}: no rule for the room ${room}`);
      continue;
    }
    for (const name of importsOf(readFileSync(join(root, path), 'utf8'))) {
      if (name.startsWith('.')) {
        const file = relative(root, resolve(join(root, path), '..', name));
        const target = roomOf(file);
        if (target !== room && !allowed.includes(target) && !allowed.includes(file))
          t.fail(`${path} imports ${name} (${target})`);
      } else if (name.startsWith('node:')) {
        if (room === 'domain') t.fail(`${path} imports ${name}: the domain is pure`);
      } else {
        const outside = name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : (name.split('/')[0] ?? '');
        const home = homes[outside];
        if (alone.includes(room)) t.fail(`${path} imports ${name}: it stands alone`);
        else if (
          home === undefined
            ? !everywhere.includes(outside)
            : !path.startsWith(home) && !(outside === 'ssh2' && path === 'server/supervisor/prepare.ts')
        )
          t.fail(`${path} imports ${name}`);
      }
    }
  }
  t.pass(`${sources.length} files`);
});

test('the edge can reach neither the database nor child processes, not even indirectly', async (t) => {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const name of importsOf(readFileSync(join(root, path), 'utf8'))) {
      if (['pg', 'node:child_process', 'node:cluster', 'otplib', '@node-rs/argon2'].includes(name))
        t.fail(`${path} brings ${name} into the edge`);
      if (name.startsWith('.')) visit(relative(root, resolve(join(root, path), '..', name)));
    }
  };
  visit('server/edge/edge.ts');
  visit('server/edge/sftp/store-worker.ts');
  t.ok(seen.size > 25, `${seen.size} files`);
});

test('SQL stands only in query files, postgres/ and migrations/', async (t) => {
  for (const path of sources) {
    if (path.endsWith('-queries.ts') || path.startsWith('server/postgres/')) continue;
    const text = readFileSync(join(root, path), 'utf8').replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, '');
    t.notMatch(
      text,
      /['"`]\s*(?:select\s+[\w*(]+[\s\S]{0,80}\bfrom\b|insert into|update \w+ set|delete from)\b/i,
      path,
    );
  }
});

test('values are never put into SQL text', async (t) => {
  for (const path of sources.filter((one) => one.endsWith('-queries.ts')))
    for (const match of readFileSync(join(root, path), 'utf8').matchAll(/\$\{([^}]+)\}/g))
      t.match(
        match[1],
        /^(?:inParent\(|visible\(|foundIn\(|versionColumns|fileColumns|fileJoins|budgetColumns|budgetJoins|amountColumn$|totalColumn$|baseColumn$|pathOf|credentialColumns|sessionColumns$|rowColumns$|rowJoins$|laggard$|windowColumns$|selected$|archivedMonths$|commonTree$|counts$|condition$|upTo$|days$|inWindow$|openSessions$|closings$|made$|oddCount$|marked$|belongs$|fitting$|ofEntry$|pathInFolder$|readable$|overdue$|isOutlived$|endedAfter$|isDue$|returned$|isExpired$|isUnused$|isWaiting$|isRetired$|isExpiring$|isOver$|windowIsOver$|windowEnd$|retentionIsOver$|retentionEnd$|versionIsHeld$|folderIsHeld$|now$|strangerKey$|serverIdentity$|text$|column$|parameter$|account$|content\(|entryColumns$|stateAndWaiting$|rowLock$|names$|marks$|accountOfSelfTest$|customerOfSelfTest$)/,
        `${path}: \${${match[1]}} is a constant fragment`,
      );
});

test('every file says what it owns, and none breaks the habits', async (t) => {
  for (const path of sources) {
    const text = readFileSync(join(root, path), 'utf8');
    t.match(text.replace(/^#!.*\n/, ''), /^\/\/ /, `${path} opens with what it owns`);
    t.notMatch(text, /@ts-(?:ignore|expect-error|nocheck)|\bas any\b|export default|biome-ignore/, path);
    t.ok(linesOf(text).code <= 400, `${path} is one idea long`);
    t.notMatch(path, /(?:utils|helpers|common|manager|types)\.[jt]s$/, path);
    if (path !== 'server/config/load.ts' && path.startsWith('server/'))
      t.notMatch(text, /process\.env(?!,)/, `${path} does not read the environment`);
  }
});

/**
 * Array methods that move all waiting items when one leaves the front or comes to it. `unshift` of a socket, which
 * gives bytes back, has the same name.
 */
const shifts = /\.shift\(\)|(?<!socket)\.unshift\(|\.splice\(0\b/;

test('no queue is shifted: what waits in order waits in a Queue', async (t) => {
  for (const planted of ['waiting.shift()', 'all.splice(0, 10)', 'all.splice(0)', 'list.unshift(x)'])
    t.match(planted, shifts, 'the rule bites');
  for (const path of sources) t.notMatch(readFileSync(join(root, path), 'utf8'), shifts, path);
});

/**
 * Code that handles a single stop signal by itself. When it forgets one of the others, the process ends without a
 * drain.
 */
const ownSignal = /\.(?:on|once|addListener)\(\s*'SIG(?:TERM|INT|HUP)'/;

test('whoever stops for one stop signal stops for all of them', async (t) => {
  t.match("process.once('SIGTERM', end)", ownSignal, 'the rule bites');
  const programs = [...files('test'), ...files('bench')].filter((path) => !path.endsWith('.test.ts'));
  for (const path of [...sources, ...programs]) t.notMatch(readFileSync(join(root, path), 'utf8'), ownSignal, path);
});

test('an option of cofferctl takes a value in every command, or in none', async (t) => {
  const arity = new Map<string, boolean>();
  for (const verb of verbs)
    for (const { name, value } of verb.options) {
      t.equal(arity.get(name) ?? value !== null, value !== null, `${verb.words.join(' ')} --${name}`);
      arity.set(name, value !== null);
    }
  t.ok(arity.size > 20);
});

test('the verifier in one file is what the bundler makes of its sources', async (t) => {
  const checked = spawnSync(process.execPath, [join(root, 'scripts', 'bundle-verifier.mjs'), '--check'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  t.match({ code: checked.status, err: checked.stderr }, { code: 0, err: '' });
});

test('no key and no secret file is in this repository', async (t) => {
  for (const directory of ['certs', 'server', 'admin-cli', 'migrations', 'scripts'])
    for (const entry of readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })) {
      t.notMatch(entry, /\.(?:key|pem|p12|pfx)$/, entry);
    }
});
