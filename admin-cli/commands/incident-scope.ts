import type { Command } from '../command.ts';
import { allRows, scopeOf, scopeOptions, wishOf } from '../incident.ts';
import { filesCsv, scopeText } from '../incident-text.ts';

export const incidentScope: Command = {
  words: ['incident', 'scope'],
  positionals: [],
  options: [...scopeOptions, { name: 'csv', value: null, help: 'a line for each file that was released, for a spreadsheet' }],
  help: 'whose files were exposed: customers, files, what was released and sent, names, deposits, sessions; everything named must be true of it',
  example: 'cofferctl incident scope --credential SHA256:… --since 7d',
  run: async (client, given) => {
    const { scope, summary } = await scopeOf(client, wishOf(given));
    const files = await allRows(client, scope, 'files');
    if (given.options.csv !== undefined) return { data: { summary, files }, text: filesCsv(files) };
    const whole = {
      summary,
      files,
      customers: await allRows(client, scope, 'customers'),
      listings: await allRows(client, scope, 'listings'),
      deposits: await allRows(client, scope, 'deposits'),
      sessions: await allRows(client, scope, 'sessions'),
      actions: await allRows(client, scope, 'actions'),
      reachable: await allRows(client, scope, 'reachable'),
    };
    return { data: whole, text: scopeText(whole) };
  },
};
