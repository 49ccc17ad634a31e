// Owns: the SQL of sealing: entries that have no position yet, the trees, the heads log, and the state of the record.
// Must never: insert a row into the sealed record unless it comes from `ledger_fresh` and is deleted there in the same
// transaction.
import type { Checkpoint } from '../../domain/ledger/checkpoint.ts';
import { headsTree, type PlacedEntry } from '../../domain/ledger/leaf.ts';
import { blockLeaves, type Frontier, frontierBytes } from '../../domain/ledger/merkle.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { serverIdentity } from '../../postgres/entry-queries.ts';
import { setAsideMax } from './quarantine-queries.ts';

export type LedgerState = {
  readonly era: number;
  /** The number of the last sealed entry. */
  readonly number: number;
  readonly checkpoint: string | null;
  /** The database's clock, in microseconds since 1970. */
  readonly now: number;
  /** The newest head, or null when there is none. */
  readonly newest: HeadRow | null;
  /** Whether a freeze stands. */
  readonly isFrozen: boolean;
};

/** Sets the statement timeout for the rest of the transaction. */
export async function boundStatements(tx: Transaction, statementMs: number): Promise<void> {
  await tx.query("select set_config('statement_timeout', $1::int::text, true)", [statementMs]);
}

/**
 * Locks the state of the record until the end of the transaction, so that only one transaction seals at a time,
 * whichever warden believes that it leads. The newest head, and whether a freeze stands, are read after the lock was
 * obtained.
 */
export const lockState = (tx: Transaction): Promise<LedgerState> => stateOf(tx, 'for update');

/** Returns the same without a lock, as a snapshot shows it. */
export const readState = (tx: Transaction): Promise<LedgerState> => stateOf(tx, '');

async function stateOf(tx: Transaction, rowLock: 'for update' | ''): Promise<LedgerState> {
  const [row] = await tx.query<{ era: number; number: number; checkpoint: string | null; now: number }>(
    `select era, number, checkpoint, micros(clock_timestamp()) as now from ledger_state ${rowLock}`,
  );
  if (row === undefined) throw new Error('the ledger has no state');
  const [after] = await tx.query<{ frozen: boolean } & (HeadRow | { readonly position: null })>(
    `select exists (select from ledger_freeze where released_at is null) as frozen, n.*
     from (select) one left join lateral (select ${rowColumns} from ledger_head h order by h.position desc limit 1) n on true`,
  );
  if (after === undefined) throw new Error('the ledger has no state');
  const { frozen: isFrozen, ...newest } = after;
  return { ...row, newest: newest.position === null ? null : newest, isFrozen };
}

/** Returns the database's clock now, in microseconds since 1970. */
export async function clockOf(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ now: number }>('select era, micros(clock_timestamp()) as now from ledger_state');
  if (row === undefined) throw new Error('the ledger has no state');
  return row.now;
}

/** An entry that has no number and no position in a tree yet. */
export type FreshEntry = Omit<PlacedEntry, 'tree' | 'position' | 'number'> & { readonly id: number };

/**
 * How many entries a round takes from each of the two queues: the entries that the planes wait for, and the entries of
 * operators (observer `admin`).
 */
export type Taken = { readonly planes: number; readonly operators: number };

/**
 * Returns the oldest waiting entries of each queue, without those that were set aside, in the order in which they were
 * written. The subquery reads, along the index of its queue, the number wanted plus the number that can have been set
 * aside. So it reads that many rows in order and no more, whatever the planner's statistics say and however many rows
 * the other queue has. Every query for the first entries of a queue has this form.
 */
export async function takeFresh(tx: Transaction, { planes, operators }: Taken): Promise<readonly FreshEntry[]> {
  return tx.query<FreshEntry>(
    `select id, micros(at) as at, kind, observer, customer_id as customer, account_id as account, session_id as session, node, plane, handle_id as handle,
       version_id as version, extent, bytes, public::text as "publicText", credential, also_credential as "alsoCredential", host(source) as source,
       source_port as "sourcePort", client, operator, sensitive::text as "sensitiveText"
     from ((select f.* from (select * from ledger_fresh where observer <> 'admin' order by id limit $1::bigint + $3) f
         where not exists (select from ledger_quarantine q where q.id = f.id) order by f.id limit $1)
       union all (select f.* from (select * from ledger_fresh where observer = 'admin' order by id limit case when $2 = 0 then 0 else $2::bigint + $3 end) f
         where not exists (select from ledger_quarantine q where q.id = f.id) order by f.id limit $2)) w order by id`,
    [planes, operators, setAsideMax],
  );
}

