// Owns: what a verb of cofferctl consists of: its words, its options, its help, the operations that it calls, and the
// function that runs it; and how a verb reads what was typed.
import type { OperatorOperation } from '../../server/rpc/operators/table.ts';
import type { Client } from '../connection/client.ts';
import type { General } from '../terminal/next-line.ts';
import type { Output } from '../terminal/output.ts';

export type Option = {
  readonly name: string;
  /** The name of the value in the help; null for an option without a value, which is then '' in `Given.options`. */
  readonly value: string | null;
  readonly help: string;
  readonly required?: boolean;
};
export type Given = {
  /** The words of the verb. */
  readonly words: readonly string[];
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | undefined>>;
  /** The options that say which operator asks and where, as they were typed. */
  readonly general: General;
  readonly isTerminal: boolean;
  /** Whether the result is printed as JSON, so that the text is not shown. */
  readonly isJson: boolean;
  readonly paths: { readonly bootstrapSocket: string; readonly witness: string };
};
export type Verb = {
  readonly words: readonly string[];
  /** The names of the positional arguments. A name in brackets may be left out. */
  readonly positionals: readonly string[];
  /** All options of the verb. A changing verb also has --reason, --execute and --break-glass here. */
  readonly options: readonly Option[];
  readonly help: string;
  readonly example: string;
  /**
   * The operations of the admin process that the verb calls for itself. Those of signing and of plans are not listed.
   */
  readonly operations: readonly OperatorOperation[];
  /** Without --execute, the verb only shows a plan. */
  readonly changes?: true;
  /** Is called instead of `run`, without a connection. Such a verb never speaks to the admin process. */
  readonly local?: (given: Given) => Promise<Output>;
  readonly run: (client: Client, given: Given) => Promise<Output>;
};
/** What the file of a verb states itself; a builder adds the rest. Positional arguments and options may be absent. */
export type Words = Pick<Verb, 'words' | 'help' | 'example'> & Partial<Pick<Verb, 'positionals' | 'options'>>;

/** Returns a positional argument. arguments.ts has checked that it is there. */
export function positional(given: Given, index: number): string {
  return given.positionals[index] ?? '';
}

/** Returns the value of an option that is required. arguments.ts has checked that it is there. */
export function required(given: Given, name: string): string {
  return given.options[name] ?? '';
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };
/**
 * Returns the fields that have a value. What was not typed is left out of a call, instead of being sent as undefined.
 */
export function only<T extends Readonly<Record<string, unknown>>>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

/**
 * Returns the value of an option that takes `yes` or `no`, or undefined when it was not given. Throws a RangeError for
 * any other text.
 */
export function yesNo(given: Given, name: string): boolean | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (text !== 'yes' && text !== 'no') throw new RangeError(`--${name} is yes or no, not "${text}"`);
  return text === 'yes';
}

/**
 * Returns an option as a whole number, or undefined when it was not given. Throws a RangeError with a text for the
 * operator.
 */
export function wholeNumber(given: Given, name: string): number | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new RangeError(`--${name} takes a whole number of at most nine digits, not "${text}"`);
  return Number(text);
}
