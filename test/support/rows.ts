// Owns: rows of customers, accounts, credentials, sessions, folders and files, as tests put them into a database by
// hand. What a test does not state gets a value with which the row is valid.
// Must never: declare rows or seal them. A row that a warden is to trust is made by the use cases of the warden, for
// example through `two-operators.ts`.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import {
  type AccountId,
  type AccountKind,
  type ContentId,
  type CredentialId,
  type CustomerId,
  type CustomerKeyId,
  type Direction,
  type DirectoryId,
  type FileId,
  type FolderId,
  idOf,
  type SessionId,
  type Verb,
  type VersionId,
} from '../../server/domain/ids.ts';
import type { VersionState } from '../../server/warden/catalogue/tree-queries.ts';

/** Whatever carries out one statement: the database of a test, a client of PostgreSQL, or a transaction. */
type Statements = { query(text: string, values?: unknown[]): Promise<unknown> };

/** A time, or an expression of SQL about the time of the database. */
type RowTime = Date | `now()${string}`;

type Expression = { readonly expression: string };
const isExpression = (value: unknown): value is Expression =>
  typeof value === 'object' && value !== null && 'expression' in value;
const timeOf = (time: RowTime | null | undefined): Date | Expression | null | undefined =>
  typeof time === 'string' ? { expression: time } : time;

