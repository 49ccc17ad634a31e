// Owns: the texts of `cofferctl --help`, and of `--help` for one verb.
import { errorCodes } from '../server/domain/errors.ts';
import type { Verb } from './verb/verb.ts';

/** The exit code for an answer that could not be written: EX_IOERR of sysexits.h. */
export const unwrittenExit = 74;

export const usage = (verb: Verb): string =>
  [
    'cofferctl',
    ...verb.words,
    ...verb.positionals,
    ...verb.options.map((one) =>
      one.required === true
        ? `--${one.name} ${one.value}`
        : `[--${one.name}${one.value === null ? '' : ` ${one.value}`}]`,
    ),
  ].join(' ');

export function helpOf(verb: Verb): string {
  const options = verb.options.map(
    (one) => `  --${`${one.name}${one.value === null ? '' : ` ${one.value}`}`.padEnd(26)} ${one.help}`,
  );
  return [
    usage(verb),
    '',
    verb.help,
    ...(options.length === 0 ? [] : ['', ...options]),
    '',
    `Example: ${verb.example}`,
    '',
  ].join('\n');
}

export function help(verbs: readonly Verb[]): string {
  const codes = Object.entries(errorCodes).map(([name, row]) => `  ${String(row.exit).padStart(3)}  ${name}`);
  codes.push(
    `  ${String(unwrittenExit).padStart(3)}  the command was carried out, but its answer could not be written`,
  );
  return [
    'cofferctl: administers a Cofferdam gateway on this machine',
    '',
    ...verbs.map((one) => `  ${one.words.join(' ').padEnd(18)} ${one.help}`),
    '',
    'Commands that change something show a plan; --execute does it, or proposes it when it needs a second operator (cofferctl change).',
    '',
    'For every command:',
    '  --help                       what it does and takes',
    '  --json                       the result as JSON, for programs',
    '  --operator NAME              which identity below var/operators to use (default: the first; in `incident scope` it names whom it is about)',
    '  --identity DIR               a directory with cert.pem, key.pem and ca.pem instead',
    '  --socket PATH                the admin socket (default: var/run/admin/admin.sock)',
    '  --address HOST:PORT          a forwarded port on this machine instead (ssh -L; see docs/operations/installation.md)',
    '',
    'Exit codes:',
    '    0  done',
    '    1  done, and something is at fault (status, doctor), or was found (incident hunt)',
    ...codes,
    '',
  ].join('\n');
}
