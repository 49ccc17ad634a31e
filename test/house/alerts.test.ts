// The runbook explains every alert that the warden can raise: what it means, and a command that exists.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { readLine } from '../../admin-cli/arguments.ts';
import { verbs } from '../../admin-cli/verbs.ts';
import { alertKinds } from '../../server/warden/alerts/alert-kinds.ts';

const root = join(import.meta.dirname, '..', '..');
type Row = { readonly seen: string; readonly means: string; readonly next: string };

const rowsOf = (text: string): readonly Row[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .filter((cells) => cells.length === 5)
    .map(([, seen = '', means = '', next = '']) => ({ seen, means, next }));
const commandsOf = (cell: string): readonly string[] =>
  [...cell.matchAll(/`(?:cofferctl )?([^`]+)`/g)]
    .map(([, line = '']) => line)
    .filter((line) => verbs.some(({ words }) => line === words.join(' ') || line.startsWith(`${words.join(' ')} `)));
const namesNothing = /there is no command|has no option|Unknown option/;
/** A command that is named without arguments is only mentioned, and is not meant to be typed as it stands. */
const faultOf = (line: string): string | undefined => {
  if (verbs.some(({ words }) => line === words.join(' '))) return undefined;
  try {
    readLine(line.replaceAll(/"[^"]*"/g, 'X').split(' '));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};
/** Returns what is missing for a kind of alert, or undefined when nothing is. */
function lackOf(rows: readonly Row[], kind: string): string | undefined {
  const own = rows.filter((row) => row.seen.includes(`\`${kind}\``));
  if (own.length !== 1) return own.length === 0 ? 'no row' : `${own.length} rows`;
  const [row] = own;
  if (row === undefined || row.means === '') return 'no meaning';
  const next = commandsOf(row.next);
  if (next.length === 0) return 'no command to go on with';
  const faults = next.map(faultOf);
  // A sentence may leave out options that do not matter to it. What it names must exist, and at
  // least one of its commands must be complete.
  return faults.find(
    (fault) => fault !== undefined && (faults.every((one) => one !== undefined) || namesNothing.test(fault)),
  );
}

test('at-night.md has a row for every kind of alert, with a command that cofferctl accepts, and for no other kind', async (t) => {
  const rows = rowsOf(readFileSync(join(root, 'docs', 'operations', 'at-night.md'), 'utf8'));
  for (const kind of alertKinds) t.equal(lackOf(rows, kind), undefined, kind);
  t.same([...alertKinds].sort(), [...new Set(alertKinds)], 'each once, in order');
  t.equal(lackOf(rows, 'nobody.raises-this'), 'no row', 'the rule bites');
  const row = (next: string): readonly Row[] => [{ seen: 'alert `a.b`', means: 'it', next }];
  t.equal(lackOf(row('think about it'), 'a.b'), 'no command to go on with');
  t.match(lackOf(row('`ledger status --hastily`'), 'a.b'), /hastily/);
  t.equal(lackOf(row('`ledger status`, then think'), 'a.b'), undefined);
});
