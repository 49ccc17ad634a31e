// Owns: what a command of cofferctl consists of: its words, its options, its help, and the function that runs it.
import type { Client } from './client.ts';
import type { General } from './next-line.ts';
import type { Output } from './output.ts';

export type Option = { readonly name: string; readonly value: string | null; readonly help: string; readonly required?: boolean };
export type Given = {
  /** The words of the command. */
  readonly words: readonly string[];
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | undefined>>;
  /** The options that say which operator asks and where, as they were typed. */
  readonly general: General;
  readonly isTerminal: boolean;
  /** Whether the result is printed as JSON, so that the text is not shown. */
  readonly isJson: boolean;
  readonly places: { readonly bootstrapSocket: string; readonly witness: string };
};
export type Command = {
  readonly words: readonly string[];
  /** A name in brackets may be left out. */
  readonly positionals: readonly string[];
  readonly options: readonly Option[];
  readonly help: string;
  readonly example: string;
  /** Without --execute, the command only shows a plan. */
  readonly changes?: true;
  /** Runs the command without a connection. Such a command never speaks to the admin process. */
  readonly local?: (given: Given) => Promise<Output>;
  readonly run: (client: Client, given: Given) => Promise<Output>;
};

/** Returns a positional argument. main.ts has checked that it is there. */
export function positional(given: Given, index: number): string {
  return given.positionals[index] ?? '';
}

/** Returns the value of an option that takes `yes` or `no`, or undefined when it was not given. Throws a RangeError for any other text. */
export function yesNo(given: Given, name: string): boolean | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (text !== 'yes' && text !== 'no') throw new RangeError(`--${name} is yes or no, not "${text}"`);
  return text === 'yes';
}

/** Returns an option as a whole number, or undefined when it was not given. Throws a RangeError with a text for the operator. */
export function wholeNumber(given: Given, name: string): number | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new RangeError(`--${name} takes a whole number, not "${text}"`);
  return Number(text);
}
