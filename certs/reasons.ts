// Owns: the reasons for revoking a certificate: the codes of RFC 5280 section 5.3.1 under names that can be typed, and
// free text.
import { CofferdamError } from '../server/domain/errors.ts';

export const reasonCodes = {
  'key-compromise': 1,
  'affiliation-changed': 3,
  superseded: 4,
  'cessation-of-operation': 5,
  'privilege-withdrawn': 9,
} as const;

export type Reason = { readonly code: number; readonly text: string };

/** Parses `key-compromise`, `key-compromise: laptop stolen`, or any other text, which has no code. */
export function parseReason(text: string): Reason {
  if (text.trim() === '' || text.length > 200 || /\p{Cc}/u.test(text))
    throw new CofferdamError('invalid', '--reason takes 1 to 200 characters on one line');
  const plain = (name: string): string => name.replaceAll('-', '').toLowerCase();
  const named = Object.entries(reasonCodes).find(([name]) => plain(name) === plain(text.split(':')[0] ?? '').trim());
  return { code: named?.[1] ?? 0, text };
}
