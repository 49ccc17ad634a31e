// Owns: the SQL of the place of a file: its customer, folder and path, and its neighbours.
import {
  type AccountId,
  type Direction,
  type FileId,
  idOf,
  type PublishRule,
  type VersionId,
} from '../../domain/ids.ts';
import { formatPath } from '../../domain/paths.ts';
import type { Transaction } from '../../postgres/database.ts';

export type FilePlace = {
  readonly customer: string;
  readonly path: string;
  /** The name of the folder, and in `pathInFolder` the path below it. */
  readonly folder: string;
  readonly pathInFolder: string;
  readonly namesInFolder: readonly string[];
  readonly direction: Direction;
  readonly publishRule: PublishRule;
  /** The ending of the names of markers. */
  readonly marker: string;
  readonly settleMs: number;
};

/** Returns the place of a file. `path` is the path as the customer sees it: /folder/…/name. */
export async function placeOfFile(tx: Transaction, file: FileId): Promise<FilePlace> {
  const rows = await tx.query<{
    customer: string;
    folder: string;
    direction: Direction;
    publish_rule: PublishRule;
    marker: string;
    settle_ms: number;
    names: readonly string[];
  }>(
    `with recursive up as (
       select f.directory_id as id, array[f.name::text] as names from file f where f.id = $1
       union all
       select d.parent_id, array[d.name::text] || up.names from up join directory d on d.id = up.id)
     select c.name as customer, fo.name as folder, fo.direction, fo.publish_rule, fo.marker, fo.settle_ms, up.names
     from up, file f join folder fo on fo.id = f.folder_id join customer c on c.id = f.customer_id
     where f.id = $1 and up.id is null`,
    [file],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a file has no place');
  return {
    customer: row.customer,
    path: formatPath([row.folder, ...row.names]),
    folder: row.folder,
    pathInFolder: formatPath(row.names),
    namesInFolder: row.names,
    direction: row.direction,
    publishRule: row.publish_rule,
    marker: row.marker,
    settleMs: row.settle_ms,
  };
}

/**
 * Returns whether an incomplete version of the same name stands above this one. It must be asked after the version was
 * locked.
 */
export async function isContinued(tx: Transaction, version: VersionId): Promise<boolean> {
  const rows = await tx.query(
    "select 1 from version v join version p on p.file_id = v.file_id and p.number > v.number where v.id = $1 and p.state = 'partial'",
    [version],
  );
  return rows.length > 0;
}

/** Returns whether this account's newest version of another name in the same directory is published. */
export async function isSiblingReleased(
  tx: Transaction,
  file: FileId,
  name: string,
  account: AccountId,
): Promise<boolean> {
  const [row] = await tx.query<{ is_released: boolean }>(
    `select v.state = 'published' as is_released from file f
       join file s on s.folder_id = f.folder_id and s.directory_id is not distinct from f.directory_id and s.name = $2
       join version v on v.file_id = s.id where f.id = $1 and v.account_id = $3 order by v.number desc limit 1`,
    [file, name, account],
  );
  return row?.is_released === true;
}

/**
 * Locks and returns the newest held version of another name in the same directory, by the same account. Whether it is
 * being continued must be asked after that (`isContinued`).
 */
export async function lockHeldSibling(
  tx: Transaction,
  file: FileId,
  name: string,
  account: AccountId,
): Promise<VersionId | undefined> {
  const [sibling] = await tx.query<{ id: string }>(
    `select s.id from file f join file s on s.folder_id = f.folder_id and s.directory_id is not distinct from f.directory_id and s.name = $2
     where f.id = $1`,
    [file, name],
  );
  if (sibling === undefined) return undefined;
  const [row] = await tx.query<{ id: string }>(
    "select id from version where file_id = $1 and account_id = $2 and state = 'held' order by number desc limit 1 for update",
    [sibling.id, account],
  );
  return row && idOf<VersionId>(row.id);
}

/** Publishes a held version, which the transaction has locked. */
export async function publishHeld(tx: Transaction, version: VersionId): Promise<void> {
  await tx.query(
    "update version set state = 'published', published_at = clock_timestamp(), publish_at = null where id = $1",
    [version],
  );
}
