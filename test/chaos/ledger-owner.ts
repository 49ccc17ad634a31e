// Owns: what the owner of the database does to the record while it is written, sealed and killed: each touch of the
// threat model (decision 35), and by whom it must be found within which time.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { TreeMap } from '../../server/domain/ledger/map.ts';
// Numbers of the database as numbers, as the code of the sealer reads them.
import '../../server/postgres/database.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { sha256 } from '../../server/warden/ledger/hashing.ts';
import { roundMax, sealRound, takenOf } from '../../server/warden/ledger/seal.ts';
import { lockState } from '../../server/warden/ledger/seal-queries.ts';
import { loadStanding } from '../../server/warden/ledger/standing.ts';
import { recompute } from '../support/forger.ts';
import { putAllBack } from './ledger-kept.ts';
import { quietTree } from './ledger-scene.ts';

/**
 * By whom a touch must be found. `freeze`: a sealer, a comparison with the witness, or whoever wrote the entry.
 * `nobody`: it proves nothing, and does no harm.
 */
type Finder = 'freeze' | 'verifier' | 'nobody';
export type OwnersTouch = {
  readonly name: string;
  readonly by: Finder;
  /** Ten times what the threat model says, in seconds; for the verifier: its next run. */
  readonly withinSeconds: number;
  /** What else must happen for it to be found: an epoch that is asked for, or another warden that leads. */
  readonly comes?: 'epoch' | 'leader';
  /** What the memory of a process finds, or what needs a process that continues: the sealers run. */
  readonly needsRunning?: true;
  /**
   * A warden forever misses what it saw or wrote meanwhile, though everything was put back: a head that it found on top
   * of what was signed, or what it wrote under a number that was too high. A release gives that up; here the wardens
   * start anew.
   */
  readonly restarts?: true;
  /** Only what waits for its seal: what is sealed meanwhile stays. */
  readonly isOfWaiting?: true;
  /** The sentence of the freeze. */
  readonly says?: RegExp;
  /** The state that was kept this many heads ago is put back. */
  readonly isOlder?: true;
  /** In the owner's transaction, in which no trigger fires, under the lock that each round takes. */
  readonly touch: (client: pg.Client) => Promise<unknown>;
};

/**
 * A round takes 250 ms, and a warden that begins to lead first proves the record. An epoch that is asked for begins
 * five seconds after the last one.
 */
const [roundSeconds, epochSeconds, verifySeconds] = [2.5, 52.5, 600];
const heads = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const a = 'aaaaaaaa-0000-4000-8000-000000000000';
const flip = (column: string): string => `${column} = set_byte(${column}, 0, get_byte(${column}, 0) # 1)`;
const newest = 'position = (select max(position) from ledger_head)';
/** An entry that a checkpoint of the witness covers, of a tree that has others after it. */
const middle = `(select number from ledger_sealed where tree = '${a}' order by number offset (select count(*) / 2 from ledger_sealed where tree = '${a}') limit 1)`;
const does =
  (...statements: readonly string[]) =>
  async (client: pg.Client): Promise<void> => {
    for (const statement of statements) await client.query(statement);
  };
const frozen = (name: string, ...statements: readonly string[]): OwnersTouch => ({
  name,
  by: 'freeze',
  withinSeconds: roundSeconds,
  touch: does(...statements),
});
const verified = (name: string, ...statements: readonly string[]): OwnersTouch => ({
  name,
  by: 'verifier',
  withinSeconds: verifySeconds,
  touch: does(...statements),
});

