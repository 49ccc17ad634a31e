// Owns: the SQL of sealing: what has no place yet, the trees, the heads log, the state of the record.
// Must never: write a row of the sealed record but from ledger_fresh, in the transaction that takes it out there.
import type { Checkpoint } from '../../domain/ledger/checkpoint.ts';
import { headsTree, type PlacedEntry } from '../../domain/ledger/leaf.ts';
import { blockLeaves, type Frontier, frontierBytes } from '../../domain/ledger/merkle.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { serverIdentity } from '../../postgres/entry-queries.ts';

export type LedgerState = {
  readonly era: number;
  /** Of the last sealed entry. */
  readonly number: number;
  readonly checkpoint: string | null;
  /** Microseconds since 1970, by the database's clock. */
  readonly now: number;
  /** The newest head; null: there is none. */
  readonly newest: HeadRow | null;
};

/** For the rest of the transaction. */
export async function boundStatements(tx: Transaction, statementMs: number): Promise<void> {
  await tx.query("select set_config('statement_timeout', $1::int::text, true)", [statementMs]);
}

/** Locked until the end of the transaction: one seals at a time, whoever believes to lead. What stands beside it is read when the lock is there. */
export async function lockState(tx: Transaction): Promise<LedgerState> {
  const [row] = await tx.query<{ era: number; number: number; checkpoint: string | null; now: number }>(
    'select era, number, checkpoint, micros(clock_timestamp()) as now from ledger_state for update',
  );
  if (row === undefined) throw new Error('the ledger has no state');
  const [newest] = await tx.query<HeadRow>(`select ${rowColumns} from ledger_head h order by h.position desc limit 1`);
  return { ...row, newest: newest ?? null };
}

/** An entry before it has a place. */
export type FreshEntry = Omit<PlacedEntry, 'tree' | 'position' | 'number'> & { readonly id: number };

/** Somebody who writes more than these is no accident. */
const setAsideMax = 16;

/** How many entries are taken of what the planes wait for, and of the words of operators. */
export type Taken = { readonly planes: number; readonly operators: number };

/**
 * What waits, the oldest of each line, as far as it was not set aside; in the order in which it was written. So many rows as are wanted, and as many as can
 * have been set aside, are read along the key of their line: all of them in order, and no more, whatever the planner believes of the table and however many
 * stand in the other line. The same form stands wherever the first ones are asked for.
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

/** The first entry that waits in this line is set aside: nothing of it is read. Returns its number in ledger_fresh; undefined when nothing waits, or too many were. */
export async function quarantineFirst(tx: Transaction, why: string, line: keyof Taken = 'planes'): Promise<string | undefined> {
  const [row] = await tx.query<{ id: string }>(
    `insert into ledger_quarantine (id, why)
     select f.id, $1 from (select id from ledger_fresh where (observer = 'admin') = $3 order by id limit 1 + $2::bigint) f
       where not exists (select from ledger_quarantine q where q.id = f.id) and (select count(*) from ledger_quarantine) < $2 order by f.id limit 1 returning id::text`,
    [why, setAsideMax, line === 'operators'],
  );
  return row?.id;
}

/** As the database shows it; nothing but a hash that was signed says that it is so. */
export type TreeRow = { readonly tree: string; readonly size: number; readonly frontier: Buffer };

export async function treeRows(tx: Transaction, trees: readonly string[]): Promise<readonly TreeRow[]> {
  return tx.query<TreeRow>('select tree, size, frontier from ledger_tree where tree = any ($1::uuid[]) for update', [trees]);
}

export async function allTreeRows(tx: Transaction): Promise<readonly TreeRow[]> {
  return tx.query<TreeRow>('select tree, size, frontier from ledger_tree for update');
}

export type Place = { readonly id: number; readonly tree: string; readonly position: number; readonly number: number };

/** `salts` and `leaves`: 32 bytes for each place, one after the other. */
export async function moveEntries(tx: Transaction, places: readonly Place[], salts: Buffer, leaves: Buffer): Promise<void> {
  const ids = places.map((one) => one.id);
  await tx.query(
    `insert into ledger_sealed
     select n.number, n.tree, n.position, substring($5::bytea from (n.o - 1)::int * 32 + 1 for 32), substring($6::bytea from (n.o - 1)::int * 32 + 1 for 32), f.*
     from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) with ordinality n(id, number, tree, position, o)
       cross join lateral (select * from ledger_fresh w where w.id = n.id offset 0) f`,
    [ids, places.map((one) => one.number), places.map((one) => one.tree), places.map((one) => one.position), salts, leaves],
  );
  await tx.query('delete from ledger_fresh where id = any ($1::bigint[])', [ids]);
}

