// Owns: `npm run bench:catalogue -- MILLIONS [--seconds N] [--settle N] [--dir DIR] [--statements]`, the measurement of
// what a gateway costs to which nobody connects, with so many million published files in its catalogue. It starts a
// real installation, stops it and fills its database, starts it again, and measures when it has settled. With `--dir`
// the installation is kept there and found there again. `--statements` names what the database did meanwhile. The last
// line of the output is JSON: the CPU time of all processes, PostgreSQL among them, in percent of one core, and the
// slowest turn of any regular pass.
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startEmbedded } from '../server/postgres/embedded.ts';
import { createWorld, freePorts, type World } from '../test/support/world.ts';
import { beside, files, functions, objects } from './catalogue-sql.ts';
import { cpuOfAll, cpuOfEach } from './process-cpu.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '180' },
    settle: { type: 'string', default: '150' },
    dir: { type: 'string' },
    statements: { type: 'boolean' },
  },
});
const total = Math.round(Number(positionals[0] ?? 0.5) * 1e6);
const seconds = Number(values.seconds);
const settleSeconds = Number(values.settle);
const chunk = 50_000;
/** With a machine that does other things, a start takes long. */
const startMs = 600_000;
/** In a directory that was given and is filled already. */
const filledFile = 'filled';
/** Customers beside those of the demo world. Each has two folders. */
const customersMore = 17;
/**
 * Days for which a version is visible, days until the key is destroyed, and complete reads, as `folder set` takes them.
 */
const rules = [
  ['none', 'none', 'none'],
  ['30', '90', 'none'],
  ['90', '3650', '5'],
  ['365', '3650', 'none'],
  ['none', '3650', '3'],
] as const;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function addCustomers(world: World): Promise<void> {
  const must = async (...words: readonly string[]): Promise<void> => {
    const done = await world.cofferctl([...words, '--reason', 'a measurement', '--execute']);
    if (done.code !== 0) throw new Error(`${words.join(' ')}: ${done.err}`);
  };
  for (let i = 0; i < customersMore; i += 1) {
    const name = `bank-${i}`;
    await must('customer', 'create', name);
    for (const [j, folder] of ['deposit', 'collect'].entries()) {
      const [window, retention, reads] = rules[(2 * i + j) % rules.length] ?? rules[0];
      const days = ['--window-days', window, '--retention-days', retention, '--reads', reads];
      await must('folder', 'set', name, folder, ...days);
    }
  }
}

/** The files are empty: nobody reads them, and their names are what a look for strays reads. */
async function addObjects(client: pg.Client, world: World, first: number, last: number): Promise<void> {
  const directory = join(world.directory, 'store', 'objects');
  const { uid, gid } = statSync(directory);
  for (let group = 0; group < 256; group += 1) {
    const one = join(directory, group.toString(16).padStart(2, '0'));
    if (existsSync(one)) continue;
    mkdirSync(one, { mode: 0o2750 });
    chownSync(one, uid, gid);
  }
  for (const { name } of (await client.query<{ name: string }>(objects, [first, last])).rows)
    closeSync(openSync(join(directory, name.slice(0, 2), name), 'wx', 0o440));
}

type Index = { readonly name: string; readonly text: string };

/** Those of the loaded tables that are no constraint: they are built when the rows are there. */
const secondIndexes = `select indexname as name, indexdef as text from pg_indexes i where schemaname = 'public' and tablename = any ($1)
  and not exists (select from pg_constraint c where c.conname = i.indexname)`;

/** Fills the database while nothing else runs on it. */
async function fill(world: World): Promise<void> {
  const dataDirectory = join(world.directory, 'postgres', 'data');
  const { uid, gid } = statSync(dataDirectory);
  const server = await startEmbedded({
    dataDirectory,
    socketDirectory: join(world.directory, 'run', 'postgres'),
    superuserPassword: readFileSync(join(world.directory, 'secrets', 'supervisor', 'database-password'), 'utf8').trim(),
    user: process.getuid?.() === 0 ? { uid, gid } : null,
    startTimeoutMs: startMs,
  });
  try {
    await load(world);
  } finally {
    await server.stop();
  }
}

