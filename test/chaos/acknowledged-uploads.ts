// Owns: rounds of uploads with processes killed at random moments; what was acknowledged must be there, whole, and
// nothing else.
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { run, type World } from '../support/world.ts';

export type Outcome = {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly kills: number;
  readonly missing: number;
  readonly altered: number;
  readonly unacknowledgedVisible: number;
};

const victims = ['partner-1', 'warden', 'store', 'partner-1', 'warden', 'store', 'database backends'] as const;

async function strike(world: World, what: (typeof victims)[number]): Promise<void> {
  if (what !== 'database backends') {
    world.kill(what);
    return;
  }
  const { childrenOf } = await import('../support/world.ts');
  const [postmaster] = world.pidsOf('postgres');
  // With somebody else's server there is none of ours to kill.
  if (postmaster === undefined) return world.kill('warden');
  const backends = childrenOf(postmaster);
  const one = backends[randomInt(backends.length)];
  if (one !== undefined) process.kill(one, 'SIGKILL');
}

async function serves(world: World): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    if ((await world.sftp('acme-batch', ['pwd'], 20_000)).code === 0) return;
    if (Date.now() > deadline) throw new Error(`does not serve again: ${world.log.slice(-2000)}`);
  }
}

/** `rounds` rounds of `parallel` clients each; sizes from nothing to several extents. */
export async function acknowledgedUploads(world: World, rounds: number, parallel: number): Promise<Outcome> {
  const local = join(world.directory, 'chaos');
  mkdirSync(local);
  const sizes = [0, 1, 4096, 65_536, 65_537, 300_000, 3_000_000, 20_000_000];
  const acknowledged = new Map<string, string>();
  const offered = new Set<string>();
  let kills = 0;
  const uploads = (round: number): readonly Promise<void>[] =>
    Array.from({ length: parallel }, async (_, i) => {
      const name = `r${round}-${i}.bin`;
      const content = randomBytes(sizes[randomInt(sizes.length)] ?? 1);
      const path = join(local, name);
      writeFileSync(path, content);
      offered.add(`/deposit/${name}`);
      const args = world.sftpArguments('acme-batch');
      const done = await run('sftp', [...args.slice(0, -1), '-b', '-', args.at(-1) ?? ''], {
        input: `put ${path} deposit/${name}\n`,
        timeoutMs: 60_000,
      });
      if (done.code === 0) acknowledged.set(`/deposit/${name}`, createHash('sha256').update(content).digest('hex'));
    });
  // A round without a kill tells how long a round takes here: kills fall into every part of it, and some after it.
  const started = performance.now();
  await Promise.all(uploads(0));
  const longestMs = Math.max(900, Math.ceil((performance.now() - started) * 1.2));
  for (let round = 1; round <= rounds; round += 1) {
    const running = uploads(round);
    await new Promise((resolve) => setTimeout(resolve, randomInt(50, longestMs)));
    await strike(world, victims[randomInt(victims.length)] ?? 'warden');
    kills += 1;
    await Promise.all(running);
    await serves(world);
  }
  return { rounds, kills, acknowledged: acknowledged.size, ...(await compare(world, acknowledged, offered)) };
}

async function compare(
  world: World,
  acknowledged: ReadonlyMap<string, string>,
  offered: ReadonlySet<string>,
): Promise<Omit<Outcome, 'rounds' | 'acknowledged' | 'kills'>> {
  const rows = new Map<string, string>();
  const listed = await world.sftp('processor', ['ls -1 acme/deposit']);
  // `cofferctl file list` shows the newest 500.
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    const published = await client.query<{ path: string; sha256: string }>(
      `select '/' || o.name || '/' || f.name as path, encode(v.sha256, 'hex') as sha256 from version v join file f on f.id = v.file_id
         join folder o on o.id = f.folder_id join customer c on c.id = v.customer_id where c.name = 'acme' and v.state = 'published'`,
    );
    for (const { path, sha256 } of published.rows) rows.set(path, sha256);
  } finally {
    await client.end();
  }
  const visible = listed.out
    .split('\n')
    .filter((line) => line.startsWith('acme/deposit/'))
    .map((line) => `/${line.trim().split('/').slice(1).join('/')}`);
  let missing = 0;
  let altered = 0;
  const directory = join(world.directory, 'chaos-got');
  mkdirSync(directory);
  const got = await world.sftp(
    'processor',
    ['cd acme/deposit', ...visible.map((path) => `get ${path.slice('/deposit/'.length)} ${directory}/`)],
    300_000,
  );
  if (got.code !== 0) throw new Error(`a visible file cannot be read: ${got.err.slice(-2000)}`);
  const { sha256File } = await import('../support/world.ts');
  for (const [path, sha256] of acknowledged) {
    if (!visible.includes(path)) missing += 1;
    else if (
      (await sha256File(join(directory, path.slice('/deposit/'.length)))) !== sha256 ||
      rows.get(path) !== sha256
    )
      altered += 1;
  }
  // A commit whose answer was lost is whole and may be visible; what is visible must have the hash of what its sender
  // meant.
  let unacknowledgedVisible = 0;
  for (const path of visible) {
    if (acknowledged.has(path)) continue;
    const meant = await sha256File(join(world.directory, 'chaos', path.slice('/deposit/'.length)));
    if (!offered.has(path) || (await sha256File(join(directory, path.slice('/deposit/'.length)))) !== meant)
      unacknowledgedVisible += 1;
  }
  return { missing, altered, unacknowledgedVisible };
}