/** The row of a tree as the database shows it. It is true only when it agrees with a hash that was signed. */
export type TreeRow = { readonly tree: string; readonly size: number; readonly frontier: Buffer };

/** Returns the rows of these trees, locked. A tree without entries has no row. */
export async function treeRows(tx: Transaction, trees: readonly string[]): Promise<readonly TreeRow[]> {
  return tx.query<TreeRow>('select tree, size, frontier from ledger_tree where tree = any ($1::uuid[]) for update', [
    trees,
  ]);
}

export async function allTreeRows(tx: Transaction, isLocked = true): Promise<readonly TreeRow[]> {
  const rowLock = isLocked ? 'for update' : '';
  return tx.query<TreeRow>(`select tree, size, frontier from ledger_tree ${rowLock}`);
}

export type EntryPosition = {
  readonly id: number;
  readonly tree: string;
  readonly position: number;
  readonly number: number;
};

/** Moves entries to their positions. `salts` and `leaves` hold 32 bytes for each entry, one after the other. */
export async function moveEntries(
  tx: Transaction,
  positions: readonly EntryPosition[],
  salts: Buffer,
  leaves: Buffer,
): Promise<void> {
  const ids = positions.map((one) => one.id);
  await tx.query(
    `insert into ledger_sealed
     select n.number, n.tree, n.position, substring($5::bytea from (n.o - 1)::int * 32 + 1 for 32), substring($6::bytea from (n.o - 1)::int * 32 + 1 for 32), f.*
     from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) with ordinality n(id, number, tree, position, o)
       cross join lateral (select * from ledger_fresh w where w.id = n.id offset 0) f`,
    [
      ids,
      positions.map((one) => one.number),
      positions.map((one) => one.tree),
      positions.map((one) => one.position),
      salts,
      leaves,
    ],
  );
  await tx.query('delete from ledger_fresh where id = any ($1::bigint[])', [ids]);
}

export async function saveTrees(tx: Transaction, trees: ReadonlyMap<string, Frontier>, head: number): Promise<void> {
  const rows = [...trees];
  await tx.query(
    `insert into ledger_tree (tree, size, frontier, head) select t, s, f, $4 from unnest($1::uuid[], $2::bigint[], $3::bytea[]) n(t, s, f)
     on conflict (tree) do update set size = excluded.size, frontier = excluded.frontier, head = excluded.head`,
    [
      rows.map(([tree]) => tree),
      rows.map(([, { size }]) => size),
      rows.map(([, frontier]) => Buffer.from(frontierBytes(frontier))),
      head,
    ],
  );
}

export type Block = { readonly tree: string; readonly index: number; readonly hash: Uint8Array };

export async function insertBlocks(tx: Transaction, blocks: readonly Block[]): Promise<void> {
  if (blocks.length === 0) return;
  await tx.query(
    'insert into ledger_block (tree, index, hash) select * from unnest($1::uuid[], $2::bigint[], $3::bytea[])',
    [blocks.map((one) => one.tree), blocks.map((one) => one.index), blocks.map((one) => Buffer.from(one.hash))],
  );
}

export async function insertHead(tx: Transaction, head: HeadRow): Promise<void> {
  await tx.query(
    `insert into ledger_head (position, at, number, secret, map_root, epoch, trees)
     values ($1, 'epoch'::timestamptz + $2::bigint * interval '1 microsecond', $3, $4, $5, $6, $7)`,
    [head.position, head.at, head.number, Buffer.from(head.secret), Buffer.from(head.mapRoot), head.epoch, head.trees],
  );
}

/**
 * Saves the state in the transaction that inserts the head. Its checkpoint is signed after the commit; until every
 * required witness has that, the record counts as unwitnessed.
 */
