// Owns: writing a freeze: its row, its entry and its alert, once and in one transaction.
// Must never: leave a freeze half written. Nothing is served before it is written, nor after.
import { isDeepStrictEqual } from 'node:util';
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { record } from './entries/record.ts';
import type { Known } from './guard.ts';
import { ends, isReleased, namesOf } from './releases.ts';
import { type Freeze, type FreezeRow, freezesWith, type Look, lockState, saveFreeze } from './seal-queries.ts';
import { RecordDiverged } from './standing.ts';

/**
 * The longest sentence of a freeze, and the longest text among its facts. What they quote of the database may be of any
 * length.
 */
const [sentenceMax, factMax] = [2000, 400];
const short = (_name: string, value: unknown): unknown => (typeof value === 'string' ? value.slice(0, factMax) : value);

/**
 * Returns the freeze with the facts that a release must name: the checkpoint that is given up, and the size to which
 * the record goes back. They are as JSON returns them, so that they can be compared with a row, and so short that this
 * warden can always read again what it remembers.
 */
export const wholeFreeze = (id: string, freeze: Omit<Freeze, 'id'>, seen: Look, known: Known | undefined): Freeze => ({
  ...freeze,
  id,
  text: freeze.text.slice(0, sentenceMax),
  facts: JSON.parse(
    JSON.stringify(
      {
        witnessedEra: known?.era ?? seen.era,
        witnessedSize: known?.heads ?? seen.heads,
        witnessedRoot: known?.root ?? '',
        witnessedAt: new Date(seen.now).toISOString(),
        heads: seen.heads,
        era: seen.era,
        ...freeze.facts,
      },
      short,
    ),
  ),
});

async function insert(tx: Transaction, whole: Freeze): Promise<void> {
  await saveFreeze(tx, whole);
  await record(tx, {
    kind: 'ledger.frozen',
    observer: 'warden',
    sensitive: { freeze: whole.id, why: whole.why, text: whole.text, facts: whole.facts },
  });
  await insertAlert(tx, {
    kind: 'ledger.frozen',
    severity: 'critical',
    subject: whole.id,
    text: `nothing is served: ${whole.text}`,
    facts: { freeze: whole.id, why: whole.why, ...whole.facts },
    nextCommand: 'cofferctl ledger status',
  });
}

/**
 * Returns whether the release of a freeze that stands would end this one as well, as when two wardens find the same at
 * one moment.
 */
const isCovered = (rows: readonly FreezeRow[], found: Freeze): boolean =>
  rows.some((row) => !row.isReleased && ends(namesOf(row), found));

/**
 * Writes a freeze that was just found, and returns it with the heads that a release of it leaves: under the lock of the
 * state no round is under way, and none follows. Writes nothing when the era is over already, or when another freeze
 * says the same.
 */
export async function recordFreeze(tx: Transaction, found: Freeze): Promise<Freeze> {
  const { era, newest } = await lockState(tx);
  const heads = Math.max(Number(found.facts.heads), newest === null ? 0 : newest.position + 1);
  const whole = { ...found, facts: { ...found.facts, heads } };
  if (era <= Number(found.facts.era) && !isCovered(await freezesWith(tx, found.id), whole)) await insert(tx, whole);
  return whole;
}

/**
 * Returns whether a row says what was found. Its era may be earlier: the find stands in an era that began meanwhile,
 * too.
 */
const saysSame = (row: Freeze, found: Freeze): boolean =>
  Number(row.facts.era) <= Number(found.facts.era) &&
  isDeepStrictEqual({ ...row, facts: { ...row.facts, era: found.facts.era } }, found);

/**
 * Sees to it that the row of a freeze is as this warden found it, whatever somebody made of it, beside those that
 * others found. Returns the row that said something else. Writes nothing when two operators have released the freeze
 * since the warden looked: under the lock of the state no release is under way.
 */
export async function keepFreeze(tx: Transaction, keys: KeyRing, found: Freeze): Promise<FreezeRow | undefined> {
  const { era } = await lockState(tx);
  if (era > Number(found.facts.era) && (await isReleased(tx, keys, found))) return undefined;
  const rows = await freezesWith(tx, found.id);
  const row = rows.find((one) => one.id === found.id);
  if (row === undefined) {
    if (!isCovered(rows, found)) await insert(tx, found);
    return undefined;
  }
  const { isReleased: isMarked, ...said } = row;
  const isSame = !isMarked && saysSame(said, found);
  if (!isSame || said.facts.era !== found.facts.era) await saveFreeze(tx, found);
  return isSame ? undefined : row;
}

/**
 * Returns what `work` returns, or the freeze of a record that turned out not to be what was signed: nothing of it is
 * served any more, and nothing more is signed.
 */
export async function orDiverged<T>(
  { identity, number }: Look,
  work: () => Promise<T>,
): Promise<T | Omit<Freeze, 'id'>> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RecordDiverged)) throw error;
    return { why: 'diverged', text: error.message, facts: { identity, entries: number } };
  }
}
