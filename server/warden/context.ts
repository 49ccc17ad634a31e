// Owns: the values that every use case of the warden receives, and the types that the folders of the warden pass to
// each other.
import type { Config } from '../config/config.ts';
import type { Purpose } from '../domain/authentication-policy.ts';
import type {
  AccountId,
  AccountKind,
  ContentId,
  CredentialId,
  CustomerId,
  CustomerKeyId,
  Direction,
  FolderId,
  NodeName,
  Plane,
  PublishRule,
  SessionId,
  Verb,
  VersionId,
} from '../domain/ids.ts';
import type { EntryKind } from '../domain/ledger/entry-kinds.ts';
import type { SessionEnd } from '../domain/session-ends.ts';
import type { Logger } from '../observability/logger.ts';
import type { Database, Transaction } from '../postgres/database.ts';
import type { Charges } from './budgets/charges.ts';
import type { CheckpointSigner } from './keys/checkpoint-signer.ts';
import type { LedgerGuard } from './ledger/guard.ts';

/**
 * The edge that calls on an rpc socket. Node and plane follow from the socket itself, never from what the caller says.
 */
export type EdgeCaller = { readonly node: NodeName; readonly plane: Plane };

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
export type CustomerScope = { readonly id: CustomerId; readonly name: string; readonly folders: readonly FolderScope[] };

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
  readonly purpose: Purpose;
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
};
/**
 * A session that lets go of its uploads, and that may end while it does so. `run` calls `work` with the session as it
 * stands. When `work` throws `session-ended` because the session ended meanwhile, `run` calls it once more with the
 * ended session (`isOver`). `work` must therefore have changed nothing when it throws `session-ended`.
 */
export type LettingGo = { readonly session: OpenSession; run<T>(work: (session: OpenSession) => Promise<T>): Promise<T> };

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

/** Runs a reading transaction in the customer's scope. The transaction is begun only when the callee needs one. */
export type Read = <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;

export type KeyRing = {
  /** Creates and stores a new customer key. */
  createCustomerKey(tx: Transaction, customer: CustomerId): Promise<CustomerKeyId>;
  /**
   * Creates a random file key and wraps it with the customer's newest key. The wrapping is bound to `content` and is
   * ready for its row.
   */
  createFileKey(
    tx: Transaction,
    customer: CustomerId,
    content: ContentId,
  ): Promise<{ readonly customerKeyId: CustomerKeyId; readonly wrappedKey: Buffer; readonly fileKey: Buffer }>;
  /** Unwraps a file key (32 bytes). Throws `corrupt` when the wrapping does not verify. */
  openFileKey(read: Read, customer: CustomerId, content: ContentId, customerKeyId: CustomerKeyId, wrappedKey: Buffer): Promise<Buffer>;
  /** Seals a small secret (a TOTP seed) to the warden. The sealed value is bound to `purpose` and `id`. */
  sealSecret(purpose: string, id: string, secret: Buffer): { readonly sealed: Buffer; readonly sealedBy: string };
  openSecret(purpose: string, id: string, sealed: Buffer, sealedBy: string): Buffer;
  /**
   * Returns the HMAC-SHA-256 (32 bytes) over the parts of a row, each preceded by its length. The key is used for
   * nothing else.
   */
  sealRow(parts: readonly string[]): Buffer;
  /** The name of the key that `sealRow` uses. */
  readonly rowSealId: string;
  /** Signs a receipt. Returns the Ed25519 signature (64 bytes). */
  signReceipt(message: Buffer): Buffer;
  /** Returns the signer and verifier of checkpoints of the record under this name (C2SP signed-note). */
  checkpointSigner(origin: string): CheckpointSigner;
  /** The receipt key as SPKI PEM, and its short id: the first 16 hexadecimal digits of SHA-256 over the SPKI DER. */
  readonly receiptPublicKey: { readonly pem: string; readonly id: string };
};

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

/**
 * Tells an edge what must reach it at once. A call has no effect when the node is not connected: the edge then learns
 * of it with its lease.
 */
export type EdgeNotifier = {
  terminate(node: NodeName, session: SessionId, reason: SessionEnd): void;
};

export type Warden = {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Database;
  /** Says whether the state of the record allows anything to be served. */
  readonly guard: LedgerGuard;
  readonly keys: KeyRing;
  readonly sessions: Sessions;
  readonly charges: Charges;
  readonly edges: EdgeNotifier;
  /** The public host keys as lines of a known_hosts file, without the host. */
  readonly hostKeyLines: readonly string[];
};
