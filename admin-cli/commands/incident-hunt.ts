import { readFileSync } from 'node:fs';
import type { Command } from '../command.ts';
import { csv } from '../csv.ts';
import { parseIndicators } from '../indicators.ts';
import { plain, table, when } from '../output.ts';

const atOnce = 100;

export const incidentHunt: Command = {
  words: ['incident', 'hunt'],
  positionals: [],
  options: [
    {
      name: 'ioc',
      value: 'FILE',
      help: 'CSV: type,value; address, network, fingerprint, client, sha256, account or certificate; bare values are known by their form',
      required: true,
    },
    { name: 'csv', value: null, help: 'a line for each hit, for a spreadsheet' },
  ],
  help: 'whether any of these occurs anywhere in the record, refused logins included; exit code 1 when one does',
  example: 'cofferctl incident hunt --ioc indicators.csv',
  run: async (client, given) => {
    const indicators = parseIndicators(readFileSync(given.options.ioc ?? '', 'utf8'));
    const hits = [];
    for (let i = 0; i < indicators.length; i += atOnce) {
      const part = indicators.slice(i, i + atOnce);
      const found = await client.call('incident.hunt', { indicators: [...part] });
      for (const { index, ...hit } of found.hits) hits.push({ ...part[index], ...hit });
    }
    const columns = ['TYPE', 'VALUE', 'KIND', 'COUNT', 'FIRST', 'LAST', 'ACCOUNTS', 'CUSTOMERS', 'SESSIONS'];
    const lines = hits.map((one) => [
      one.type ?? '',
      one.value ?? '',
      one.kind,
      one.count,
      when(one.firstAt),
      when(one.lastAt),
      one.accounts.join(' '),
      one.customers.join(' '),
      one.sessions.join(' '),
    ]);
    const text =
      given.options.csv === undefined
        ? table({ columns, rows: lines, empty: `none of ${indicators.length} indicators occurs in the record` })
        : csv(
            columns,
            lines.map((row) => row.map((cell) => (typeof cell === 'string' && given.isTerminal ? plain(cell) : cell))),
          );
    return { data: { indicators: indicators.length, hits }, text, isFault: hits.length > 0 };
  },
};
