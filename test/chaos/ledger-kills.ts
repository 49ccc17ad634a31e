// Owns: the proof of the record by force: whatever is killed, nothing committed is missing, nothing is there twice, and
// a verifier raises no false alert; and what is changed on purpose is found, also when the owner of the database
// changes it (ledger-owner.ts).
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import {
  parseVerifierKey,
  type Report,
  readWitness,
  Verification,
  type VerifierKey,
  type Witness,
} from '../../verifier/index.js';
import type { Teardown } from '../support/database.ts';
import { ownersTouches } from './ledger-owner.ts';
import { play, type Told } from './ledger-owner-play.ts';
import { LedgerScene } from './ledger-scene.ts';

export type Outcome = {
  readonly kills: number;
  readonly falseAlarms: number;
  /** Acknowledged entries, and how many of them were missing, or there twice. */
  readonly acknowledged: number;
  readonly missing: number;
  readonly twice: number;
  readonly tampers: number;
  readonly found: number;
  readonly entries: number;
  readonly checkpoints: number;
  readonly byKind: Readonly<Record<string, number>>;
  /** What the owner of the database did meanwhile. */
  readonly owner: Owner;
  readonly faults: readonly string[];
};

/** `late`: found, and later than ten times what the threat model says. `worstSeconds`: until a freeze. */
type Owner = {
  readonly touched: number;
  readonly mustFind: number;
  readonly found: number;
  readonly worstSeconds: number;
  readonly late: number;
};
/**
 * The owner touches the record each time after this many kills, beginning with this touch (of `ownersTouches`, first
 * those while the sealers run).
 */
export type Turns = { readonly every: number; next: number };

const dump = 'select line from ledger_dump order by part, tree, position';
const growMs = 45_000;
/** How many kills one database sees: each look reads all of it. */
const killsPerScene = 100;

type Kill = readonly [name: string, share: number, kill: (scene: LedgerScene) => void | Promise<void>];
const kills: readonly Kill[] = [
  ['sealer', 40, (scene) => scene.killHand('sealer')],
  ['writer', 15, (scene) => scene.killHand('writer')],
  ['connection', 15, (scene) => scene.endBackend('%')],
  ['leadership', 8, (scene) => scene.endBackend('cofferdam sealer%')],
  ['stall', 6, (scene) => scene.stall()],
  ['backend', 4, (scene) => scene.killBackend()],
  ['server', 6, (scene) => scene.killServer()],
  ['power', 6, (scene) => scene.cutPower()],
];

function pick(): Kill {
  let at = randomInt(kills.reduce((sum, [, share]) => sum + share, 0));
  for (const kill of kills) {
    at -= kill[1];
    if (at < 0) return kill;
  }
  throw new Error('shares');
}

function check(witness: Witness, lines: readonly string[]): Report {
  const verification = new Verification({ witness, now: Date.now(), maxAgeSeconds: 0 });
  for (const [i, line] of lines.entries()) verification.line(JSON.parse(line), `line ${i + 1}`);
  return verification.finish();
}

async function linesOf(client: pg.Client): Promise<readonly string[]> {
  return (await client.query<{ line: string }>(dump)).rows.map((row) => row.line);
}

type Seen = {
  readonly report: Report;
  readonly missing: number;
  readonly twice: number;
  readonly freezes: readonly string[];
};

/** The witness first, then the database, at one moment. */
async function look(scene: LedgerScene, keys: readonly VerifierKey[]): Promise<Seen> {
  const acknowledged = [...scene.acknowledged];
  const witness = await readWitness([scene.witness], keys);
  return scene.withClient(async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const lines = await linesOf(client);
    const fresh = (
      await client.query<{ h: string }>('select handle_id::text as h from ledger_fresh where handle_id is not null')
    ).rows;
    const freezes = (await client.query<{ text: string }>('select text from ledger_freeze')).rows;
    const counts = new Map<string, number>();
    const count = (id: unknown): void => {
      if (typeof id === 'string') counts.set(id, (counts.get(id) ?? 0) + 1);
    };
    for (const line of lines) {
      const { entry } = JSON.parse(line) as { entry?: readonly unknown[] };
      count(entry?.[11]);
    }
    for (const { h } of fresh) count(h);
    return {
      report: check(witness, lines),
      missing: acknowledged.filter((id) => !counts.has(id)).length,
      twice: [...counts.values()].filter((n) => n > 1).length,
      freezes: freezes.map((row) => row.text),
    };
  });
}

