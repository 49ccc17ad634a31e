// Owns: the texts of a refusal by a budget. Persons and machines are both told the reason, when there will be room
// again, and a code: persons read the sentence first, programs the code.
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

/** Returns the first whole minute from which on there is room: `2026-11-24 14:05 UTC`. */
function moreAt(freeAt: Date): string {
  const minute = new Date(Math.ceil(freeAt.getTime() / 60_000) * 60_000);
  return `${minute.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Returns the sentence for a person at the client, and for the contact of a machine. */
export function refusalSentence(refusal: Facts): string {
  const { scope, direction, unit, window, cap, freeAt } = refusal;
  const isWide = scope === 'plane' || scope === 'gateway';
  const amount = isWide ? '' : ` of ${unit === 'bytes' ? sizeText(cap) : amountText(direction, unit, cap)}`;
  const whose = isWide ? 'the ' : '';
  const limit = `${whose}${windowNames[window]} limit${isWide ? ' of the whole gateway' : amount} reached`;
  return freeAt === null ? `${limit}; ${lost[direction]}` : `${limit}; more at ${moreAt(freeAt)}`;
}

/** Returns the code for programs, which does not change: `COFFERDAM-BUDGET-DAY-BYTES-OUT`, for example. */
export function refusalCode({ direction, unit, window }: Facts): string {
  return `COFFERDAM-BUDGET-${window}-${direction === 'list' ? 'names' : unit === 'bytes' ? 'bytes' : 'files'}-${direction}`.toUpperCase();
}

/** Returns what the client is told: the code stands at the start of the line for machines, at its end for persons. */
export function refusalText(kind: AccountKind, refusal: Facts): string {
  const [code, sentence] = [refusalCode(refusal), refusalSentence(refusal)];
  return kind === 'machine' ? `${code}: ${sentence}` : `${sentence} [${code}]`;
}
