// docs/banks/refusals.md against the texts of the product: each sentence that it quotes is one of the product, and each
// refusal that a bank's client can be told stands there.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { root, textOf } from '../support/documents.ts';

const page = textOf('docs/banks/refusals.md');
/** The sentences in the first column of the tables, where `…` stands for anything. */
const quoted = page
  .split('\n')
  .map((line) => /^\| \*([^*]+)\* \|/.exec(line)?.[1])
  .filter((one) => one !== undefined);

/** The strings of a file, with each inserted value as `…`, and adjacent parts of a sentence joined. */
function stringsOf(text: string): readonly string[] {
  const joined = text.replace(/' \+\s+'/g, '');
  return [...joined.matchAll(/'((?:[^'\\\n]|\\.)*)'|"([^"\n]*)"|`([^`]*)`/g)].map(([, one, two, three]) =>
    (one ?? two ?? three ?? '').replace(/\$\{[^}]*\}/g, '…'),
  );
}
const filesBelow = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
const all = ['server/domain', 'server/edge', 'server/warden'].flatMap(filesBelow);
const strings = new Set(all.flatMap((file) => stringsOf(readFileSync(join(root, file), 'utf8'))));

/** Whether two sentences can be the same one, where `…` of either stands for anything. */
const fits = (pattern: string, text: string): boolean =>
  new RegExp(
    `^${pattern
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
    's',
  ).test(text);

/** OpenSSH's own words for a refused login. */
const words = ['Permission denied'];

test('each sentence of the page is one of the product', async (t) => {
  for (const sentence of quoted)
    if (!words.includes(sentence))
      t.ok(
        [...strings].some((one) => fits(sentence, one)),
        sentence,
      );
  t.ok(quoted.length > 80, `${quoted.length} sentences`);
  t.notOk(
    [...strings].some((one) => fits('this sentence is not said', one)),
    'the twin',
  );
});

/** Where refusals of a request are made. */
const sources = [
  ...['server/edge/sftp', 'server/warden/catalogue', 'server/warden/transfers'].flatMap(filesBelow),
  'server/warden/budgets/settling.ts',
  'server/warden/budgets/charges.ts',
  'server/warden/budgets/batch-queue.ts',
  'server/warden/publication/release-marked.ts',
];
/** What is said to a compromised edge or to the store, or about a packet that no client of SFTP sends. */
const within = [
  'this handle is not open',
  'the store sent something else than an answer',
  'the first packet must be INIT',
  'packet length out of bounds',
  'packet is too short',
  'this extent is not the one that was offered',
  'the length of the extent does not fit its content',
  'this path is not the one that was offered',
  'an extent is either in the store or comes with the call',
  'the store has not said that this extent is durable',
  'this extent is not the next one of this upload',
];

const refusal = /(?:new CofferdamError\(\s*'([a-z-]+)',|\bconflict\()\s*(['"`])((?:(?!\2)[^\n])*)\2/g;

test('each refusal of a request stands on the page', async (t) => {
  let looked = 0;
  for (const file of sources) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, code, , sentence = ''] of text.matchAll(refusal)) {
      if (code === 'bug') continue;
      const said = sentence.replace(/\$\{[^}]*\}/g, '…');
      if (within.includes(said)) continue;
      looked += 1;
      t.ok(
        quoted.some((one) => fits(one, said) || one === said),
        `${file}: ${said}`,
      );
    }
  }
  t.ok(looked > 40, `${looked} refusals`);
});
