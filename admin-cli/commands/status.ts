import type { Command } from '../command.ts';
import { colour, table, when } from '../output.ts';

export const status: Command = {
  words: ['status'],
  positionals: [],
  options: [],
  help: 'Shows whether everything serves, and how much there is.',
  example: 'cofferctl status',
  run: async (client, given) => {
    const data = await client.call('status', {});
    const { nodes, wardenAnswersMs, database, counts } = data;
    const isWell = wardenAnswersMs !== null && nodes.every((node) => node.alive);
    const rows = nodes.map((node) => [node.name, node.plane, node.alive ? 'serves' : 'SILENT', node.sessions, when(node.lastSeenAt)]);
    const text = [
      `${isWell ? colour('green', 'everything serves', given.isTerminal) : colour('red', 'something does not serve: run cofferctl doctor', given.isTerminal)}\n\n`,
      `warden     ${wardenAnswersMs === null ? 'DOES NOT ANSWER' : `answers in ${wardenAnswersMs} ms`}\n`,
      `database   PostgreSQL ${database.version}, ${(database.sizeBytes / 2 ** 20).toFixed(0)} MiB\n`,
      `catalogue  ${counts.customers} customers, ${counts.accounts} accounts, ${counts.publishedFiles} published files, ${counts.partialUploads} unfinished uploads\n`,
      `sessions   ${counts.openSessions} open\n\n`,
      table({ columns: ['NODE', 'PLANE', 'STATE', 'SESSIONS', 'LAST SEEN'], rows, empty: 'no node has ever connected' }),
    ].join('');
    return { data, text, isFault: !isWell };
  },
};
