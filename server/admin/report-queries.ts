// Owns: the SQL of customers, accounts, files, sessions and nodes that operators may read. It reads no file content, no
// keys and no seeds; the admin role could not select them.

import type { Transaction } from '../postgres/database.ts';
import type { Result } from '../rpc/operation.ts';
import type { OperatorToAdmin } from '../rpc/operator-admin.ts';
import { iso, isoOrNull } from './rows.ts';

type CustomerRow = Result<OperatorToAdmin, 'customer.list'>['customers'][number];
type AccountRow = Result<OperatorToAdmin, 'account.list'>['accounts'][number];
type FolderRow = Result<OperatorToAdmin, 'customer.show'>['folders'][number];
type FileRow = Result<OperatorToAdmin, 'file.list'>['files'][number];
type KeyExchangeRow = Result<OperatorToAdmin, 'report.key-exchange'>['accounts'][number];
type SessionRow = Result<OperatorToAdmin, 'session.list'>['sessions'][number];
type Dated<T, K extends keyof T> = { readonly [P in keyof T]: P extends K ? (null extends T[P] ? Date | null : Date) : T[P] };

export async function listCustomers(tx: Transaction, name: string | null, limit: number, after = ''): Promise<readonly CustomerRow[]> {
  const rows = await tx.query<Dated<CustomerRow, 'createdAt'>>(
    `select c.id, c.name, c.state, (select count(*) from account a where a.customer_id = c.id) as accounts, (select count(*) from folder f where f.customer_id = c.id) as folders,
       (select count(*) from version v where v.customer_id = c.id and v.state = 'published') as files, c.created_at as "createdAt", c.allowed_proofs as "allowedProofs"
     from customer c where ($1::text is null or c.name = $1) and c.name > $3 and not c.is_self_test order by c.name limit $2`,
    [name, limit, after],
  );
  return rows.map((row) => ({ ...row, createdAt: iso(row.createdAt) }));
}

export async function listFolders(tx: Transaction, customer: string): Promise<readonly FolderRow[]> {
  return tx.query<FolderRow>(
    `select f.name, f.direction, f.publish_rule as "publishRule", f.settle_ms as "settleMs", f.read_back as "readBack", f.window_days as "windowDays", f.reads_max as "readsMax", f.retention_days as "retentionDays",
       (select count(*) from file x join version v on v.file_id = x.id where x.folder_id = f.id and v.state = 'published') as files
     from folder f join customer c on c.id = f.customer_id where c.name = $1 order by f.name`,
    [customer],
  );
}

export async function listAccounts(tx: Transaction, customer: string | null): Promise<readonly AccountRow[]> {
  const rows = await tx.query<Dated<AccountRow, 'windowOpenUntil' | 'lastUsedAt' | 'expiresAt'>>(
    `select a.name, c.name as customer, a.kind, a.plane, a.state, exists (select 1 from second_factor s where s.account_id = a.id and s.enrolled_at is not null) as "secondFactor",
       (select count(*) from credential k where k.account_id = a.id and k.state <> 'revoked') as keys,
       (select w.closes_at from open_window(a.id, clock_timestamp()) w) as "windowOpenUntil",
       (select max(k.last_used_at) from credential k where k.account_id = a.id) as "lastUsedAt", a.manages, a.read_only as "readOnly", a.source_networks::text[] as networks, a.expires_at as "expiresAt"
     from account a left join customer c on c.id = a.customer_id where ($1::text is null or c.name = $1) and not a.is_self_test order by a.name limit 5000`,
    [customer],
  );
  return rows.map((row) => ({
    ...row,
    windowOpenUntil: isoOrNull(row.windowOpenUntil),
    lastUsedAt: isoOrNull(row.lastUsedAt),
    expiresAt: isoOrNull(row.expiresAt),
  }));
}

/** The path of a file as its customer sees it. */
const pathOf = `(with recursive up as (
    select f.directory_id as id, f.name::text as path union all select d.parent_id, d.name || '/' || up.path from up join directory d on d.id = up.id)
  select '/' || fo.name || '/' || path from up where id is null)`;

const fileColumns = `v.id as version, c.name as customer, fo.name as folder, ${pathOf} as path, v.number, v.state, v.withdrawn_why as "withdrawnWhy", v.size, encode(v.sha256, 'hex') as sha256, a.name as account,
  v.closed_at as "closedAt", v.published_at as "publishedAt"`;
const fileJoins =
  'from version v join file f on f.id = v.file_id join folder fo on fo.id = f.folder_id join customer c on c.id = v.customer_id join account a on a.id = v.account_id';

export async function listFiles(tx: Transaction, customer: string, folder: string | null, limit: number): Promise<readonly FileRow[]> {
  const rows = await tx.query<Dated<FileRow, 'closedAt' | 'publishedAt'>>(
    `select ${fileColumns} ${fileJoins} where c.name = $1 and ($2::text is null or fo.name = $2) and v.state <> 'discarded' order by v.opened_at desc limit $3`,
    [customer, folder, limit],
  );
  return rows.map((row) => ({ ...row, closedAt: isoOrNull(row.closedAt), publishedAt: isoOrNull(row.publishedAt) }));
}

export async function findPathOfVersion(
  tx: Transaction,
  version: string,
): Promise<{ readonly folder: string; readonly path: string; readonly number: number } | undefined> {
  const [row] = await tx.query<{ folder: string; path: string; number: number }>(
    `select fo.name as folder, ${pathOf} as path, v.number ${fileJoins} where v.id = $1`,
    [version],
  );
  return row;
}

export type Receipt = { readonly receipt: string; readonly publicKey: string };

