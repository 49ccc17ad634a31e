// Owns: what every use case of the warden receives, and the shapes that its rooms hand each other.
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

/** Who is calling on an rpc socket: known from the socket itself. */
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
/** The only value that opens customer data. Built once, after all proofs; immutable (T-08). */
export type CustomerScope = { readonly id: CustomerId; readonly name: string; readonly folders: readonly FolderScope[] };

export type OpenSession = {
  readonly id: SessionId;
  readonly node: NodeName;
  readonly account: {
    readonly id: AccountId;
    readonly name: string;
    readonly kind: AccountKind;
    readonly plane: Plane;
    /** null for internal accounts. */
    readonly customer: CustomerId | null;
    readonly readOnly: boolean;
    /** May open windows of its customer's machine accounts and manage their keys. */
    readonly manages: boolean;
  };
  readonly credentialId: CredentialId;
  readonly purpose: Purpose;
  /** It has ended a moment ago, and may do nothing but let go of the uploads that it holds. */
  readonly isOver: boolean;
  /** The ticket that it may enrol a second factor by; null: it may not. */
  readonly ticket: string | null;
  /** One entry for a partner account; one per customer with rights for an internal account, name order. */
  readonly customers: readonly CustomerScope[];
};
/**
 * A session that lets go of its uploads, in the middle of which it may end: `run` does its work with what the session may do, and once more with what
 * an ended one may, when it met the end under way. What it runs must have changed nothing when it throws `session-ended`.
 */
export type LettingGo = { readonly session: OpenSession; run<T>(work: (session: OpenSession) => Promise<T>): Promise<T> };

export type Sessions = {
  /**
   * The open session of this token on this node, touched; throws `session-ended`, and `denied` for one that may only enrol. Falls back to
   * the database after a restart.
   */
  require(token: string, caller: EdgeCaller): Promise<OpenSession>;
  /** The same, whatever the session is for. */
  requireAny(token: string, caller: EdgeCaller): Promise<OpenSession>;
  /** The same, or a session that ended within the grace (`isOver`): for letting go of an upload, and for nothing else. */
  requireLettingGo(token: string, caller: EdgeCaller): Promise<LettingGo>;
  /**
   * Runs `work` in one transaction that sees these customers, once the session's own row has been looked at in it: whatever this process
   * remembers, what was ended elsewhere changes nothing any more. Throws `session-ended`.
   */
  within<T>(session: OpenSession, customers: readonly CustomerId[], work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Ends a session (idempotent): row, ledger entry, notice to its edge. Its uploads are let go when their tails are sealed, its downloads closed. */
  end(session: SessionId, reason: string, end: SessionEnd): Promise<void>;
};

/** Runs a reading transaction in the customer's scope, only if one is needed. */
export type Read = <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;

export type KeyRing = {
  /** Creates and stores a new customer key. */
  createCustomerKey(tx: Transaction, customer: CustomerId): Promise<CustomerKeyId>;
  /** A fresh random file key, wrapped by the customer's newest key, ready for the row of `content`. */
  createFileKey(
    tx: Transaction,
    customer: CustomerId,
    content: ContentId,
  ): Promise<{ readonly customerKeyId: CustomerKeyId; readonly wrappedKey: Buffer; readonly fileKey: Buffer }>;
  /** Unwraps a file key (32 bytes). Throws `corrupt` when the wrapping does not verify. */
  openFileKey(read: Read, customer: CustomerId, content: ContentId, customerKeyId: CustomerKeyId, wrappedKey: Buffer): Promise<Buffer>;
  /** Seals a small secret (a TOTP seed) to the warden; `purpose` and `id` are bound. */
  sealSecret(purpose: string, id: string, secret: Buffer): { readonly sealed: Buffer; readonly sealedBy: string };
  openSecret(purpose: string, id: string, sealed: Buffer, sealedBy: string): Buffer;
  /** HMAC-SHA-256 over the parts of a row, each with its length; by a key of its own. 32 bytes. */
  sealRow(parts: readonly string[]): Buffer;
  /** Names the key of `sealRow`. */
  readonly rowSealId: string;
  /** Signs a receipt; Ed25519, 64 bytes. */
  signReceipt(message: Buffer): Buffer;
  /** Signs and verifies checkpoints of the record under this name (C2SP signed-note). */
  checkpointSigner(origin: string): CheckpointSigner;
  /** SPKI PEM of the receipt key, and its short id (first 16 hex digits of SHA-256 over the SPKI DER). */
  readonly receiptPublicKey: { readonly pem: string; readonly id: string };
};

/** Which fields exist, and their classes: domain/ledger/entry-kinds.ts. */
export type LedgerEntry = {
  readonly kind: EntryKind;
  readonly observer: 'warden' | 'edge';
  readonly customer?: CustomerId | null;
  readonly account?: AccountId | null;
  readonly session?: SessionId | null;
  readonly node?: NodeName | null;
  readonly plane?: Plane | null;
  /** The open file: a download or an upload. */
  readonly handle?: string | null;
  readonly version?: VersionId | string | null;
  readonly extent?: number | null;
  readonly bytes?: number | null;
  /** Further fields that may be shown to the customer whom the entry concerns. */
  readonly public?: Readonly<Record<string, unknown>>;
  /** Fingerprints. */
  readonly credential?: string | null;
  readonly alsoCredential?: string | null;
  readonly source?: { readonly address: string; readonly port: number } | null;
  readonly client?: string | null;
  /** Further internal fields. */
  readonly sensitive?: Readonly<Record<string, unknown>>;
};

/** Tells edges what must reach them at once; without effect when the node is not connected (its lease tells it later). */
export type EdgeNotifier = {
  terminate(node: NodeName, session: SessionId, reason: SessionEnd): void;
};

export type Warden = {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Database;
  /** Whether the state of the record lets anything be served. */
  readonly guard: LedgerGuard;
  readonly keys: KeyRing;
  readonly sessions: Sessions;
  readonly charges: Charges;
  readonly edges: EdgeNotifier;
  /** Public host keys as lines of a known_hosts file, without the host. */
  readonly hostKeyLines: readonly string[];
};
