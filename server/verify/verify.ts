// Owns: `cofferdam verify`: the record against its witness, from another host, once or again and again, and its verdict told to the gateway.
// Must never: need more than to read, or go on silently when it could not verify, or let what an earlier run read pass for what this one did.
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { monthsMark } from '../admin/ledger/dump-queries.ts';
import { CofferdamError, toCofferdamError } from '../domain/errors.ts';
import { Database } from '../postgres/database.ts';
import { type Done, type Found, readSince, readWhole } from './library.ts';
import { type Mark, Memory } from './memory.ts';
import { recordLines, recordLinesSince } from './record-lines.ts';
import { loadVerifySettings, type VerifySettings } from './settings.ts';
import { reportVerdict } from './verify-queries.ts';

/** `run`: whether all of the record was read, or what was sealed since an earlier run. */
export type Verdict = Found & {
  readonly run: 'full' | 'since';
  /** Why it is a full one; null: it is not. */
  readonly why: string | null;
  /** The good run that it goes on from; null: a full run needs none. */
  readonly since: Mark | null;
  /** The last full run that was good, as this verifier knows it, before this one. */
  readonly full: Mark | null;
  readonly notRead: string | null;
};
type Run = Pick<Verdict, 'run' | 'why' | 'since' | 'full' | 'notRead'>;
type Tried = { readonly run: Run; readonly done: Done };

/** What this run will not have read, and who did. */
const notReadOf = (since: Mark, full: Mark): string =>
  `entries up to ${full.entry} were read by the full run of ${full.at}${since.entry > full.entry ? `, those up to ${since.entry} by the runs between` : ''}`;

const fullRun = (why: string, full: Mark | null): Run => ({ run: 'full', why, since: null, full, notRead: null });

async function tryOnce(
  database: Database,
  against: VerifySettings,
  memory: Memory,
  now: number,
  onRun: (run: Run) => void,
): Promise<Tried> {
  const base = memory.base();
  let why = memory.whyFull(now);
  const { full, last } = memory;
  if (base !== undefined && full !== null && last !== null && why === undefined) {
    const run: Run = { run: 'since', why: null, since: last, full, notRead: notReadOf(last, full) };
    onRun(run);
    const done = await readSince(against, base, (place) => recordLinesSince(database, place));
    if (typeof done !== 'string') return { run, done };
    why = done;
  }
  const run = fullRun(why ?? 'nothing is known of an earlier run', full);
  onRun(run);
  return { run, done: await readWhole(against, base, recordLines(database)) };
}

/** A month that leaves in the middle of a run makes two records of one: then it is begun anew, once. */
async function verifyStill(database: Database, attempt: () => Promise<Tried>): Promise<Tried> {
  for (let isLast = false; ; isLast = true) {
    const mark = await database.withSystem(monthsMark);
    const tried = await attempt();
    if ((await database.withSystem(monthsMark)) === mark) return tried;
    if (isLast) throw new CofferdamError('conflict', 'a month of the record left the database during each of two runs');
  }
}

/** What is said of a run, beside what was found. */
function textOf({ verdict, text }: Found, { why, notRead }: Run): string {
  if (verdict !== 'good') return text;
  return notRead !== null ? `${text}; ${notRead}` : `${text} (full run: ${why})`;
}

/** One run, whatever it ends with; told to the gateway when the database can be reached. `memory` is told last: what nobody heard of does not count. */
export async function verifyOnce(database: Database, against: VerifySettings, memory = new Memory(against)): Promise<Verdict> {
  const began = Date.now();
  let run = fullRun('nothing is known of an earlier run', memory.full);
  let tried: Tried;
  try {
    const onRun = (begun: Run): void => {
      run = begun;
    };
    tried = await verifyStill(database, () => tryOnce(database, against, memory, began, onRun));
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && !(error instanceof CofferdamError) ? error.message : toCofferdamError(error).message;
    const found: Found = { verdict: 'failed', heads: 0, entries: 0, findings: 0, text: `nothing was verified: ${why}` };
    tried = { run, done: { found, known: undefined } };
  }
  const { found, known } = tried.done;
  const verdict = { ...found, ...tried.run, text: textOf(found, tried.run).slice(0, 300) };
  const at = new Date(began).toISOString();
  // Before it is told, so that no end of this process in between makes the next run read less.
  if (found.verdict !== 'good') say(memory.notGood(`the run of ${at} ended ${found.verdict}`));
  await database.withSystem((tx) => reportVerdict(tx, hostname().slice(0, 60), verdict));
  if (found.verdict === 'good')
    say(
      known === undefined
        ? memory.notGood(`the run of ${at} left nothing to go on from`)
        : memory.good(began, verdict.run === 'full', known),
    );
  return verdict;
}

function say(why: string | null): void {
  if (why !== null) process.stderr.write(`cofferdam verify: the state could not be written: ${why}\n`);
}

const exits = { good: 0, bad: 1, failed: 2, incomplete: 3 } as const;

/** Returns the exit code. When it watches it goes on until `signal`; what it found is said on standard output, one line of JSON a run. */
export async function runVerify(file: string | undefined, isWatching: boolean, signal: AbortSignal): Promise<number> {
  if (file === undefined) throw new CofferdamError('configuration', '--config is missing: see OPERATIONS, "Standing verification"');
  const given = loadVerifySettings(file);
  const database = new Database({ url: given.databaseUrl, applicationName: 'cofferdam verify', connectionsMax: 1 });
  const memory = new Memory(given);
  try {
    for (;;) {
      let code: number;
      try {
        const verdict = await verifyOnce(database, given, memory);
        process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), ...verdict })}\n`);
        code = exits[verdict.verdict];
      } catch (error) {
        process.stderr.write(`cofferdam verify: the verdict could not be told: ${toCofferdamError(error).message}\n`);
        code = exits.failed;
      }
      if (!isWatching || signal.aborted) return code;
      await sleep(given.everyMinutes * 60_000, undefined, { signal }).catch(() => {});
      if (signal.aborted) return code;
    }
  } finally {
    await database.close();
  }
}
