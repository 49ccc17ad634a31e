#!/usr/bin/env node
// Owns: `cofferctl`: one command line from its arguments to its exit code.
// Must never: exit as if nothing was done when a command was carried out.
import { detach, unexpected } from '../server/domain/detached.ts';
import { CofferdamError, errorCodes, toCofferdamError } from '../server/domain/errors.ts';
import { outlive } from '../server/domain/lost-output.ts';
import { readLine } from './arguments.ts';
import { connect } from './connection/client.ts';
import { expiryWarning } from './connection/identity.ts';
import { pathsOf } from './connection/paths.ts';
import { unwrittenExit } from './help.ts';
import { type Output, plain } from './terminal/output.ts';

const isCut = (data: unknown): boolean =>
  typeof data === 'object' && data !== null && 'more' in data && data.more === true;

async function main(argv: readonly string[]): Promise<number> {
  const line = readLine(argv);
  if (line === undefined) return 0;
  const { verb, rest, options, general, isJson } = line;
  const paths = pathsOf(general);
  const given = {
    words: verb.words,
    positionals: rest,
    options,
    general,
    isTerminal: process.stdout.isTTY === true,
    isJson,
    paths,
  };
  const print = (output: Output): number => {
    if (output.isSaid !== true)
      process.stdout.write(isJson ? `${JSON.stringify(output.data, null, 2)}\n` : output.text);
    if (isCut(output.data))
      process.stderr.write('cofferctl: the answer was cut off: there are more results. Narrow the question\n');
    return output.isFault === true ? 1 : 0;
  };
  if (verb.local !== undefined) return print(await verb.local(given));
  const client = await connect(paths);
  try {
    return print(await verb.run(client, given));
  } finally {
    client.close();
    process.stderr.write(expiryWarning(paths.directory));
  }
}

/** Runs one command line to its end, and returns its exit code. Errors are written to standard error. */
export async function cofferctl(argv: readonly string[]): Promise<number> {
  try {
    return await main(argv);
  } catch (thrown) {
    // A verb throws a RangeError for a wrong option, and ENOENT is a file that the operator named and that is missing.
    // Both are found before the gateway is asked for a change.
    const isWrongInput =
      thrown instanceof RangeError || (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT');
    const error =
      isWrongInput && thrown instanceof Error
        ? new CofferdamError('invalid', `${thrown.message}. Nothing was done`)
        : toCofferdamError(thrown);
    process.stderr.write(`cofferctl: ${error.message.split('\n').map(plain).join('\n')}\n`);
    return errorCodes[error.code].exit;
  }
}

if (import.meta.main) {
  // The command is carried out to its end, also when nobody reads its messages any more.
  outlive(process.stderr);
  // The command was carried out, and the exit code must not look like that of an error.
  outlive(process.stdout, (error) => {
    process.stderr.write(
      `cofferctl: the answer could not be written (${error.message}); the command was carried out\n`,
    );
    process.exit(unwrittenExit);
  });
  detach(
    cofferctl(process.argv.slice(2)).then((code) => {
      process.exitCode = code;
    }),
    unexpected,
  );
}
