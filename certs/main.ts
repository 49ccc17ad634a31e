#!/usr/bin/env node
// Owns: the command line of the authority: reading the verb and its options, writing texts and exit codes.
// Must never: do anything when a word or an option is unknown.
import { parseArgs } from 'node:util';
import { detach, unexpected } from '../server/domain/detached.ts';
import { CofferdamError, errorCodes, toCofferdamError } from '../server/domain/errors.ts';
import { reasonCodes } from './reasons.ts';
import { type Given, type Verb, verbs } from './verbs.ts';

const placeholders: Readonly<Record<string, string>> = {
  authority: 'DIR',
  out: 'FILE',
  name: 'NAME',
  days: 'N',
  request: 'FILE',
  certificate: 'FILE',
  serial: 'HEX',
  reason: 'TEXT',
};

const makesDirectory: readonly string[] = ['authority', 'server', 'request'];

const plain = (option: string): string => option.replace('!', '');

function usage(verb: Verb): string {
  const options = verb.takes.map((one) => {
    const isDirectory = one.startsWith('out') && makesDirectory.includes(verb.name);
    const shown = `--${plain(one)} ${isDirectory ? 'DIR' : (placeholders[plain(one)] ?? 'TEXT')}`;
    return one.endsWith('!') ? shown : `[${shown}]`;
  });
  return [verb.name, ...options, ...(verb.flags ?? []).map((one) => `[--${one}]`)].join(' ');
}

function help(): string {
  return [
    'certs: the certificate authority of one Cofferdam installation. npm run --silent certs -- VERB …',
    '',
    ...verbs.flatMap((one) => [`  ${usage(one)}`, `      ${one.help}`]),
    '',
    'The authority belongs on a machine of its own, offline. A new operator:',
    '  1. the operator:  certs request --name alice --out DIR        key.pem (never leaves) and request.pem',
    '  2. the keeper:    certs operator --authority DIR --request request.pem --name alice',
    "  3. both compare the key's SHA-256 by telephone or in person; then cert.pem and ca.pem go back",
    '',
    `Reasons with a code of their own: ${Object.keys(reasonCodes).join(', ')}, alone or as "key-compromise: laptop stolen".`,
    'Any other text is kept in the index.',
    '',
    'Nothing is ever overwritten but the index and crl.pem, and these by renaming.',
    'Exit codes: 0 done, 1 done and something needs action (list), 2 wrong input, 3 no such certificate, 5 it is there already or revoked.',
    '',
  ].join('\n');
}

const invalid = (text: string): CofferdamError => new CofferdamError('invalid', text);

function parse(verb: Verb, argv: readonly string[]): Given {
  const options = Object.fromEntries([
    ...verb.takes.map((one) => [plain(one), { type: 'string' as const }]),
    ...(verb.flags ?? []).map((one) => [one, { type: 'boolean' as const }]),
  ]);
  let values: Readonly<Record<string, unknown>>;
  try {
    ({ values } = parseArgs({ args: [...argv], options, allowPositionals: false }));
  } catch (cause) {
    throw invalid(
      `${cause instanceof Error ? (cause.message.split(/\. |\n/)[0] ?? '') : 'the options are wrong'}: ${usage(verb)}`,
    );
  }
  const given = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, value === true ? '' : String(value)]),
  );
  for (const one of verb.takes) {
    if (one.endsWith('!') && given[plain(one)] === undefined)
      throw invalid(`--${plain(one)} is missing: ${usage(verb)}`);
    if (given[plain(one)] === '') throw invalid(`--${plain(one)} is empty: ${usage(verb)}`);
  }
  return given;
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.length === 0 || argv.some((one) => one === '--help' || one === '-h')) {
    process.stdout.write(help());
    return 0;
  }
  const verb = verbs.find((one) => one.name === argv[0]);
  if (verb === undefined) throw invalid(`there is no verb "${argv[0]}": see --help`);
  const said = await verb.run(parse(verb, argv.slice(1)));
  process.stdout.write(said.out);
  for (const line of said.warnings ?? []) process.stderr.write(`certs: warning: ${line}\n`);
  return said.isFault === true ? 1 : 0;
}

detach(
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (thrown: unknown) => {
      const error = toCofferdamError(thrown);
      process.stderr.write(`certs: ${error.message}. Nothing was changed\n`);
      if (error.code === 'bug') process.stderr.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
      process.exitCode = errorCodes[error.code].exit;
    },
  ),
  unexpected,
);
