// Owns: what is printed about a verification, in sentences.
// Must never: print GOOD for anything except a good verdict, or let text of a dump control a terminal.
import { lossText } from './losses.js';

/**
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./record.js').Report} Report
 * @typedef {import('./slice.js').SliceReport} SliceReport
 * @typedef {import('./slice.js').ShownHead} ShownHead
 */

/**
 * Text in a dump may be anybody's: none of it controls a terminal or begins a line, and each sentence has an end.
 * @param {string} text
 */
const plain = (text) =>
  (text.length > lineMax ? `${text.slice(0, lineMax)} (cut off here)` : text).replace(/[\p{C}\u2028\u2029]/gu, '?');
const lineMax = 2000;

/**
 * Returns a report as one line of JSON for programs. What would control a terminal is escaped as JSON escapes it, so
 * that the values stay the same.
 * @param {unknown} report
 */
export const jsonText = (report) =>
  `${JSON.stringify(report).replace(/[\p{C}\u2028\u2029]/gu, (one) =>
    Array.from({ length: one.length }, (_, i) => `\\u${one.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  )}\n`;

/** @param {{ readonly found: number, readonly firstRow: Finding | null, readonly findings: readonly Finding[] }} report */
function findingsText({ found, firstRow, findings }) {
  const counted = `NOT GOOD: ${found} finding${found === 1 ? '' : 's'}`;
  const first = firstRow === null ? [] : [`First bad row: ${plain(firstRow.text)}`];
  const more = found > findings.length ? [`and ${found - findings.length} more`] : [];
  return [
    counted,
    ...first,
    ...findings.map(({ what, text }, i) => `${i + 1}. ${what}: ${plain(text)}`),
    ...more,
    '',
  ].join('\n');
}

/**
 * Returns what was found wrong in sentences, for a program that reads a witness by itself.
 * @param {import('./findings.js').Findings} findings
 */
export const recordFindingsText = ({ count, firstRow, list }) =>
  findingsText({ found: count, firstRow: firstRow ?? null, findings: list });

/** @param {Report['newest']} checkpoint */
const checkpointText = (checkpoint) =>
  checkpoint === null ? 'none' : `size ${checkpoint.size}, era ${checkpoint.era}, ${checkpoint.time}`;

/** @param {Report} report @param {number} maxAgeSeconds */
export function recordText(report, maxAgeSeconds) {
  const { newest, unwitnessed } = report;
  const age = newest !== null && maxAgeSeconds === 0 ? ' (its age was not checked: --max-age 0)' : '';
  const lines = [
    `${report.entries} entries, ${report.trees} trees, ${report.heads} heads, ${report.checkpoints} checkpoints`,
    `newest checkpoint: ${checkpointText(newest)}${age}`,
  ];
  for (const loss of report.lost) lines.push(`LOST: ${lossText(loss)}; sizes and numbers were given again.`);
  if (unwitnessed.heads > 0)
    lines.push(
      `${unwitnessed.heads} heads (${unwitnessed.entries} entries) are newer than what was witnessed and proved: nothing can be said of them yet.`,
    );
  const read = report.read.map((one) => `read: ${plain(one)}`);
  const notRead = report.notRead.map((one) => `NOT READ: ${plain(one)}`);
  return [...lines, ...read, ...notRead, conclusion(report)].join('\n');
}

/** @param {Report} report */
function conclusion(report) {
  if (report.verdict === 'bad') return findingsText(report);
  if (report.verdict === 'good')
    return 'GOOD: every witnessed entry is what was sealed, and none is missing: every position up to the newest checkpoint was read.\n';
  return `NOT COMPLETE: nothing bad was found, and not everything was read${report.archived > 0 ? `: ${report.archived} entries were not` : ''}. This is no proof that the record is whole.\n`;
}

/** @param {SliceReport} report */
export function sliceText(report) {
  const { positions, says, begin, end, from, to } = report;
  const span = `${from === null ? 'from the first entry ever' : `behind ${sealedText(from)}`} up to ${sealedText(to)}`;
  const isLost = report.lost.some(({ isInWindow }) => isInWindow);
  const lines = [
    `slice of customer ${report.tree ?? '?'}: ${report.entries} entries, ${span}`,
    report.isWitnessed
      ? `the checkpoints that cover these heads were looked for among ${report.checkpoints} of the witness`
      : 'the checkpoints were not compared with a witness: that nobody was shown another record, their signatures alone do not prove',
    ...erasText(report),
    ...report.lost.map(
      (loss) =>
        `LOST: ${lossText(loss)}. ${loss.isInWindow ? 'Entries of the window of this slice may be among it' : 'The window of this slice lies outside of that'}.`,
    ),
  ];
  if (report.verdict === 'bad' || positions === null) return `${lines.join('\n')}\n${findingsText(report)}`;
  const count = positions.to - positions.from;
  const which = count === 0 ? 'there is none' : `positions ${positions.from} to ${positions.to - 1}, none is missing`;
  const said =
    says === 'affected'
      ? `that ${report.selected} of these entries belong to`
      : 'that none of these entries belongs to';
  return [
    ...lines,
    `${isLost ? 'NOT COMPLETE: the record lost what it had of the time of this slice (LOST, above), and of that nothing can be said. In the record that went on, these' : 'GOOD: these'} are all entries of this customer that were sealed ${span} (${which}), and each is what was sealed. That is proved. Of what was sealed before or after, nothing is.`,
    `They enclose the window for which the slice was made: ${begin === null ? 'everything' : `from ${begin}`} up to ${end}. An entry is sealed after what it tells of, as a rule within a second.`,
    `Nobody vouches for what follows: it is not signed, and whoever had this file may have written it: ${said} "${report.subject ?? ''}".`,
    'Compare the id of the customer with your own: it stands in every receipt that you have from this gateway. The internal fields of each entry are covered by a digest and not shown.',
    '',
  ].join('\n');
}

/**
 * A head is proved by a checkpoint of its own era or of a later one.
 * @param {SliceReport} report
 * @returns {readonly string[]}
 */
function erasText({ from, to, isWitnessed }) {
  if (to === null) return [];
  const eras =
    from === null
      ? `the head at the end is proved by a checkpoint of era ${to.era}`
      : `the head at the beginning is proved by a checkpoint of era ${from.era}, the one at the end by one of era ${to.era}`;
  const isLater = to.era > 1 && !isWitnessed;
  return [
    `${eras}${isLater ? `. Era ${to.era}: what earlier eras lost is not in it, and only a witness says when` : ''}`,
  ];
}

/** @param {ShownHead | null} head */
const sealedText = (head) => (head === null ? '?' : `head ${head.position} (sealed ${head.at})`);
