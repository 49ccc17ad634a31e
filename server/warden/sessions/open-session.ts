// Owns: what the other folders know of a session: its scope, who acts in it, and what they may ask of the registry of
// sessions.
// Must never: say how a session is stored.
import type { SessionPurpose } from '../../domain/authentication-policy.ts';
import type {
  AccountId,
  AccountKind,
  CredentialId,
  CustomerId,
  Direction,
  FolderId,
  NodeName,
  Plane,
  PublishRule,
  SessionId,
  Verb,
} from '../../domain/ids.ts';
import type { VirtualPath } from '../../domain/paths.ts';
import type { SessionEnd } from '../../domain/session-ends.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';

export type FolderScope = {
  readonly id: FolderId;
  readonly name: string;
  readonly direction: Direction;
  readonly publishRule: PublishRule;
  readonly settleMs: number;
  readonly readBack: boolean;
  readonly replaceAllowed: boolean;
  readonly directoriesAllowed: boolean;
  readonly verbs: ReadonlySet<Verb>;
};

/**
 * The folders and verbs of one customer in a session. Customer data is opened through this value only. It is built
 * once, after all proofs, and is immutable (T-08).
 */
export type CustomerScope = {
  readonly id: CustomerId;
  readonly name: string;
  readonly folders: readonly FolderScope[];
};

export type OpenSession = {
  readonly id: SessionId;
  readonly node: NodeName;
  readonly account: {
    readonly id: AccountId;
    readonly name: string;
    readonly kind: AccountKind;
    readonly plane: Plane;
    /** The customer of a partner account; null for an internal account. */
    readonly customer: CustomerId | null;
    readonly readOnly: boolean;
    /** Whether the account may open windows of its customer's machine accounts and manage their keys. */
    readonly manages: boolean;
  };
  readonly credentialId: CredentialId;
  readonly purpose: SessionPurpose;
  /**
   * True when the session ended less than the grace period ago. It may then let go of the uploads that it holds, and do
   * nothing else.
   */
  readonly isOver: boolean;
  /** The ticket by which the session may enrol a second factor; null when it may not enrol one. */
  readonly ticket: string | null;
  /**
   * The customers that the session reaches: one for a partner account, and for an internal account each customer on
   * which it has rights, in the order of their names.
   */
  readonly customers: readonly CustomerScope[];
  /** Where relative paths begin. */
  readonly start: VirtualPath;
};

/**
 * A session that lets go of its uploads, and that may end while it does so. `run` calls `work` with the session as it
 * stands. When `work` throws `session-ended` because the session ended meanwhile, `run` calls it once more with the
 * ended session (`isOver`). `work` must therefore have changed nothing when it throws `session-ended`.
 */
export type LettingGo = {
  readonly session: OpenSession;
  run<T>(work: (session: OpenSession) => Promise<T>): Promise<T>;
};

export type Sessions = {
  /**
   * Returns the open session of this token on this node and notes that it is active. The session is read from the
   * database when this process does not hold it in memory, for example after a restart. Throws `session-ended` when
   * there is no such session, and `denied` when the session may only enrol a second factor.
   */
  require(token: string, caller: EdgeCaller): Promise<OpenSession>;
  /** Like `require`, for a session of any purpose. */
  requireAny(token: string, caller: EdgeCaller): Promise<OpenSession>;
  /**
   * Like `require`, but also accepts a session that ended within the grace period (`isOver`). It is for letting go of
   * an upload and for nothing else.
   */
  requireLettingGo(token: string, caller: EdgeCaller): Promise<LettingGo>;
  /**
   * Runs `work` in one transaction that sees the rows of these customers. The transaction first reads the session's own
   * row, so that a session that was ended elsewhere changes nothing, whatever this process remembers. Throws
   * `session-ended`.
   */
  within<T>(session: OpenSession, customers: readonly CustomerId[], work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Ends a session; a repeated call has no effect. Writes the row and the ledger entry, and notifies the edge. The
   * downloads of the session are closed; its uploads are let go when their tails are sealed.
   */
  end(session: SessionId, reason: string, end: SessionEnd): Promise<void>;
};

/**
 * Tells an edge what must reach it at once. A call has no effect when the node is not connected: the edge then learns
 * of it with its lease.
 */
export type EdgeNotifier = {
  terminate(node: NodeName, session: SessionId, reason: SessionEnd): void;
};
