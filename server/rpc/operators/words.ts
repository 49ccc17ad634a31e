// Owns: the schemas that the operators' operation tables share: roles, rules, and the forms of names and times.
import { z } from 'zod';
import { parseNetwork } from '../../domain/addresses.ts';
import { isValidAccountName } from '../../domain/paths.ts';

export { operation } from '../operation.ts';

export const operatorRoles = ['viewer', 'auditor', 'operator', 'security-officer'] as const;
export type OperatorRole = (typeof operatorRoles)[number];

export const accountName = z.string().max(64).refine(isValidAccountName, 'names are [a-z0-9][a-z0-9._-]{0,63}');
const lists = {
  file: 'file list',
  session: 'session list',
  change: 'change list',
  rotation: 'rotation list',
  'break-glass': 'break-glass list',
  hold: 'hold list',
} as const;

export const uuid = z.uuid('an ID has 36 characters, as lists show it');

/** An ID that an operator copies from a list. */
export const listed = (what: keyof typeof lists) =>
  z.uuid(`an ID has 36 characters: copy it whole from \`cofferctl ${lists[what]}\``);
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 has 64 hexadecimal digits in lower case');

/** An instant that a caller sends. Instants in results are written by the server. */
export const moment = z.iso.datetime('an instant looks like 2026-11-28T12:00:00Z');

/** Returns the schema of a text that can be read: it must contain a letter, a digit, punctuation or a symbol. */
export const text = (max: number) =>
  z
    .string()
    .regex(/[\p{L}\p{N}\p{P}\p{S}]/u, 'the text must contain a letter, a digit, punctuation or a symbol')
    .max(max, `at most ${max} characters`);

/** Why an operator does something. It goes on the record. */
export const reason = text(200);

/** One line of OpenSSH's public key format: algorithm, base64, optional comment. */
export const publicKey = text(4096);
export const instant = z.string();
export const none = z.strictObject({});

/** True when the list was cut, because one answer is limited. */
export const more = z.boolean();
export const page = z.strictObject({ limit: z.number().int().min(1).max(500).optional() });

/**
 * The rule of an operation. `second` says whether it needs a second operator: `always`,
 * `when-wider` (the warden decides by what the operation would do), or `never`. `role` is the least
 * role of the operator who calls or proposes; the operator who approves is a security officer.
 */
type Rule = { readonly role: OperatorRole; readonly second: 'never' | 'when-wider' | 'always' };
export const rule = <O, P extends Rule>(row: O, policy: P): O & P => ({ ...row, ...policy });
export const reads = (role: OperatorRole = 'viewer') => ({ role, second: 'never' }) as const;
export const narrows = { role: 'operator', second: 'never' } as const;

/** The operation widens access, or makes what others have less safe. */
export const always = (role: OperatorRole) => ({ role, second: 'always' }) as const;
export const widens = always('operator');

/** The operation may widen or narrow access; what it would do decides. */
export const mayWiden = { role: 'operator', second: 'when-wider' } as const;

/** The operation creates something that nobody can reach yet. */
export const prepares = { role: 'security-officer', second: 'never' } as const;

/**
 * Identifies a credential: `SHA256:` and 43 characters, as `ssh-keygen -l` prints it, or `password:` and eight
 * characters.
 */
export const fingerprint = z
  .string()
  .regex(
    /^(?:SHA256:[A-Za-z0-9+/]{43}|password:[a-z2-7]{8})$/,
    'a credential looks like SHA256:… or password:…, see `cofferctl credential list`',
  );
export const network = z
  .string()
  .max(64)
  .refine((value) => parseNetwork(value) !== undefined, 'a network looks like 192.0.2.0/24, or is one address');