async function load(world: World): Promise<void> {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    await client.query("set session_replication_role = replica; set synchronous_commit = off; set work_mem = '256MB'");
    await client.query(functions);
    const tables = ['file', 'content', 'extent', 'version', 'session', 'charged_item'];
    const indexes = (await client.query<Index>(secondIndexes, [tables])).rows;
    for (const { name } of indexes) await client.query(`drop index ${name}`);
    for (let first = 0; first < total; first += chunk) {
      const part = [first, Math.min(first + chunk, total) - 1] as const;
      for (const text of files) await client.query(text, [...part]);
      await addObjects(client, world, ...part);
      if (first % (10 * chunk) === 0) say(`${part[1] + 1} files after ${Math.round(performance.now() / 1000)} s`);
    }
    await client.query("set maintenance_work_mem = '512MB'");
    for (const { text } of indexes) await client.query(text);
    await client.query('analyze version');
    for (const text of beside) await client.query(text, text.includes('$1') ? [total] : []);
    await client.query('drop schema bench cascade');
    await client.query('vacuum (freeze, analyze)');
    await client.query('checkpoint');
    if (values.statements === true)
      await client.query("alter system set shared_preload_libraries = 'pg_stat_statements'");
    const { rows } = await client.query<{ published: string; size: string }>(
      "select count(*) as published, pg_size_pretty(pg_database_size(current_database())) as size from version where state = 'published'",
    );
    say(`${rows[0]?.published} published files, ${rows[0]?.size}, after ${Math.round(performance.now() / 1000)} s`);
  } finally {
    await client.end();
  }
}

/** The slowest turn of each pass in the last minute or two, in milliseconds. */
async function slowestTurns(port: number): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return new Map(
    [...text.matchAll(/^cofferdam_warden_pass_slowest_seconds\{pass="([^"]*)"\} (\S+)$/gm)].map(
      ([, pass = '', value]) => [pass, Number(value) * 1000] as const,
    ),
  );
}

async function statements(world: World, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function tellStatements(world: World): Promise<void> {
  const rows = await statements(
    world,
    `select calls, round(total_exec_time::numeric, 1) as ms, round((total_exec_time / calls)::numeric, 3) as each, round(max_exec_time::numeric, 2) as most, rows,
       shared_blks_hit + shared_blks_read as blocks, shared_blks_read as read, wal_bytes as wal, regexp_replace(left(query, 220), '\\s+', ' ', 'g') as query
     from pg_stat_statements s order by total_exec_time desc limit 60`,
  );
  for (const row of rows) say(Object.values(row).join(' | '));
}

/** What the gateway logged since it was started, beside what it logs always: how often each. */
function tellWarnings(log: string): void {
  const words = [...log.matchAll(/"level":[4-6]0,.*?"msg":"([^"]*)/g)].map(([, text = '']) => text);
  for (const [text, same] of Map.groupBy(words, (one) => one)) say(`${String(same.length).padStart(9)} x   ${text}`);
}

const works: (() => Promise<void> | void)[] = [];
try {
  const [port = 0] = await freePorts(1);
  const world = await createWorld(
    { teardown: (work) => void works.unshift(work) },
    {
      isFresh: true,
      limits: { selfTestEveryMs: 90_000 },
      env: { COFFERDAM_METRICS_PORT: String(port) },
      ...(values.dir === undefined ? {} : { directory: values.dir }),
    },
  );
  world.startMs = startMs;
  if (!existsSync(join(world.directory, filledFile))) {
    await world.start();
    await addCustomers(world);
    await world.stop();
    await fill(world);
    writeFileSync(join(world.directory, filledFile), String(total));
  }
  const from = world.log.length;
  await world.start();
  if (values.statements === true) await statements(world, 'create extension if not exists pg_stat_statements');
  await sleep(settleSeconds * 1000);
  if (values.statements === true) await statements(world, 'select pg_stat_statements_reset()');
  const slowest = new Map<string, number>();
  const [began, cpuBefore, eachBefore] = [performance.now(), cpuOfAll(world.pid), cpuOfEach(world.pid)];
  for (let rest = seconds; rest > 0; rest -= 60) {
    await sleep(Math.min(60, rest) * 1000);
    for (const [pass, ms] of await slowestTurns(port)) slowest.set(pass, Math.max(ms, slowest.get(pass) ?? 0));
  }
  const percent = ((cpuOfAll(world.pid) - cpuBefore) / (performance.now() - began)) * 100_000;
  for (const [pass, ms] of [...slowest].toSorted(([, a], [, b]) => b - a))
    say(`${ms.toFixed(1).padStart(9)} ms  ${pass}`);
  for (const [name, cpu] of cpuOfEach(world.pid)) {
    const part = ((cpu - (eachBefore.get(name) ?? 0)) / (performance.now() - began)) * 100_000;
    if (part > 0) say(`${part.toFixed(2).padStart(9)} %   ${name}`);
  }
  if (values.statements === true) {
    await tellStatements(world);
    // The next start would refuse a database with it.
    await statements(world, 'drop extension pg_stat_statements');
  }
  tellWarnings(world.log.slice(from));
  const figures = {
    files: total,
    idleCpuPercent: Number(percent.toFixed(2)),
    slowestPassMs: Number(Math.max(...slowest.values()).toFixed(1)),
  };
  say(JSON.stringify(figures));
} finally {
  for (const work of works) await work();
}
