import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../command.ts';
import { ask, rowsOf, selectionOf, selectionOptions } from '../incident.ts';
import { folderOf, makeEmpty, save, saveSlice, saveVerifier, waitForEpoch } from '../incident-folder.ts';
import {
  type Addressee,
  attemptsCsv,
  type CustomerPack,
  depositsCsv,
  nameOf,
  namesCsv,
  notice,
  overallPage,
  verifying,
} from '../incident-pack.ts';
import { filesCsv } from '../incident-text.ts';
import { plain, when } from '../output.ts';
import { instantOf } from '../scope.ts';
import { checkingOf, checkOptions, requireFound, witnessText } from '../slice-check.ts';

export const incidentPack: Command = {
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
    { name: 'out', value: 'DIR', help: 'a directory that does not exist yet, in one that does; or an empty one', required: true },
  ],
  help: 'Writes what is needed to tell those concerned: a folder for each customer (files, its slice of the record with proofs, a draft notice) and one page with the clocks.',
  example: 'cofferctl incident pack --credential SHA256:… --since 7d --aware 2h --out incident-7',
  run: async (client, given) => {
    const { out = '', aware: awareText = '' } = given.options;
    const aware = new Date(instantOf(awareText, 'aware'));
    if (aware.getTime() > Date.now()) throw new RangeError('--aware lies in the future');
    makeEmpty(out);
    const selection = selectionOf(given);
    const answer = await ask(client, selection, { unread: false, isTerminal: given.isTerminal });
    const { summary } = answer;
    requireFound(summary, given);
    await waitForEpoch(client);
    const checking = await checkingOf(client, given, summary);
    const asked = { selection, window: summary.window, isEmpty: summary.isEmpty };
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
      const pack: CustomerPack = { totals, files: of(files), names: of(names), deposits: of(deposits), traces: of(traces) };
      const { customer, customerId } = totals;
      const directory = join(out, folderOf(totals));
      mkdirSync(directory, { mode: 0o700 });
      const slice =
        customerId === null
          ? undefined
          : await saveSlice(client, answer.scope, { customer, customerId }, join(directory, 'slice.jsonl'), checking);
      const to: Addressee = { name: slice?.name ?? nameOf(totals), id: customerId, isProved: slice?.name !== undefined };
      save(join(directory, 'files.csv'), filesCsv(pack.files, false));
      save(join(directory, 'files.json'), `${JSON.stringify(pack, null, 2)}\n`);
      save(join(directory, 'names.csv'), namesCsv(pack.names));
      save(join(directory, 'deposits.csv'), depositsCsv(pack.deposits));
      save(join(directory, 'attempts.csv'), attemptsCsv(pack.traces));
      save(join(directory, 'VERIFY.md'), verifying(checking.keys, to, summary.window));
      save(join(directory, 'notice.md'), notice(pack, aware, to, asked));
      shown.push({ customer: to.name, folder: folderOf(totals), files: pack.files.length, entries: slice?.entries ?? 0 });
    }
    const instants = [...files.map((one) => one.first), ...traces.map((one) => one.at), ...sessions.flatMap((one) => one.start ?? [])];
    const [first] = instants.sort();
    const warnings = [
      ...(summary.isEmpty ? ['Nothing was found at all: no session, no failed login, no action, no other entry.'] : []),
      ...summary.unknown.map((one) => `The record knows no ${one}.`),
      ...(first !== undefined && aware.toISOString() < first
        ? [
            `The time of awareness that was given (${when(aware.toISOString())}) lies before the first event of the selection (${when(first)}): the clocks count from it.`,
          ]
        : []),
    ];
    saveVerifier(out);
    save(join(out, 'incident.md'), overallPage({ selection, aware, made: new Date(), summary, customers, warnings }));
    save(join(out, 'scope.json'), `${JSON.stringify({ summary, customers, files, names, deposits, traces, sessions }, null, 2)}\n`);
    const lines = shown.map((one) => `${one.folder}: ${one.files} files, ${one.entries} entries of the record, verified\n`).join('');
    return {
      data: { out, customers: shown, summary, warnings },
      text: `${warnings.map((one) => `${plain(one)}\n`).join('')}${lines}${witnessText(checking)}${out}/incident.md: the clocks, and what is known. Read the drafts before anything is sent; give each customer its own folder and ledger-verifier.mjs, nothing else.\n`,
    };
  },
};