/** Columns that are undefined get the default of the table. */
async function insert(
  sql: Statements,
  table: string,
  columns: Readonly<Record<string, unknown>>,
  conflict = '',
): Promise<void> {
  const given = Object.entries(columns).filter(([, value]) => value !== undefined);
  const values: unknown[] = [];
  const marks = given.map(([, value]) => (isExpression(value) ? value.expression : `$${values.push(value)}`));
  const names = given.map(([name]) => name);
  await sql.query(`insert into ${table} (${names.join(', ')}) values (${marks.join(', ')})${conflict}`, values);
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** A customer without keys. */
export async function addCustomer(
  sql: Statements,
  given: { readonly id?: CustomerId; readonly name: string },
): Promise<CustomerId> {
  const { id = idOf<CustomerId>(randomUUID()), name } = given;
  await insert(sql, 'customer', { id, name });
  return id;
}

/** A key of a customer that unwraps nothing. */
export async function addCustomerKey(
  sql: Statements,
  given: { readonly id?: CustomerKeyId; readonly customer: CustomerId },
): Promise<CustomerKeyId> {
  const { id = idOf<CustomerKeyId>(randomUUID()), customer } = given;
  await insert(sql, 'customer_key', { id, customer_id: customer, wrapped: '', wrapped_by: 'k' });
  return id;
}

/** A machine account of a customer, or an internal one when the customer is null. Its name is made from its id. */
export async function addAccount(
  sql: Statements,
  given: {
    readonly id?: AccountId;
    readonly customer: CustomerId | null;
    readonly name?: string;
    readonly kind?: AccountKind;
    readonly state?: 'active' | 'suspended';
    readonly readOnly?: boolean;
    readonly sourceNetworks?: readonly string[];
    readonly contact?: string;
    readonly manages?: boolean;
    readonly isSelfTest?: boolean;
  },
): Promise<AccountId> {
  const { id = idOf<AccountId>(randomUUID()), customer, kind = 'machine' } = given;
  await insert(sql, 'account', {
    id,
    customer_id: customer,
    name: given.name ?? `a-${id.slice(0, 13)}`,
    kind,
    plane: customer === null ? 'internal' : 'partner',
    state: given.state,
    read_only: given.readOnly,
    source_networks: given.sourceNetworks,
    contact: given.contact,
    manages: given.manages,
    is_self_test: given.isSelfTest,
  });
  return id;
}

/** A public key of an account, with which nobody can log in. Its fingerprint is its id, and it is good for a day. */
export async function addCredential(
  sql: Statements,
  given: {
    readonly id?: CredentialId;
    readonly account: AccountId;
    readonly fingerprint?: string;
    readonly algorithm?: string;
    readonly publicKey?: Uint8Array;
    readonly issuedBy?: string;
    readonly validFrom?: RowTime;
    readonly expiresAt?: RowTime;
  },
): Promise<CredentialId> {
  const { id = idOf<CredentialId>(randomUUID()) } = given;
  await insert(sql, 'credential', {
    id,
    account_id: given.account,
    type: 'public-key',
    algorithm: given.algorithm ?? 'x',
    public_key: given.publicKey ?? 'x',
    fingerprint: given.fingerprint ?? id,
    issued_by: given.issuedBy ?? 'x',
    valid_from: timeOf(given.validFrom),
    expires_at: timeOf(given.expiresAt ?? "now() + interval '1 day'"),
  });
  return id;
}

/** An open session on the node `n`, which has to exist. It lasts an hour, and nobody knows its token. */
export async function addSession(
  sql: Statements,
  given: {
    readonly id?: SessionId;
    readonly account: AccountId;
    readonly credential: CredentialId;
    readonly node?: string;
    readonly source?: string;
    readonly client?: string;
    readonly startedAt?: RowTime;
    readonly expiresAt?: RowTime;
  },
): Promise<SessionId> {
  const { id = idOf<SessionId>(randomUUID()) } = given;
  await insert(sql, 'session', {
    id,
    token_hash: randomBytes(32),
    account_id: given.account,
    credential_id: given.credential,
    node: given.node ?? 'n',
    start_id: id,
    source_address: given.source,
    client_identification: given.client,
    started_at: timeOf(given.startedAt),
    expires_at: timeOf(given.expiresAt ?? "now() + interval '1 hour'"),
    idle_ms: 1_000_000,
  });
  return id;
}

/** A folder for deposits unless another direction is given; it is called like its direction. */
export async function addFolder(
  sql: Statements,
  given: {
    readonly id?: FolderId;
    readonly customer: CustomerId;
    readonly name?: string;
    readonly direction?: Direction;
    readonly readBack?: boolean;
    readonly retentionDays?: number;
  },
): Promise<FolderId> {
  const { id = idOf<FolderId>(randomUUID()), customer, direction = 'deposit' } = given;
  await insert(sql, 'folder', {
    id,
    customer_id: customer,
    name: given.name ?? direction,
    direction,
    read_back: given.readBack,
    retention_days: given.retentionDays,
  });
  return id;
}

/** What an account may do in a folder: list and read unless other verbs are given. */
export async function addRight(
  sql: Statements,
  given: {
    readonly account: AccountId;
    readonly customer: CustomerId;
    readonly folder: FolderId;
    readonly verbs?: readonly Verb[];
  },
): Promise<void> {
  const { account, customer, folder, verbs = ['list', 'read'] } = given;
  await insert(sql, 'folder_right', { account_id: account, customer_id: customer, folder_id: folder, verbs });
}

/** A directory of a folder, below the folder itself unless a parent is given. It is called like its id. */
export async function addDirectory(
  sql: Statements,
  given: {
    readonly id?: DirectoryId;
    readonly customer: CustomerId;
    readonly folder: FolderId;
    readonly parent?: DirectoryId | null;
    readonly name?: string;
    readonly removedAt?: RowTime;
  },
): Promise<DirectoryId> {
  const { id = idOf<DirectoryId>(randomUUID()) } = given;
  await insert(sql, 'directory', {
    id,
    customer_id: given.customer,
    folder_id: given.folder,
    parent_id: given.parent,
    name: given.name ?? id,
    removed_at: timeOf(given.removedAt),
  });
  return id;
}

/** A file without versions. It is called like its id. With `mayExist`, a file of this id or name stays as it is. */
export async function addFile(
  sql: Statements,
  given: {
    readonly id?: FileId;
    readonly customer: CustomerId;
    readonly folder: FolderId;
    readonly directory?: DirectoryId | null;
    readonly name?: string;
    readonly mayExist?: boolean;
  },
): Promise<FileId> {
  const { id = idOf<FileId>(randomUUID()), mayExist = false } = given;
  await insert(
    sql,
    'file',
    {
      id,
      customer_id: given.customer,
      folder_id: given.folder,
      directory_id: given.directory,
      name: given.name ?? id,
    },
    mayExist ? ' on conflict do nothing' : '',
  );
  return id;
}

/** A content without extents, under the only key of its customer unless one is given. Nothing unwraps its file key. */
export async function addContent(
  sql: Statements,
  given: {
    readonly id?: ContentId;
    readonly customer: CustomerId;
    readonly key?: CustomerKeyId;
    readonly wrappedKey?: Uint8Array;
  },
): Promise<ContentId> {
  const { id = idOf<ContentId>(randomUUID()), customer, wrappedKey = 'w' } = given;
  // The customer is the second value of the statement.
  const key = given.key ?? { expression: '(select id from customer_key where customer_id = $2)' };
  await insert(sql, 'content', { id, customer_id: customer, wrapped_key: wrappedKey, customer_key_id: key });
  return id;
}

/**
 * The next version of a file. Unless it is stated otherwise, its session is in no table, a version that is neither
 * partial nor discarded is closed now with some SHA-256, one that is or was visible is published now, one that
 * settles does so for an hour, and nobody holds a partial version open.
 */
export async function addVersion(
  sql: Statements,
  given: {
    readonly id?: VersionId;
    readonly customer: CustomerId;
    readonly file: FileId;
    readonly content: ContentId;
    readonly account: AccountId;
    readonly state: VersionState;
    readonly session?: SessionId;
    readonly upload?: string;
    readonly extentCount?: number;
    readonly size?: number;
    readonly sha256?: Buffer;
    readonly openedAt?: RowTime;
    readonly closedAt?: RowTime;
    readonly publishedAt?: RowTime;
    readonly withdrawnAt?: RowTime | null;
    readonly firstReadAt?: RowTime | null;
  },
): Promise<VersionId> {
  const { id = idOf<VersionId>(randomUUID()), state } = given;
  const isClosed = !['partial', 'discarded'].includes(state);
  const wasPublished = ['published', 'withdrawn', 'destroyed'].includes(state);
  await insert(sql, 'version', {
    id,
    customer_id: given.customer,
    file_id: given.file,
    // The file is the third value of the statement.
    number: { expression: '(select count(*) + 1 from version where file_id = $3)' },
    content_id: given.content,
    state,
    extent_count: given.extentCount,
    size: given.size,
    sha256: given.sha256 ?? (isClosed ? sha256('x') : undefined),
    account_id: given.account,
    session_id: given.session ?? randomUUID(),
    node: 'n',
    upload_id: given.upload,
    opened_at: timeOf(given.openedAt),
    closed_at: timeOf(given.closedAt ?? (isClosed ? 'now()' : undefined)),
    publish_at: timeOf(state === 'settling' ? "now() + interval '1 hour'" : undefined),
    published_at: timeOf(given.publishedAt ?? (wasPublished ? 'now()' : undefined)),
    withdrawn_at: timeOf(given.withdrawnAt),
    first_read_at: timeOf(given.firstReadAt),
  });
  return id;
}
