// Owns: `cofferdam verify`: verifying the record against its witness from another host, once or again and again, and
// reporting the verdict to the gateway.
// Must never: need more rights than to read and to report; stay silent when it could not verify; or count what an
// earlier run read as read by this one.
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
import { waysAstray } from './ways.ts';

/**
 * The verdict of one run. `run` is `full` when all of the record was read, `since` when only what was sealed since an
 * earlier run was.
 */
export type Verdict = Found & {
  readonly run: 'full' | 'since';
  /** Why this is a full run; null when it is not. */
  readonly why: string | null;
  /** The good run that this one goes on from; null for a full run, which needs none. */
  readonly since: Mark | null;
  /** The last good full run before this one, as far as this verifier knows; null when it knows none. */
  readonly full: Mark | null;
  /** What this run did not read, and which runs did; null for a full run. */
  readonly notRead: string | null;
};
type Run = Pick<Verdict, 'run' | 'why' | 'since' | 'full' | 'notRead'>;
type Tried = { readonly run: Run; readonly done: Done };

/** Returns what a run that goes on from `since` does not read, and which runs did. */
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
  const done = await readWhole(against, base, recordLines(database));
  return { run, done: withWays(done, await waysAstray(database)) };
}

/**
 * Adds what questions of operators do not find. A record whose entries are good is bad when questions do not find all.
 */
function withWays({ found, known }: Done, astray: readonly string[]): Done {
  if (astray.length === 0) return { found, known };
  const text = [...astray, ...(found.verdict === 'good' ? [] : [found.text])].join('; ');
  return { found: { ...found, verdict: 'bad', findings: found.findings + astray.length, text }, known: undefined };
}

/**
 * Runs `attempt`, and once more when a month left the database meanwhile, because its two halves have then read
 * different states of the record. Throws `conflict` when that happens again.
 */
async function verifyStill(database: Database, attempt: () => Promise<Tried>): Promise<Tried> {
  for (let isLast = false; ; isLast = true) {
    const mark = await database.withSystem(monthsMark);
    const tried = await attempt();
    if ((await database.withSystem(monthsMark)) === mark) return tried;
    if (isLast) throw new CofferdamError('conflict', 'a month of the record left the database during each of two runs');
  }
}

/**
 * Returns the text of a verdict: what was found, and for a good run also what it did not read or why it read
 * everything.
 */
function textOf({ verdict, text }: Found, { why, notRead }: Run): string {
  if (verdict !== 'good') return text;
  return notRead !== null ? `${text}; ${notRead}` : `${text} (full run: ${why})`;
}

/**
 * Returns text that a database takes and one line can hold. Who holds one witness may write any character into a note,
 * and a verdict that cannot be stored would be none.
 */
export const storableText = (text: string): string =>
  text.replace(/[\p{C}\u2028\u2029]/gu, (one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`).slice(0, textMax);
const textMax = 300;

/**
 * Verifies once, reports the verdict to the gateway, and returns it, also when nothing could be verified. `onVerdict`
 * hears of it before the database does, whose owner can refuse it. A good run is kept in `memory` only after it was
 * reported, so that the next run never goes on from a run that nobody heard of. Throws `conflict` when another run with
 * the same state is under way, and `unavailable` when the verdict could not be reported.
 */
export async function verifyOnce(
  database: Database,
  against: VerifySettings,
  memory = new Memory(against),
  onVerdict: (verdict: Verdict) => void = () => {},
): Promise<Verdict> {
  const lock = memory.begin();
  try {
    return await verifyLocked(database, against, memory, onVerdict);
  } finally {
    lock.end();
  }
}

async function verifyLocked(
  database: Database,
  against: VerifySettings,
  memory: Memory,
  onVerdict: (verdict: Verdict) => void,
): Promise<Verdict> {
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
      error instanceof Error && 'code' in error && !(error instanceof CofferdamError)
        ? error.message
        : toCofferdamError(error).message;
    const found: Found = { verdict: 'failed', heads: 0, entries: 0, findings: 0, text: `nothing was verified: ${why}` };
    tried = { run, done: { found, known: undefined } };
  }
  const { found, known } = tried.done;
  const verdict = { ...found, ...tried.run, text: storableText(textOf(found, tried.run)) };
  const at = new Date(began).toISOString();
  // A run that was not good is kept before it is reported: if this process ends in between, the next run is a full one.
  if (found.verdict !== 'good') warnUnwritten(memory.notGood(`the run of ${at} ended ${found.verdict}`));
  onVerdict(verdict);
  await database.withSystem((tx) => reportVerdict(tx, hostname().slice(0, 60), verdict));
  if (found.verdict === 'good')
    warnUnwritten(
      known === undefined
        ? memory.notGood(`the run of ${at} left nothing to go on from`)
        : memory.good(began, verdict.run === 'full', known),
    );
  return verdict;
}

/** Writes a warning when the state could not be written; `why` is null when it was. */
function warnUnwritten(why: string | null): void {
  if (why !== null) process.stderr.write(`cofferdam verify: the state could not be written: ${why}\n`);
}

const exits = { good: 0, bad: 1, failed: 2, incomplete: 3 } as const;

const writeLine = (line: object): void => {
  process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), ...line })}\n`);
};

/**
 * Carries out one run. Its verdict is on standard output before the gateway is told, and a line says when the gateway
 * was told. Returns the exit code of the verdict; a good verdict of which the gateway did not hear counts as none.
 */
async function runOnce(database: Database, given: VerifySettings, memory: Memory): Promise<number> {
  let code: number = exits.failed;
  try {
    const { verdict, run } = await verifyOnce(database, given, memory, (found) => {
      writeLine({ told: false, ...found });
      code = found.verdict === 'good' ? exits.failed : exits[found.verdict];
    });
    writeLine({ told: true, verdict, run });
    return exits[verdict];
  } catch (error) {
    const { code: kind, message } = toCofferdamError(error);
    const what = kind === 'conflict' ? 'nothing was verified' : 'the verdict could not be told to the gateway';
    process.stderr.write(`cofferdam verify: ${what}: ${message}\n`);
    return code;
  }
}

/**
 * Verifies once, or with `isWatching` again and again until `signal`, and writes the verdict of each run to standard
 * output. Returns the exit code of the last run.
 */
export async function runVerify(file: string | undefined, isWatching: boolean, signal: AbortSignal): Promise<number> {
  if (file === undefined)
    throw new CofferdamError(
      'configuration',
      '--config is missing: see docs/operations/record.md, "Standing verification"',
    );
  const given = loadVerifySettings(file);
  const database = new Database({ url: given.databaseUrl, applicationName: 'cofferdam verify', connectionsMax: 1 });
  const memory = new Memory(given);
  try {
    for (;;) {
      const code = await runOnce(database, given, memory);
      if (!isWatching || signal.aborted) return code;
      await sleep(given.everyMinutes * 60_000, undefined, { signal }).catch(() => {});
      if (signal.aborted) return code;
    }
  } finally {
    await database.close();
  }
}
