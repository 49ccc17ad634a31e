// What alerts, answers and documents tell an operator to type is what cofferctl takes: each line is read by its own grammar, without being done.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { commands, readLine } from '../../admin-cli/main.ts';

const root = join(import.meta.dirname, '..', '..');
const documents = ['README.md', 'OPERATIONS.md', 'SECURITY.md', 'ARCHITECTURE.md', 'deploy/systemd/README.md'];
const isOurs = (line: string): boolean =>
  line.startsWith('cofferctl ') || commands.some(({ words }) => line === words.join(' ') || line.startsWith(`${words.join(' ')} --`));

/** Lines of code that begin with it, and words in backticks: with or without the name of the program. */
function ofDocument(text: string): readonly string[] {
  let isCode = false;
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('```')) isCode = !isCode;
    if (isCode) return /^\s*cofferctl /.test(line) ? [line.trim()] : [];
    return [...line.matchAll(/`([^`]+)`/g)].flatMap(([, words = '']) => (isOurs(words) ? [words] : []));
  });
}
/** Texts of the program, whole or with the command in backticks. What is put into them is one word. */
function ofProgram(text: string): readonly string[] {
  const found = [
    ...text.matchAll(/['"`](?:[^'"`\n]*: |[^'"`\n]*; )?(cofferctl [^'"`\n\\]*)/g),
    ...text.matchAll(/\\?`(cofferctl [^`\\\n]+)\\?`/g),
  ];
  return found.map(([, line = '']) => line.replace(/\$\{[^}]*\}/g, 'X'));
}

/** Without the remark behind it, and without what a shell would take. Undefined: the words are about a command, not one to type. */
function wordsOf(line: string): readonly string[] | undefined {
  const bare = line.replace(/^cofferctl /, '').replace(/\s#.*| {2,}.*|\s*[(|>;].*|\s+…$|[,.]+$/g, '');
  const words = [...bare.matchAll(/"[^"]*"|\S+/g)].map(([word]) => word.replace(/^"|"$/g, ''));
  if (words[0] === '…' || words[0] === 'X') return undefined;
  const command = commands.find((one) => one.words.every((word, i) => words[i] === word));
  // A command that is named alone is named, not printed to be typed as it stands.
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
/** Prose leaves out what does not matter to it, and goes on behind a command. What it names must be there. */
const namesNothing = /there is no command|has no option|Unknown option/;
const faultOf = (words: readonly string[]): string | undefined => {
  const said = complaintOf(words);
  return said !== undefined && namesNothing.test(said) ? said : undefined;
};

test('every command that is printed somewhere is one that cofferctl takes', async (t) => {
  const lines = new Map<string, string>();
  for (const file of documents) for (const line of ofDocument(readFileSync(join(root, file), 'utf8'))) lines.set(line, file);
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
  for (const { example } of commands) {
    const words = example.startsWith('cofferctl ') ? wordsOf(example) : undefined;
    if (words !== undefined) t.equal(complaintOf(words), undefined, `an example is whole: ${example}`);
  }
  t.match(faultOf(['file', 'receipt', '--version', 'X']), /has no option --version/, 'the twin');
  t.match(faultOf(['file', 'recipe', 'X']), /there is no command/);
});

/** What an alert tells to do: whatever stands behind `nextCommand:` or `next:`, up to the end of its expression. */
const ofAlerts = (text: string): readonly string[] =>
  [...text.matchAll(/\b(?:nextCommand|next): ([^\n]*cofferctl [^\n]*)/g)].map(([, line = '']) =>
    line
      // A scope is an option and its value.
      .replace(/\$\{words\}/g, '--gateway')
      .replace(/\$\{[^{}`]*\}/g, 'X')
      .replace(/\$\{[^`]*`[^`]*`[^}]*\}/g, ''),
  );
/** The names of commands, longest first, where no `cofferctl` stands before them: nobody can type that. */
const isNamed = (line: string): boolean => commands.some(({ words }) => line.includes(`${words.join(' ')}`) && words.length > 1);

test('every command of an alert is whole: it parses and has what it needs', async (t) => {
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
