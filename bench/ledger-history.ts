// Owns: `npm run bench:scope [-- MILLIONS] [--keep] [--dir DIR] [--repeats N] [--only make] [--question TEXT]`, the
// measurement of how long `incident scope` and `incident hunt` take on a history of so many million entries (50 is a
// busy year) over 13 months, on the real schema, as the database role of the admin process. It makes a database of its
// own and removes it unless `--keep` is given. `--only make` makes the history and asks nothing; `--question` asks only
// the questions whose names contain the text. "Cold" means that the server was stopped and its files were removed from
// the page cache. The last line of the output is JSON.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { Scopes, scopeLimits } from '../server/admin/incident/scopes.ts';
import type { Indicator } from '../server/domain/incident/indicators.ts';
import type { Selection } from '../server/domain/incident/selection.ts';
import { officers } from '../server/domain/share.ts';
import type { EmbeddedServer } from '../server/postgres/embedded.ts';
import { createDatabase, migrate } from '../server/postgres/migrate.ts';
import { withCredentials } from '../server/postgres/role-url.ts';
import { migrations, startTestServer, testPasswords } from '../test/support/database.ts';
import {
  catalogue,
  collectFiles,
  depositFiles,
  entries,
  functions,
  largeFiles,
  staging,
  theft,
} from './history-sql.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    keep: { type: 'boolean' },
    dir: { type: 'string' },
    repeats: { type: 'string', default: '3' },
    only: { type: 'string' },
    question: { type: 'string' },
  },
});
const millions = Number(positionals[0] ?? 0.5);
const repeats = Number(values.repeats);
const dayMs = 86_400_000;
const entriesPerSession = 41.9;
const pickedUp = 60;
const sessions = Math.round((millions * 1e6) / entriesPerSession);
const days = 395;
const share = Math.min(1, millions / 50);
const taken = { files: Math.max(200, Math.round(100_000 * share)), large: Math.max(4, Math.round(400 * share)) };
const directory = values.dir ?? mkdtempSync(join(tmpdir(), 'cofferdam-history-'));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const median = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;

