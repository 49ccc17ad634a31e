// Owns: `cofferctl ledger status`.
import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import { nextLine } from '../terminal/next-line.ts';
import { plain, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

type Forward = Result<OperatorToAdmin, 'ledger.status'>['forwards'][number];

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function forwardLine(one: Forward): string {
  const name = `forward ${plain(one.name)}`.padEnd(18);
  if (one.number === null) return `${name} has not begun: is the warden up?`;
  const behind =
    one.behindEntries === 0 ? 'has everything' : `${one.behindEntries} entries and ${seconds(one.behindMs)} behind`;
  const error = one.error === null ? '' : `; since ${when(one.errorAt)}: ${plain(one.error)}`;
  return `${name} sent up to ${one.sent}, confirmed up to ${one.number}, ${behind} (looked at ${when(one.lookedAt)})${error}`;
}

function archivingLine(one: Result<OperatorToAdmin, 'ledger.status'>['archiving'][number]): string {
  const state = one.failedAt === null ? 'waits' : 'FAILED';
  return `month ${one.month}      due for archiving since ${when(one.dueSince)}, ${state}: ${plain(one.why ?? 'archiving goes on')} (last step: ${plain(one.step)}, looked at ${when(one.lookedAt)})`;
}

function verifiedText(said: Result<OperatorToAdmin, 'ledger.status'>['verified']): string {
  if (said === null) return 'never, by a standing verification';
  const word = said.verdict === 'good' ? said.verdict : said.verdict.toUpperCase();
  return `${word} at ${when(said.at)} by ${plain(said.host)}: ${plain(said.text)} (${readText(said)}, up to ${said.heads} heads)`;
}

const readText = ({
  run,
  since,
  entries,
}: NonNullable<Result<OperatorToAdmin, 'ledger.status'>['verified']>): string =>
  run === 'full' || since === null
    ? `full run: ${entries} entries`
    : `${entries} entries behind head ${since.head}, since the run of ${when(since.at)}`;

function fullyVerifiedText(said: Result<OperatorToAdmin, 'ledger.status'>['fullyVerified']): string {
  if (said === null) return 'never';
  const word = said.verdict === 'good' ? said.verdict : `${said.verdict.toUpperCase()}: not everything was read,`;
  return `${word} at ${when(said.at)} by ${plain(said.host)} (${said.entries} entries, up to ${said.heads} heads)`;
}

/** Returns what is late, which witness is behind, and whether the service has stopped because of it. */
function lateLines({ late, unsealedMs, unwitnessedMs }: Result<OperatorToAdmin, 'ledger.status'>): readonly string[] {
  if (late === null) return [];
  const isStopped = late.stopMs !== null && Math.max(unsealedMs, unwitnessedMs) >= late.stopMs;
  return [
    ...(late.behind === null ? [] : [`BEHIND             ${plain(late.behind)}`]),
    `${isStopped ? 'NOTHING IS SERVED ' : 'LATE              '} ${plain(late.text)} (said ${when(late.at)})`,
  ];
}

export const ledgerStatus = read({
  words: ['ledger', 'status'],
  help: 'the state of the record: entries, checkpoint, witness, and why nothing is served',
  example: 'cofferctl ledger status',
  operation: 'ledger.status',
  text: (status, given) => {
    const { freeze } = status;
    const lines = [
      `entries            ${status.entries} in ${status.trees} trees, ${status.unsealed} not sealed yet${status.unsealed > 0 ? ` (the oldest for ${seconds(status.unsealedMs)})` : ''}`,
      `newest checkpoint  ${status.heads} heads, era ${status.era}, ${when(status.checkpointAt)}`,
      `witnessed          ${status.witnessedSize} heads, ${when(status.witnessedAt)}${status.unwitnessedMs > 0 ? `; behind for ${seconds(status.unwitnessedMs)}` : ''}`,
      ...lateLines(status),
      ...status.verifierKeys.map((key) => `verifier key       ${key}`),
      `months             ${status.months.length === 0 ? 'none yet' : `${status.months[0]?.month} to ${status.months.at(-1)?.month}`}`,
    ];
    lines.push(`verified           ${verifiedText(status.verified)}`);
    lines.push(`verified in full   ${fullyVerifiedText(status.fullyVerified)}`);
    if (status.standingBad !== null)
      lines.push(
        `NOT WITHDRAWN      ${verifiedText(status.standingBad)}; no later full run of that host found nothing bad`,
      );
    for (const { entry, at, why } of status.setAside)
      lines.push(`SET ASIDE          entry ${entry} at ${when(at)}, and it will never be sealed: ${plain(why)}`);
    for (const one of status.archiving) lines.push(archivingLine(one));
    for (const one of status.forwards) lines.push(forwardLine(one));
    if (freeze !== null)
      lines.push(
        '',
        `FROZEN since ${when(freeze.at)}: nothing is served. ${plain(freeze.text)}`,
        'Find out why before anything else: is this the right database? Is there a newer one? Then two operators let it go on:',
        `  ${nextLine(given, `ledger release ${freeze.freeze} --reason TEXT --execute`)}`,
      );
    return `${lines.join('\n')}\n`;
  },
  isFault: ({ freeze }) => freeze !== null,
});
