// The documents name only what exists: files, headings, scripts of package.json, roles of `cofferdam`, and verbs of the
// certificate authority. `test/admin-cli/printed-commands` does the same for the commands of `cofferctl`.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { verbs } from '../../certs/verbs.ts';
import { anchorsOf, codeOf, documents, root, textOf } from '../support/documents.ts';

/** Returns what is wrong with a link, or undefined. */
function faultOfLink(path: string, target: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [file = '', anchor] = target.split('#');
  const found = file === '' ? path : join(dirname(path), file);
  if (!existsSync(join(root, found))) return `there is no ${found}`;
  if (anchor === undefined || anchorsOf(textOf(found)).includes(anchor)) return undefined;
  return `${found} has no heading #${anchor}`;
}

test('every link of a document leads to a file, and to a heading of it', async (t) => {
  let looked = 0;
  for (const path of documents())
    for (const [, target = ''] of textOf(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      looked += 1;
      t.equal(faultOfLink(path, target), undefined, `${path}: ${target}`);
    }
  t.ok(looked >= 100, `${looked} links`);
  t.match(faultOfLink('README.md', 'docs/nowhere.md'), /there is no/, 'the twin');
  t.match(faultOfLink('README.md', 'ARCHITECTURE.md#nothing'), /no heading/);
});

/** A path in a document may leave out the ending of a file, and may have braces as in a shell. */
const exists = (path: string): boolean =>
  ['', '.ts', '.test.ts'].some((ending) => globSync(`${path.replace(/:\d+$/, '')}${ending}`, { cwd: root }).length > 0);
/** What a path may look like that is no placeholder: `run/<node>` and `0015_*` with more than names are none. */
const isPath = (text: string): boolean =>
  /^(?:server|test|admin-cli|migrations|verifier|certs|scripts|bench|deploy)\/[\w./{},*-]+$/.test(text);

test('every path of the repository that a document of today names exists', async (t) => {
  let looked = 0;
  // Decision records and the change log tell what was the case when they were written.
  for (const path of documents().filter((name) => !/decisions|CHANGELOG/.test(name)))
    for (const { text } of codeOf(textOf(path)).filter((one) => !one.isLine && isPath(one.text))) {
      if (text.startsWith('certs/admin')) continue; // a directory of an installation
      looked += 1;
      t.ok(exists(text), `${path}: ${text}`);
    }
  t.ok(looked >= 100, `${looked} paths`);
  t.notOk(exists('server/nowhere.ts'), 'the twin');
});

/** The rooms of the server, as the walks of ARCHITECTURE.md and the glossary name them. */
const rooms = readdirSync(join(root, 'server'), { withFileTypes: true })
  .filter((one) => one.isDirectory())
  .map(({ name }) => name);
const isShort = (text: string): boolean =>
  /^[a-z-]+\/[\w./-]+\.ts$/.test(text) && rooms.includes(text.split('/')[0] ?? '');
const existsInRoom = (path: string): boolean => exists(`server/${path}`) || exists(`server/warden/${path}`);

test('every file of a room that a document of today names by its room exists', async (t) => {
  let looked = 0;
  for (const path of documents().filter((name) => !/decisions|CHANGELOG/.test(name)))
    for (const { text } of codeOf(textOf(path)).filter((one) => !one.isLine && isShort(one.text))) {
      looked += 1;
      t.ok(existsInRoom(text), `${path}: ${text}`);
    }
  t.ok(looked >= 40, `${looked} files`);
  t.notOk(existsInRoom('warden/nowhere.ts'), 'the twin');
});

test('the map of ARCHITECTURE.md has a row for each folder of the server, and for each folder of the warden', async (t) => {
  const rows = textOf('ARCHITECTURE.md')
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const isInRow = (folder: string): boolean => rows.some((row) => (row.split('|')[1] ?? '').includes(`\`${folder}\``));
  const inWarden = readdirSync(join(root, 'server', 'warden'), { withFileTypes: true })
    .filter((one) => one.isDirectory())
    .map(({ name }) => `${name}/`);
  for (const folder of [...rooms.map((name) => `server/${name}`), ...inWarden]) t.ok(isInRow(folder), folder);
  t.notOk(isInRow('server/nowhere'), 'the twin');
});

const scripts = Object.keys(
  (JSON.parse(textOf('package.json')) as { readonly scripts: Readonly<Record<string, string>> }).scripts,
);

test('every script that a document runs is in package.json', async (t) => {
  let looked = 0;
  for (const path of documents())
    for (const [, name = ''] of textOf(path).matchAll(
      /\bnpm (?:run )?(?:--silent )?(start|test|(?<=run (?:--silent )?)[a-z][\w:-]*)/g,
    )) {
      looked += 1;
      t.ok(scripts.includes(name), `${path}: npm run ${name}`);
    }
  t.ok(looked >= 30, `${looked} scripts`);
});

/** One line of `cofferdam --help` for each role: its name and its options. */
const roles = new Map(
  execFileSync(process.execPath, [join(root, 'server', 'main.ts'), '--help'], { encoding: 'utf8', timeout: 120_000 })
    .split('\n')
    .flatMap((line) => {
      const [, name = '', rest = ''] = /^ {2}cofferdam ([a-z]+)(.*?) {2,}/.exec(line) ?? [];
      return name === '' ? [] : [[name, [...rest.matchAll(/--([a-z]+)/g)].map(([, option = '']) => option)] as const];
    }),
);
function faultOfRole([role = '', ...rest]: readonly string[]): string | undefined {
  const options = roles.get(role);
  if (options === undefined) return `there is no role ${role}`;
  const unknown = rest.find((word) => word.startsWith('--') && !options.includes(word.slice(2)));
  return unknown === undefined ? undefined : `${role} has no option ${unknown}`;
}
const bare = (line: string): readonly string[] =>
  line
    .replace(/ {2,}.*| #.*|[.,]$/g, '')
    .split(/\s+/)
    .slice(1);

/** The first lines of files of ours begin with the same word: `cofferdam key request`, `cofferdam ledger head/2`. */
const isHeading = (text: string): boolean => /^cofferdam (?:key request|.*\/\d)/.test(text);

test('every role that a document starts is one of cofferdam, with its options', async (t) => {
  let looked = 0;
  for (const path of documents())
    for (const { text } of codeOf(textOf(path))) {
      if (!/^cofferdam [a-z]/.test(text) || isHeading(text)) continue;
      looked += 1;
      t.equal(faultOfRole(bare(text)), undefined, `${path}: ${text}`);
    }
  t.ok(looked >= 5, `${looked} lines`);
  t.equal(roles.size, 7);
  t.match(faultOfRole(['nobody']), /there is no role/, 'the twin');
  t.match(faultOfRole(['up', '--hastily']), /hastily/);
});

/**
 * Returns what is wrong with a line of the certificate authority. A verb that is named alone is named, not printed to
 * be typed.
 */
function faultOfVerb(words: readonly string[]): string | undefined {
  const [name, ...rest] = words;
  if (name === undefined || name.startsWith('-') || name === 'VERB') return undefined;
  const verb = verbs.find((one) => one.name === name);
  if (verb === undefined) return `there is no verb ${name}`;
  const options = rest.filter((word) => word.startsWith('--')).map((word) => word.slice(2));
  const takes = verb.takes.map((one) => one.replace('!', ''));
  const unknown = options.find((one) => !takes.includes(one) && !(verb.flags ?? []).includes(one));
  if (unknown !== undefined) return `${name} has no option --${unknown}`;
  const missing = verb.takes.find((one) => one.endsWith('!') && !options.includes(one.slice(0, -1)));
  return rest.length === 0 || missing === undefined ? undefined : `${name}: --${missing.slice(0, -1)} is missing`;
}

test('every line of the certificate authority names a verb and its options', async (t) => {
  let looked = 0;
  for (const path of documents())
    for (const { text } of codeOf(textOf(path))) {
      const [, line] = /^(?:npm run (?:--silent )?certs --|certs) (.*)$/.exec(text) ?? [];
      if (line === undefined) continue;
      looked += 1;
      t.equal(faultOfVerb(['certs', ...bare(`certs ${line}`)].slice(1)), undefined, `${path}: ${text}`);
    }
  t.ok(looked >= 8, `${looked} lines`);
  t.match(faultOfVerb(['operator', '--authority', 'X']), /--request is missing/, 'the twin');
  t.match(faultOfVerb(['crown']), /no verb/);
});
