// Owns: what a finding is.
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';

export type Finding = Result<OperatorToAdmin, 'doctor'>['findings'][number];

export const ok = (check: string, text: string): Finding => ({ check, verdict: 'ok', text, next: null });
/** `next`: what to type, or what to do. */
export const warning = (check: string, text: string, next: string): Finding => ({ check, verdict: 'warning', text, next });
export const fault = (check: string, text: string, next: string): Finding => ({ check, verdict: 'fault', text, next });

const shownMax = 8;
/** The first ones, and how many there are. */
export function someOf(list: readonly string[]): string {
  const rest = list.length - shownMax;
  return `${list.slice(0, shownMax).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
