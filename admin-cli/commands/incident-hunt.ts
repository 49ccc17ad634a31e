import { readFileSync } from 'node:fs';
import { type ListedIndicator, parseIndicators } from '../../server/domain/incident/indicators.ts';
import { type IndicatorHits, indicatorsPerCallMax } from '../../server/rpc/operator-incident.ts';
import type { Client } from '../client.ts';
import type { Command } from '../command.ts';
import { csv } from '../csv.ts';
import { plain, table, when } from '../output.ts';

const faultsShownMax = 20;
type Line = ListedIndicator & { readonly found: IndicatorHits | null };

/** All faults of the file at once: nothing is asked while one stands. */
function listed(path: string): readonly ListedIndicator[] {
  const { indicators, faults } = parseIndicators(readFileSync(path, 'utf8'));
  if (faults.length > 0) {
    const lines = faults.slice(0, faultsShownMax).map((one) => `line ${one.line}: ${plain(one.text)}`);
    throw new RangeError(
      `${path} cannot be used:\n${lines.join('\n')}${faults.length > faultsShownMax ? `\n… and ${faults.length - faultsShownMax} more` : ''}\nnothing was asked`,
    );
  }
  if (indicators.length === 0) throw new RangeError(`${path} has no indicator`);
  return indicators;
}

async function huntAll(
  client: Client,
  indicators: readonly ListedIndicator[],
  isTerminal: boolean,
): Promise<{ readonly lines: readonly Line[]; readonly completeFrom: string | null }> {
  const found = new Map<number, IndicatorHits>();
  let completeFrom: string | null = null;
  for (let start = 0; start < indicators.length; ) {
    const asked = indicators.slice(start, start + indicatorsPerCallMax);
    const page = await client.call('incident.hunt', { indicators: asked.map(({ type, value }) => ({ type, value })) });
    for (const one of page.found) found.set(start + one.index, one);
    completeFrom = page.completeFrom;
    start += page.more ? (page.found.at(-1)?.index ?? 0) + 1 : asked.length;
    if (isTerminal) process.stderr.write(`\r\u001b[K${start} of ${indicators.length} indicators`);
  }
  if (isTerminal) process.stderr.write('\r\u001b[K');
  return { lines: indicators.map((one, i) => ({ ...one, found: found.get(i) ?? null })), completeFrom };
}

const columns = ['LINE', 'TYPE', 'VALUE', 'HITS', 'FIRST', 'LAST', 'SESSIONS', 'ACCOUNTS', 'CUSTOMERS', 'KINDS', 'NOTE'];
const cellsOf = ({ line, type, value, note, found }: Line) => {
  const names = (list: readonly string[] | undefined): string => `${(list ?? []).join(' ')}${found?.more === true ? ' …' : ''}`;
  return [
    line,
    type,
    value,
    found?.hits ?? 0,
    found?.first == null ? null : when(found.first),
    found?.last == null ? null : when(found.last),
    found?.sessions ?? 0,
    names(found?.accounts),
    names(found?.customers),
    (found?.kinds ?? []).map((one) => `${one.kind} ${one.count}`).join(', '),
    note,
  ];
};

export const incidentHunt: Command = {
  words: ['incident', 'hunt'],
  positionals: [],
  options: [
    { name: 'ioc', value: 'FILE', help: 'CSV: a header type,value[,note] and lines; or values alone, told by their form', required: true },
    { name: 'csv', value: null, help: 'a line for each indicator' },
  ],
  help: 'Looks for indicators of compromise in the whole record, failed logins and operators included. Types: address, network, fingerprint, client (part of an identification), sha256 (of a file, or of an operator’s key), account. Exit code 0: none occurs; 1: at least one does.',
  example: 'cofferctl incident hunt --ioc indicators.csv',
  run: async (client, given) => {
    const { lines, completeFrom } = await huntAll(client, listed(given.options.ioc ?? ''), given.isTerminal);
    const hit = lines.filter((one) => one.found !== null);
    const notice =
      completeFrom === null ? '' : `NOT COMPLETE: the record before ${when(completeFrom)} is in archives and was not looked at.\n`;
    if (given.options.csv !== undefined && notice !== '') process.stderr.write(`cofferctl: ${notice}`);
    return {
      data: { completeFrom, indicators: lines.length, occurring: hit.length, lines },
      text:
        given.options.csv === undefined
          ? `${notice}${hit.length} of ${lines.length} indicators occur\n${hit.length === 0 ? '' : `\n${table({ columns, rows: hit.map(cellsOf), empty: '' })}\nnext: cofferctl incident scope --source NET (or --credential, --client-id, --account)\n`}`
          : csv(
              columns.map((one) => one.toLowerCase()),
              lines.map(cellsOf),
            ),
      isFault: hit.length > 0,
    };
  },
};
