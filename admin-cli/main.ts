#!/usr/bin/env node
// Owns: `cofferctl`: finding the command for the words, reading options, help, and exit codes.
// Must never: do anything when a word or an option is unknown.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loopbackAddress, parseHostPort } from '../server/domain/addresses.ts';
import { detach, unexpected } from '../server/domain/detached.ts';
import { CofferdamError, errorCodes, toCofferdamError } from '../server/domain/errors.ts';
import { outlive } from '../server/domain/lost-output.ts';
import { executeOptions } from './changing.ts';
import { connect } from './client.ts';
import type { Command, Option } from './command.ts';
import { accountCreate } from './commands/account-create.ts';
import { accountList } from './commands/account-list.ts';
import { accountExpire, accountLock, accountSet, accountUnlock, customerPolicy } from './commands/account-lock.ts';
import { alertList } from './commands/alert-list.ts';
import { bootstrapCommand } from './commands/bootstrap.ts';
import { breakGlassEnd, breakGlassList, breakGlassPrepare, breakGlassReview } from './commands/break-glass.ts';
import { budgetHistory } from './commands/budget-history.ts';
import { budgetRelease, budgetSet, budgetTighten } from './commands/budget-set.ts';
import { budgetShow } from './commands/budget-show.ts';
import { changeApprove, changeList, changeReject, changeShow, reportChanges } from './commands/change.ts';
import { completionCommand } from './commands/completion.ts';
import { credentialList, credentialShow, credentialStale, credentialWake } from './commands/credential-list.ts';
import { credentialRevoke } from './commands/credential-revoke.ts';
import { credentialRotate } from './commands/credential-rotate.ts';
import { customerCreate } from './commands/customer-create.ts';
import { customerList } from './commands/customer-list.ts';
import { customerShow } from './commands/customer-show.ts';
import { customerResume, customerSuspend } from './commands/customer-suspend.ts';
import { doctor, whoami } from './commands/doctor.ts';
import { drain } from './commands/drain.ts';
import { exposure } from './commands/exposure.ts';
import { fileList } from './commands/file-list.ts';
import { fileReceipt } from './commands/file-receipt.ts';
import { fileRelease, fileWithdraw } from './commands/file-release.ts';
import { folderSet } from './commands/folder-set.ts';
import { holdLift, holdList, holdPlace } from './commands/hold.ts';
import { incidentAssure } from './commands/incident-assure.ts';
import { incidentHunt } from './commands/incident-hunt.ts';
import { incidentPack } from './commands/incident-pack.ts';
import { incidentScope } from './commands/incident-scope.ts';
import { keyAdd, keyConfirm, keyRetire } from './commands/key-add.ts';
import { keyResume, keySuspend } from './commands/key-suspend.ts';
import { ledgerSearch } from './commands/ledger-search.ts';
import { ledgerShow } from './commands/ledger-show.ts';
import { ledgerRelease, ledgerStatus } from './commands/ledger-status.ts';
import { ledgerTail } from './commands/ledger-tail.ts';
import { ledgerVerify } from './commands/ledger-verify.ts';
import { mfaReset, mfaTicket } from './commands/mfa-ticket.ts';
import {
  operatorAddKey,
  operatorCreate,
  operatorEndKey,
  operatorList,
  operatorResume,
  operatorSetRole,
  operatorSuspend,
} from './commands/operator.ts';
import { passwordIssue } from './commands/password-issue.ts';
import { reportAccess } from './commands/report-access.ts';
import { reportKeyExchange } from './commands/report-key-exchange.ts';
import { rotationFinish, rotationList, rotationShow, rotationUndo } from './commands/rotation.ts';
import { sessionEnd, sessionList } from './commands/session-list.ts';
import { status } from './commands/status.ts';
import { reportExceptions, windowClose, windowList, windowOpen } from './commands/window-open.ts';
import { expiryWarning, type Identity, type Place } from './identity.ts';
import { type General, generalNames } from './next-line.ts';
import { type Output, plain } from './output.ts';

export const commands: readonly Command[] = [
  status,
  doctor,
  whoami,
  drain,
  customerCreate,
  customerList,
  customerShow,
  customerSuspend,
  customerResume,
  accountCreate,
  accountList,
  accountSet,
  accountLock,
  accountUnlock,
  accountExpire,
  customerPolicy,
  credentialList,
  credentialShow,
  credentialStale,
  credentialWake,
  credentialRevoke,
  credentialRotate,
  rotationList,
  rotationShow,
  rotationFinish,
  rotationUndo,
  keyAdd,
  keyRetire,
  keyConfirm,
  keySuspend,
  keyResume,
  passwordIssue,
  mfaTicket,
  mfaReset,
  windowOpen,
  windowClose,
  windowList,
  fileList,
  fileReceipt,
  fileWithdraw,
  fileRelease,
  folderSet,
  holdPlace,
  holdLift,
  holdList,
  sessionList,
  sessionEnd,
  budgetShow,
  budgetSet,
  budgetTighten,
  budgetRelease,
  budgetHistory,
  exposure,
  alertList,
  incidentScope,
  incidentHunt,
  incidentPack,
  incidentAssure,
  ledgerStatus,
  ledgerTail,
  ledgerSearch,
  ledgerShow,
  ledgerRelease,
  ledgerVerify,
  changeList,
  changeShow,
  changeApprove,
  changeReject,
  operatorList,
  operatorCreate,
  operatorSetRole,
  operatorAddKey,
  operatorEndKey,
  operatorSuspend,
  operatorResume,
  breakGlassPrepare,
  breakGlassList,
  breakGlassEnd,
  breakGlassReview,
  reportChanges,
  bootstrapCommand,
  completionCommand(() => commands),
  reportAccess,
  reportExceptions,
  reportKeyExchange,
];

