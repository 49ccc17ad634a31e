// Owns: what becomes of the items of a batch of charges, by the rule of one item (`decide`): what the batch took
// before, and what it paid for before. For the test that compares `decide_charges` (migrations/functions/charges.sql)
// with the rule.
// Must never: ask the database for anything.
import { type Charged, type Decision, decide } from '../../server/domain/budgets/decide.ts';
import type { WindowAmounts } from '../../server/domain/budgets/words.ts';

export type Item = {
  readonly download: boolean;
  readonly customer: number;
  readonly bytes: number | null;
  readonly items: number | null;
  /** Names of the five budgets, in the order of their rank. */
  readonly budgets: readonly (number | null)[];
  readonly credential: number;
  readonly object: number | null;
  readonly file: number | null;
  readonly objectChargedAtMs: number | null;
  readonly fileChargedAtMs: number | null;
  readonly isGood: boolean | null;
};
export type Scope = { readonly id: number; readonly budget: Charged };

/** Returns the six windows in the order of the database. */
export const sixOf = ({ bytes, items }: WindowAmounts): readonly number[] =>
  [bytes, items].flatMap(({ hour, day, week }) => [hour, day, week]);

/** Decides a batch. Returns a decision for each item, and what the batch leaves of each budget, by its name. */
export function decideCharges(
  batch: readonly Item[],
  given: readonly Scope[],
  nowMs: number,
  hasSeveralCredentials: (customer: number) => boolean,
): { readonly decisions: readonly Decision[]; readonly budgets: ReadonlyMap<number, Charged> } {
  const budgets = new Map(given.map(({ id, budget }) => [id, budget]));
  const paid = new Set<string>();
  const decisions = batch.map((item): Decision => {
    const object = item.object === null ? undefined : `${item.credential} object ${item.object}`;
    const file = item.file === null ? undefined : `${item.credential} file ${item.file}`;
    const paidAtMs = (name: string | undefined, before: number | null): number | null =>
      name !== undefined && paid.has(name) ? nowMs : before;
    const touched = item.budgets.flatMap((id) => {
      const budget = id === null ? undefined : budgets.get(id);
      return id === null || budget === undefined ? [] : [{ id, budget }];
    });
    const { decision, budgets: after } = decide(
      {
        isGood: item.isGood === true,
        isExtent: item.download,
        bytes: item.bytes,
        items: item.items,
        extentPaidAtMs: paidAtMs(object, item.objectChargedAtMs),
        filePaidAtMs: paidAtMs(file, item.fileChargedAtMs),
        hasSeveralCredentials: hasSeveralCredentials(item.customer),
      },
      touched.map(({ budget }) => budget),
      nowMs,
    );
    for (const [i, { id, budget }] of touched.entries()) budgets.set(id, after[i] ?? budget);
    if (item.download && decision.outcome === 'granted') {
      if (object !== undefined) paid.add(object);
      if (decision.paysFile && file !== undefined) paid.add(file);
    }
    return decision;
  });
  return { decisions, budgets };
}
