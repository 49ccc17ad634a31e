// Owns: putting on the record what the standing verification said, and the alert when it says something bad, says less
// than before, or says nothing.
// Must never: take a verdict for a reason to open anything (whoever took the reading role says what he likes), or judge
// what is new, or late, by numbers and times of rows: their owner writes them.
import type { Database, Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { record } from './entries/record.ts';
import { heardBefore, markedVerdicts, saidBefore, type TakenVerdict, takeVerdicts } from './verdict-queries.ts';

const verdictsMax = 20;
const hourMs = 3_600_000;
/** A verdict that says it was told later than this after now was not told through the function that takes verdicts. */
const futureMs = 60_000;
/** The largest number of verdicts, and of hosts, that are remembered; the table keeps about a thousand verdicts. */
const [knownMax, hostsMax] = [10_000, 100];

/**
 * Hours within which something must have been said: by any run, and by one that read all of the record; null: nobody is
 * expected.
 */
type Within = { readonly any: number | null; readonly full: number | null };

/** When something was said last, by the monotonic clock of this process. */
type Heard = { readonly any: number; readonly full: number };

/**
 * What one leading warden knows of the verdicts by itself. What was said before it led, it takes from the rows, once.
 */
export class VerdictMemory {
  /** The numbers of the verdicts that are on the record. Undefined: it has not looked since it leads. */
  #known: Set<string> | undefined;
  #heard: Heard | undefined;
  /** What each host said last. */
  readonly #said = new Map<string, string>();

  get known(): ReadonlySet<string> | undefined {
    return this.#known;
  }

  get heard(): Heard | undefined {
    return this.#heard;
  }

  saidOf(host: string): string | undefined {
    return this.#said.get(host);
  }

  /** Another warden may lead now, and record verdicts. */
  forget(): void {
    this.#known = undefined;
    this.#heard = undefined;
    this.#said.clear();
  }

  begin(known: readonly string[]): void {
    this.#known = new Set(known);
  }

  /** Notes that these verdicts are on the record now. */
  recorded(verdicts: readonly TakenVerdict[]): void {
    for (const { id, host, verdict } of verdicts) {
      this.#known?.add(id);
      if (verdict === 'failed') continue;
      this.#said.delete(host);
      this.#said.set(host, verdict);
    }
    if (this.#known !== undefined) trim(this.#known, knownMax);
    trim(this.#said, hostsMax);
  }

  /**
   * Notes how many milliseconds ago a verdict was reported, after any run and after a full one; null: nobody knows of
   * any.
   */
  hear(anyMs: number | null, fullMs: number | null): void {
    const now = performance.now();
    const later = (before: number | undefined, ms: number | null): number =>
      Math.max(before ?? Number.NEGATIVE_INFINITY, ms === null ? Number.NEGATIVE_INFINITY : now - Math.max(0, ms));
    this.#heard = { any: later(this.#heard?.any, anyMs), full: later(this.#heard?.full, fullMs) };
  }
}

/** Drops what was put in first, down to a size. */
function trim(from: Set<string> | Map<string, string>, max: number): void {
  for (const oldest of from.keys()) {
    if (from.size <= max) return;
    from.delete(oldest);
  }
}

/** Returns whether nothing bad was found, and the time of the row is one that it can have. */
const counts = ({ verdict, ageMs }: TakenVerdict): boolean =>
  (verdict === 'good' || verdict === 'incomplete') && ageMs >= -futureMs;

/**
 * Puts the new verdicts on the record, and raises the alerts. What this warden has not recorded while it leads is new,
 * whatever its number and its mark say; a mark that somebody else made is an alert of its own.
 */
export async function recordVerdicts(database: Database, within: Within, memory = new VerdictMemory()): Promise<void> {
  const known = memory.known ?? (await database.withSystem((tx) => markedVerdicts(tx, knownMax)));
  const taken = await database.withSystem(async (tx) => {
    const verdicts = await takeVerdicts(tx, verdictsMax, [...known]);
    const said = new Map<string, string | undefined>();
    for (const one of verdicts) {
      const before = said.get(one.host) ?? memory.saidOf(one.host) ?? (await saidBefore(tx, one.host, one.id));
      await recordOne(tx, one, before);
      if (one.verdict !== 'failed') said.set(one.host, one.verdict);
    }
    return verdicts;
  });
  if (memory.known === undefined) memory.begin([...known]);
  memory.recorded(taken);
  if (memory.heard === undefined) {
    const { anyMs, fullMs, begunMs } = await database.withSystem(heardBefore);
    memory.hear(anyMs ?? begunMs, fullMs ?? begunMs);
  }
  for (const one of taken) if (counts(one)) memory.hear(one.ageMs, one.run === 'full' ? one.ageMs : null);
  const { heard } = memory;
  if (heard === undefined) return;
  const now = performance.now();
  await database.withSystem(async (tx) => {
    await sayLate(tx, 'ledger', 'verified the record', now - heard.any, within.any);
    await sayLate(tx, 'whole ledger', 'verified the whole record, old entries too,', now - heard.full, within.full);
  });
}

/** Records one verdict and raises its alert. `before` is what this host had reported last before. */
async function recordOne(tx: Transaction, taken: TakenVerdict, before: string | undefined): Promise<void> {
  const { id, wasMarked, ageMs, ...verdict } = taken;
  await record(tx, { kind: 'ledger.verified', observer: 'warden', sensitive: verdict });
  const alarm = (severity: 'warning' | 'critical', subject: string, text: string, nextCommand: string): Promise<void> =>
    insertAlert(tx, {
      kind: 'ledger.not-verified',
      severity,
      subject,
      text,
      facts: { verdictNumber: id, ...verdict },
      nextCommand,
    });
  if (wasMarked)
    await alarm(
      'critical',
      `${verdict.host}, hidden`,
      `a verdict (${verdict.verdict}) was marked as recorded before it was: somebody changed the database to keep it from the record`,
      'cofferctl doctor',
    );
  if (ageMs < -futureMs)
    await alarm(
      'critical',
      `${verdict.host}, planted`,
      `a verdict (${verdict.verdict}) has a time to come: nobody reported it through the gateway, and it does not count`,
      'cofferctl doctor',
    );
  if (verdict.verdict === 'bad')
    await alarm('critical', verdict.host, `the record does not verify: ${verdict.text}`, 'cofferctl ledger status');
  if (verdict.verdict === 'incomplete' && before === 'good')
    await alarm(
      'warning',
      `${verdict.host}, incomplete`,
      `the record was verified as good before, and is not complete now: ${verdict.text}`,
      'cofferctl ledger status',
    );
}

async function sayLate(
  tx: Transaction,
  subject: string,
  what: string,
  ms: number,
  withinHours: number | null,
): Promise<void> {
  if (withinHours === null || ms <= withinHours * hourMs) return;
  const hours = Math.floor(ms / hourMs);
  await insertAlert(tx, {
    kind: 'ledger.not-verified',
    severity: 'critical',
    subject,
    text: `nobody has ${what} for ${hours} h; ${withinHours} h are allowed`,
    facts: { hours, withinHours },
    nextCommand: 'cofferctl ledger status',
  });
}