/** Returns the command's own options, and the options of all changing commands when it is one. */
const optionsOf = (command: Command): readonly Option[] => [...command.options, ...(command.changes === true ? executeOptions : [])];

const usage = (command: Command): string =>
  [
    'cofferctl',
    ...command.words,
    ...command.positionals,
    ...optionsOf(command).map((one) =>
      one.required === true ? `--${one.name} ${one.value}` : `[--${one.name}${one.value === null ? '' : ` ${one.value}`}]`,
    ),
  ].join(' ');

/** The exit code for an answer that could not be written: EX_IOERR of sysexits.h. */
const unwrittenExit = 74;

const isCut = (data: unknown): boolean => typeof data === 'object' && data !== null && 'more' in data && data.more === true;

function helpOf(command: Command): string {
  const options = optionsOf(command).map(
    (one) => `  --${`${one.name}${one.value === null ? '' : ` ${one.value}`}`.padEnd(26)} ${one.help}`,
  );
  return [usage(command), '', command.help, ...(options.length === 0 ? [] : ['', ...options]), '', `Example: ${command.example}`, ''].join(
    '\n',
  );
}

function help(): string {
  const codes = Object.entries(errorCodes).map(([name, row]) => `  ${String(row.exit).padStart(3)}  ${name}`);
  codes.push(`  ${String(unwrittenExit).padStart(3)}  the command was carried out, but its answer could not be written`);
  return [
    'cofferctl: administers a Cofferdam gateway on this machine',
    '',
    ...commands.map((one) => `  ${one.words.join(' ').padEnd(18)} ${one.help}`),
    '',
    'Commands that change something show a plan; --execute does it, or proposes it when it needs a second operator (cofferctl change).',
    '',
    'For every command:',
    '  --help                       what it does and takes',
    '  --json                       the result as JSON, for programs',
    '  --operator NAME              which identity below var/operators to use (default: the first; in `incident scope` it names whom it is about)',
    '  --identity DIR               a directory with cert.pem, key.pem and ca.pem instead',
    '  --socket PATH                the admin socket (default: var/run/admin/admin.sock)',
    '  --address HOST:PORT          a forwarded port on this machine instead (ssh -L; see OPERATIONS.md)',
    '',
    'Exit codes:',
    '    0  done',
    '    1  done, and something is at fault (status, doctor), or was found (incident hunt)',
    ...codes,
    '',
  ].join('\n');
}

const invalid = (text: string): CofferdamError => new CofferdamError('invalid', `${text}. Nothing was done; see cofferctl --help`);

function findCommand(words: readonly string[]): { readonly command: Command; readonly rest: readonly string[] } {
  const command = commands.find((one) => one.words.every((word, i) => words[i] === word));
  if (command === undefined)
    throw invalid(words.length === 0 ? 'no command was given' : `there is no command "${words.slice(0, 2).join(' ')}"`);
  return { command, rest: words.slice(command.words.length) };
}

type Places = Identity & { readonly bootstrapSocket: string; readonly witness: string };

/** Parses the local end of a tunnel. It must be on this machine: another address is a mistake, or a listener that must not exist. */
function tunnelEnd(text: string): Place {
  const place = parseHostPort(text);
  if (place === undefined || (place.host !== 'localhost' && loopbackAddress(place.host) === undefined))
    throw invalid(`--address takes a forwarded port on this machine, such as 127.0.0.1:7022 or [::1]:7022, not "${text}"`);
  return place;
}

function identityOf(values: Readonly<Record<string, string | boolean | undefined>>): Places {
  const runtime = process.env.COFFERDAM_VAR || join(import.meta.dirname, '..', 'var');
  const operators = join(runtime, 'operators');
  const text = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined);
  const name = text('operator') ?? (existsSync(operators) ? readdirSync(operators).sort()[0] : undefined) ?? 'alice';
  const [socket, address] = [text('socket'), text('address')];
  if (socket !== undefined && address !== undefined) throw invalid('--socket and --address exclude each other');
  const place = address === undefined ? (socket ?? join(runtime, 'run', 'admin', 'admin.sock')) : tunnelEnd(address);
  return {
    directory: text('identity') ?? join(operators, name),
    socket: place,
    bootstrapSocket: socket ?? join(runtime, 'run', 'bootstrap', 'bootstrap.sock'),
    witness: join(runtime, 'witness'),
  };
}

