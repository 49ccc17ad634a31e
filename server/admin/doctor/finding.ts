// Owns: the type of a finding.
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';

export type Finding = Result<OperatorToAdmin, 'doctor'>['findings'][number];

export const ok = (check: string, text: string): Finding => ({ check, verdict: 'ok', text, next: null });
/** Returns a warning. `next` says what to type or to do, as it does for `fault`. */
export const warning = (check: string, text: string, next: string): Finding => ({
  check,
  verdict: 'warning',
  text,
  next,
});
export const fault = (check: string, text: string, next: string): Finding => ({ check, verdict: 'fault', text, next });

const shownMax = 8;
/** Returns the first few items as text, and how many more there are. */
export function someOf(list: readonly string[]): string {
  const rest = list.length - shownMax;
  return `${list.slice(0, shownMax).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
