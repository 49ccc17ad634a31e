import { appendFileSync, copyFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { Client } from '../client.ts';
import type { Command } from '../command.ts';
import { ask, rowsOf, selectionOf, selectionOptions } from '../incident.ts';
import { type CustomerPack, depositsCsv, nameOf, namesCsv, notice, overallPage, verifying } from '../incident-pack.ts';
import { filesCsv } from '../incident-text.ts';
import { instantOf } from '../scope.ts';

const verifier = join(import.meta.dirname, '..', '..', 'verifier', 'ledger-verifier.mjs');

/** A name that stays in its folder, whatever the record says. */
const folderOf = (name: string): string =>
  /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name) ? name : name.replaceAll(/[^a-z0-9-]/g, '_').slice(0, 64);

function save(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
}

/** For so long the pack waits for the head of the record at which it ends. */
const epochMs = 30_000;
const lookEveryMs = 500;

/** A head that names all trees, sealed and witnessed behind everything that is told here; says so when it does not come. */
async function waitForEpoch(client: Client): Promise<void> {
  const { askedAt } = await client.call('ledger.begin-epoch', {});
  for (const end = performance.now() + epochMs; performance.now() < end; await new Promise((resolve) => setTimeout(resolve, lookEveryMs))) {
    const { epoch } = await client.call('ledger.status', {});
    if (epoch?.isWitnessed === true && epoch.at >= askedAt) return;
  }
  throw new CofferdamError(
    'unavailable',
    `the record did not come to a witnessed head within ${epochMs / 1000} s, at which the parts for the customers could end: see \`cofferctl ledger status\`, then ask again`,
  );
}

/** The customer's part of the record; how many entries it shows. */
async function saveSlice(client: Client, scope: string, customerId: string, path: string): Promise<number> {
  save(path, '');
  let lines = 0;
  for (let offset: number | null = 0; offset !== null; ) {
    const page: { readonly rows: readonly unknown[]; readonly next: number | null } = await client.call('incident.slice', {
      scope,
      customerId,
      offset,
    });
    appendFileSync(path, page.rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    lines += page.rows.length;
    offset = page.next;
  }
  return Math.max(0, lines - 1);
}

/** Before anything is asked. One level only: Node makes a way of several for ever where one of its places cannot hold any. */
function makeEmpty(out: string): void {
  const there = statSync(out, { throwIfNoEntry: false });
  if (there?.isDirectory() === false) throw new RangeError(`${out} is no directory: name one that does not exist yet`);
  if (there !== undefined && readdirSync(out).length > 0) throw new RangeError(`${out} exists and is not empty: name another directory`);
  if (there !== undefined) return;
  try {
    mkdirSync(out, { mode: 0o700 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new RangeError(`${out} cannot be made (${code}): name a new directory in one that is there`);
  }
}

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
      const entries =
        totals.customerId === null ? 0 : await saveSlice(client, answer.scope, totals.customerId, join(directory, 'slice.jsonl'));
      save(join(directory, 'VERIFY.md'), verifying(verifierKeys));
      save(join(directory, 'notice.md'), notice(pack, aware));
      shown.push({ customer: nameOf(totals), files: pack.files.length, entries });
    }
    copyFileSync(verifier, join(out, 'ledger-verifier.mjs'));
    save(join(out, 'incident.md'), overallPage({ selection, aware, made: new Date(), summary, customers }));
    save(join(out, 'scope.json'), `${JSON.stringify({ summary, customers, files, names, deposits, sessions }, null, 2)}\n`);
    const lines = shown.map((one) => `${folderOf(one.customer)}: ${one.files} files, ${one.entries} entries of the record\n`).join('');
    return {
      data: { out, customers: shown, summary },
      text: `${lines}${out}/incident.md: the clocks, and what is known. Read the drafts before anything is sent; give each customer its own folder and ledger-verifier.mjs, nothing else.\n`,
    };
  },
};
