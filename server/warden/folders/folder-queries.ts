// Owns: the SQL of folders: those of a customer, a new one, and the rules of one.
import type { Limits } from '../../config/config.ts';
import type { AccountId, CustomerId, Direction, FolderId, PublishRule } from '../../domain/ids.ts';
import { idOf } from '../../domain/ids.ts';
import { defaultMarker } from '../../domain/publish-rules.ts';
import type { Transaction } from '../../postgres/database.ts';
import { declareChange, declareFound, declareNew, type Purpose, type WritePurpose } from '../seals/declared.ts';
import { customerOfSelfTest } from '../testers/tester.ts';

/** The rules of a folder: how a file becomes visible in it, and for how long it and its key are kept. */
export type FolderRules = {
  readonly publishRule: PublishRule;
  /** The ending of the names of markers; only the rule `on-marker` has a use for it. */
  readonly marker: string;
  readonly settleMs: number;
  readonly replaceAllowed: boolean;
  readonly directoriesAllowed: boolean;
  readonly windowDays: number | null;
  readonly readsMax: number | null;
  readonly retentionDays: number | null;
};
export type Folder = FolderRules & { readonly id: FolderId; readonly customer: CustomerId };

type RulesRow = {
  readonly publish_rule: PublishRule;
  readonly marker: string;
  readonly settle_ms: number;
  readonly replace_allowed: boolean;
  readonly directories_allowed: boolean;
  readonly window_days: number | null;
  readonly reads_max: number | null;
  readonly retention_days: number | null;
};
const factsOfRules = (rules: FolderRules): RulesRow => ({
  publish_rule: rules.publishRule,
  marker: rules.marker,
  settle_ms: rules.settleMs,
  replace_allowed: rules.replaceAllowed,
  directories_allowed: rules.directoriesAllowed,
  window_days: rules.windowDays,
  reads_max: rules.readsMax,
  retention_days: rules.retentionDays,
});
const valuesOfRules = (rules: FolderRules): readonly unknown[] => Object.values(factsOfRules(rules));

/** The rules of a new folder for which nothing else is said, by its direction: those of a new customer's folders. */
export const usualRules = (
  direction: Direction,
  limits: Pick<Limits, 'settleMs' | 'collectWindowDays' | 'collectRetentionDays'>,
): FolderRules => ({
  publishRule: 'on-close',
  marker: defaultMarker,
  settleMs: direction === 'deposit' ? limits.settleMs : 0,
  replaceAllowed: direction === 'collect',
  directoriesAllowed: true,
  windowDays: direction === 'collect' ? limits.collectWindowDays : null,
  readsMax: null,
  retentionDays: direction === 'collect' ? limits.collectRetentionDays : null,
});

type NewFolder = Folder & { readonly name: string; readonly direction: Direction };

/** Inserts a folder. Returns false when the customer has one of this name. */
export async function insertFolder(tx: Transaction, f: NewFolder): Promise<boolean> {
  declareNew(
    tx,
    { kind: 'folder', id: f.id },
    { customer_id: f.customer, name: f.name, direction: f.direction, read_back: false, ...factsOfRules(f) },
  );
  const made = await tx.query(
    `insert into folder (id, customer_id, name, direction, publish_rule, marker, settle_ms, replace_allowed, directories_allowed, window_days, reads_max, retention_days)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (customer_id, name) do nothing returning id`,
    [f.id, f.customer, f.name, f.direction, ...valuesOfRules(f)],
  );
  return made.length === 1;
}

/** Locks a folder by the names of its customer and its own, and returns it; undefined when there is none. */
export async function lockFolder(
  tx: Transaction,
  customer: string,
  folder: string,
  purpose: Purpose,
): Promise<Folder | undefined> {
  const found = await tx.query<{ id: string }>(
    `select f.id from folder f join customer c on c.id = f.customer_id where c.name = $1 and f.name = $2 and not ${customerOfSelfTest}`,
    [customer, folder],
  );
  const [row] = await tx.query<RulesRow & { id: string; customer_id: string }>(
    `select id, customer_id, publish_rule, marker, settle_ms, replace_allowed, directories_allowed, window_days, reads_max, retention_days
     from folder where id = $1 and name = $2 for no key update`,
    [found[0]?.id, folder],
  );
  if (row === undefined) return undefined;
  await declareFound(tx, purpose, { kind: 'customer', id: row.customer_id }, { name: customer });
  const facts = { name: folder, customer_id: row.customer_id };
  const said = (await declareFound<RulesRow>(tx, purpose, { kind: 'folder', id: row.id }, facts)) ?? row;
  return {
    id: idOf<FolderId>(row.id),
    customer: idOf<CustomerId>(row.customer_id),
    publishRule: said.publish_rule,
    marker: said.marker,
    settleMs: said.settle_ms,
    replaceAllowed: said.replace_allowed,
    directoriesAllowed: said.directories_allowed,
    windowDays: said.window_days,
    readsMax: said.reads_max,
    retentionDays: said.retention_days,
  };
}

export async function writeFolder(
  tx: Transaction,
  id: FolderId,
  rules: FolderRules,
  purpose: WritePurpose,
): Promise<void> {
  await declareChange(tx, [{ kind: 'folder', id }], factsOfRules(rules), purpose);
  await tx.query(
    `update folder set publish_rule = $2, marker = $3, settle_ms = $4, replace_allowed = $5, directories_allowed = $6, window_days = $7, reads_max = $8,
       retention_days = $9 where id = $1`,
    [id, ...valuesOfRules(rules)],
  );
}

type NamedFolder = { readonly id: FolderId; readonly name: string; readonly direction: Direction };

/** Returns the folders of a customer, or the one of this name. */
export async function foldersOf(
  tx: Transaction,
  customer: CustomerId,
  purpose: Purpose,
  name: string | null = null,
): Promise<readonly NamedFolder[]> {
  const rows = await tx.query<{ id: string; name: string; direction: Direction }>(
    'select id, name, direction from folder where customer_id = $1 and ($2::text is null or name = $2) order by name',
    [customer, name],
  );
  for (const { id, name: of, direction } of rows)
    await declareFound(tx, purpose, { kind: 'folder', id }, { customer_id: customer, name: of, direction });
  return rows.map((row) => ({ id: idOf<FolderId>(row.id), name: row.name, direction: row.direction }));
}

/**
 * Returns the accounts of a customer, whatever their state, in the order of their names. Each of them is relied on to
 * be the customer's.
 */
export async function accountsOfCustomer(
  tx: Transaction,
  customer: CustomerId,
): Promise<readonly { readonly id: AccountId; readonly name: string }[]> {
  const rows = await tx.query<{ id: string; name: string }>(
    'select id, name from account where customer_id = $1 order by name',
    [customer],
  );
  for (const { id, name } of rows)
    await declareFound(tx, 'to-rely', { kind: 'account', id }, { customer_id: customer, name });
  return rows.map(({ id, name }) => ({ id: idOf<AccountId>(id), name }));
}
