// Owns: how amounts of a budget are written and read: bytes, and items, which texts call files or names.
import { type BudgetDirection, type BudgetUnit, capMax } from './words.ts';

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Writes a number of bytes as `1.5 GiB`, with at most one decimal place. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}

/** Writes a number of items as `12,000`. */
export const countText = (items: number): string => items.toLocaleString('en-US');

/** Writes an amount with its unit: bytes, or the number of items as files, or as names in the direction `list`. */
export function amountText(direction: BudgetDirection, unit: BudgetUnit, amount: number): string {
  return unit === 'bytes' ? sizeText(amount) : `${countText(amount)} ${direction === 'list' ? 'names' : 'files'}`;
}

/**
 * Reads `500`, `2GiB`, `1.5 MiB` or `20k`: powers of 1024 with an `i`, powers of 1000 without. Returns undefined when
 * the text is not an amount from 0 to 2^50.
 */
export function parseAmount(text: string): number | undefined {
  const match = /^(\d{1,16}(?:\.\d{1,3})?)\s*([kKMGTP]?)(i?)B?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = '', prefix = '', binary = ''] = match;
  if (prefix === '' && (binary !== '' || digits.includes('.'))) return undefined;
  const power = ['', 'k', 'M', 'G', 'T', 'P'].indexOf(prefix === 'K' ? 'k' : prefix);
  const value = Math.round(Number(digits) * (binary === '' ? 1000 : 1024) ** power);
  return value <= capMax ? value : undefined;
}