export const ownersTouches: readonly OwnersTouch[] = [
  frozen('a frontier rewritten', `update ledger_tree set ${flip('frontier')} where tree = '${a}'`),
  frozen('a size rewritten', `update ledger_tree set size = size + 1 where tree = '${a}'`),
  frozen('a tree removed', `delete from ledger_tree where tree = '${a}'`),
  frozen(
    'a tree begun anew, its entries dropped',
    ...['sealed', 'block', 'tree'].map((table) => `delete from ledger_${table} where tree = '${a}'`),
  ),
  frozen('the frontier of the heads log', `update ledger_tree set ${flip('frontier')} where tree = '${heads}'`),
  // When the sealer was killed between the commit of a head and its signature, the head lies on top of what was signed.
  ...(
    [
      ['the newest head', `update ledger_head set number = number + 1 where ${newest}`],
      ['the secret of the newest head', `update ledger_head set ${flip('secret')} where ${newest}`],
      ['the map root of the newest head', `update ledger_head set ${flip('map_root')} where ${newest}`],
      ['the newest head removed', `delete from ledger_head where ${newest}`],
    ] as const
  ).map(([name, statement]): OwnersTouch => ({ ...frozen(name, statement), restarts: true })),
  { ...frozen('the number', 'update ledger_state set number = number + 5'), restarts: true },
  {
    ...frozen(
      'the number, and the newest head with it',
      `update ledger_head set number = number + 1 where ${newest}`,
      'update ledger_state set number = number + 1',
    ),
    restarts: true,
  },
  {
    name: 'a head of his own, of a record without the entries of one',
    by: 'freeze',
    withinSeconds: roundSeconds,
    restarts: true,
    touch: appendOwnHead,
  },
  {
    name: 'an older state put back',
    by: 'freeze',
    withinSeconds: roundSeconds,
    isOlder: true,
    touch: (client) => putAllBack(client, 'older'),
  },
  ...(['deleted', 'changed'] as const).map(
    (what): OwnersTouch => ({
      name: `${what} between insert and seal`,
      by: 'freeze',
      withinSeconds: roundSeconds,
      needsRunning: true,
      restarts: true,
      isOfWaiting: true,
      says: /the entry \d+ \(download\.closed\) that this warden wrote/,
      touch: (client) => touchBorn(client, what),
    }),
  ),
  {
    name: 'the row of a tree that does not grow',
    by: 'freeze',
    withinSeconds: epochSeconds,
    comes: 'epoch',
    needsRunning: true,
    says: new RegExp(quietTree),
    touch: does(`update ledger_tree set ${flip('frontier')} where tree = '${quietTree}'`),
  },
  {
    name: 'the row of a tree that does not grow, until another leads',
    by: 'freeze',
    withinSeconds: roundSeconds,
    comes: 'leader',
    says: new RegExp(quietTree),
    touch: does(`update ledger_tree set size = size + 1 where tree = '${quietTree}'`),
  },
  verified('an entry edited', `update ledger_sealed set bytes = coalesce(bytes, 0) + 1 where number = ${middle}`),
  verified(
    'an entry edited with its leaf',
    `update ledger_sealed set leaf = sha256(leaf), at = at + interval '1 microsecond' where number = ${middle}`,
  ),
  verified('an entry deleted', `delete from ledger_sealed where number = ${middle}`),
  verified(
    'two entries swapped',
    `create temporary table two on commit drop as select number, position from ledger_sealed where tree = '${a}' and number >= ${middle} order by number limit 2`,
    'update ledger_sealed s set position = 1000000 + (select position from two o where o.number <> s.number) where number in (select number from two)',
    `update ledger_sealed set position = position - 1000000 where tree = '${a}' and position >= 1000000`,
  ),
  verified(
    'an entry put in',
    `update ledger_sealed set position = position + 1 where tree = '${a}' and number > ${middle}`,
    `insert into ledger_sealed select number, tree, position + 1, salt, leaf, (jsonb_populate_record(null::ledger_fresh, to_jsonb(s) || '{"bytes": 7}')).* from ledger_sealed s where number = ${middle}`,
  ),
  verified(
    'lines of an old head',
    `update ledger_head set trees = '' where position = (select max(position) / 2 from ledger_head)`,
  ),
  verified(
    'the secret of the epoch',
    `update ledger_head set ${flip('secret')} where position = (select max(epoch) from ledger_head) and not (${newest})`,
  ),
  verified(
    'entries taken out, and said to be archived',
    `create temporary table gone on commit drop as select * from ledger_sealed where tree = '${a}' and number <= ${middle}`,
    `insert into ledger_leaf (tree, position, leaf) select tree, position, leaf from gone on conflict do nothing`,
    'delete from ledger_sealed where number in (select number from gone)',
    `insert into ledger_archive (month, file, sha256, entries, archived_at) select date_trunc('month', min(at))::date, 'ledger-own.jsonl.gz', sha256('x'), count(*), now() from gone`,
    `insert into ledger_archive_range (month, tree, first, last, entries, stated_at) select date_trunc('month', min(at))::date, tree, min(position), max(position), count(*), now() from gone group by tree`,
  ),
  {
    name: 'everything computed again from an edited entry',
    by: 'verifier',
    withinSeconds: verifySeconds,
    touch: async (client) => {
      await client.query(`update ledger_sealed set bytes = coalesce(bytes, 0) + 1 where number = ${middle}`);
      await recompute(client);
    },
  },
  {
    name: 'twin: everything written anew as it was',
    by: 'nobody',
    withinSeconds: 0,
    touch: (client) => putAllBack(client, 'kept'),
  },
  {
    name: 'the note of the database',
    by: 'nobody',
    withinSeconds: 0,
    touch: does("update ledger_state set checkpoint = 'nobody signed this'"),
  },
  {
    name: 'what was witnessed, by the word of the database',
    by: 'nobody',
    withinSeconds: 0,
    touch: does("update ledger_state set witnessed_checkpoint = 'nobody signed this'"),
  },
];

