// Owns: `cofferctl incident scope`.
import type { IncidentPart } from '../../server/rpc/operators/incident.ts';
import { incidentParts } from '../../server/rpc/operators/incident.ts';
import { when } from '../terminal/output.ts';
import type { Verb } from '../verb/verb.ts';
import { ask, rowsOf, selectionOf, selectionOptions } from './answer.ts';
import { filesCsv, type Shown, scopeText, shownMax } from './answer-text.ts';

export const incidentScope: Verb = {
  words: ['incident', 'scope'],
  positionals: [],
  options: [...selectionOptions, { name: 'csv', value: null, help: 'a line for each file whose keys left' }],
  help: 'Whose files were exposed: customers, files, names and deposits that a credential, account, address, client, session, edge or operator reached. Everything that is given must hold.',
  example: 'cofferctl incident scope --credential SHA256:… --since 2026-11-02 --until 2026-11-09',
  operations: ['incident.scope', 'incident.progress', 'incident.page'],
  run: async (client, given) => {
    const isCsv = given.options.csv !== undefined;
    const answer = await ask(client, selectionOf(given), {
      unread: given.isJson && !isCsv,
      proved: false,
      isTerminal: given.isTerminal,
    });
    const { summary, rows: counts } = answer;
    if (isCsv && summary.record.completeFrom !== null)
      process.stderr.write(
        `cofferctl: NOT COMPLETE: the record before ${when(summary.record.completeFrom)} is in archives and was not looked at\n`,
      );
    const parts: { [P in IncidentPart]?: readonly unknown[] } = {};
    const limit = given.isJson ? undefined : shownMax;
    for (const part of Object.keys(incidentParts) as IncidentPart[])
      parts[part] =
        isCsv && part !== 'files'
          ? []
          : await rowsOf(client, answer, part, isCsv || part === 'customers' ? undefined : limit);
    const shown = parts as Shown;
    return {
      data: { ...summary, ...shown },
      text: isCsv ? filesCsv(shown.files, given.isTerminal) : scopeText(summary, shown, counts, given.isTerminal),
    };
  },
};
