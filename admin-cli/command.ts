// Owns: what a command of cofferctl is: its words, its options, its help, its run.
import type { Client } from './client.ts';
import type { General } from './next-line.ts';
import type { Output } from './output.ts';

export type Option = { readonly name: string; readonly value: string | null; readonly help: string; readonly required?: boolean };
export type Given = {
  /** Of the command. */
  readonly words: readonly string[];
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | undefined>>;
  /** Who asks and where, as it was typed. */
  readonly general: General;
  readonly isTerminal: boolean;
  /** The text is not shown. */
  readonly isJson: boolean;
  readonly places: { readonly bootstrapSocket: string; readonly witness: string };
};
export type Command = {
  readonly words: readonly string[];
  /** One in brackets may be left out. */
  readonly positionals: readonly string[];
  readonly options: readonly Option[];
  readonly help: string;
  readonly example: string;
  /** Plans without --execute. */
  readonly changes?: true;
  /** Needs no connection: it never speaks to the admin process. */
  readonly local?: (given: Given) => Promise<Output>;
  readonly run: (client: Client, given: Given) => Promise<Output>;
};

/** A positional that main.ts has checked to be there. */
export function positional(given: Given, index: number): string {
  return given.positionals[index] ?? '';
}

/** `yes` or `no`; undefined when it was not given. */
export function yesNo(given: Given, name: string): boolean | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (text !== 'yes' && text !== 'no') throw new RangeError(`--${name} is yes or no, not "${text}"`);
  return text === 'yes';
}

/** The option as a whole number, or undefined when it was not given; throws a RangeError with a text for the operator. */
export function wholeNumber(given: Given, name: string): number | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new RangeError(`--${name} takes a whole number, not "${text}"`);
  return Number(text);
}
