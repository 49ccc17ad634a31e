// Owns: the builder of a verb that asks one question and shows the answer.
// Must never: change anything.
import type { Params, Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import type { Given, Verb, Words } from './verb.ts';

type ReadingOperation = {
  [K in keyof OperatorToAdmin]: OperatorToAdmin[K]['changes'] extends false ? K : never;
}[keyof OperatorToAdmin];

type Asking<K extends ReadingOperation> =
  Record<string, never> extends Params<OperatorToAdmin, K>
    ? { readonly params?: (given: Given) => Params<OperatorToAdmin, K> }
    : { readonly params: (given: Given) => Params<OperatorToAdmin, K> };
type Reading<K extends ReadingOperation> = Words &
  Asking<K> & {
    readonly operation: K;
    /** The answer for a person. With --json, the answer is printed as it came. */
    readonly text: (data: Result<OperatorToAdmin, K>, given: Given) => string;
    /** Whether the answer says that something is at fault; the exit code is 1 then. */
    readonly isFault?: (data: Result<OperatorToAdmin, K>) => boolean;
  };

/** Makes a verb out of one reading operation. */
export function read<K extends ReadingOperation>({ operation, params, text, isFault, ...words }: Reading<K>): Verb {
  return {
    positionals: [],
    options: [],
    ...words,
    operations: [operation],
    run: async (client, given) => {
      const data = await client.call(
        operation,
        params === undefined ? ({} as Params<OperatorToAdmin, K>) : params(given),
      );
      return { data, text: text(data, given), ...(isFault === undefined ? {} : { isFault: isFault(data) }) };
    },
  };
}
