// Owns: a change that creates a secret, which is known here and nowhere else.
// Must never: show a secret for a plan, or make a change whose secret could not be shown or written.
import type { Params, Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import type { Client } from '../connection/client.ts';
import type { Output } from '../terminal/output.ts';
import { handOver } from '../terminal/secret.ts';
import { type ChangingOperation, changing, perform, proposedText } from './change.ts';
import type { Given, Option } from './verb.ts';

export const outOption: Option = {
  name: 'out',
  value: 'FILE',
  help: 'write the secret to this new file (mode 0600) instead of the terminal',
};

type Telling<R> = {
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
  const { result: done, handed } = await handOver(given, secret, () => perform(client, given, operation, params));
  const text = telling.text(handed.text, done.result);
  const data = {
    ...telling.data,
    file: handed.file,
    ...(handed.file === null ? { [telling.name]: secret } : {}),
  };
  return done.proposed === null
    ? { data: { ...data, ...(done.result as object), executed: true }, text }
    : {
        data: { ...data, executed: false, proposed: true, ...done.proposed },
        text: `${text}${proposedText(done.proposed)}`,
      };
}
