// Owns: the shares of the admin process: who counts as an officer, and which calls are long reads (T-38).
// Must never: let anybody but security officers take the places that are reserved for them.
import type { AdminShares } from '../../config/shares.ts';
import { type Claim, officers, others } from '../../domain/share.ts';
import type { TransactionPlace } from '../../postgres/lock-patience.ts';
import type { OperatorOperation } from '../../rpc/operators/table.ts';
import { claimant, type Slots, slotsOf } from '../../rpc/slots.ts';
import type { Operator } from './operator-queries.ts';

export type AdminSlots = { readonly [L in keyof AdminShares]: Slots };
export const adminSlots = (shares: AdminShares): AdminSlots => slotsOf(shares);

/** Returns the claim of a known operator. Security officers have a group with reserved places. */
export const claimOfOperator = ({ id, role }: Pick<Operator, 'id' | 'role'>): Claim => ({
  holder: id,
  group: role === 'security-officer' ? officers : others,
});
/** Returns the claim of a certificate whose operator is unknown, or not known yet. */
export const claimOfKey = (fingerprint: string): Claim => ({ holder: fingerprint, group: others });

/** Operations that read so much that a few at once keep the database busy. */
const longLooks: readonly OperatorOperation[] = [
  'ledger.search',
  'incident.hunt',
  'incident.names',
  'incident.slice',
  'report.access',
  'doctor',
];
export const isLongLook = (operation: OperatorOperation): boolean => longLooks.includes(operation);

/**
 * Takes a place for a transaction of the caller's person. The process itself has few transactions of its own, which
 * count as those of one person.
 */
export async function placeFor(slots: Pick<AdminSlots, 'transactions'>): Promise<TransactionPlace> {
  return { release: await slots.transactions.acquire(claimant() ?? claimOfKey('admin')), lockMs: null };
}