type Target = { readonly tree: string; readonly position: number; readonly number: number };
type Tamper = readonly [name: string, sql: (target: Target, size: number) => readonly string[]];
const tampers: readonly Tamper[] = [
  ['edited', ({ number }) => [`update ledger_sealed set bytes = coalesce(bytes, 0) + 1 where number = ${number}`]],
  [
    'edited with its leaf',
    ({ number }) => [
      `update ledger_sealed set leaf = sha256(leaf), at = at + interval '1 microsecond' where number = ${number}`,
    ],
  ],
  ['deleted', ({ number }) => [`delete from ledger_sealed where number = ${number}`]],
  [
    'inserted',
    ({ number, tree, position }) => [
      `update ledger_sealed set position = position + 1 where tree = '${tree}' and position >= ${position}`,
      `insert into ledger_sealed select number, tree, position - 1, salt, leaf, (jsonb_populate_record(null::ledger_fresh, to_jsonb(s) || '{"bytes": 7}')).* from ledger_sealed s where number = ${number}`,
    ],
  ],
  [
    'a head rewritten',
    (_target, size) => [`update ledger_head set number = number + 1 where position = ${randomInt(size)}`],
  ],
  [
    'cut off',
    (_target, size) => [
      `delete from ledger_sealed where number > coalesce((select number from ledger_head where position = ${size - 2}), 0)`,
      `delete from ledger_head where position >= ${size - 1}`,
    ],
  ],
];

/** Changes something that was witnessed, in a transaction that is undone. Returns the name of what was not found. */
async function tamper(scene: LedgerScene, keys: readonly VerifierKey[]): Promise<string | undefined> {
  const witness = await readWitness([scene.witness], keys);
  const { newest } = witness;
  const [name, statements] = tampers[randomInt(tampers.length)] ?? tampers[0] ?? ['', () => []];
  return scene.withClient(async (client) => {
    await client.query('begin isolation level repeatable read');
    await client.query('set local session_replication_role = replica');
    const sealed = await client.query<{ number: number }>('select number::int from ledger_head where position = $1', [
      (newest?.size ?? 0) - 1,
    ]);
    const last = sealed.rows[0]?.number ?? 0;
    if (newest === undefined || last < 1) return 'nothing was witnessed';
    const { rows } = await client.query<Target>(
      'select tree::text, position::int, number::int from ledger_sealed where number = $1',
      [1 + randomInt(last)],
    );
    const [target] = rows;
    if (target === undefined) return 'an entry of the witnessed ones is missing';
    for (const statement of statements(target, newest.size)) await client.query(statement);
    const report = check(witness, await linesOf(client));
    await client.query('rollback');
    const first = report.firstRow;
    const isNamed =
      name === 'a head rewritten' ||
      name === 'cut off' ||
      (first?.tree === target.tree &&
        first.position !== undefined &&
        first.position <= target.position &&
        target.position <= Math.max(first.to ?? 0, first.position));
    return !report.ok && isNamed
      ? undefined
      : `${name}: ${JSON.stringify({ target, found: report.findings.slice(0, 2) })}`;
  });
}

/** Until more was sealed than there was: whatever was killed has recovered by itself. */
async function grown(scene: LedgerScene, before: number): Promise<boolean> {
  for (const end = Date.now() + growMs; Date.now() < end; await sleep(40)) {
    const now = await scene.progress();
    if (now > before) return true;
  }
  return false;
}

const modes = [false, true] as const;
const ofOwner = modes.flatMap((isDown) =>
  ownersTouches.filter((one) => !isDown || one.needsRunning !== true).map((touch) => ({ touch, isDown })),
);
export const ownersTurns = ofOwner.length;

function sumOf(told: readonly { readonly told: Told; readonly mustFind: boolean }[]): Owner {
  const found = told.filter((one) => one.mustFind && one.told.isFound);
  return {
    touched: told.length,
    mustFind: told.filter((one) => one.mustFind).length,
    found: found.length,
    worstSeconds: Math.max(
      0,
      ...found.filter((one) => one.told.by === 'freeze').map((one) => Math.round(one.told.seconds * 1000) / 1000),
    ),
    late: found.filter((one) => one.told.isLate).length,
  };
}

