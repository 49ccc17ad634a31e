import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '../client.ts';
import type { Command } from '../command.ts';
import { allRows, scopeOf, scopeOptions, wishOf } from '../incident.ts';
import { type CustomerPack, depositsCsv, listingsCsv, notice, overallPage, verifying } from '../incident-pack.ts';
import { filesCsv } from '../incident-text.ts';
import { instantOf } from '../scope.ts';

const verifier = join(import.meta.dirname, '..', '..', 'verifier', 'ledger-verifier.ts');

/** A name that stays in its folder, whatever the record says. */
const folderOf = (name: string): string =>
  /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name) ? name : name.replaceAll(/[^a-z0-9-]/g, '_').slice(0, 64);

function save(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
}

/** The customer's part of the record; how many entries it shows. */
async function saveSlice(client: Client, scope: string, customer: string, path: string): Promise<number> {
  save(path, '');
  let lines = 0;
  let slice: string | undefined;
  for (let offset: number | null = 0; offset !== null; ) {
    const page: { readonly slice: string; readonly lines: string; readonly next: number | null } = await client.call('incident.slice', {
      scope,
      customer,
      offset,
      ...(slice === undefined ? {} : { slice }),
    });
    slice = page.slice;
    appendFileSync(path, page.lines);
    lines += page.lines.split('\n').length - 1;
    offset = page.next;
  }
  return Math.max(0, lines - 1);
}

export const incidentPack: Command = {
  words: ['incident', 'pack'],
  positionals: [],
  options: [
    ...scopeOptions,
    {
      name: 'aware',
      value: 'INSTANT|12h',
      help: 'when it became known, for the clocks: 2026-11-24T18:00Z, or so long ago',
      required: true,
    },
    { name: 'out', value: 'DIR', help: 'a directory that does not exist yet', required: true },
  ],
  help: 'writes what is needed to tell those concerned: a folder for each customer (files, its slice of the record with proofs, a draft notice) and one page with the clocks',
  example: 'cofferctl incident pack --credential SHA256:… --since 7d --aware 2h --out incident-7',
  run: async (client, given) => {
    const { out = '', aware: awareText = '' } = given.options;
    const aware = new Date(instantOf(awareText, 'aware'));
    if (existsSync(out) && readdirSync(out).length > 0) throw new RangeError(`${out} exists and is not empty: name another directory`);
    const wish = wishOf(given);
    const { scope, summary } = await scopeOf(client, wish);
    const { verifierKeys } = await client.call('ledger.status', {});
    const customers = (await allRows(client, scope, 'customers')).filter(
      (one) => one.certain + one.possible + one.unsent + one.listings + one.deposits > 0,
    );
    const [files, listings, deposits] = [
      await allRows(client, scope, 'files'),
      await allRows(client, scope, 'listings'),
      await allRows(client, scope, 'deposits'),
    ];
    const sessions = await allRows(client, scope, 'sessions');
    mkdirSync(out, { recursive: true, mode: 0o700 });
    const shown = [];
    for (const totals of customers) {
      const of = <T extends { readonly customerId: string }>(rows: readonly T[]): readonly T[] =>
        rows.filter((row) => row.customerId === totals.customerId);
      const pack: CustomerPack = { totals, files: of(files), listings: of(listings), deposits: of(deposits) };
      const directory = join(out, folderOf(totals.customer));
      mkdirSync(directory, { mode: 0o700 });
      save(join(directory, 'files.csv'), filesCsv(pack.files));
      save(
        join(directory, 'files.json'),
        `${JSON.stringify({ totals, files: pack.files, listings: pack.listings, deposits: pack.deposits }, null, 2)}\n`,
      );
      save(join(directory, 'listings.csv'), listingsCsv(pack.listings));
      save(join(directory, 'deposits.csv'), depositsCsv(pack.deposits));
      const entries = await saveSlice(client, scope, totals.customerId, join(directory, 'slice.jsonl'));
      save(join(directory, 'VERIFY.md'), verifying(verifierKeys));
      save(join(directory, 'notice.md'), notice(pack, aware));
      shown.push({ customer: totals.customer, files: pack.files.length, entries });
    }
    copyFileSync(verifier, join(out, 'ledger-verifier.ts'));
    save(join(out, 'incident.md'), overallPage({ wish, aware, made: new Date(), summary, customers, sessions: sessions.length }));
    save(join(out, 'scope.json'), `${JSON.stringify({ summary, customers, files, listings, deposits, sessions }, null, 2)}\n`);
    const lines = shown.map((one) => `${folderOf(one.customer)}: ${one.files} files, ${one.entries} entries of the record\n`).join('');
    return {
      data: { out, customers: shown, summary },
      text: `${lines}${out}/incident.md: the clocks, and what is known. Read the drafts before anything is sent; give each customer its own folder and ledger-verifier.ts, nothing else.\n`,
    };
  },
};
