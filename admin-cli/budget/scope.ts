// Owns: how a command line names the scope of a budget, an amount, and a direction.
import { parseAmount } from '../../server/domain/budgets/amounts.ts';
import { type BudgetDirection, budgetDirections } from '../../server/domain/budgets/words.ts';
import type { ScopeParams } from '../../server/rpc/operators/budget.ts';
import type { Given, Option } from '../verb/verb.ts';

export const scopeOptions: readonly Option[] = [
  { name: 'credential', value: 'SHA256:…', help: 'the budget of one key' },
  { name: 'account', value: 'NAME', help: 'of an account (with --customer: on that customer)' },
  { name: 'customer', value: 'NAME', help: 'of a customer, or of the account on it' },
  { name: 'plane', value: 'NAME', help: 'of a plane: partner or internal' },
  { name: 'gateway', value: null, help: 'of the whole gateway' },
];

/** Returns the scope, or undefined when none was named. Throws a RangeError when there are two. */
export function scopeOf(given: Given): ScopeParams | undefined {
  const { credential, account, customer, plane, gateway } = given.options;
  const named = [credential, account, account === undefined ? customer : undefined, plane, gateway].filter(
    (one) => one !== undefined,
  );
  if (named.length > 1)
    throw new RangeError('name one scope: --credential, --account, --customer, --plane or --gateway');
  if (credential !== undefined) return { kind: 'credential', fingerprint: credential };
  if (account !== undefined) return { kind: 'account', account, ...(customer === undefined ? {} : { customer }) };
  if (customer !== undefined) return { kind: 'customer', customer };
  if (plane !== undefined) {
    if (plane !== 'partner' && plane !== 'internal')
      throw new RangeError(`--plane takes partner or internal, not "${plane}"`);
    return { kind: 'plane', plane };
  }
  return gateway === undefined ? undefined : { kind: 'gateway' };
}

export function requireScope(given: Given): ScopeParams {
  const scope = scopeOf(given);
  if (scope === undefined)
    throw new RangeError('name a scope: --credential, --account, --customer, --plane or --gateway');
  return scope;
}

/**
 * Returns an amount such as `500MiB` or `20k`, or undefined when the option was not given. Throws a RangeError for any
 * other text.
 */
export function amount(given: Given, name: string): number | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  const value = parseAmount(text);
  if (value === undefined) throw new RangeError(`--${name} takes an amount such as 2GiB or 5000, not "${text}"`);
  return value;
}

export function directionOf(given: Given): BudgetDirection {
  const text = given.options.direction ?? 'out';
  const direction = budgetDirections.find((one) => one === text);
  if (direction === undefined) throw new RangeError(`--direction takes ${budgetDirections.join(', ')}, not "${text}"`);
  return direction;
}
