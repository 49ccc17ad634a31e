// Owns: `cofferctl status`.
import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import { colour, plain, table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

type Control = { readonly node: string; readonly check: string; readonly text: string };

function controlsText(count: number, dull: readonly Control[], silent: readonly string[]): string {
  const faults = [
    ...dull.map((one) => `${one.check} of ${one.node} DOES NOT WORK: ${plain(one.text)}`),
    ...silent.map((node) => `${node} IS NOT TESTED`),
  ];
  if (faults.length > 0) return faults.join('\n           ');
  return count === 0 ? 'not tested yet' : `${count} tested, all work`;
}

function recordText({
  entries,
  frozen,
  lateMs,
  isStopped,
  stuckMonths,
}: {
  entries: number;
  frozen: string | null;
  lateMs: number;
  isStopped: boolean;
  stuckMonths: number;
}): string {
  if (frozen !== null) return `FROZEN, nothing is served: ${plain(frozen)} (cofferctl ledger status)`;
  if (isStopped) return `NOT WITNESSED for ${Math.round(lateMs / 1000)} s, nothing is served (cofferctl doctor)`;
  const stuck = stuckMonths === 0 ? '' : `, ${stuckMonths} months CANNOT BE ARCHIVED (cofferctl ledger status)`;
  return `${entries} entries${lateMs > 5000 ? `, LATE by ${Math.round(lateMs / 1000)} s` : ''}${stuck}`;
}

type Said = Result<OperatorToAdmin, 'status'>['record']['verified'];

/**
 * Returns what the standing verification said last; nothing when none ever said anything, because doctor says whether
 * one is missing.
 */
function verifiedLines(last: Said, full: Said, bad: Said): string {
  if (last === null) return '';
  const word =
    last.verdict === 'good' && bad === null
      ? 'good'
      : `${(bad ?? last).verdict.toUpperCase()} (cofferctl ledger status)`;
  const read = last.run === 'full' ? 'everything was read' : 'what is new was read';
  const since = bad === null ? '' : ` since ${when(bad.at)}; last run`;
  return `verified   ${word}${since} at ${when(last.at)}, ${read}; all of it ${full === null ? 'never' : `${full.verdict} at ${when(full.at)}`}\n`;
}

const isWell = ({
  nodes,
  wardenAnswersMs,
  record,
  controls,
  silentNodes,
}: Result<OperatorToAdmin, 'status'>): boolean =>
  wardenAnswersMs !== null &&
  !record.isStopped &&
  nodes.every((node) => node.alive) &&
  controls.every((one) => one.bites) &&
  silentNodes.length === 0;

export const status = read({
  words: ['status'],
  help: 'Shows whether everything serves, and how much there is.',
  example: 'cofferctl status',
  operation: 'status',
  text: (data, given) => {
    const { nodes, wardenAnswersMs, record, database, counts, controls, silentNodes } = data;
    const dull = controls.filter((one) => !one.bites);
    const stateOf = ({ alive, drainingUntil }: (typeof nodes)[number]): string =>
      !alive ? 'SILENT' : drainingUntil === null ? 'serves' : `draining until ${when(drainingUntil)}`;
    const rows = nodes.map((node) => [node.name, node.plane, stateOf(node), node.sessions, when(node.lastSeenAt)]);
    return [
      `${isWell(data) ? colour('green', 'everything serves', given.isTerminal) : colour('red', 'a part of the gateway is not working: run cofferctl doctor', given.isTerminal)}\n\n`,
      `warden     ${wardenAnswersMs === null ? 'DOES NOT ANSWER' : `answers in ${wardenAnswersMs} ms`}\n`,
      `database   PostgreSQL ${database.version}, ${(database.sizeBytes / 2 ** 20).toFixed(0)} MiB\n`,
      `catalogue  ${counts.customers} customers, ${counts.accounts} accounts, ${counts.publishedFiles} published files, ${counts.partialUploads} unfinished uploads\n`,
      `record     ${recordText(record)}\n`,
      verifiedLines(record.verified, record.fullyVerified, record.standingBad),
      `sessions   ${counts.openSessions} open\n`,
      `controls   ${controlsText(controls.length, dull, silentNodes)}\n\n`,
      table({
        columns: ['NODE', 'PLANE', 'STATE', 'SESSIONS', 'LAST SEEN'],
        rows,
        empty: 'no node has ever connected',
      }),
    ].join('');
  },
  isFault: (data) => !isWell(data),
});
