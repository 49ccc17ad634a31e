import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operator-admin.ts';
import type { Command } from '../command.ts';
import { colour, plain, table, when } from '../output.ts';

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

/** Nothing where no standing verification ever said anything: doctor says whether one is missing. */
function verifiedLines(last: Said, full: Said): string {
  if (last === null) return '';
  const word =
    last.verdict === 'good' || last.verdict === 'incomplete' ? last.verdict : `${last.verdict.toUpperCase()} (cofferctl ledger status)`;
  const read = last.run === 'full' ? 'everything was read' : 'what is new was read';
  return `verified   ${word} at ${when(last.at)}, ${read}; all of it ${full === null ? 'never' : `${full.verdict} at ${when(full.at)}`}\n`;
}

export const status: Command = {
  words: ['status'],
  positionals: [],
  options: [],
  help: 'Shows whether everything serves, and how much there is.',
  example: 'cofferctl status',
  run: async (client, given) => {
    const data = await client.call('status', {});
    const { nodes, wardenAnswersMs, record, database, counts, controls, silentNodes } = data;
    const dull = controls.filter((one) => !one.bites);
    const isServing = wardenAnswersMs !== null && !record.isStopped && nodes.every((node) => node.alive);
    const isWell = isServing && dull.length === 0 && silentNodes.length === 0;
    const stateOf = ({ alive, drainingUntil }: (typeof nodes)[number]): string =>
      !alive ? 'SILENT' : drainingUntil === null ? 'serves' : `draining until ${when(drainingUntil)}`;
    const rows = nodes.map((node) => [node.name, node.plane, stateOf(node), node.sessions, when(node.lastSeenAt)]);
    const text = [
      `${isWell ? colour('green', 'everything serves', given.isTerminal) : colour('red', 'a part of the gateway is not working: run cofferctl doctor', given.isTerminal)}\n\n`,
      `warden     ${wardenAnswersMs === null ? 'DOES NOT ANSWER' : `answers in ${wardenAnswersMs} ms`}\n`,
      `database   PostgreSQL ${database.version}, ${(database.sizeBytes / 2 ** 20).toFixed(0)} MiB\n`,
      `catalogue  ${counts.customers} customers, ${counts.accounts} accounts, ${counts.publishedFiles} published files, ${counts.partialUploads} unfinished uploads\n`,
      `record     ${recordText(record)}\n`,
      verifiedLines(record.verified, record.fullyVerified),
      `sessions   ${counts.openSessions} open\n`,
      `controls   ${controlsText(controls.length, dull, silentNodes)}\n\n`,
      table({ columns: ['NODE', 'PLANE', 'STATE', 'SESSIONS', 'LAST SEEN'], rows, empty: 'no node has ever connected' }),
    ].join('');
    return { data, text, isFault: !isWell };
  },
};
