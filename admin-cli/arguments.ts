// Owns: reading a command line: which verb it is, and its arguments, by the options of that verb alone.
// Must never: let a verb run when a word or an option is unknown, missing or given twice.
import { parseArgs } from 'node:util';
import { CofferdamError } from '../server/domain/errors.ts';
import { help, helpOf, usage } from './help.ts';
import { invalid } from './terminal/invalid.ts';
import { type General, generalNames } from './terminal/next-line.ts';
import type { Verb } from './verb/verb.ts';
import { verbs } from './verbs.ts';

type Line = {
  readonly verb: Verb;
  readonly rest: readonly string[];
  readonly options: Readonly<Record<string, string | undefined>>;
  readonly general: General;
  readonly isJson: boolean;
};
type Values = Readonly<Record<string, string | boolean | undefined>>;

const commonOptions = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  operator: { type: 'string' },
  identity: { type: 'string' },
  socket: { type: 'string' },
  address: { type: 'string' },
} as const;

/** Returns the options of a verb, and those of every verb, in the form that `parseArgs` takes. */
const optionsFor = (verb: Verb | undefined) => ({
  ...Object.fromEntries(
    (verb?.options ?? []).map((one) => [one.name, { type: one.value === null ? 'boolean' : 'string' } as const]),
  ),
  ...commonOptions,
});

/** Returns the words of a line as this verb would read it: only its own options are known to take a value. */
const wordsAs = (argv: readonly string[], verb: Verb | undefined): readonly string[] =>
  parseArgs({ args: [...argv], allowPositionals: true, strict: false, options: optionsFor(verb) }).positionals;

function findVerb(argv: readonly string[]): Verb | undefined {
  return verbs.find((verb) => {
    const words = wordsAs(argv, verb);
    return verb.words.every((word, i) => words[i] === word);
  });
}

/** Parses the line by the options of its verb. Throws `invalid`. */
function parse(
  argv: readonly string[],
  verb: Verb,
): { readonly values: Values; readonly positionals: readonly string[] } {
  try {
    const parsed = parseArgs({ args: [...argv], allowPositionals: true, tokens: true, options: optionsFor(verb) });
    const given = parsed.tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
    // `parseArgs` would use the last value and ignore the others without a message.
    const twice = given.find((name, i) => given.indexOf(name) !== i);
    if (twice !== undefined) throw invalid(`--${twice} is given twice`);
    return parsed;
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    const said = cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : 'the options are wrong';
    const unknown = /^Unknown option '(-[^']+)'/.exec(said);
    throw invalid(unknown === null ? said : `${verb.words.join(' ')} has no option ${unknown[1]}`);
  }
}

function check(verb: Verb, rest: readonly string[], options: Line['options']): void {
  const needed = verb.positionals.filter((one) => !one.startsWith('['));
  if (rest.length < needed.length || rest.length > verb.positionals.length) throw invalid(`expected: ${usage(verb)}`);
  for (const one of verb.options)
    if (one.required === true && options[one.name] === undefined)
      throw invalid(`--${one.name} is missing: ${usage(verb)}`);
}

/**
 * Returns what a command line means, before anything is done. Returns undefined when it asked for help, which was
 * printed. Throws `invalid` when the line is not valid.
 */
export function readLine(argv: readonly string[]): Line | undefined {
  const verb = findVerb(argv);
  if (verb === undefined) {
    const words = wordsAs(argv, undefined);
    if (words.length > 0 && !argv.includes('--help') && !argv.includes('-h'))
      throw invalid(`there is no command "${words.slice(0, 2).join(' ')}"`);
    process.stdout.write(help(verbs));
    return undefined;
  }
  const { values, positionals } = parse(argv, verb);
  if (values.help === true) {
    process.stdout.write(helpOf(verb));
    return undefined;
  }
  // An option with a name of a general one belongs to the verb when the verb has an option of that name.
  const own = new Set(verb.options.map((one) => one.name));
  const general = new Set<string>(['help', 'json', ...generalNames].filter((name) => !own.has(name)));
  const options = Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      general.has(name) || value === undefined ? [] : [[name, value === true ? '' : String(value)]],
    ),
  );
  const rest = positionals.slice(verb.words.length);
  check(verb, rest, options);
  const typed = generalNames.flatMap((name) =>
    general.has(name) && values[name] !== undefined ? [[name, String(values[name])]] : [],
  );
  return { verb, rest, options, general: Object.fromEntries(typed) as General, isJson: values.json === true };
}
