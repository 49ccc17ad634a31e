// Owns: `cofferctl incident assure`.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { Client } from '../connection/client.ts';
import type { Verb } from '../verb/verb.ts';
import { ask, rowsOf, selectionOf, selectionOptions } from './answer.ts';
import { folderOf, makeEmpty, type Slice, save, saveSlice, saveVerifier, waitForEpoch } from './folder.ts';
import { addressee, assurance, verifying } from './letters.ts';
import { limitsOf, notCompleteText, requireWhole, wholeOption } from './limits.ts';
import { provedText, requireProved } from './proved-answer.ts';
import { checkingOf, checkOptions, requireFound, witnessText } from './slice-check.ts';

type Assured = { readonly customer: string; readonly folder: string; readonly entries: number };

/** Fetches all pages. A customer that is left out would be believed to be covered, or would not be looked at. */
async function allCustomers(client: Client): Promise<readonly { readonly id: string; readonly name: string }[]> {
  const all: { readonly id: string; readonly name: string }[] = [];
  for (let after: string | undefined, isMore = true; isMore; after = all.at(-1)?.name) {
    const { customers, more } = await client.call('customer.list', after === undefined ? {} : { after });
    all.push(...customers);
    isMore = more && customers.length > 0;
  }
  return all;
}

export const incidentAssure: Verb = {
  words: ['incident', 'assure'],
  positionals: [],
  options: [
    ...selectionOptions,
    ...checkOptions,
    {
      name: 'out',
      value: 'DIR',
      help: 'a directory that does not exist yet, in one that does; or an empty one',
      required: true,
    },
  ],
  help: 'Writes a folder for each customer whom an incident did not touch: every entry of its record of that time, proved to be all of them, of which none belongs to the incident, and a draft letter that says so.',
  example: 'cofferctl incident assure --credential SHA256:… --since 7d --out assured-7',
  operations: [
    'incident.scope',
    'incident.progress',
    'incident.page',
    'incident.slice',
    'incident.named-by',
    'ledger.begin-epoch',
    'ledger.status',
    'customer.list',
  ],
  run: async (client, given) => {
    const { out = '' } = given.options;
    makeEmpty(out);
    const selection = selectionOf(given);
    const answer = await ask(client, selection, { unread: false, proved: true, isTerminal: given.isTerminal });
    requireFound(answer.summary, given);
    requireWhole(answer.summary, given);
    await waitForEpoch(client);
    const { window, isEmpty, record } = answer.summary;
    const checking = await checkingOf(client, given, answer.summary);
    await requireProved(answer.summary, checking);
    const asked = { selection, window, isEmpty, completeFrom: record.completeFrom, limits: limitsOf(answer.summary) };
    const lost = new Set<string>();
    const concerned = new Set(
      (await rowsOf(client, answer, 'customers')).flatMap((one) => (one.entries > 0 ? (one.customerId ?? []) : [])),
    );
    const customers = await allCustomers(client);
    const assured: Assured[] = [];
    const [touched, unknown]: [string[], string[]] = [[], []];
    const notShown: { readonly customer: string; readonly why: string }[] = [];
    for (const { id, name } of customers) {
      const whose = { customer: name, customerId: id };
      const directory = join(out, folderOf(whose));
      mkdirSync(directory, { mode: 0o700 });
      let slice: Slice | undefined;
      try {
        slice = await saveSlice(client, answer.scope, whose, join(directory, 'slice.jsonl'), checking);
      } catch (error) {
        if (!(error instanceof CofferdamError) || error.code !== 'conflict') throw error;
        rmSync(directory, { recursive: true });
        notShown.push({ customer: name, why: error.message });
        continue;
      }
      if (slice === undefined || slice.says !== 'not-affected' || concerned.has(id)) {
        rmSync(directory, { recursive: true });
        (slice === undefined && !concerned.has(id) ? unknown : touched).push(name);
        continue;
      }
      for (const one of slice.lost) lost.add(one);
      if (slice.lost.length > 0 && given.options[wholeOption.name] === undefined) {
        rmSync(directory, { recursive: true });
        notShown.push({ customer: name, why: `${slice.lost.join(' ')} With --${wholeOption.name} the letter says so` });
        continue;
      }
      const to = addressee({ customer: name, customerId: id }, slice.named);
      save(join(directory, 'VERIFY.md'), verifying(checking.keys, to, window));
      save(
        join(directory, 'assurance.md'),
        assurance(to, slice, { ...asked, limits: [...asked.limits, ...slice.lost] }),
      );
      assured.push({ customer: to.name, folder: folderOf(whose), entries: slice.entries });
    }
    const limits = [...asked.limits, ...lost];
    saveVerifier(out);
    const lines = assured.map(
      (one) => `${one.folder}: ${one.entries} entries of the record, verified, none of the incident\n`,
    );
    const others = [
      ...(touched.length === 0
        ? []
        : [`touched, and given nothing here: ${touched.join(', ')}. \`cofferctl incident pack\` is theirs\n`]),
      ...notShown.map((one) => `${one.customer}: cannot be shown from here: ${one.why}\n`),
      ...(unknown.length === 0 ? [] : [`nothing on record to prove it by: ${unknown.join(', ')}\n`]),
    ];
    return {
      data: { out, assured, touched, unknown, notShown, limits, proved: answer.summary.proved },
      text: `${isEmpty ? 'Nothing was found at all, and the letters say so.\n' : ''}${notCompleteText(limits)}${[...lines, ...others].join('')}${provedText(answer.summary)}\n${witnessText(checking)}Read the drafts before anything is sent; give each customer its own folder and ledger-verifier.mjs, nothing else.\n`,
    };
  },
};
