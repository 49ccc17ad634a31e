// Owns: the form of one entry of the record.
import type { AccountId, CustomerId, NodeName, Plane, SessionId, VersionId } from '../../../domain/ids.ts';
import type { EntryKind } from '../../../domain/ledger/entry-kinds.ts';

/**
 * One entry of the record. `domain/ledger/entry-kinds.ts` says which fields each kind has, and the class of each field.
 */
export type LedgerEntry = {
  readonly kind: EntryKind;
  readonly observer: 'warden' | 'edge';
  readonly customer?: CustomerId | null;
  readonly account?: AccountId | null;
  readonly session?: SessionId | null;
  readonly node?: NodeName | null;
  readonly plane?: Plane | null;
  /** The open file: the id of a download or an upload. */
  readonly handle?: string | null;
  readonly version?: VersionId | string | null;
  readonly extent?: number | null;
  readonly bytes?: number | null;
  /** Further fields that may be shown to the customer whom the entry concerns. */
  readonly public?: Readonly<Record<string, unknown>>;
  /** The names of the credentials: fingerprints, or `password:…`. */
  readonly credential?: string | null;
  readonly alsoCredential?: string | null;
  readonly source?: { readonly address: string; readonly port: number } | null;
  readonly client?: string | null;
  /** Further fields that only operators may see. */
  readonly sensitive?: Readonly<Record<string, unknown>>;
};
