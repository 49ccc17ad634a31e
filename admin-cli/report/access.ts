// Owns: `cofferctl report access`.
import { CofferdamError } from '../../server/domain/errors.ts';
import type { Params } from '../../server/rpc/operation.ts';
import type { AccessRow } from '../../server/rpc/operators/report.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import type { Client } from '../connection/client.ts';
import type { Verb } from '../verb/verb.ts';
import { accessCsv, accessText } from './access-rows.ts';

type Question = Params<OperatorToAdmin, 'report.access'>;

/** Fetches all pages. A list that cannot be completed is an error, so that nobody takes a part of it for the whole. */
async function allRows(client: Client, question: Question): Promise<readonly AccessRow[]> {
  const rows: AccessRow[] = [];
  let after: Question['after'];
  for (;;) {
    const page = await client.call('report.access', { ...question, ...(after === undefined ? {} : { after }) });
    rows.push(...page.rows);
    if (!page.more) return rows;
    const last = page.rows.at(-1);
    if (last === undefined) throw new CofferdamError('bug', 'the list ended early and is not complete');
    after = {
      account: last.account,
      customer: last.customer,
      folder: last.folder,
      fingerprint: last.credential?.fingerprint ?? null,
    };
  }
}

export const reportAccess: Verb = {
  words: ['report', 'access'],
  positionals: [],
  options: [
    { name: 'customer', value: 'NAME', help: 'only what reaches this customer' },
    { name: 'account', value: 'NAME', help: 'only this account' },
    { name: 'csv', value: null, help: 'a line for each account, folder and credential, for a spreadsheet' },
  ],
  help: 'The access review: who may reach what, by which credential and which proofs, from where, and how long each credential has been unused.',
  example: 'cofferctl report access --csv > review-2026-2.csv',
  operations: ['report.access'],
  run: async (client, given) => {
    const { customer, account } = given.options;
    const rows = await allRows(client, {
      ...(customer === undefined ? {} : { customer }),
      ...(account === undefined ? {} : { account }),
    });
    return {
      data: { rows },
      text: given.options.csv === undefined ? accessText(rows, given.isTerminal) : accessCsv(rows, given.isTerminal),
    };
  },
};
