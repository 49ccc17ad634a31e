// Owns: what the admin process's shares are used up by: who counts as an officer, which calls are long looks (T-38).
// Must never: let anybody but security officers take what is kept for them.
import type { AdminShares } from '../config/shares.ts';
import { type Claim, officers, others } from '../domain/share.ts';
import type { Place } from '../postgres/database.ts';
import type { OperatorOperation } from '../rpc/operator-admin.ts';
import { claimant, type Slots, slotsOf } from '../rpc/slots.ts';
import type { Operator } from './operator-queries.ts';

export type AdminSlots = { readonly [L in keyof AdminShares]: Slots };
export const adminSlots = (shares: AdminShares): AdminSlots => slotsOf(shares);

export const claimOfOperator = ({ id, role }: Pick<Operator, 'id' | 'role'>): Claim => ({
  holder: id,
  group: role === 'security-officer' ? officers : others,
});
/** A certificate whose operator is not known, or not yet. */
export const claimOfKey = (fingerprint: string): Claim => ({ holder: fingerprint, group: others });

/** These read so much that a few at once keep the database busy. */
const longLooks: readonly OperatorOperation[] = [
  'ledger.search',
  'incident.hunt',
  'incident.names',
  'incident.slice',
  'report.access',
  'doctor',
];
export const isLongLook = (operation: OperatorOperation): boolean => longLooks.includes(operation);

/** A place for a transaction of whoever called; the process itself has little to ask and asks it as one person. */
export async function placeFor(slots: Pick<AdminSlots, 'transactions'>): Promise<Place> {
  return { release: await slots.transactions.acquire(claimant() ?? claimOfKey('admin')), lockMs: null };
}
