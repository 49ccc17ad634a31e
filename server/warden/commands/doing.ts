// Owns: what every use case of an operator receives, and the form of the tables in which the folders of the warden list
// theirs.

import type { SessionEnd } from '../../domain/session-ends.ts';
import type { SessionFilter } from '../../domain/session-filter.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import type { Warden } from '../context/context.ts';

export type Doing = {
  readonly tx: Transaction;
  readonly warden: Warden;
  /** Who acts, as rows and entries state it: `alice`, or `alice, approved by bob`. */
  readonly operator: string;
  readonly operatorId: string;
  /** The id of the change that is being applied; null for a command of one operator and for a plan. */
  readonly change: string | null;
  /** States what becomes wider. Throws `denied` unless a second operator has approved it. */
  readonly widen: (wider: readonly string[]) => void;
  /**
   * Ends sessions within this transaction and returns how many. Edges are told after the commit; for a plan, never.
   * `end` is what their clients read when it is another reason than the one that the filter stands for.
   */
  readonly endSessions: (
    filter: SessionFilter,
    reason: string,
    how?: { readonly isPlan?: boolean; readonly end?: SessionEnd },
  ) => Promise<number>;
  /**
   * Runs `work` inside a savepoint. When `work` throws, its effects are undone, and the rest of the command may go on.
   */
  readonly savepoint: <T>(work: () => Promise<T>) => Promise<T>;
};

/** The use cases of operators: one function for each operation. */
export type UseCases = {
  readonly [K in keyof OperatorToAdmin as OperatorToAdmin[K] extends { changes: boolean } ? K : never]?: (
    params: Params<OperatorToAdmin, K>,
    doing: Doing,
  ) => Promise<Result<OperatorToAdmin, K>>;
};

/** Runs an operation that two operators have signed. */
export type Apply = (
  operation: string,
  params: unknown,
  by: { readonly operator: string; readonly role: string },
  approval: { readonly change: string },
) => Promise<unknown>;

/** The use cases about changes themselves. Those that may apply one receive the function that runs its operation. */
export type ChangeUseCases = {
  readonly [K in 'change.propose' | 'change.approve']: (
    params: Params<OperatorToAdmin, K>,
    doing: Doing,
    apply: Apply,
  ) => Promise<Result<OperatorToAdmin, K>>;
} & {
  readonly 'change.reject': (
    params: Params<OperatorToAdmin, 'change.reject'>,
    doing: Doing,
  ) => Promise<Result<OperatorToAdmin, 'change.reject'>>;
};
