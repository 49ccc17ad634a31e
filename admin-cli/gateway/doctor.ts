// Owns: `cofferctl doctor`.
import { colour, plain } from '../terminal/output.ts';
import { read } from '../verb/read.ts';

const colours = { ok: 'green', warning: 'yellow', fault: 'red' } as const;

export const doctor = read({
  words: ['doctor'],
  help: 'Examines the installation; each warning and fault says what to do next. Exit code 1 when there is a fault.',
  example: 'cofferctl doctor',
  operation: 'doctor',
  text: ({ findings }, given) => {
    const lines = findings.map((one) => {
      const verdict = colour(colours[one.verdict], one.verdict.padEnd(8), given.isTerminal);
      return `${verdict} ${one.check}: ${plain(one.text)}${one.next === null ? '' : `\n         next: ${one.next}`}`;
    });
    return `${lines.join('\n')}\n`;
  },
  isFault: ({ findings }) => findings.some((one) => one.verdict === 'fault'),
});
