// Owns: `cofferctl ledger search`.
import { CofferdamError } from '../../server/domain/errors.ts';
import type { Result } from '../../server/rpc/operation.ts';
import type { LedgerFilter, LedgerRow } from '../../server/rpc/operators/ledger-entries.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import type { Client } from '../connection/client.ts';
import { type Verb, wholeNumber } from '../verb/verb.ts';
import { filterOf, searchOptions } from './filter.ts';
import { entriesCsv, entryLine } from './rows.ts';

const limitUsual = 100;
const limitMax = 1_000_000;
const pageMax = 500;

/**
 * Returns all matching entries back to the beginning of the record, or the newest `limit` of them. Throws `bug` when
 * the search cannot be completed.
 */
async function search(
  client: Client,
  filter: LedgerFilter,
  limit: number,
  onReached: (number: number) => void,
): Promise<{ readonly rows: readonly LedgerRow[]; readonly isAll: boolean }> {
  const rows: LedgerRow[] = [];
  let before: number | null = null;
  for (;;) {
    const page: Result<OperatorToAdmin, 'ledger.search'> = await client.call('ledger.search', {
      filter,
      before,
      limit: Math.min(pageMax, limit - rows.length),
    });
    rows.push(...page.entries);
    if (page.isUnsealedCut)
      process.stderr.write(
        'cofferctl: there are more entries without a seal than are shown: see cofferctl ledger status\n',
      );
    if (!page.more) return { rows, isAll: true };
    if (rows.length >= limit) return { rows, isAll: false };
    if (before !== null && page.reached >= before)
      throw new CofferdamError('bug', 'the search stopped; the result is not complete');
    before = page.reached;
    onReached(page.reached);
  }
}

export const ledgerSearch: Verb = {
  words: ['ledger', 'search'],
  positionals: [],
  options: [
    ...searchOptions,
    { name: 'limit', value: 'N', help: `how many at most, newest first (default ${limitUsual})` },
    { name: 'csv', value: null, help: 'a line for each entry, for a spreadsheet' },
  ],
  help: 'Entries of the record, newest first. An entry must meet every condition that is given. Months that are in archives are not searched.',
  example: 'cofferctl ledger search --account acme-upload --kind extent --since 7d --limit 1000 --csv > entries.csv',
  operations: ['ledger.search'],
  run: async (client, given) => {
    const limit = wholeNumber(given, 'limit') ?? limitUsual;
    if (limit < 1 || limit > limitMax) throw new RangeError(`--limit takes 1 to ${limitMax}`);
    const { rows, isAll } = await search(client, filterOf(given), limit, (number) => {
      if (given.isTerminal) process.stderr.write(`\r\u001b[Kdown to number ${number}`);
    });
    if (given.isTerminal) process.stderr.write('\r\u001b[K');
    const note = isAll ? '' : `There may be more: these are the newest ${rows.length}; --limit shows more.\n`;
    if (given.options.csv !== undefined && note !== '') process.stderr.write(`cofferctl: ${note}`);
    const lines =
      rows.length === 0 ? 'nothing in the database matches\n' : rows.map((row) => `${entryLine(row)}\n`).join('');
    return {
      data: { entries: rows, isAll },
      text: given.options.csv === undefined ? `${lines}${note}` : entriesCsv(rows, given.isTerminal),
    };
  },
};
