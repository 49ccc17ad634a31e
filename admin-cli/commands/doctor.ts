import type { Command } from '../command.ts';
import { colour, plain } from '../output.ts';

const colours = { ok: 'green', warning: 'yellow', fault: 'red' } as const;

export const doctor: Command = {
  words: ['doctor'],
  positionals: [],
  options: [],
  help: 'Examines the installation; each finding says what to do next. Exit code 1 when there is a fault.',
  example: 'cofferctl doctor',
  run: async (client, given) => {
    const data = await client.call('doctor', {});
    const lines = data.findings.map((one) => {
      const verdict = colour(colours[one.verdict], one.verdict.padEnd(8), given.isTerminal);
      return `${verdict} ${one.check}: ${plain(one.text)}${one.next === null ? '' : `\n         next: ${one.next}`}`;
    });
    return { data, text: `${lines.join('\n')}\n`, isFault: data.findings.some((one) => one.verdict === 'fault') };
  },
};

export const whoami: Command = {
  words: ['whoami'],
  positionals: [],
  options: [],
  help: 'Shows which operator this certificate is, and its role.',
  example: 'cofferctl whoami',
  run: async (client) => {
    const data = await client.call('whoami', {});
    return { data, text: `${data.operator} (${data.role})\n` };
  },
};