/** Starts a server on the cluster below `directory`, which exists already when the server was started there before. */
async function start(): Promise<EmbeddedServer> {
  rmSync(join(directory, 'pg'), { recursive: true, force: true });
  return startTestServer(directory);
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

type Times = { readonly begin: Date; readonly theft: Date; readonly theftEnd: Date };
const spelled = (date: Date): string => date.toISOString();

async function make(url: string): Promise<Times> {
  await migrate(url, migrations, testPasswords);
  const one = await connect(url);
  const two = await connect(url);
  try {
    for (const client of [one, two])
      await client.query(
        "set session_replication_role = replica; set work_mem = '256MB'; set synchronous_commit = off; set jit = off",
      );
    await one.query(functions);
    await one.query(catalogue);
    const begin = new Date(Date.now() - days * dayMs);
    const times: Times = {
      begin,
      theft: new Date(Date.now() - 20 * dayMs),
      theftEnd: new Date(Date.now() - 13 * dayMs),
    };
    await one.query(
      'create table bench_times as select $1::timestamptz as begin, $2::timestamptz as theft, $3::timestamptz as "theftEnd"',
      Object.values(times),
    );
    const span = `${days} days`;
    await one.query(
      "select ledger_month(m) from generate_series($1::timestamptz, now() + interval '1 day', interval '1 day') m",
      [begin],
    );
    const before = Math.floor(((sessions * (days - 20)) / days / 20) * 12);
    await one.query(staging);
    await one.query(theft(String(taken.files), String(taken.large)), [times.theft, before]);
    await one.query(largeFiles, [new Date(times.theft.getTime() - dayMs)]);
    await one.query('analyze staged');
    const indexes = (
      await one.query<{ indexname: string; indexdef: string }>(
        "select indexname, indexdef from pg_indexes where tablename = 'ledger_sealed' and schemaname = 'public'",
      )
    ).rows;
    for (const index of indexes) await one.query(`drop index ${index.indexname}`);
    // Two connections make one half of the history each, at the same time, so that the rows of each month are in the
    // order of time.
    const chunk = Math.min(20_000, Math.ceil(sessions / 4));
    const run = async (client: pg.Client, from: number, until: number): Promise<void> => {
      for (let first = from; first < until; first += chunk) {
        const last = Math.min(first + chunk, until) - 1;
        await client.query(depositFiles, [first, last, sessions, begin, span]);
        await client.query(entries, [first, last, sessions, begin, span, first === 0 ? 0 : first * 100, pickedUp]);
      }
    };
    const half = Math.floor(sessions / 2);
    await Promise.all([run(one, 0, half), run(two, half, sessions)]);
    await one.query(collectFiles, [0, days - 1, begin]);
    say(`rows are there after ${Math.round(performance.now() / 1000)} s; indexes follow`);
    await one.query("set maintenance_work_mem = '1GB'");
    for (const { indexname, indexdef } of indexes) {
      const started = performance.now();
      await one.query(indexdef.replace(' ON ONLY ', ' ON '));
      const size = await one.query<{ size: string }>(
        'select pg_size_pretty(sum(pg_relation_size(inhrelid))) as size from pg_inherits where inhparent = $1::regclass',
        [indexname],
      );
      say(
        `  ${indexname.padEnd(32)} ${String(size.rows[0]?.size).padStart(8)}  ${Math.round(performance.now() - started)} ms`,
      );
    }
    await one.query('drop table staged');
    await one.query('vacuum (analyze)');
    return times;
  } finally {
    await one.end();
    await two.end();
  }
}

/** Removes only the files of this server from the page cache. The rest of the machine keeps its cache. */
function forget(): void {
  execFileSync('sh', [
    '-c',
    'find "$1" -type f -size +64k -exec dd of={} oflag=nocache conv=notrunc,fdatasync count=0 status=none ";"',
    'sh',
    join(directory, 'data', 'base'),
  ]);
}

type Question = { readonly name: string; readonly selection: Selection; readonly unread?: boolean };

async function questions(url: string, times: Times): Promise<readonly Question[]> {
  const client = await connect(url);
  const { rows } = await client.query<{ print: string; session: string }>(
    "select print_of('own7') as print, uid('theft3') as session",
  );
  await client.end();
  const week = { since: spelled(times.theft), until: spelled(times.theftEnd) };
  const middle = times.theft.getTime() + 2 * dayMs;
  const credential = rows[0]?.print ?? '';
  return [
    { name: 'credential, the week', selection: { credential, ...week } },
    { name: 'credential, ever', selection: { credential } },
    {
      name: 'credential, the week, with the list of what was not read',
      selection: { credential, ...week },
      unread: true,
    },
    { name: 'source', selection: { source: '192.0.2.0/24' } },
    { name: 'client', selection: { client: 'rclone' } },
    { name: 'account, ever', selection: { account: 'own-7' } },
    { name: 'account of a bank, ever', selection: { account: 'bank-7-3' } },
    { name: 'session', selection: { session: rows[0]?.session ?? '' } },
    {
      name: 'node, one day',
      selection: { node: 'internal-1', since: spelled(new Date(middle)), until: spelled(new Date(middle + dayMs)) },
    },
    { name: 'node, seven days', selection: { node: 'internal-1', ...week } },
    { name: 'operator', selection: { operator: 'carol', since: spelled(new Date(Date.now() - 60 * dayMs)) } },
    { name: 'node, ever', selection: { node: 'internal-1' } },
  ];
}

async function ask(
  scopes: Scopes,
  { selection, unread }: Question,
): Promise<{ readonly ms: number; readonly totals: string }> {
  const started = performance.now();
  const scope = scopes.start({ holder: 'bench', group: officers }, { selection, unread: unread === true });
  for (;;) {
    const now = await scopes.progress('bench', { scope, waitMs: 20_000 });
    if (now.state === 'failed') return { ms: performance.now() - started, totals: `FAILED: ${now.text}` };
    if (now.state !== 'done') continue;
    const {
      certain,
      possible,
      unsent,
      releasedBytes,
      names,
      deposits,
      sessions: found,
      unread: left,
      customers,
    } = now.summary.totals;
    return {
      ms: performance.now() - started,
      totals: `${found} sessions, ${customers} customers, ${certain}+${possible}+${unsent} files, ${(releasedBytes / 1e9).toFixed(1)} GB, ${names} names, ${deposits} deposits, ${left} not read`,
    };
  }
}

/** Returns a list of indicators as such lists usually are: a few that occur and many that do not. */
function indicators(credential: string): readonly Indicator[] {
  const list: Indicator[] = [
    { type: 'address', value: '192.0.2.66' },
    { type: 'client', value: 'rclone' },
    { type: 'fingerprint', value: credential },
    { type: 'account', value: 'own-7' },
  ];
  for (let i = 0; list.length < 250; i += 1)
    list.push(
      [
        { type: 'address', value: `100.64.${i}.1` } as const,
        { type: 'network', value: `100.65.${i}.0/24` } as const,
        { type: 'fingerprint', value: `SHA256:${String(i).padStart(43, 'x')}` } as const,
        { type: 'sha256', value: String(i).padStart(64, '0') } as const,
        { type: 'client', value: `SSH-2.0-evil-${i}` } as const,
      ][i % 5] as Indicator,
    );
  return list;
}

let server = await start();
let code = 0;
try {
  await createDatabase(server.url('postgres'), 'history');
  const url = (): string => server.url('history');
  const client = await connect(url());
  const isMade = (await client.query("select to_regclass('bench_times') as t")).rows[0]?.t !== null;
  const times: Times = isMade
    ? ((await client.query<Times>('select * from bench_times')).rows[0] as Times)
    : await make(url());
  const facts = (
    await client.query<{ entries: string; heap: string; indexes: string; versions: string }>(
      `select sum(c.reltuples)::bigint as entries, pg_size_pretty(sum(pg_relation_size(c.oid))) as heap, pg_size_pretty(sum(pg_indexes_size(c.oid))) as indexes,
         (select count(*) from version) as versions from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'ledger_sealed'::regclass`,
    )
  ).rows[0];
  await client.end();
  say(
    `${facts?.entries} entries (${facts?.heap}, indexes ${facts?.indexes}), ${facts?.versions} versions in the catalogue`,
  );
  const spool = join(directory, 'spool');
  if (!existsSync(spool)) mkdirSync(spool);
  const open = (): Scopes =>
    new Scopes({ url: withCredentials(url(), 'cofferdam_admin', testPasswords.admin), directory: spool }, scopeLimits);
  const cells: {
    readonly question: string;
    readonly coldMs: number;
    readonly warmMs: number;
    readonly found: string;
  }[] = [];
  for (const question of values.only === 'make'
    ? []
    : (await questions(url(), times)).filter(
        (one) => values.question === undefined || one.name.includes(values.question),
      )) {
    await server.stop();
    forget();
    server = await start();
    const scopes = open();
    const cold = await ask(scopes, question);
    const warm: number[] = [];
    // A question that takes longer than a minute is repeated only once.
    const runs = cold.ms > 60_000 ? 1 : repeats;
    for (let run = 0; run < runs; run += 1) warm.push((await ask(scopes, question)).ms);
    await scopes.stop();
    cells.push({
      question: question.name,
      coldMs: Math.round(cold.ms),
      warmMs: Math.round(median(warm)),
      found: cold.totals,
    });
    say(
      `${question.name.padEnd(56)} cold ${(cold.ms / 1000).toFixed(2).padStart(7)} s, warm ${(median(warm) / 1000).toFixed(2).padStart(7)} s: ${cold.totals}`,
    );
  }
  if (values.only !== 'make' && (values.question === undefined || values.question === 'hunt')) {
    await server.stop();
    forget();
    server = await start();
    const scopes = open();
    const wanted = indicators((await questions(url(), times))[0]?.selection.credential ?? '');
    const ms: number[] = [];
    let found = 0;
    for (let run = 0; run <= repeats; run += 1) {
      const started = performance.now();
      found = (await scopes.hunt(wanted)).found.length;
      ms.push(performance.now() - started);
    }
    await scopes.stop();
    const [cold = 0, ...warm] = ms;
    cells.push({
      question: 'hunt, 250 indicators',
      coldMs: Math.round(cold),
      warmMs: Math.round(median(warm)),
      found: `${found} occur`,
    });
    say(
      `${'hunt, 250 indicators'.padEnd(56)} cold ${(cold / 1000).toFixed(2).padStart(7)} s, warm ${(median(warm) / 1000).toFixed(2).padStart(7)} s: ${found} occur`,
    );
  }
  say(JSON.stringify({ millions, repeats, ...facts, cells }));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  code = 1;
} finally {
  await server.stop();
  if (values.keep !== true) rmSync(directory, { recursive: true, force: true });
}
process.exitCode = code;
