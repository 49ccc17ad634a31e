// Owns: `cofferctl incident pack`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { IncidentSummary } from '../../server/rpc/operators/incident.ts';
import type { Client } from '../connection/client.ts';
import { instantOf } from '../terminal/instant.ts';
import { plain, when } from '../terminal/output.ts';
import type { Verb } from '../verb/verb.ts';
import { ask, rowsOf, selectionOf, selectionOptions } from './answer.ts';
import { filesCsv } from './answer-text.ts';
import { folderOf, makeEmpty, save, saveSlice, saveVerifier, waitForEpoch } from './folder.ts';
import {
  type Asked,
  addressee,
  attemptsCsv,
  type CustomerPack,
  depositsCsv,
  namesCsv,
  notice,
  overallPage,
  verifying,
} from './letters.ts';
import { limitsOf, notCompleteText, requireWhole } from './limits.ts';
import { provedText, requireProved } from './proved-answer.ts';
import { type Checking, checkingOf, checkOptions, requireFound, witnessText } from './slice-check.ts';

type Shown = {
  readonly customer: string;
  readonly folder: string;
  readonly files: number;
  readonly entries: number;
  /** What the record lost of the window, in sentences. */
  readonly lost: readonly string[];
};

/** Writes the folder of one customer: lists, its slice of the record, a draft notice. Returns what it holds. */
async function savePack(
  client: Client,
  scope: string,
  pack: CustomerPack,
  how: { readonly out: string; readonly checking: Checking; readonly aware: Date; readonly asked: Asked },
): Promise<Shown> {
  const { out, checking, aware, asked } = how;
  const { customer, customerId } = pack.totals;
  const folder = folderOf(pack.totals);
  const directory = join(out, folder);
  mkdirSync(directory, { mode: 0o700 });
  const slice =
    customerId === null
      ? undefined
      : await saveSlice(client, scope, { customer, customerId }, join(directory, 'slice.jsonl'), checking);
  const lost = slice?.lost ?? [];
  const to = addressee(pack.totals, slice?.named);
  save(join(directory, 'files.csv'), filesCsv(pack.files, false));
  save(join(directory, 'files.json'), `${JSON.stringify(pack, null, 2)}\n`);
  save(join(directory, 'names.csv'), namesCsv(pack.names));
  save(join(directory, 'deposits.csv'), depositsCsv(pack.deposits));
  save(join(directory, 'attempts.csv'), attemptsCsv(pack.traces));
  save(join(directory, 'VERIFY.md'), verifying(checking.keys, to, asked.window));
  save(join(directory, 'notice.md'), notice(pack, aware, to, { ...asked, limits: [...asked.limits, ...lost] }));
  return { customer: to.name, folder, files: pack.files.length, entries: slice?.entries ?? 0, lost };
}

/** Returns what whoever reads the pack must know first. `first`: the time of the first event of the selection. */
const warningsOf = (summary: IncidentSummary, aware: Date, first: string | undefined): readonly string[] => [
  ...(summary.isEmpty ? ['Nothing was found at all: no session, no failed login, no action, no other entry.'] : []),
  ...summary.unknown.map((one) => `The record knows no ${one}.`),
  ...(first !== undefined && aware.toISOString() < first
    ? [
        `The time of awareness that was given (${when(aware.toISOString())}) lies before the first event of the selection (${when(first)}): the clocks count from it.`,
      ]
    : []),
];

export const incidentPack: Verb = {
  words: ['incident', 'pack'],
  positionals: [],
  options: [
    ...selectionOptions,
    ...checkOptions,
    {
      name: 'aware',
      value: 'INSTANT|10m|12h',
      help: 'when it became known, for the clocks: 2026-11-24T18:00Z, or so long ago',
      required: true,
    },
    {
      name: 'out',
      value: 'DIR',
      help: 'a directory that does not exist yet, in one that does; or an empty one',
      required: true,
    },
  ],
  help: 'Writes what is needed to tell those concerned: a folder for each customer (files, its slice of the record with proofs, a draft notice) and one page with the clocks.',
  example: 'cofferctl incident pack --credential SHA256:… --since 7d --aware 2h --out incident-7',
  operations: [
    'incident.scope',
    'incident.progress',
    'incident.page',
    'incident.slice',
    'incident.named-by',
    'ledger.begin-epoch',
    'ledger.status',
  ],
  run: async (client, given) => {
    const { out = '', aware: awareText = '' } = given.options;
    const aware = new Date(instantOf(awareText, 'aware'));
    if (aware.getTime() > Date.now()) throw new RangeError('--aware lies in the future');
    makeEmpty(out);
    const selection = selectionOf(given);
    const answer = await ask(client, selection, { unread: false, proved: true, isTerminal: given.isTerminal });
    const { summary } = answer;
    requireFound(summary, given);
    requireWhole(summary, given);
    await waitForEpoch(client);
    const checking = await checkingOf(client, given, summary);
    await requireProved(summary, checking);
    const { window, isEmpty, record } = summary;
    const asked = { selection, window, isEmpty, completeFrom: record.completeFrom, limits: limitsOf(summary) };
    // Whoever has one entry of the selection is concerned, whatever it is.
    const isConcerned = ({ entries, certain, possible, unsent, names, deposits }: CustomerPack['totals']): boolean =>
      entries + certain + possible + unsent + names + deposits > 0;
    const customers = (await rowsOf(client, answer, 'customers')).filter(isConcerned);
    const [files, names, deposits, traces] = [
      await rowsOf(client, answer, 'files'),
      await rowsOf(client, answer, 'names'),
      await rowsOf(client, answer, 'deposits'),
      await rowsOf(client, answer, 'traces'),
    ];
    const sessions = await rowsOf(client, answer, 'sessions');
    const shown = [];
    for (const totals of customers) {
      const of = <T extends { readonly customerId: string | null }>(rows: readonly T[]): readonly T[] =>
        rows.filter((row) => row.customerId === totals.customerId);
      const pack: CustomerPack = {
        totals,
        files: of(files),
        names: of(names),
        deposits: of(deposits),
        traces: of(traces),
      };
      shown.push(await savePack(client, answer.scope, pack, { out, checking, aware, asked }));
    }
    const instants = [
      ...files.map((one) => one.first),
      ...traces.map((one) => one.at),
      ...sessions.flatMap((one) => one.start ?? []),
    ];
    const [first] = instants.sort();
    const lost = [...new Set(shown.flatMap((one) => one.lost))];
    const warnings = [...warningsOf(summary, aware, first), ...lost];
    saveVerifier(out);
    save(join(out, 'incident.md'), overallPage({ selection, aware, made: new Date(), summary, customers, warnings }));
    save(
      join(out, 'scope.json'),
      `${JSON.stringify({ summary, customers, files, names, deposits, traces, sessions }, null, 2)}\n`,
    );
    const lines = shown
      .map((one) => `${one.folder}: ${one.files} files, ${one.entries} entries of the record, verified\n`)
      .join('');
    return {
      data: { out, customers: shown, summary, warnings },
      text: `${warnings.map((one) => `${plain(one)}\n`).join('')}${notCompleteText(asked.limits)}${lines}${provedText(summary)}\n${witnessText(checking)}${out}/incident.md: the clocks, and what is known. Read the drafts before anything is sent; give each customer its own folder and ledger-verifier.mjs, nothing else.\n`,
    };
  },
};
