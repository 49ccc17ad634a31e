// Owns: which sessions are meant when sessions end: those of one account, of one node, and so on.
import type { AccountId, CredentialId, CustomerId, NodeName, SessionId } from './ids.ts';
import type { SessionEnd } from './session-ends.ts';

export type SessionFilter =
  | { readonly session: SessionId }
  | { readonly account: AccountId }
  | { readonly customer: CustomerId }
  | { readonly credential: CredentialId }
  | { readonly window: string }
  /** Sessions of this account that may do nothing but enrol a second factor. */
  | { readonly enrolmentOf: AccountId }
  | { readonly node: NodeName; readonly exceptStartId: string }
  /** Sessions whose time is over, as `takeOverdue` found them. */
  | { readonly overdue: readonly SessionId[]; readonly as: SessionEnd };
