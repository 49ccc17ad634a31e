// Owns: where a secret may be written: to a terminal, once, or to a new file that only its owner can read.
// Must never: write a secret to a pipe, a log or an argument.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { CofferdamError } from '../server/domain/errors.ts';
import type { Params, Result } from '../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../server/rpc/operator-admin.ts';
import { type ChangingOperation, changing, perform, proposedText } from './changing.ts';
import type { Client } from './client.ts';
import type { Given, Option } from './command.ts';
import type { Output } from './output.ts';

export const outOption: Option = {
  name: 'out',
  value: 'FILE',
  help: 'write the secret to this new file (mode 0600) instead of the terminal',
};

const letters = 'abcdefghijklmnopqrstuvwxyz234567';
/** Returns random letters of base32, with 5 bits of randomness each. */
export const randomLetters = (count: number): string => Array.from(randomBytes(count), (byte) => letters[byte & 31]).join('');

type Delivered = { readonly file: string | null; readonly text: string };

/**
 * Runs `register`, which makes the secret valid, after the secret was written to its file: whenever this process ends,
 * there is no valid secret that nobody knows. An existing file is never touched. A new file is deleted when the
 * registration was refused, and kept when its outcome is unknown. `text` is what a person may see.
 */
export async function deliver<T>(
  given: Given,
  secret: string,
  register: () => Promise<T>,
): Promise<{ readonly result: T; readonly delivered: Delivered }> {
  const { out } = given.options;
  if (out === undefined) {
    if (!given.isTerminal)
      throw new RangeError('a secret is shown on a terminal only, once: use --out FILE to have it written to a new file');
    return { result: await register(), delivered: { file: null, text: secret } };
  }
  let file: number;
  try {
    file = openSync(out, 'wx', 0o600);
  } catch {
    throw new RangeError(`${out} cannot be made: --out takes a file that does not exist yet`);
  }
  try {
    writeSync(file, `${secret}\n`);
    fsyncSync(file);
    return { result: await register(), delivered: { file: out, text: `(written to ${out})` } };
  } catch (error) {
    if (error instanceof CofferdamError && error.code === 'unavailable')
      throw new CofferdamError(error.code, `${error.message}. If it was done, ${out} holds the secret`, { cause: error });
    unlinkSync(out);
    throw error;
  } finally {
    closeSync(file);
  }
}

export type Telling<R> = {
  readonly data: Readonly<Record<string, unknown>>;
  /** The name of the secret in the output of --json. */
  readonly name: string;
  /** `result` is null as long as a second operator has not approved the change. */
  readonly text: (shown: string, result: R | null) => string;
};

/**
 * Makes a change that creates a secret, which is known here and nowhere else. The secret is shown or written when it
 * was registered or proposed, and not for a plan.
 */
export async function changingWithSecret<K extends ChangingOperation>(
  client: Client,
  given: Given,
  operation: K,
  params: Params<OperatorToAdmin, K>,
  secret: string,
  telling: Telling<Result<OperatorToAdmin, K>>,
): Promise<Output> {
  if (given.options.execute === undefined) return changing(client, given, operation, params, () => '');
  const { result: done, delivered } = await deliver(given, secret, () => perform(client, given, operation, params));
  const text = telling.text(delivered.text, done.result);
  const data = { ...telling.data, file: delivered.file, ...(delivered.file === null ? { [telling.name]: secret } : {}) };
  return done.proposed === null
    ? { data: { ...data, ...(done.result as object), executed: true }, text }
    : { data: { ...data, executed: false, proposed: true, ...done.proposed }, text: `${text}${proposedText(done.proposed)}` };
}
