// An option that is given twice or would have no effect, a file that cannot be read, and a reason that says nothing are
// refused in our own words. A command that is printed to be typed next is valid where it was printed.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { readLine } from '../../admin-cli/arguments.ts';
import type { Client } from '../../admin-cli/connection/client.ts';
import { inputText } from '../../admin-cli/terminal/input-file.ts';
import { nextLine } from '../../admin-cli/terminal/next-line.ts';
import { withExecute } from '../../admin-cli/verb/change.ts';
import type { Given } from '../../admin-cli/verb/verb.ts';
import { verbs } from '../../admin-cli/verbs.ts';
import { text } from '../../server/rpc/operators/words.ts';

const project = join(import.meta.dirname, '..', '..');
/** The files of admin-cli that declare a verb, with their text. */
const verbFiles = readdirSync(join(project, 'admin-cli'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, source: readFileSync(join(project, 'admin-cli', file), 'utf8') }))
  .filter(({ source }) => /^ +words: \[/m.test(source));

test('an option that is given twice is refused, whatever its values are', async (t) => {
  for (const words of [
    ['account', 'create', 'x1', '--customer', 'northbank', '--customer', 'acme', '--kind', 'person'],
    ['account', 'create', 'x1', '--customer', 'acme', '--customer=acme', '--kind', 'person'],
    ['account', 'lock', 'x1', '--reason', 'test', '--operator', 'bob', '--operator', 'alice'],
    ['account', 'lock', 'x1', '--reason', 'test', '--execute', '--execute'],
  ])
    t.throws(() => readLine(words), { message: /^--(customer|operator|execute) is given twice/ }, words.join(' '));
  t.equal(
    readLine(['account', 'create', 'x1', '--customer', 'acme', '--kind', 'person'])?.options.customer,
    'acme',
    'the twin',
  );
});

test('--manages is refused for an internal account, which would not get it', async (t) => {
  const asked: unknown[] = [];
  const client = {
    call: async (_operation: string, { params }: { readonly params: unknown }) => {
      asked.push(params);
      throw new Error('the admin process was asked');
    },
  } as unknown as Client;
  const create = async (...options: readonly string[]): Promise<unknown> => {
    const line = readLine(['account', 'create', 'x1', '--kind', 'person', ...options]);
    if (line === undefined) throw new Error('the line asked for help');
    return line.verb.run(client, { ...line, words: line.verb.words, positionals: line.rest } as unknown as Given);
  };
  for (const value of ['yes', 'no'])
    await t.rejects(create('--internal', 'acme', '--manages', value), {
      name: 'RangeError',
      message: '--manages belongs to --customer: an internal account manages no accounts of a customer',
    });
  t.same(asked, [], 'nothing was asked');
  await t.rejects(create('--customer', 'acme', '--manages', 'yes'), { message: 'the admin process was asked' });
  await t.rejects(create('--internal', 'acme'), { message: 'the admin process was asked' });
  t.match(
    asked,
    [
      { plane: 'partner', manages: true },
      { plane: 'internal', customers: ['acme'] },
    ],
    'the twins',
  );
});

test('--execute is said to propose something only where a second operator may be needed', async (t) => {
  const helpOf = (name: string): string | undefined =>
    verbs.find(({ words }) => words.join(' ') === name)?.options.find((one) => one.name === 'execute')?.help;
  for (const name of [
    'account lock',
    'customer create',
    'drain',
    'change approve',
    'change reject',
    'credential revoke',
  ])
    t.notMatch(helpOf(name), /second operator/, name);
  for (const name of ['account unlock', 'account set', 'credential rotate', 'window open', 'ledger release'])
    t.match(helpOf(name), /^do it, or propose it to a second operator; without --execute only the plan/, name);
});

test('a command that is printed to be typed next names the same operator and the same connection', async (t) => {
  const line = readLine([
    'account',
    'lock',
    'x1',
    '--reason',
    "the bank's call",
    '--operator',
    'bob',
    '--address',
    '127.0.0.1:7022',
  ]);
  const given = { ...line, words: line?.verb.words, positionals: line?.rest } as unknown as Given;
  const again = withExecute(given);
  t.match(
    again,
    /^cofferctl account lock x1 --reason 'the bank'\\''s call' --operator bob --address 127.0.0.1:7022 --execute$/,
  );
  t.equal(nextLine(given, 'account unlock x1'), 'cofferctl account unlock x1 --operator bob --address 127.0.0.1:7022');
  const scoped = readLine(['incident', 'scope', '--operator', 'bob']);
  t.same(scoped?.general, {}, 'where the option is the command’s own, it names no identity');
  t.equal(
    withExecute({ ...given, general: {} }),
    "cofferctl account lock x1 --reason 'the bank'\\''s call' --execute",
    'the twin',
  );
  t.ok(verbFiles.length > 40, 'the walk found the verbs');
  // No verb writes such a command by hand: `nextLine` adds the identity and the address. The exception is a command
  // that another operator types.
  for (const { file, source } of verbFiles)
    for (const printed of source.split('\n'))
      t.notMatch(
        printed,
        /(next|then|with|undo|it|moved|back|this|NOTE): +cofferctl (?!change approve \$\{one)/,
        `${file}: printed by nextLine`,
      );
});

test('a file that cannot be read is a clear error for every option that reads one', async (t) => {
  const directory = t.testdir();
  mkdirSync(join(directory, 'folder'));
  writeFileSync(join(directory, 'file'), 'words');
  t.equal(inputText(join(directory, 'file')), 'words');
  t.throws(() => inputText(join(directory, 'folder')), {
    message: /folder cannot be read: it is a directory/,
    code: 'invalid',
  });
  t.throws(() => inputText(join(directory, 'none')), {
    message: /none cannot be read: there is no such file/,
    code: 'invalid',
  });
  t.throws(() => inputText(join(directory, 'file', 'below')), { message: /cannot be read/, code: 'invalid' });
  for (const { file, source } of verbFiles) t.notMatch(source, /readFileSync/, `${file} reads files by inputText only`);
  const takeFiles = verbs.filter(({ options }) => options.some(({ value }) => value === 'FILE'));
  t.ok(takeFiles.length > 0, 'there are options that read a file');
});

test('a reason that says nothing is refused', async (t) => {
  for (const blank of ['', ' ', '\t\n', '\u00a0', '\u200b \u2060'])
    t.match(
      text(200)
        .safeParse(blank)
        .error?.issues.map(({ message }) => message),
      ['the text must contain a letter, a digit, punctuation or a symbol'],
      JSON.stringify(blank),
    );
  for (const said of ['x', ' x ', '?', '顧客']) t.ok(text(200).safeParse(said).success, said);
  t.notOk(text(3).safeParse('long').success);
});