async function one(
  t: Teardown,
  wanted: number,
  tamperEvery: number,
  turns: Turns,
  tell: (line: string) => void,
): Promise<Outcome> {
  const scene = await LedgerScene.start(t);
  const keys = [parseVerifierKey(await scene.verifierKey())];
  const faults: string[] = [];
  const byKind: Record<string, number> = {};
  const owner: { told: Told; mustFind: boolean }[] = [];
  let [falseAlarms, missing, twice, tried, found, entries, checkpoints] = [0, 0, 0, 0, 0, 0, 0];
  for (let i = 1; i <= wanted; i += 1) {
    const before = await scene.progress();
    const [name, , kill] = pick();
    await sleep(randomInt(120));
    await kill(scene);
    byKind[name] = (byKind[name] ?? 0) + 1;
    const seen = await look(scene, keys);
    const texts = [...seen.report.findings.map((one) => one.text), ...seen.freezes, ...scene.frozen.splice(0)];
    if (texts.length > 0) {
      falseAlarms += 1;
      faults.push(`kill ${i} (${name}): ${[...new Set(texts)].slice(0, 3).join(' | ')}`);
    }
    missing = Math.max(missing, seen.missing);
    twice = Math.max(twice, seen.twice);
    if (seen.missing + seen.twice > 0) faults.push(`kill ${i} (${name}): ${seen.missing} missing, ${seen.twice} twice`);
    [entries, checkpoints] = [seen.report.entries, seen.report.checkpoints];
    if (i % tamperEvery === 0) {
      tried += 1;
      const why = await tamper(scene, keys);
      if (why === undefined) found += 1;
      else faults.push(`kill ${i}: not found: ${why}`);
    }
    if (!(await grown(scene, before))) {
      faults.push(`kill ${i} (${name}): nothing was sealed for ${growMs / 1000} s afterwards`);
      break;
    }
    const turn = i % turns.every === 0 ? ofOwner[turns.next++ % ofOwner.length] : undefined;
    if (turn !== undefined) {
      const told = await play(scene, turn.touch, turn.isDown, () => look(scene, keys));
      const mustFind = turn.touch.by !== 'nobody';
      owner.push({ told, mustFind });
      tell(
        `${JSON.stringify({ owner: told.name, by: told.by, seconds: Math.round(told.seconds * 1000) / 1000, isLate: told.isLate })}\n`,
      );
      if (mustFind && !told.isFound) faults.push(`kill ${i}: the owner: not found: ${told.name}`);
      faults.push(...told.faults.map((fault) => `kill ${i}: the owner: ${fault}`));
    }
    if (faults.length > 20) break;
  }
  tell(`${JSON.stringify({ kills: byKind, entries, checkpoints, faults: faults.length })}\n`);
  return {
    kills: wanted,
    falseAlarms,
    acknowledged: scene.acknowledged.size,
    missing,
    twice,
    tampers: tried,
    found,
    entries,
    checkpoints,
    byKind,
    owner: sumOf(owner),
    faults,
  };
}

/** Kills this many times, a hundred for each database. */
/**
 * Kills `wanted` times, in one scene after the other; each scene is ended when it is over, the last one with `t` at the
 * latest.
 */
export async function ledgerKills(
  t: Teardown,
  wanted: number,
  tamperEvery: number,
  turns: Turns,
  tell: (line: string) => void = () => {},
): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (let left = wanted; left > 0; left -= killsPerScene) {
    const works: (() => Promise<void> | void)[] = [];
    const end = async (): Promise<void> => {
      for (let work = works.pop(); work !== undefined; work = works.pop()) await work();
    };
    t.teardown(end);
    try {
      outcomes.push(
        await one(
          { teardown: (work) => void works.push(work) },
          Math.min(left, killsPerScene),
          tamperEvery,
          turns,
          tell,
        ),
      );
    } finally {
      await end();
    }
  }
  const sum = (pick: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + pick(outcome), 0);
  const names = kills.map(([name]) => name);
  return {
    kills: sum((outcome) => outcome.kills),
    falseAlarms: sum((outcome) => outcome.falseAlarms),
    acknowledged: sum((outcome) => outcome.acknowledged),
    missing: sum((outcome) => outcome.missing),
    twice: sum((outcome) => outcome.twice),
    tampers: sum((outcome) => outcome.tampers),
    found: sum((outcome) => outcome.found),
    entries: sum((outcome) => outcome.entries),
    checkpoints: sum((outcome) => outcome.checkpoints),
    byKind: Object.fromEntries(names.map((name) => [name, sum((outcome) => outcome.byKind[name] ?? 0)])),
    owner: {
      touched: sum((outcome) => outcome.owner.touched),
      mustFind: sum((outcome) => outcome.owner.mustFind),
      found: sum((outcome) => outcome.owner.found),
      worstSeconds: Math.max(0, ...outcomes.map((outcome) => outcome.owner.worstSeconds)),
      late: sum((outcome) => outcome.owner.late),
    },
    faults: outcomes.flatMap((outcome) => outcome.faults),
  };
}