export async function findReceiptByVersion(tx: Transaction, version: string): Promise<{ readonly receipt: string } | undefined> {
  const [row] = await tx.query<{ receipt: string }>('select receipt from version where id = $1 and receipt is not null', [version]);
  return row;
}

export async function findReceiptByPath(
  tx: Transaction,
  customer: string,
  path: string,
): Promise<{ readonly receipt: string } | undefined> {
  const [row] = await tx.query<{ receipt: string }>(
    `select v.receipt ${fileJoins} where c.name = $1 and ${pathOf} = $2 and v.receipt is not null order by v.closed_at desc limit 1`,
    [customer, path],
  );
  return row;
}

export async function findReceiptKey(tx: Transaction, id: string): Promise<string | undefined> {
  const [row] = await tx.query<{ public_pem: string }>('select public_pem from receipt_key where id = $1', [id]);
  return row?.public_pem;
}

export type ReceiptKey = { readonly id: string; readonly publicKey: string; readonly since: string };

/** Returns the receipt keys, newest first. */
export async function listReceiptKeys(tx: Transaction): Promise<readonly ReceiptKey[]> {
  const rows = await tx.query<{ id: string; publicKey: string; since: Date }>(
    'select id, public_pem as "publicKey", created_at as since from receipt_key order by created_at desc limit 100',
  );
  return rows.map((row) => ({ ...row, since: row.since.toISOString() }));
}

export async function listSessions(tx: Transaction, all: boolean, limit: number): Promise<readonly SessionRow[]> {
  const rows = await tx.query<Dated<SessionRow, 'startedAt' | 'lastSeenAt' | 'endedAt'>>(
    `select s.id as session, a.name as account, c.name as customer, s.node, host(s.source_address) || ':' || s.source_port as source,
       coalesce(s.client_identification, '') as client, s.state, s.started_at as "startedAt", s.last_seen_at as "lastSeenAt", s.ended_at as "endedAt", s.end_reason as "endReason"
     from session s join account a on a.id = s.account_id left join customer c on c.id = a.customer_id
     where $1 or s.state = 'open' order by s.started_at desc limit $2`,
    [all, limit],
  );
  return rows.map((row) => ({ ...row, startedAt: iso(row.startedAt), lastSeenAt: iso(row.lastSeenAt), endedAt: isoOrNull(row.endedAt) }));
}

export type NodeRow = {
  readonly name: string;
  readonly plane: string;
  readonly lastSeenAt: Date | null;
  readonly alive: boolean;
  readonly startedAt: Date | null;
  readonly sessions: number;
  /** The age of the node's last lease renewal in milliseconds, by the database's clock. */
  readonly lagMs: number | null;
  /** Whether the edge says that it has the native cipher; null when it does not say. */
  readonly nativeCipher: boolean | null;
  readonly drainingUntil: Date | null;
};

export async function listNodes(tx: Transaction): Promise<readonly NodeRow[]> {
  return tx.query<NodeRow>(
    `select n.name, n.plane, n.last_seen_at as "lastSeenAt", coalesce(n.last_seen_at > clock_timestamp() - interval '3 seconds', false) as alive, n.started_at as "startedAt",
       case when n.drain_start_id = n.start_id then n.drain_until end as "drainingUntil",
       (select count(*) from session s where s.node = n.name and s.state = 'open') as sessions,
       (extract(epoch from clock_timestamp() - n.last_seen_at) * 1000)::float8 as "lagMs", n.native_cipher as "nativeCipher"
     from node n order by n.name`,
  );
}

export type ControlRow = Result<OperatorToAdmin, 'status'>['controls'][number];

/** Returns the last verdicts of every node's self-test. */
export async function listControls(tx: Transaction): Promise<readonly ControlRow[]> {
  const rows = await tx.query<Dated<ControlRow, 'at' | 'since'>>(
    'select node, "check", bites, text, at, since from self_test order by node, "check"',
  );
  return rows.map((row) => ({ ...row, at: iso(row.at), since: iso(row.since) }));
}

export type Totals = Result<OperatorToAdmin, 'status'>['counts'] & {
  readonly version: string;
  readonly sizeBytes: number;
  readonly now: Date;
};

export async function totals(tx: Transaction): Promise<Totals> {
  const [row] = await tx.query<Totals>(
    `select (select count(*) from customer where not is_self_test) as customers, (select count(*) from account where not is_self_test) as accounts, (select count(*) from session where state = 'open') as "openSessions",
       (select count(*) from version v join customer c on c.id = v.customer_id where v.state = 'published' and not c.is_self_test) as "publishedFiles", (select count(*) from version where state = 'partial') as "partialUploads",
       current_setting('server_version') as version, pg_database_size(current_database()) as "sizeBytes", clock_timestamp() as now`,
  );
  if (row === undefined) throw new Error('no totals');
  return row;
}

export async function listKeyExchangeUse(tx: Transaction): Promise<readonly KeyExchangeRow[]> {
  const rows = await tx.query<Dated<KeyExchangeRow, 'lastWithoutAt'>>(
    `select a.name as account, c.name as customer, u.with_mlkem as "withMlkem", u.without_mlkem as "withoutMlkem",
       u.last_without_at as "lastWithoutAt", u.last_without_client as "lastWithoutClient"
     from key_exchange_use u join account a on a.id = u.account_id left join customer c on c.id = a.customer_id where not a.is_self_test
     order by u.last_without_at desc nulls last, a.name limit 5000`,
  );
  return rows.map((row) => ({ ...row, lastWithoutAt: isoOrNull(row.lastWithoutAt) }));
}
