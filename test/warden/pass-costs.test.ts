// A regular pass costs by what is due, and not by what exists: with a catalogue in which nothing is due, none of them
// reads more than a bounded number of rows.
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'tap';
import { AlertLog } from '../../server/warden/alerts/sinks/log-sink.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { passOverRows, rowPasses } from '../../server/warden/passes/row-passes.ts';
import { Turns } from '../../server/warden/passes/turns.ts';
import { type RegularPass, regularPasses, startRegularPasses } from '../../server/warden/regular-passes.ts';
import {
  deleteDoomedExtents,
  destroyDue,
  findDoomedContents,
} from '../../server/warden/retention/retention-queries.ts';
import { SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { Bank } from '../support/bank.ts';
import type { TestDatabase } from '../support/database.ts';
import { rowsRead } from '../support/rows-read.ts';
import { Shelf } from '../support/shelf.ts';

/** So many rows of each kind that no pass has anything to do with. */
const rows = 6000;
/**
 * So many rows a turn may read when nothing is due: folders, holds and nodes, and a few budgets with their snapshots.
 */
const readMax = 2000;

/** What a pass reads as a whole by its purpose: it compares each row with its seal. */
const looksAtAll: readonly (readonly [string, readonly string[]])[] = [
  [
    'looks at the catalogue of the database, at all seals, and for budgets that are missing',
    [
      'seal',
      'account',
      'credential',
      'customer',
      'folder',
      'folder_right',
      'budget',
      'second_factor',
      'operator',
      'operator_key',
    ],
  ],
];

/** Copies one row of a table, with new values for some of its columns: SQL in which `i` is the number of the copy. */
async function copies(
  sql: TestDatabase,
  table: string,
  id: string,
  values: Readonly<Record<string, string>>,
  count = rows,
): Promise<void> {
  const columns = await sql.query<{ name: string }>(
    `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
    [table],
  );
  const names = columns.map(({ name }) => `"${name}"`).join(', ');
  const said = columns.map(({ name }) => values[name] ?? `r."${name}"`).join(', ');
  await sql.query('set session_replication_role = replica');
  await sql.query(
    `insert into ${table} (${names}) select ${said} from ${table} r, generate_series(1, ${count}) i where r.id = $1`,
    [id],
  );
  await sql.query('set session_replication_role = origin');
}

const name = (what: string): string => `md5('${what}' || i)::uuid`;

/** Versions that came to a state long ago and have nothing to wait for. */
async function addVersions(
  shelf: Shelf,
  state: string,
  more: Readonly<Record<string, string>> = {},
  count = rows,
): Promise<void> {
  const { sql } = shelf;
  const one = await shelf.add(1);
  await shelf.become(one, state);
  const [row] = await sql.query<{ file_id: string }>('select file_id from version where id = $1', [one.version]);
  const kind = one.version;
  await copies(sql, 'file', row?.file_id ?? '', { id: name(`${kind}file`), name: `'${kind}' || i` }, count);
  await copies(
    sql,
    'content',
    one.content,
    {
      id: name(`${kind}content`),
      ...(state === 'destroyed' ? { destroyed_at: 'now()', wrapped_key: "''" } : {}),
    },
    count,
  );
  await copies(
    sql,
    'version',
    one.version,
    {
      id: name(`${kind}version`),
      file_id: name(`${kind}file`),
      content_id: name(`${kind}content`),
      upload_id: state === 'partial' ? name(`${kind}upload`) : 'null',
      ...more,
    },
    count,
  );
}

test('with nothing due, no regular pass reads what merely exists', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql } = shelf;
  const bank = await Bank.create({ sql, warden: shelf.warden.database }, 'globex', 1000);
  const { session } = await bank.addReader();
  await sql.query('update folder set window_days = 30, retention_days = 90');
  const recently = { published_at: "now() - interval '1 day'" };
  await addVersions(shelf, 'published', recently);
  await addVersions(shelf, 'withdrawn', { ...recently, withdrawn_at: 'now()' });
  await addVersions(shelf, 'destroyed', { published_at: "now() - interval '1 year'" });
  await addVersions(shelf, 'discarded', { extent_count: '0' });
  await addVersions(shelf, 'held');
  await addVersions(shelf, 'settling', { publish_at: "now() + interval '1 day'", waits_since: 'now()' });
  await addVersions(shelf, 'partial', { let_go_at: 'null', opened_at: 'now()', session_id: `'${session}'` });
  // Their retention is over, and a hold keeps them.
  await addVersions(shelf, 'withdrawn', {
    published_at: "now() - interval '1 year'",
    withdrawn_at: "now() - interval '1 year'",
  });
  await sql.query("insert into legal_hold (customer_id, reason, placed_by) values ($1, 'a court asks', 'alice')", [
    shelf.customer,
  ]);
  await copies(sql, 'session', session, {
    id: name('session'),
    token_hash: "sha256(('t' || i)::bytea)",
    state: "'ended'",
    ended_at: "now() - interval '1 day'",
  });
  const [credential] = await sql.query<{ credential_id: string }>('select credential_id from session where id = $1', [
    session,
  ]);
  await copies(sql, 'credential', credential?.credential_id ?? '', {
    id: name('credential'),
    fingerprint: "'f' || i",
    expires_at: "now() + interval '300 days'",
    issued_until: "now() + interval '300 days'",
  });
  await sql.query(
    `insert into charged_item (credential_id, item, charged_at) select $1, ${name('item')}, now() - interval '1 hour' from generate_series(1, $2::int) i`,
    [credential?.credential_id, rows],
  );
  // The last hour of every budget, of which nothing is thinned yet.
  await sql.query(
    `insert into budget_snapshot (budget_id, minute, bytes) select b.id, b.minute - i, 0 from budget b, generate_series(1, 60) i on conflict do nothing`,
  );
  const [operator] = await sql.query<{ id: string }>(
    "insert into operator (id, name, role) values (gen_random_uuid(), 'alice', 'security-officer') returning id",
  );
  await sql.query('set session_replication_role = replica');
  await sql.query(
    `insert into command (id, operator_id, operation, params, state, finished_at)
     select ${name('command')}, $1, 'warden.ping', '{}', 'done', now() from generate_series(1, $2::int) i`,
    // The warden keeps a bounded number of answered commands, so a pass may read all of them.
    [operator?.id, readMax / 2],
  );
  await sql.query(
    `insert into alert (kind, severity, subject, hour, text, facts, next_command, logged_at)
     select 'file.waits', 'notice', i::text, now(), 'x', '{}', 'x', now() from generate_series(1, $1::int) i`,
    [rows],
  );
  await sql.query(
    "insert into login_penalty (subject, failures, blocked_until, last_at) select i::text, 1, now() + interval '1 hour', now() from generate_series(1, $1::int) i",
    [rows],
  );
  await sql.query(
    `insert into known_source (account_id, source) select a.id, '10.0.0.0'::inet + i from (select id from account limit 1) a, generate_series(1, $1::int) i`,
    [rows],
  );
  await sql.query('set session_replication_role = origin');
  await sql.query('analyze');
  const ofWardens = async (): Promise<readonly number[]> =>
    (
      await sql.query<{ pid: number }>(
        "select pid from pg_stat_activity where datname = current_database() and usename = 'cofferdam_warden'",
      )
    ).map(({ pid }) => pid);
  /**
   * Runs a pass so many times, by a warden of its own, and returns how many rows were read meanwhile, by table. What
   * its connections counted is told when they end.
   */
  const costOf = async (pass: RegularPass, times: number): Promise<ReadonlyMap<string, number>> => {
    const warden = await shelf.another({ teardown: () => {} });
    const given = {
      warden: { ...warden, keys: {} } as unknown as Warden,
      guard: { state: { is: 'open' } as const },
      sessions: new SessionRegistry(
        shelf.config,
        warden.database,
        undefined as never,
        { terminate: () => {} } as never,
        warden.log,
      ),
      alerts: new AlertLog(warden.log),
      catalogue: { pass: async () => {} },
    };
    const others = await ofWardens();
    const before = await rowsRead(sql);
    try {
      for (let i = 0; i < times; i += 1) await pass.run(given as unknown as Parameters<RegularPass['run']>[0]);
    } finally {
      await warden.database.close();
    }
    const isOver = async (): Promise<boolean> => (await ofWardens()).every((pid) => others.includes(pid));
    for (const end = Date.now() + 20_000; !(await isOver()) && Date.now() < end; ) await delay(20);
    const after = await rowsRead(sql);
    return new Map([...after].map(([table, n]) => [table, n - (before.get(table) ?? 0)]));
  };
  /** The pass over all seals would tell of each of the credentials here, which have none. */
  const forget = async (pass: RegularPass): Promise<void> => {
    if (!pass.rows.includes('broken-seals')) return;
    await sql.query(
      "begin; set local session_replication_role = replica; delete from credential where fingerprint ~ '^f[0-9]+$'; commit",
    );
  };
  for (const pass of regularPasses) {
    await forget(pass);
    // What there was to do at first is done, and what a warden reads once, when it starts, is not counted.
    const [once, often] = [await costOf(pass, 1), await costOf(pass, 3)];
    const cost = [...often]
      .map(([table, n]) => [table, Math.round((n - (once.get(table) ?? 0)) / 2)] as const)
      .filter(([, n]) => n > 0);
    const counted = cost.filter(
      ([table]) => !looksAtAll.some(([does, tables]) => does === pass.does && tables.includes(table)),
    );
    const sum = counted.reduce((all, [, n]) => all + n, 0);
    t.ok(sum <= readMax, `${pass.does}: ${sum} rows ${JSON.stringify(counted.filter(([, n]) => n > readMax / 20))}`);
  }
});

test('a pass keeps up with what becomes due: its turns go on while they are full', async (t) => {
  const { warden: one } = await Shelf.create(t);
  let isInDoubt = false;
  const warden = { ...one, mayGoOn: () => !isInDoubt };
  const due = Array.from({ length: 2 * rowPasses.window.rowsMax + 1 }, (_, i) => String(i));
  const turns: number[] = [];
  await passOverRows(warden, 'window', {
    find: async (_tx, limit) => due.slice(0, limit),
    work: async (_tx, keys) => void turns.push(due.splice(0, keys.length).length),
  });
  t.same(turns, [500, 500, 1]);
  // Rows that others hold are found again, and wait for the next pass.
  const held = Array.from({ length: rowPasses.window.rowsMax }, (_, i) => String(i));
  const tries: number[] = [];
  await passOverRows(warden, 'window', {
    find: async () => held,
    work: async (_tx, keys) => void tries.push(keys.length),
  });
  t.same(tries, [500, 500]);
  // The record comes into doubt, or the warden is stopped, in the middle.
  const many = Array.from({ length: 3 * rowPasses.window.rowsMax }, (_, i) => String(i));
  const doubted: number[] = [];
  const work = async (_tx: unknown, keys: readonly string[]): Promise<void> => {
    doubted.push(many.splice(0, keys.length).length);
    isInDoubt = true;
  };
  await passOverRows(warden, 'window', { find: async (_tx, limit) => many.slice(0, limit), work });
  t.same(doubted, [500], 'nothing more is done');
  await passOverRows(warden, 'window', { find: async (_tx, limit) => many.slice(0, limit), work });
  t.same(doubted, [500], 'and no further pass begins');
});

test('a freeze in the middle of a full backlog ends the pass that withdraws and destroys', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const { rowsMax } = rowPasses.window;
  await addVersions(shelf, 'published', { published_at: "now() - interval '1 year'" }, 3 * rowsMax);
  const left = async (): Promise<number> =>
    (
      await sql.query<{ n: number }>(
        "select count(*)::int as n from version where state = 'published' and receipt is not null",
      )
    )[0]?.n ?? -1;
  const before = await left();
  // The record comes into doubt as soon as anything was withdrawn.
  let isInDoubt = false;
  const database = new Proxy(warden.database, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name, target);
      if (name !== 'withSystem') return typeof found === 'function' ? found.bind(target) : found;
      return async (...given: Parameters<typeof target.withSystem>) => {
        const done = await target.withSystem(...given);
        isInDoubt ||= (await left()) < before;
        return done;
      };
    },
  });
  const guard = {
    get state() {
      return isInDoubt ? ({ is: 'closed', why: 'frozen', text: 'x' } as const) : ({ is: 'open' } as const);
    },
  };
  const config = { ...shelf.config, limits: { ...shelf.config.limits, collectEveryMs: 50 } };
  const passes = startRegularPasses({
    warden: { ...warden, limits: config.limits, database, keys: {} } as unknown as Warden,
    guard,
    sessions: new SessionRegistry(config, database, undefined as never, { terminate: () => {} } as never, warden.log),
    alerts: new AlertLog(warden.log),
    catalogue: { pass: async () => {} },
    turns: new Turns(),
  } as unknown as Parameters<typeof startRegularPasses>[0]);
  for (const end = Date.now() + 20_000; !isInDoubt && Date.now() < end; ) await delay(20);
  await delay(500);
  await passes.stop();
  t.equal(await left(), before - rowsMax, 'one turn, and nothing after it');
});

test('what is destroyed has no key from the same moment, and its extents go a bounded number at a time', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  const small = await shelf.add(1);
  const large = await shelf.add(7);
  for (const one of [small, large]) await shelf.become(one, 'withdrawn');
  await warden.database.withSystem(async (tx) => {
    for (const { version, customer } of await destroyDue(tx, [small.version, large.version]))
      await record(tx, { kind: 'file.destroyed', customer, observer: 'warden', version });
  });
  t.same(await sql.query("select 1 from content where destroyed_at is null or wrapped_key <> ''"), []);
  const left = async (): Promise<unknown> =>
    (await sql.query<{ n: number }>('select count(*)::int as n from extent'))[0]?.n;
  const doomed = async (): Promise<number> => (await sql.query('select 1 from doomed_content')).length;
  t.same([await left(), await doomed()], [8, 2]);
  for (const expected of [
    [5, 1],
    [2, 1],
    [0, 0],
  ] as const) {
    await warden.database.withSystem(async (tx) => deleteDoomedExtents(tx, await findDoomedContents(tx, 10), 3));
    t.equal(await left(), expected[0]);
    t.ok((await doomed()) >= expected[1], 'a content is forgotten when its last extent is gone');
  }
  t.equal(await doomed(), 0);
  t.same(
    await sql.query('select count(*)::int as n from doomed_object'),
    [{ n: 8 }],
    'and every object is deleted later',
  );
});
