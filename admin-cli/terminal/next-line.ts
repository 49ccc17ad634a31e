// Owns: the commands that cofferctl prints for an operator to type next. They use the same identity and the same
// address as the command that was typed.

/** The options of every command that say which operator asks, and where. */
export const generalNames = ['operator', 'identity', 'socket', 'address'] as const;
export type General = Readonly<Partial<Record<(typeof generalNames)[number], string>>>;

/** Returns a text as one word of a shell. */
export const shown = (value: string): string =>
  /[^A-Za-z0-9_./:@,=+-]/.test(value) || value === '' ? `'${value.replaceAll("'", "'\\''")}'` : value;

/**
 * Returns the command `line` (without the name of the program) with the general options that were typed. It is not for
 * commands that another operator has to type, because that operator has an identity of their own.
 */
export function nextLine({ general }: { readonly general: General }, line: string): string {
  const options = generalNames.flatMap((name) =>
    general[name] === undefined ? [] : [`--${name} ${shown(general[name])}`],
  );
  return [
    'cofferctl',
    line.replace(/ --execute$/, ''),
    ...options,
    ...(line.endsWith(' --execute') ? ['--execute'] : []),
  ].join(' ');
}
