import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../command.ts';
import { ask, rowsOf, selectionOf, selectionOptions } from '../incident.ts';
import { folderOf, makeEmpty, save, saveSlice, saveVerifier, waitForEpoch } from '../incident-folder.ts';
import { type CustomerPack, depositsCsv, nameOf, namesCsv, notice, overallPage, verifying } from '../incident-pack.ts';
import { filesCsv } from '../incident-text.ts';
import { instantOf } from '../scope.ts';

export const incidentPack: Command = {
  words: ['incident', 'pack'],
  positionals: [],
  options: [
    ...selectionOptions,
    {
      name: 'aware',
      value: 'INSTANT|12h',
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
    makeEmpty(out);
    const selection = selectionOf(given);
    const answer = await ask(client, selection, { unread: false, isTerminal: given.isTerminal });
    const { summary } = answer;
    await waitForEpoch(client);
    const { verifierKeys } = await client.call('ledger.status', {});
    const isConcerned = ({ certain, possible, unsent, names, deposits }: CustomerPack['totals']): boolean =>
      certain + possible + unsent + names + deposits > 0;
    const customers = (await rowsOf(client, answer, 'customers')).filter(isConcerned);
    const [files, names, deposits] = [
      await rowsOf(client, answer, 'files'),
      await rowsOf(client, answer, 'names'),
      await rowsOf(client, answer, 'deposits'),
    ];
    const sessions = await rowsOf(client, answer, 'sessions');
    const shown = [];
    for (const totals of customers) {
      const of = <T extends { readonly customerId: string | null }>(rows: readonly T[]): readonly T[] =>
        rows.filter((row) => row.customerId === totals.customerId);
      const pack: CustomerPack = { totals, files: of(files), names: of(names), deposits: of(deposits) };
      const directory = join(out, folderOf(nameOf(totals)));
      mkdirSync(directory, { mode: 0o700 });
      save(join(directory, 'files.csv'), filesCsv(pack.files, false));
      save(join(directory, 'files.json'), `${JSON.stringify(pack, null, 2)}\n`);
      save(join(directory, 'names.csv'), namesCsv(pack.names));
      save(join(directory, 'deposits.csv'), depositsCsv(pack.deposits));
      const slice =
        totals.customerId === null ? undefined : await saveSlice(client, answer.scope, totals.customerId, join(directory, 'slice.jsonl'));
      save(join(directory, 'VERIFY.md'), verifying(verifierKeys));
      save(join(directory, 'notice.md'), notice(pack, aware));
      shown.push({ customer: nameOf(totals), files: pack.files.length, entries: slice?.entries ?? 0 });
    }
    saveVerifier(out);
    save(join(out, 'incident.md'), overallPage({ selection, aware, made: new Date(), summary, customers }));
    save(join(out, 'scope.json'), `${JSON.stringify({ summary, customers, files, names, deposits, sessions }, null, 2)}\n`);
    const lines = shown.map((one) => `${folderOf(one.customer)}: ${one.files} files, ${one.entries} entries of the record\n`).join('');
    return {
      data: { out, customers: shown, summary },
      text: `${lines}${out}/incident.md: the clocks, and what is known. Read the drafts before anything is sent; give each customer its own folder and ledger-verifier.mjs, nothing else.\n`,
    };
  },
};
