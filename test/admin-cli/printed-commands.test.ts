// cofferctl accepts the commands that alerts, answers and documents tell an operator to type. Each line is parsed by
// cofferctl's own parser, and not carried out.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { readLine } from '../../admin-cli/arguments.ts';
import { verbs } from '../../admin-cli/verbs.ts';
import { documents as allDocuments, codeOf, root, textOf } from '../support/documents.ts';

/** The change log names groups of commands, and commands that were renamed since. */
const documents = allDocuments().filter((path) => path !== 'CHANGELOG.md');

const isOurs = (line: string): boolean =>
  line.startsWith('cofferctl ') ||
  verbs.some(({ words }) => line === words.join(' ') || line.startsWith(`${words.join(' ')} --`));

/**
 * Lines of code blocks that begin with `cofferctl`, and commands between backticks, with or without the name of the
 * program.
 */
const ofDocument = (text: string): readonly string[] =>
  codeOf(text).flatMap(({ text: code, isLine }) =>
    (isLine ? code.startsWith('cofferctl ') : isOurs(code)) ? [code] : [],
  );
/** Texts of the program, as a whole or with the command in backticks. A value that is inserted is one word. */
function ofProgram(text: string): readonly string[] {
  const found = [
    ...text.matchAll(/['"`](?:[^'"`\n]*: |[^'"`\n]*; )?(cofferctl [^'"`\n\\]*)/g),
    ...text.matchAll(/\\?`(cofferctl [^`\\\n]+)\\?`/g),
  ];
  return found.map(([, line = '']) => line.replace(/\$\{[^}]*\}/g, 'X'));
}

/**
 * Returns the words of a line, without the remark behind it and without what a shell would interpret. Returns undefined
 * when the line is about a command and not one to type.
 */
function wordsOf(line: string): readonly string[] | undefined {
  const bare = line.replace(/^cofferctl /, '').replace(/\s#.*| {2,}.*|\s*[(|>;].*|\s+…$|[,.]+$/g, '');
  const words = [...bare.matchAll(/"[^"]*"|\S+/g)].map(([word]) => word.replace(/^"|"$/g, ''));
  if (words[0] === '…' || words[0] === 'X') return undefined;
  const command = verbs.find((one) => one.words.every((word, i) => words[i] === word));
  // A command that is named without arguments is only mentioned, and is not meant to be typed as it stands.
  if (command !== undefined && words.length === command.words.length) return undefined;
  return words;
}

const complaintOf = (words: readonly string[]): string | undefined => {
  try {
    readLine(words);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};
/**
 * A sentence may leave out options that do not matter to it, and may continue after a command. What it names
 * must exist.
 */
const namesNothing = /there is no command|has no option|Unknown option/;
const faultOf = (words: readonly string[]): string | undefined => {
  const said = complaintOf(words);
  return said !== undefined && namesNothing.test(said) ? said : undefined;
};

test('every command that is printed somewhere is accepted by cofferctl', async (t) => {
  const lines = new Map<string, string>();
  for (const file of documents) for (const line of ofDocument(textOf(file))) lines.set(line, file);
  for (const file of readdirSync(join(root, 'server'), { recursive: true }).map(String))
    if (file.endsWith('.ts'))
      for (const line of ofProgram(readFileSync(join(root, 'server', file), 'utf8'))) lines.set(line, `server/${file}`);
  let looked = 0;
  for (const [line, file] of lines) {
    const words = wordsOf(line);
    if (words === undefined) continue;
    looked += 1;
    t.equal(faultOf(words), undefined, `${file}: ${line}`);
  }
  t.ok(looked >= 60, `${looked} lines`);
  for (const { example } of verbs) {
    const words = example.startsWith('cofferctl ') ? wordsOf(example) : undefined;
    if (words !== undefined) t.equal(complaintOf(words), undefined, `an example is whole: ${example}`);
  }
  t.match(faultOf(['file', 'receipt', '--version', 'X']), /has no option --version/, 'the twin');
  t.match(faultOf(['file', 'recipe', 'X']), /there is no command/);
});

test('every line of a code block can be typed as it stands', async (t) => {
  let looked = 0;
  for (const file of documents)
    for (const { text, isLine } of codeOf(textOf(file))) {
      if (!isLine || !text.startsWith('cofferctl ')) continue;
      const words = wordsOf(text);
      if (words === undefined) continue;
      looked += 1;
      t.equal(complaintOf(words), undefined, `${file}: ${text}`);
    }
  t.ok(looked >= 30, `${looked} lines`);
});

/**
 * What an alert tells an operator to do: everything after `nextCommand:` or `next:`, up to the end of its expression.
 */
const ofAlerts = (text: string): readonly string[] =>
  [...text.matchAll(/\b(?:nextCommand|next): ([^\n]*cofferctl [^\n]*)/g)].map(([, line = '']) =>
    line
      // A scope is an option and its value.
      .replace(/\$\{words\}/g, '--gateway')
      .replace(/\$\{[^{}`]*\}/g, 'X')
      .replace(/\$\{[^`]*`[^`]*`[^}]*\}/g, ''),
  );
/** Returns whether a command is named without `cofferctl` before it: nobody can type that. */
const isNamed = (line: string): boolean =>
  verbs.some(({ words }) => line.includes(`${words.join(' ')}`) && words.length > 1);

test('every command of an alert is complete: it parses and has what it needs', async (t) => {
  let looked = 0;
  for (const file of readdirSync(join(root, 'server', 'warden'), { recursive: true }).map(String)) {
    if (!file.endsWith('.ts')) continue;
    for (const line of ofAlerts(readFileSync(join(root, 'server', 'warden', file), 'utf8'))) {
      const found = [...line.matchAll(/cofferctl ([^'"`;\n(]*)/g)].map(([, one = '']) => one.trim());
      t.ok(found.length > 0, line);
      for (const one of found) {
        looked += 1;
        t.equal(complaintOf(one.split(/\s+/)), undefined, `${file}: ${one}`);
      }
      const rest = line.replace(/cofferctl [^'"`;\n(]*/g, '');
      t.notOk(isNamed(rest), `${file}: a command without the program: ${rest}`);
    }
  }
  t.ok(looked >= 25, `${looked} commands`);
  t.match(complaintOf(['account', 'unlock', 'X']), /--reason is missing/, 'the twin');
});
