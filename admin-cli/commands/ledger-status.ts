import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operator-admin.ts';
import { changing } from '../changing.ts';
import type { Command } from '../command.ts';
import { nextLine } from '../next-line.ts';
import { plain, when } from '../output.ts';

type Forward = Result<OperatorToAdmin, 'ledger.status'>['forwards'][number];

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function forwardLine(one: Forward): string {
  const name = `forward ${plain(one.name)}`.padEnd(18);
  if (one.number === null) return `${name} has not begun: is the warden up?`;
  const behind = one.behindEntries === 0 ? 'has everything' : `${one.behindEntries} entries and ${seconds(one.behindMs)} behind`;
  const error = one.error === null ? '' : `; since ${when(one.errorAt)}: ${plain(one.error)}`;
  return `${name} sent up to ${one.sent}, confirmed up to ${one.number}, ${behind} (looked at ${when(one.lookedAt)})${error}`;
}

function archivingLine(one: Result<OperatorToAdmin, 'ledger.status'>['archiving'][number]): string {
  const state = one.failedAt === null ? 'waits' : 'FAILED';
  return `month ${one.month}      due for archiving since ${when(one.dueSince)}, ${state}: ${plain(one.why ?? 'archiving goes on')} (last step: ${plain(one.step)}, looked at ${when(one.lookedAt)})`;
}

function verifiedText(said: Result<OperatorToAdmin, 'ledger.status'>['verified']): string {
  if (said === null) return 'never, by a standing verification';
  const word = said.verdict === 'good' || said.verdict === 'incomplete' ? said.verdict : said.verdict.toUpperCase();
  return `${word} at ${when(said.at)} by ${plain(said.host)}: ${plain(said.text)} (${readText(said)}, up to ${said.heads} heads)`;
}

const readText = ({ run, since, entries }: NonNullable<Result<OperatorToAdmin, 'ledger.status'>['verified']>): string =>
  run === 'full' || since === null
    ? `full run: ${entries} entries`
    : `${entries} entries behind head ${since.head}, since the run of ${when(since.at)}`;

function fullyVerifiedText(said: Result<OperatorToAdmin, 'ledger.status'>['fullyVerified']): string {
  if (said === null) return 'never';
  return `${said.verdict} at ${when(said.at)} by ${plain(said.host)} (${said.entries} entries, up to ${said.heads} heads)`;
}

/** What is late, which witness is behind, and whether the service has stopped because of it. */
function lateLines({ late, unsealedMs, unwitnessedMs }: Result<OperatorToAdmin, 'ledger.status'>): readonly string[] {
  if (late === null) return [];
  const isStopped = late.stopMs !== null && Math.max(unsealedMs, unwitnessedMs) >= late.stopMs;
  return [
    ...(late.behind === null ? [] : [`BEHIND             ${plain(late.behind)}`]),
    `${isStopped ? 'NOTHING IS SERVED ' : 'LATE              '} ${plain(late.text)} (said ${when(late.at)})`,
  ];
}

export const ledgerStatus: Command = {
  words: ['ledger', 'status'],
  positionals: [],
  options: [],
  help: 'the state of the record: entries, checkpoint, witness, and why nothing is served',
  example: 'cofferctl ledger status',
  run: async (client, given) => {
    const status = await client.call('ledger.status', {});
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
    for (const one of status.archiving) lines.push(archivingLine(one));
    for (const one of status.forwards) lines.push(forwardLine(one));
    if (freeze !== null)
      lines.push(
        '',
        `FROZEN since ${when(freeze.at)}: nothing is served. ${plain(freeze.text)}`,
        'Find out why before anything else: is this the right database? Is there a newer one? Then two operators let it go on:',
        `  ${nextLine(given, `ledger release ${freeze.freeze} --reason TEXT --execute`)}`,
      );
    return { data: status, text: `${lines.join('\n')}\n`, isFault: freeze !== null };
  },
};

export const ledgerRelease: Command = {
  words: ['ledger', 'release'],
  positionals: ['FREEZE'],
  options: [{ name: 'reason', value: 'TEXT', help: 'why it is right to go on with this database', required: true }],
  help: 'lets a frozen gateway go on; what was witnessed beyond its database, or differs from it, is given up (needs a second operator)',
  example: 'cofferctl ledger release 6f0c3c1e-… --reason "restored from the backup of 02:00 after the storage failure" --execute',
  changes: true,
  run: async (client, given) => {
    const [id] = given.positionals;
    const { freeze } = await client.call('ledger.status', {});
    if (freeze === null || freeze.freeze !== id) throw new RangeError('there is no such freeze: see cofferctl ledger status');
    const { why, witnessedSize, witnessedRoot, heads, era } = freeze;
    return changing(
      client,
      given,
      'ledger.release',
      { freeze: freeze.freeze, why, witnessedSize, witnessedRoot, heads, era, reason: given.options.reason ?? '' },
      (result) => `released: era ${result.era} of the record begins; customers are served again within a second\n`,
    );
  },
};