export async function saveState(tx: Transaction, number: number, isEpoch: boolean): Promise<void> {
  await tx.query(
    `update ledger_state set number = $1, unwitnessed_since = coalesce(unwitnessed_since, clock_timestamp()),
       epoch_asked_at = case when $2 then null else epoch_asked_at end`,
    [number, isEpoch],
  );
}

/**
 * Stores a signed note in a statement of its own, provided that the era, the number, the size of the heads log and the
 * former note are still those it was signed for. Returns false when another warden changed one of them meanwhile. The
 * commit does not wait for the disk: a note that a crash loses is signed again.
 */
export async function saveNote(
  database: Pick<Database, 'call'>,
  signed: {
    readonly era: number;
    readonly number: number;
    readonly size: number;
    readonly before: string | null;
    readonly note: string;
  },
): Promise<boolean> {
  const rows = await database.call(
    `with quick as materialized (select set_config('synchronous_commit', 'off', true))
     update ledger_state set checkpoint = $5, checkpoint_at = clock_timestamp(), unwitnessed_since = coalesce(unwitnessed_since, clock_timestamp()) from quick
     where era = $1 and number = $2 and checkpoint is not distinct from $4 and $3 = (select coalesce(max(position) + 1, 0) from ledger_head) returning 1`,
    [signed.era, signed.number, signed.size, signed.before, signed.note],
  );
  return rows.length === 1;
}

/**
 * Marks that every required witness has this checkpoint. If something was signed or sealed since, the time without a
 * witness begins anew now. A checkpoint that is older than the marked one of the same era changes nothing: a warden
 * that led before may report late.
 */
export async function markWitnessed(
  tx: Transaction,
  { era, size }: Pick<Checkpoint, 'era' | 'size'>,
  checkpoint: string,
): Promise<void> {
  await tx.query(
    `update ledger_state set witnessed_size = greatest(witnessed_size, $1), witnessed_checkpoint = $2, witnessed_at = clock_timestamp(),
       unwitnessed_since = case when checkpoint = $2 and $1 = (select coalesce(max(position) + 1, 0) from ledger_head) then null else clock_timestamp() end
     where witnessed_checkpoint is null or $1 >= witnessed_size or position(E'\\nera ' || $3::text || E'\\n' in witnessed_checkpoint) = 0`,
    [size, checkpoint, era],
  );
}

/** Asks for an epoch. The sealer begins it and clears the request. Returns when it was asked for. */
export async function askEpoch(tx: Transaction): Promise<Date> {
  const [row] = await tx.query<{ at: Date }>(
    'update ledger_state set epoch_asked_at = clock_timestamp() returning epoch_asked_at as at',
  );
  if (row === undefined) throw new Error('the ledger has no state');
  return row.at;
}

export type Freeze = {
  readonly id: string;
  readonly why: 'behind' | 'diverged' | 'clock';
  readonly text: string;
  readonly facts: Readonly<Record<string, unknown>>;
};
export type Look = {
  readonly era: number;
  readonly number: number;
  /** The size of the heads log. */
  readonly heads: number;
  readonly checkpoint: string | null;
  /** The database's clock, in milliseconds since 1970. */
  readonly now: number;
  readonly checkpointAgeMs: number | null;
  /** Whether an operator asked that an epoch begin. */
  readonly isEpochAsked: boolean;
  /** Whether an entry waits for a seal in either queue. */
  readonly hasFresh: boolean;
  /**
   * The number of entries of the planes that wait for a seal. Below the number from which they are counted this is an
   * upper bound, because ids that were drawn and not used are included.
   */
  readonly unsealed: number;
  /**
   * For how many milliseconds the oldest entry of the planes and the oldest entry of operators have waited for a seal,
   * and for how long a checkpoint has been missing from a required witness.
   */
  readonly unsealedMs: number;
  readonly operatorsUnsealedMs: number;
  readonly unwitnessedMs: number;
  /** Whether every required witness has the newest checkpoint. */
  readonly isWitnessed: boolean;
  /** The number of heads that every required witness has had, according to the database. */
  readonly witnessed: number;
  /** Whether nothing was sealed yet in this era, which a release began. */
  readonly isBeginning: boolean;
  /** The server and the timeline of the database. */
  readonly identity: string;
  readonly freeze: Freeze | null;
};