function parse(argv: readonly string[]): {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
} {
  const own = commands
    .flatMap(optionsOf)
    .map((one) => [one.name, { type: one.value === null ? ('boolean' as const) : ('string' as const) }] as const);
  const common = {
    help: { type: 'boolean', short: 'h' },
    json: { type: 'boolean' },
    operator: { type: 'string' },
    identity: { type: 'string' },
    socket: { type: 'string' },
    address: { type: 'string' },
  } as const;
  try {
    const options = { ...Object.fromEntries(own), ...common };
    const parsed = parseArgs({ args: [...argv], allowPositionals: true, tokens: true, options });
    const given = parsed.tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
    // `parseArgs` would use the last value and ignore the others without a message.
    const twice = given.find((name, i) => given.indexOf(name) !== i);
    if (twice !== undefined) throw invalid(`--${twice} is given twice`);
    return parsed;
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw invalid(cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : 'the options are wrong');
  }
}

function check(command: Command, rest: readonly string[], options: Readonly<Record<string, string | undefined>>): void {
  const needed = command.positionals.filter((one) => !one.startsWith('['));
  if (rest.length < needed.length || rest.length > command.positionals.length) throw invalid(`expected: ${usage(command)}`);
  for (const name of Object.keys(options))
    if (!optionsOf(command).some((one) => one.name === name)) throw invalid(`${command.words.join(' ')} has no option --${name}`);
  for (const one of command.options)
    if (one.required === true && options[one.name] === undefined) throw invalid(`--${one.name} is missing: ${usage(command)}`);
}

type Line = {
  readonly command: Command;
  readonly rest: readonly string[];
  readonly options: Readonly<Record<string, string | undefined>>;
  readonly general: General;
  readonly values: ReturnType<typeof parse>['values'];
  /** The names of the command's own options. */
  readonly own: ReadonlySet<string>;
};

/**
 * Returns what a command line means, before anything is done. Returns undefined when it asked for help, which was
 * printed. Throws `invalid` when the line is not valid.
 */
export function readLine(argv: readonly string[]): Line | undefined {
  const { values, positionals } = parse(argv);
  if (values.help === true || positionals.length === 0) {
    const command = commands.find((one) => one.words.every((word, i) => positionals[i] === word));
    process.stdout.write(command !== undefined && positionals.length > 0 ? helpOf(command) : help());
    return undefined;
  }
  const { command, rest } = findCommand(positionals);
  // An option with this name belongs to the command when the command has an option of that name.
  const own = new Set(command.options.map((one) => one.name));
  const general = new Set<string>(['help', 'json', ...generalNames].filter((name) => !own.has(name)));
  const options = Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      general.has(name) || value === undefined ? [] : [[name, value === true ? '' : String(value)]],
    ),
  );
  check(command, rest, options);
  const typed = generalNames.flatMap((name) => (general.has(name) && values[name] !== undefined ? [[name, String(values[name])]] : []));
  return { command, rest, options, general: Object.fromEntries(typed) as General, values, own };
}

async function main(argv: readonly string[]): Promise<number> {
  const line = readLine(argv);
  if (line === undefined) return 0;
  const { command, rest, options, general, values, own } = line;
  const places = identityOf(own.has('operator') ? { ...values, operator: undefined } : values);
  const given = {
    words: command.words,
    positionals: rest,
    options,
    general,
    isTerminal: process.stdout.isTTY === true,
    isJson: values.json === true,
    places,
  };
  const print = (output: Output): number => {
    if (output.isSaid !== true) process.stdout.write(values.json === true ? `${JSON.stringify(output.data, null, 2)}\n` : output.text);
    if (isCut(output.data)) process.stderr.write('cofferctl: the answer was cut off: there are more results. Narrow the question\n');
    return output.isFault === true ? 1 : 0;
  };
  if (command.local !== undefined) return print(await command.local(given));
  const client = await connect(places);
  try {
    return print(await command.run(client, given));
  } finally {
    client.close();
    process.stderr.write(expiryWarning(places.directory));
  }
}

/** Runs one command line to its end, and returns its exit code. Errors are written to standard error. */
export async function cofferctl(argv: readonly string[]): Promise<number> {
  try {
    return await main(argv);
  } catch (thrown) {
    const isOurs = thrown instanceof RangeError || (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT');
    const error =
      isOurs && thrown instanceof Error ? new CofferdamError('invalid', `${thrown.message}. Nothing was done`) : toCofferdamError(thrown);
    process.stderr.write(`cofferctl: ${error.message.split('\n').map(plain).join('\n')}\n`);
    return errorCodes[error.code].exit;
  }
}

if (import.meta.main) {
  // The command is carried out to its end, also when nobody reads its messages any more.
  outlive(process.stderr);
  // The command was carried out, and the exit code must not look like that of an error.
  outlive(process.stdout, (error) => {
    process.stderr.write(`cofferctl: the answer could not be written (${error.message}); the command was carried out\n`);
    process.exit(unwrittenExit);
  });
  detach(
    cofferctl(process.argv.slice(2)).then((code) => {
      process.exitCode = code;
    }),
    unexpected,
  );
}