/**
 * Under the lock that each round takes: what waits when this is committed was written meanwhile, by a warden that
 * lives.
 */
async function touchBorn(client: pg.Client, what: 'deleted' | 'changed'): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    'select coalesce(max(id), 0)::text as id from (select id from ledger_fresh union all select max(id) from ledger_sealed) x',
  );
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(5)) {
    const born = await client.query<{ id: number }>(
      `insert into kept.ledger_fresh select * from ledger_fresh where id > ${rows[0]?.id} and public ->> 'by' = 'warden' limit 1 returning id`,
    );
    const [{ id } = { id: undefined }] = born.rows;
    if (id === undefined) continue;
    const done = await client.query(
      what === 'deleted'
        ? `delete from ledger_fresh where id = ${id}`
        : `update ledger_fresh set bytes = bytes + 1 where id = ${id}`,
    );
    if (done.rowCount === 1) return;
  }
  throw new Error('no warden wrote anything for ten seconds');
}

/**
 * Everything fits: it is made by the sealer's own code, from a record that lost a customer. Only no key has signed it.
 */
async function appendOwnHead(client: pg.Client): Promise<void> {
  const tx: Transaction = { query: async (text, values = []) => (await client.query(text, [...values])).rows };
  const state = await lockState(tx);
  const { era, size, root } = parseNote(state.checkpoint ?? '').checkpoint;
  const standing = await loadStanding(tx, state, [{ by: 'the owner', era, size, root }]);
  await does(...['sealed', 'block', 'tree'].map((table) => `delete from ledger_${table} where tree = '${a}'`))(client);
  // What is kept is what the forged round takes: nobody writes in between.
  await client.query('lock table ledger_fresh in share row exclusive mode');
  await client.query('insert into kept.ledger_fresh select * from ledger_fresh');
  await client.query(
    `insert into ledger_fresh (kind, observer, handle_id, public, sensitive) values ('download.closed', 'edge', '${randomUUID()}', '{"by": "client"}', '{}')`,
  );
  const trees = new Map([...standing.trees].filter(([tree]) => tree !== a));
  const rows = [...trees].map(([tree, { frontier, root: rootOf }]) => ({ tree, size: frontier.size, root: rootOf }));
  const forged = { ...standing, trees, map: TreeMap.empty(sha256, standing.map.secret).with(rows) };
  const round = await sealRound(tx, forged, { most: takenOf(roundMax), isSigned: () => true });
  if (round === undefined || round.sealed === 0) throw new Error('nothing was sealed');
}