/**
 * Returns everything that decides whether anything is served, read at one moment. Where the ids show that at least
 * `countFrom` entries of the planes may wait, they are counted, up to that number; null: never. Entries of operators
 * are a queue of their own and do not stop anything.
 */
export async function lookClosely(tx: Transaction, countFrom: number | null): Promise<Look> {
  const [row] = await tx.query<{
    era: number;
    number: number;
    heads: number | null;
    checkpoint: string | null;
    now: number;
    checkpoint_age: number | null;
    unsealed: number | null;
    waiting: number | null;
    operators: number | null;
    unwitnessed: number | null;
    witnessed: number;
    begun_at: number | null;
    asked: boolean;
    identity: string;
    freeze: Freeze | null;
  }>(
    `select s.era, s.number, (select t.size from ledger_tree t where t.tree = $1) as heads, s.checkpoint, (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
       (extract(epoch from clock_timestamp() - s.checkpoint_at) * 1000)::float8 as checkpoint_age,
       (select (extract(epoch from clock_timestamp() - f.at) * 1000)::float8
         from (select id, at from ledger_fresh where observer <> 'admin' order by id limit 1 + $2::bigint) f
         where not exists (select from ledger_quarantine q where q.id = f.id) order by f.id limit 1) as unsealed,
       (select (extract(epoch from clock_timestamp() - f.at) * 1000)::float8
         from (select id, at from ledger_fresh where observer = 'admin' order by id limit 1 + $2::bigint) f
         where not exists (select from ledger_quarantine q where q.id = f.id) order by f.id limit 1) as operators,
       case when w.most < coalesce($3::bigint, w.most + 1) then w.most
         else (select count(*) from (select id from ledger_fresh where observer <> 'admin' order by id limit $3::bigint + $2) c
           where not exists (select from ledger_quarantine q where q.id = c.id)) end as waiting,
       (extract(epoch from clock_timestamp() - s.unwitnessed_since) * 1000)::float8 as unwitnessed, s.witnessed_size as witnessed, s.epoch_asked_at is not null as asked,
       (select (r.facts ->> 'heads')::bigint from ledger_freeze r where r.era = s.era and r.released_at is not null order by r.released_at desc limit 1) as begun_at,
       ${serverIdentity} as identity,
       (select json_build_object('id', z.id, 'why', z.why, 'text', z.text, 'facts', z.facts) from ledger_freeze z where z.released_at is null order by z.at limit 1) as freeze
     from ledger_state s cross join (select (select max(id) from ledger_fresh where observer <> 'admin') -
         (select f.id from (select id from ledger_fresh where observer <> 'admin' order by id limit 1 + $2::bigint) f
           where not exists (select from ledger_quarantine q where q.id = f.id) order by f.id limit 1) + 1 as most) w`,
    [headsTree, setAsideMax, countFrom],
  );
  if (row === undefined) throw new Error('the ledger has no state');
  return {
    era: row.era,
    number: row.number,
    heads: row.heads ?? 0,
    checkpoint: row.checkpoint,
    now: row.now,
    checkpointAgeMs: row.checkpoint_age,
    isEpochAsked: row.asked,
    hasFresh: row.unsealed !== null || row.operators !== null,
    unsealed: row.waiting ?? 0,
    unsealedMs: Math.max(0, row.unsealed ?? 0),
    operatorsUnsealedMs: Math.max(0, row.operators ?? 0),
    unwitnessedMs: Math.max(0, row.unwitnessed ?? 0),
    isWitnessed: row.unwitnessed === null,
    witnessed: row.witnessed,
    isBeginning: row.begun_at !== null && row.begun_at === (row.heads ?? 0),
    identity: row.identity,
    freeze: row.freeze,
  };
}

/** Does the same as `lookClosely` without counting the waiting entries. */
export const look = (tx: Transaction): Promise<Look> => lookClosely(tx, null);

/**
 * A row of the heads log. `at` is its time in microseconds since 1970, `epoch` is the position of the head that began
 * its epoch, and `trees` holds its lines.
 */
export type HeadRow = {
  readonly position: number;
  readonly at: number;
  readonly number: number;
  readonly secret: Uint8Array;
  readonly mapRoot: Uint8Array;
  readonly epoch: number;
  readonly trees: string;
};
const rowColumns = 'h.position, micros(h.at) as at, h.number, h.secret, h.map_root as "mapRoot", h.epoch, h.trees';

