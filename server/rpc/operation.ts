// Owns: the form of a table of operations, and the types that are derived from it.
import type { z } from 'zod';

type Operation<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType, C extends boolean = boolean> = {
  /**
   * Whether a call changes anything that outlives it: rows, objects, budgets, sessions. In the
   * operators' table it decides who does the work: the warden, as a command, for true; the admin
   * process for false. `plan` and `warden.ping` are commands although nothing changes in the end.
   */
  readonly changes: C;
  readonly params: P;
  readonly result: R;
};
export type OperationTable = Readonly<Record<string, Operation>>;

export function operation<P extends z.ZodType, R extends z.ZodType, const C extends boolean>(
  row: Operation<P, R, C>,
): Operation<P, R, C> {
  return row;
}

export type Params<T extends OperationTable, K extends keyof T> = z.infer<T[K]['params']>;
export type Result<T extends OperationTable, K extends keyof T> = z.infer<T[K]['result']>;
/** One handler for each operation of a table. `caller` is what the transport knows about the peer. */
export type Handlers<T extends OperationTable, Caller> = {
  readonly [K in keyof T]: (params: Params<T, K>, caller: Caller) => Promise<Result<T, K>>;
};
