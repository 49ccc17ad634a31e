// Owns: what cofferctl prints to be typed next: it asks in the same name, and in the same way, as what was typed.
import type { Given } from './command.ts';

/** Options of every command that say who asks, and where. */
export const generalNames = ['operator', 'identity', 'socket', 'address'] as const;
export type General = Readonly<Partial<Record<(typeof generalNames)[number], string>>>;

/** One word of a shell. */
export const shown = (value: string): string =>
  /[^A-Za-z0-9_./:@,=+-]/.test(value) || value === '' ? `'${value.replaceAll("'", "'\\''")}'` : value;

/** `line` without the name of the program. What another operator is to type is none of it: he has a name of his own. */
export function nextLine({ general }: Pick<Given, 'general'>, line: string): string {
  const options = generalNames.flatMap((name) => (general[name] === undefined ? [] : [`--${name} ${shown(general[name])}`]));
  return ['cofferctl', line.replace(/ --execute$/, ''), ...options, ...(line.endsWith(' --execute') ? ['--execute'] : [])].join(' ');
}
