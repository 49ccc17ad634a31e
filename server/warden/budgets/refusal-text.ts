// Owns: what a client reads when a budget refuses: persons the reason and when there is more, machines a code.
import type { AccountKind } from '../../domain/ids.ts';
import type { Refusal } from './grant-queries.ts';

const windowNames = { hour: 'hourly', day: 'daily', week: 'weekly' } as const;
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}

export function refusalText(kind: AccountKind, refusal: Refusal): string {
  if (kind === 'machine') return `COFFERDAM-BUDGET-${refusal.window.toUpperCase()}`;
  const limit = `${windowNames[refusal.window]} limit of ${sizeText(refusal.cap)} reached`;
  if (refusal.freeAt === null) return `${limit}; this file is larger than the limit allows`;
  const iso = refusal.freeAt.toISOString();
  return refusal.window === 'hour'
    ? `${limit}; more at ${iso.slice(11, 16)} UTC`
    : `${limit}; more at ${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}