export async function saveTrees(tx: Transaction, trees: ReadonlyMap<string, Frontier>, head: number): Promise<void> {
  const rows = [...trees];
  await tx.query(
    `insert into ledger_tree (tree, size, frontier, head) select t, s, f, $4 from unnest($1::uuid[], $2::bigint[], $3::bytea[]) n(t, s, f)
     on conflict (tree) do update set size = excluded.size, frontier = excluded.frontier, head = excluded.head`,
    [rows.map(([tree]) => tree), rows.map(([, { size }]) => size), rows.map(([, frontier]) => Buffer.from(frontierBytes(frontier))), head],
  );
}

export type Block = { readonly tree: string; readonly index: number; readonly hash: Uint8Array };

export async function insertBlocks(tx: Transaction, blocks: readonly Block[]): Promise<void> {
  if (blocks.length === 0) return;
  await tx.query('insert into ledger_block (tree, index, hash) select * from unnest($1::uuid[], $2::bigint[], $3::bytea[])', [
    blocks.map((one) => one.tree),
    blocks.map((one) => one.index),
    blocks.map((one) => Buffer.from(one.hash)),
  ]);
}

export async function insertHead(tx: Transaction, head: HeadRow): Promise<void> {
  await tx.query(
    `insert into ledger_head (position, at, number, secret, map_root, epoch, trees)
     values ($1, 'epoch'::timestamptz + $2::bigint * interval '1 microsecond', $3, $4, $5, $6, $7)`,
    [head.position, head.at, head.number, Buffer.from(head.secret), Buffer.from(head.mapRoot), head.epoch, head.trees],
  );
}

/** With the head of the same transaction. Its checkpoint follows: until some witness has that, what was sealed waits. */
export async function saveState(tx: Transaction, number: number, isEpoch: boolean): Promise<void> {
  await tx.query(
    `update ledger_state set number = $1, unwitnessed_since = coalesce(unwitnessed_since, clock_timestamp()),
       epoch_asked_at = case when $2 then null else epoch_asked_at end`,
    [number, isEpoch],
  );
}

/**
 * A statement of its own: the newest note of the very era and size that it is about, in the place of the one that was there when the head was committed.
 * False: another warden went on meanwhile. It is not waited for until it is durable: a note that a crash takes back is signed again.
 */
