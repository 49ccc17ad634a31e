// Owns: the SQL of files and receipts that operators may read. It reads no file content; the admin process's database
// role could not select it.
import type { Transaction } from '../../postgres/database.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { type Dated, isoOrNull } from '../reading/rows.ts';

type FileRow = Result<OperatorToAdmin, 'file.list'>['files'][number];
type DoneRow = { readonly account: string; readonly at: Date };
/** No more accounts are told of one version that are done with it. */
const doneMax = 20;

/** The path of a file as its customer sees it. */
const pathOf = `(with recursive up as (
    select f.directory_id as id, f.name::text as path union all select d.parent_id, d.name || '/' || up.path from up join directory d on d.id = up.id)
  select '/' || fo.name || '/' || path from up where id is null)`;

const fileColumns = `v.id as version, c.name as customer, fo.name as folder, ${pathOf} as path, v.number, v.state, v.withdrawn_why as "withdrawnWhy", v.size, encode(v.sha256, 'hex') as sha256, a.name as account,
  v.closed_at as "closedAt", v.published_at as "publishedAt"`;
const fileJoins =
  'from version v join file f on f.id = v.file_id join folder fo on fo.id = f.folder_id join customer c on c.id = v.customer_id join account a on a.id = v.account_id';

export async function listFiles(
  tx: Transaction,
  customer: string,
  folder: string | null,
  limit: number,
): Promise<readonly FileRow[]> {
  const rows = await tx.query<Omit<Dated<FileRow, 'closedAt' | 'publishedAt'>, 'done'>>(
    `select ${fileColumns} ${fileJoins} where c.name = $1 and ($2::text is null or fo.name = $2) and v.state <> 'discarded' order by v.opened_at desc limit $3`,
    [customer, folder, limit],
  );
  const done = await doneWith(
    tx,
    rows.map((row) => row.version),
  );
  return rows.map((row) => ({
    ...row,
    closedAt: isoOrNull(row.closedAt),
    publishedAt: isoOrNull(row.publishedAt),
    done: (done.get(row.version) ?? []).map(({ account, at }) => ({ account, at: at.toISOString() })),
  }));
}

/** Returns which accounts are done with each of these versions. */
async function doneWith(
  tx: Transaction,
  versions: readonly string[],
): Promise<ReadonlyMap<string, readonly DoneRow[]>> {
  const rows = await tx.query<DoneRow & { readonly version: string }>(
    `select v.id as version, d.account, d.at from unnest($1::uuid[]) v(id)
       cross join lateral (select a.name as account, d.done_at as at from done_file d join account a on a.id = d.account_id where d.version_id = v.id order by d.done_at, a.name limit $2) d`,
    [versions, doneMax],
  );
  return Map.groupBy(rows, (row) => row.version);
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

export async function findReceiptByVersion(
  tx: Transaction,
  version: string,
): Promise<{ readonly receipt: string } | undefined> {
  const [row] = await tx.query<{ receipt: string }>(
    'select receipt from version where id = $1 and receipt is not null',
    [version],
  );
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

type ReceiptKey = { readonly id: string; readonly publicKey: string; readonly since: string };

/** Returns the receipt keys, newest first. */
export async function listReceiptKeys(tx: Transaction): Promise<readonly ReceiptKey[]> {
  const rows = await tx.query<{ id: string; publicKey: string; since: Date }>(
    'select id, public_pem as "publicKey", created_at as since from receipt_key order by created_at desc limit 100',
  );
  return rows.map((row) => ({ ...row, since: row.since.toISOString() }));
}
