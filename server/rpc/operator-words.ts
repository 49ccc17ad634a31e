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

export type Rule = { readonly role: OperatorRole; readonly twoPerson: boolean };
export const rule = <O>(row: O, policy: Rule): O & Rule => ({ ...row, ...policy });
export const reads = (role: OperatorRole = 'viewer'): Rule => ({ role, twoPerson: false });
/** Widens access: wants a second operator once changes are signed; recorded as such from the first day. */
export const widens: Rule = { role: 'security-officer', twoPerson: true };
export const narrows: Rule = { role: 'operator', twoPerson: false };

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
