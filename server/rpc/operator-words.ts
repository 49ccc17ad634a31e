// Owns: the words of the operators' operation tables: roles, rules, and the shapes of names and times.
import { z } from 'zod';
import { parseNetwork } from '../domain/addresses.ts';
import { isValidAccountName } from '../domain/paths.ts';

export { operation } from './operation.ts';

export const operatorRoles = ['viewer', 'auditor', 'operator', 'security-officer'] as const;
export type OperatorRole = (typeof operatorRoles)[number];

export const accountName = z.string().max(64).refine(isValidAccountName, 'names are [a-z0-9][a-z0-9._-]{0,63}');
export const uuid = z.uuid();
export const text = (max: number) => z.string().min(1).max(max);
export const instant = z.string();
export const none = z.strictObject({});
/** The list was cut: one answer holds so much and no more. */
export const more = z.boolean();
export const page = z.strictObject({ limit: z.number().int().min(1).max(500).optional() });

/**
 * Whether an operation needs a second operator: `always`, `when-wider` (the warden looks at what it would do), or `never`. `role` is the
 * least role of whoever asks or proposes; whoever approves is a security officer.
 */
export type Rule = { readonly role: OperatorRole; readonly second: 'never' | 'when-wider' | 'always' };
export const rule = <O, P extends Rule>(row: O, policy: P): O & P => ({ ...row, ...policy });
export const reads = (role: OperatorRole = 'viewer') => ({ role, second: 'never' }) as const;
export const narrows = { role: 'operator', second: 'never' } as const;
/** Widens access, or makes what others have less safe. */
export const always = (role: OperatorRole) => ({ role, second: 'always' }) as const;
export const widens = always('operator');
/** May widen or narrow: what it would do decides. */
export const mayWiden = { role: 'operator', second: 'when-wider' } as const;
/** Makes what nobody can reach yet. */
export const prepares = { role: 'security-officer', second: 'never' } as const;

/** Names a credential: `SHA256:` and 43 characters, as ssh-keygen -l prints it; or `password:` and eight. */
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