export async function saveNote(
  database: Pick<Database, 'call'>,
  signed: { readonly era: number; readonly number: number; readonly size: number; readonly before: string | null; readonly note: string },
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
 * Every required witness has this checkpoint. What was signed since, or was sealed and is not signed yet, waits from now on. One that is older than what is
 * marked, of the same era, changes nothing: a warden that led before hears late of what it handed over.
 */
export async function markWitnessed(tx: Transaction, { era, size }: Pick<Checkpoint, 'era' | 'size'>, checkpoint: string): Promise<void> {
  await tx.query(
    `update ledger_state set witnessed_size = greatest(witnessed_size, $1), witnessed_checkpoint = $2, witnessed_at = clock_timestamp(),
       unwitnessed_since = case when checkpoint = $2 and $1 = (select coalesce(max(position) + 1, 0) from ledger_head) then null else clock_timestamp() end
     where witnessed_checkpoint is null or $1 >= witnessed_size or position(E'\\nera ' || $3::text || E'\\n' in witnessed_checkpoint) = 0`,
    [size, checkpoint, era],
  );
}

/** The sealer begins an epoch, and forgets that it was asked. */
export async function askEpoch(tx: Transaction): Promise<Date> {
  const [row] = await tx.query<{ at: Date }>('update ledger_state set epoch_asked_at = clock_timestamp() returning epoch_asked_at as at');
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
  /** Size of the heads log. */
  readonly heads: number;
  readonly checkpoint: string | null;
  /** Of the database's clock, milliseconds. */
  readonly now: number;
  readonly checkpointAgeMs: number | null;
  /** Somebody wants an epoch to begin. */
  readonly isEpochAsked: boolean;
  /** Something waits for its seal, in either line. */
  readonly hasFresh: boolean;
  /** Entries that wait for their seal. Below the number from which they are counted it is an upper bound: numbers that were given and not used are in it. */
  readonly unsealed: number;
  /** How long something has waited: for its seal, the words of operators for theirs, and for its witness. */
  readonly unsealedMs: number;
  readonly operatorsUnsealedMs: number;
  readonly unwitnessedMs: number;
  /** Every required witness has the newest checkpoint. */
  readonly isWitnessed: boolean;
  /** Heads that every required witness once had, by the database's word. */
  readonly witnessed: number;
  /** Nothing was sealed yet in this era, which followed a release. */
  readonly isBeginning: boolean;
  /** Server and timeline. */
  readonly identity: string;
  readonly freeze: Freeze | null;
};

/**
 * Everything that decides whether anything is served, at one moment. `countFrom`: where numbers that were given say that so many may wait, they are counted, as
 * far as there. The words of operators are in a line of their own, and stop nobody.
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

/** The same, and nothing is counted. */
export const look = (tx: Transaction): Promise<Look> => lookClosely(tx, null);

/** `epoch`: the position of the head that began its epoch. `trees`: its lines. */
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

/** What the root of the heads log at `size` is made of: the hashes of whole blocks, and the heads behind them. Fewer rows: they are missing. */
export async function headsUpTo(
  tx: Transaction,
  size: number,
): Promise<{ readonly blocks: readonly Buffer[]; readonly rest: readonly HeadRow[] }> {
  const whole = Math.floor(size / blockLeaves);
  const blocks = await tx.query<{ hash: Buffer }>('select hash from ledger_block where tree = $1 and index < $2 order by index', [
    headsTree,
    whole,
  ]);
  return { blocks: blocks.map((row) => row.hash), rest: await headsBetween(tx, whole * blockLeaves, size) };
}

export async function headsBetween(tx: Transaction, first: number, end: number): Promise<readonly HeadRow[]> {
  return tx.query<HeadRow>(`select ${rowColumns} from ledger_head h where h.position >= $1 and h.position < $2 order by h.position`, [
    first,
    end,
  ]);
}

export async function insertFreeze(tx: Transaction, freeze: Freeze): Promise<boolean> {
  const rows = await tx.query(
    `insert into ledger_freeze (id, why, text, facts) select $1, $2, $3, $4 where not exists (select 1 from ledger_freeze where released_at is null) returning id`,
    [freeze.id, freeze.why, freeze.text, JSON.stringify(freeze.facts)],
  );
  return rows.length === 1;
}

export async function publishLedgerKey(tx: Transaction, verifierKey: string): Promise<void> {
  await tx.query("insert into ledger_key (id, verifier_key) values (split_part($1, '+', 2), $1) on conflict do nothing", [verifierKey]);
}

const releasesMax = 20;

/** The changes by which two operators are said to have ended this era, or a later one; the first era first. */
export async function findReleases(tx: Transaction, era: number): Promise<readonly string[]> {
  const rows = await tx.query<{ change_id: string }>(
    'select change_id from ledger_freeze where era > $1 and released_at is not null order by era, released_at desc limit $2',
    [era, releasesMax],
  );
  return rows.map((row) => row.change_id);
}

export async function lockFreeze(tx: Transaction, id: string): Promise<(Freeze & { readonly isReleased: boolean }) | undefined> {
  const [row] = await tx.query<Freeze & { readonly isReleased: boolean }>(
    'select id, why, text, facts, released_at is not null as "isReleased" from ledger_freeze where id = $1 for update',
    [id],
  );
  return row;
}

/** The next era begins where the database is. */
export async function releaseFreeze(tx: Transaction, id: string, change: string): Promise<number> {
  const [row] = await tx.query<{ era: number }>('update ledger_state set era = era + 1 returning era');
  if (row === undefined) throw new Error('the ledger has no state');
  await tx.query('update ledger_freeze set released_at = clock_timestamp(), era = $2, change_id = $3 where id = $1', [id, row.era, change]);
  return row.era;
}

/** What a new connection leads to. */
export async function identify(tx: Transaction): Promise<{ readonly identity: string; readonly era: number; readonly heads: number }> {
  const { identity, era, heads } = await look(tx);
  return { identity, era, heads };
}
