// Owns: the texts of a refusal by a budget: people read the reason and when there will be room again, machines read a
// code, and their contact reads the sentence.
// Must never: tell a customer what others use: texts about the plane or the whole gateway name no number.
import { amountText, sizeText } from '../../domain/budgets/amounts.ts';
import type { BudgetDirection, BudgetWindow } from '../../domain/budgets/words.ts';
import type { AccountKind } from '../../domain/ids.ts';
import type { Refusal } from './charge-queries.ts';

type Facts = Pick<Refusal, 'scope' | 'direction' | 'unit' | 'window' | 'cap' | 'freeAt'>;
const windowNames: Readonly<Record<BudgetWindow, string>> = { hour: 'hourly', day: 'daily', week: 'weekly' };
const lost: Readonly<Record<BudgetDirection, string>> = {
  out: 'this file is larger than the limit allows',
  in: 'this file is larger than the limit allows',
  list: 'this listing is larger than the limit allows',
};

function moreAt(window: BudgetWindow, freeAt: Date): string {
  const iso = freeAt.toISOString();
  return window === 'hour' ? `${iso.slice(11, 16)} UTC` : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

/** Returns the sentence for a person at the client, and for the contact of a machine. */
export function refusalSentence(refusal: Facts): string {
  const { scope, direction, unit, window, cap, freeAt } = refusal;
  const isWide = scope === 'plane' || scope === 'gateway';
  const amount = isWide ? '' : ` of ${unit === 'bytes' ? sizeText(cap) : amountText(direction, unit, cap)}`;
  const whose = isWide ? 'the ' : '';
  const limit = `${whose}${windowNames[window]} limit${isWide ? ' of the whole gateway' : amount} reached`;
  return freeAt === null ? `${limit}; ${lost[direction]}` : `${limit}; more at ${moreAt(window, freeAt)}`;
}

/** Returns the code for programs, which does not change: `COFFERDAM-BUDGET-DAY-BYTES-OUT`, for example. */
export function refusalCode({ direction, unit, window }: Facts): string {
  return `COFFERDAM-BUDGET-${window}-${direction === 'list' ? 'names' : unit === 'bytes' ? 'bytes' : 'files'}-${direction}`.toUpperCase();
}

export function refusalText(kind: AccountKind, refusal: Facts): string {
  return kind === 'machine' ? refusalCode(refusal) : refusalSentence(refusal);
}
