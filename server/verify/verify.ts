// Owns: `cofferdam verify`: the whole record against its witness, from another host, once or again and again, and its verdict told to the gateway.
// Must never: need more than to read, or go on silently when it could not verify.
import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { monthsMark } from '../admin/ledger/dump-queries.ts';
import { secretForbidden } from '../config/places.ts';
import { CofferdamError, toCofferdamError } from '../domain/errors.ts';
import { Database } from '../postgres/database.ts';
import { type Verdict, verifyLines } from './library.ts';
import { recordLines } from './record-lines.ts';
import { reportVerdict } from './verify-queries.ts';

const path = z.string().min(1).max(4096);
const settings = z.strictObject({
  /** Of the role cofferdam_auditor. */
  databaseUrl: z.string().min(1).max(4096),
  /** Verifier keys as `cofferctl ledger status` shows them. */
  keys: z.array(z.string().min(1).max(256)).min(1).max(20),
  witnesses: z.array(path).min(1).max(8),
  archive: path.nullable().default(null),
  maxAgeSeconds: z.number().int().min(0).max(1_000_000_000).default(600),
  everyMinutes: z.number().int().min(1).max(10_080).default(60),
});
export type VerifySettings = z.infer<typeof settings>;

/** Throws `configuration`. The file holds a password: it is for its owner's eyes only. */
export function loadVerifySettings(file: string): VerifySettings {
  let given: unknown;
  try {
    const mode = statSync(file).mode & 0o777;
    if ((mode & secretForbidden) !== 0)
      throw new CofferdamError(
        'configuration',
        `${file} may be read by others (mode ${mode.toString(8)}): chmod 0400 it, and change the password`,
      );
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof CofferdamError) throw cause;
    throw new CofferdamError('configuration', `${file} cannot be read as JSON`, { cause });
  }
  const parsed = settings.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new CofferdamError('configuration', parsed.error.issues.map((one) => `${file}: ${one.path.join('.')}: ${one.message}`).join('\n'));
}

/** A month that leaves in the middle of a run makes two records of one: then it is begun anew, once. */
async function verifyStill(database: Database, against: VerifySettings): Promise<Verdict> {
  for (let isLast = false; ; isLast = true) {
    const mark = await database.withSystem(monthsMark);
    const verdict = await verifyLines(against, recordLines(database));
    if ((await database.withSystem(monthsMark)) === mark) return verdict;
    if (isLast) throw new CofferdamError('conflict', 'a month of the record left the database during each of two runs');
  }
}

/** One run, whatever it ends with; told to the gateway when the database can be reached. */
export async function verifyOnce(database: Database, against: VerifySettings): Promise<Verdict> {
  let verdict: Verdict;
  try {
    verdict = await verifyStill(database, against);
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && !(error instanceof CofferdamError) ? error.message : toCofferdamError(error).message;
    verdict = { verdict: 'failed', heads: 0, entries: 0, findings: 0, text: `nothing was verified: ${why}` };
  }
  const told = { ...verdict, text: verdict.text.slice(0, 300) };
  await database.withSystem((tx) => reportVerdict(tx, hostname().slice(0, 60), told));
  return told;
}

const exits = { good: 0, bad: 1, failed: 2, incomplete: 3 } as const;

/** Returns the exit code. When it watches it goes on until `signal`; what it found is said on standard output, one line of JSON a run. */
export async function runVerify(file: string | undefined, isWatching: boolean, signal: AbortSignal): Promise<number> {
  if (file === undefined) throw new CofferdamError('configuration', '--config is missing: see OPERATIONS, "Standing verification"');
  const given = loadVerifySettings(file);
  const database = new Database({ url: given.databaseUrl, applicationName: 'cofferdam verify', connectionsMax: 1 });
  try {
    for (;;) {
      let code: number;
      try {
        const verdict = await verifyOnce(database, given);
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