/**
 * Returns what the root of the heads log at `size` is computed from: the hashes of whole blocks, and the heads after
 * the last whole block. When there are fewer rows than that, rows are missing in the database.
 */
export async function headsUpTo(
  tx: Transaction,
  size: number,
): Promise<{ readonly blocks: readonly Buffer[]; readonly rest: readonly HeadRow[] }> {
  const whole = Math.floor(size / blockLeaves);
  const blocks = await tx.query<{ hash: Buffer }>(
    'select hash from ledger_block where tree = $1 and index < $2 order by index',
    [headsTree, whole],
  );
  return { blocks: blocks.map((row) => row.hash), rest: await headsBetween(tx, whole * blockLeaves, size) };
}

export async function headsBetween(tx: Transaction, first: number, end: number): Promise<readonly HeadRow[]> {
  return tx.query<HeadRow>(
    `select ${rowColumns} from ledger_head h where h.position >= $1 and h.position < $2 order by h.position`,
    [first, end],
  );
}

/** Writes a freeze. A row of this id that says something else, or that it was released, is put back. */
export async function saveFreeze(tx: Transaction, { id, why, text, facts }: Freeze): Promise<void> {
  await tx.query(
    `insert into ledger_freeze (id, why, text, facts) values ($1, $2, $3, $4)
     on conflict (id) do update set why = excluded.why, text = excluded.text, facts = excluded.facts, released_at = null, era = null, change_id = null`,
    [id, why, text, JSON.stringify(facts)],
  );
}

const freezesMax = 20;

/** A row of a freeze as the database shows it. */
export type FreezeRow = Freeze & { readonly isReleased: boolean };

/** Returns the freezes that stand, and the one with this id, whether or not it stands. */
export async function freezesWith(tx: Transaction, id: string): Promise<readonly FreezeRow[]> {
  return tx.query<FreezeRow>(
    `select id, why, text, facts, released_at is not null as "isReleased" from ledger_freeze where released_at is null or id = $1 order by id = $1 desc, at limit $2`,
    [id, freezesMax],
  );
}

export async function publishLedgerKey(tx: Transaction, verifierKey: string): Promise<void> {
  await tx.query(
    "insert into ledger_key (id, verifier_key) values (split_part($1, '+', 2), $1) on conflict do nothing",
    [verifierKey],
  );
}

const releasesMax = 20;

/**
 * Returns the ids of the changes by which, according to the database, two operators ended this era or a later one,
 * ordered by era.
 */
export async function findReleases(tx: Transaction, era: number): Promise<readonly string[]> {
  const rows = await tx.query<{ change_id: string }>(
    'select change_id from ledger_freeze where era > $1 and released_at is not null order by era, released_at desc limit $2',
    [era, releasesMax],
  );
  return rows.map((row) => row.change_id);
}

/** Returns a freeze and locks its row, or returns undefined when it does not exist. */
export async function lockFreeze(tx: Transaction, id: string): Promise<FreezeRow | undefined> {
  const [row] = await tx.query<FreezeRow>(
    'select id, why, text, facts, released_at is not null as "isReleased" from ledger_freeze where id = $1 for update',
    [id],
  );
  return row;
}

/**
 * Releases a freeze by a change and begins the next era at the present state of the record. Returns the new era, which
 * is later than the one that the release ends, whatever the database says.
 */
export async function releaseFreeze(tx: Transaction, id: string, ended: number, change: string): Promise<number> {
  const [row] = await tx.query<{ era: number }>('update ledger_state set era = greatest(era, $1) + 1 returning era', [
    ended,
  ]);
  if (row === undefined) throw new Error('the ledger has no state');
  await tx.query('update ledger_freeze set released_at = clock_timestamp(), era = $2, change_id = $3 where id = $1', [
    id,
    row.era,
    change,
  ]);
  return row.era;
}

/** Returns which server, timeline, era and size of the heads log a new connection leads to. */
export async function identify(
  tx: Transaction,
): Promise<{ readonly identity: string; readonly era: number; readonly heads: number }> {
  const { identity, era, heads } = await look(tx);
  return { identity, era, heads };
}
