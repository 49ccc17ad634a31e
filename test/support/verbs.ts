// Owns: what tests and the reference of verbs derive from the registration of verbs (admin-cli/verbs.ts).
import type { Verb } from '../../admin-cli/verb/verb.ts';
import { verbs } from '../../admin-cli/verbs.ts';
import { type OperatorRole, operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { operatorRoles } from '../../server/rpc/operators/words.ts';

export const nameOf = (verb: Verb): string => verb.words.join(' ');

/** Verbs that may be typed without arguments, and would then not end, or say nothing that a test could use. */
const left = [
  'budget history',
  'file receipt',
  'incident scope',
  'ledger search',
  'ledger status',
  'ledger tail',
  'ledger verify',
];

/**
 * Returns whether a verb only asks, and may be tested as it stands: `test/e2e/every-command` runs it without a line of
 * its own.
 */
export const runsAlone = (verb: Verb): boolean =>
  verb.changes !== true &&
  verb.local === undefined &&
  verb.positionals.every((one) => one.startsWith('[')) &&
  verb.options.every(({ required, name }) => required !== true && name !== 'execute') &&
  !left.includes(nameOf(verb));

/** The least role for which every operation of the verb is allowed. */
function roleOf(verb: Verb): OperatorRole | undefined {
  const roles = verb.operations.map((one) => operatorToAdmin[one].role);
  return [...operatorRoles].reverse().find((role) => roles.includes(role));
}

function secondOf(verb: Verb): string {
  const seconds = new Set<string>(verb.operations.map((one) => operatorToAdmin[one].second));
  return seconds.has('always') ? 'yes' : seconds.has('when-wider') ? 'when something becomes wider' : 'no';
}

const cell = (text: string): string => text.replaceAll('|', '\\|');
const rowOf = (verb: Verb): string =>
  `| \`${[...verb.words, ...verb.positionals].join(' ')}\` | ${roleOf(verb) ?? '-'} | ${secondOf(verb)} | ${cell(verb.help)} |`;

/** Returns the text of docs/reference/cofferctl.md. */
export function verbReference(): string {
  const nouns = [...new Set(verbs.map(({ words }) => (words.length === 1 ? '' : (words[0] ?? ''))))];
  const sections = nouns.map((noun) => {
    const rows = verbs.filter(({ words }) => (words.length === 1 ? '' : words[0]) === noun).map(rowOf);
    const title = noun === '' ? 'The gateway as a whole' : `\`${noun}\``;
    return [
      `## ${title}`,
      '',
      '| verb | least role | second operator | what it does |',
      '| --- | --- | --- | --- |',
      ...rows,
      '',
    ].join('\n');
  });
  return [
    '# The verbs of cofferctl',
    '',
    'This page is written by `npm run reference`, from the registration of verbs and from the table of operations. A test compares it with both.',
    'The column *second operator* says whether a change is proposed by one operator and approved by another.',
    'The options of a verb, and an example, are shown by `--help` behind its words.',
    '',
    ...sections,
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}
