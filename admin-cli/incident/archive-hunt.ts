// Owns: searching the archives of the record for indicators on the operator's machine: knowing which archives there
// must be, reading every one, and adding up what was found.
// Must never: give an answer while an archive is missing or is not the one that was written.
import { join } from 'node:path';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { ListedIndicator } from '../../server/domain/incident/indicators.ts';
import { matcherOf } from '../../server/domain/incident/matching.ts';
import { type Sightings, type Tally, tallyOf } from '../../server/domain/incident/sightings.ts';
import { type IndicatorHits, namesShownMax } from '../../server/rpc/operators/incident.ts';
import type { ListedArchive } from '../../server/rpc/operators/ledger.ts';
import type { Client } from '../connection/client.ts';
import { absence, readArchive } from './archive-file.ts';
import { type Names, namesFrom } from './archive-names.ts';

const faultsShownMax = 20;
/** Progress is told once for so many entries. */
const progressEntries = 250_000;

export type ArchivedHits = Omit<IndicatorHits, 'index'>;
export type Progress = (text: string) => void;

/**
 * Throws with all faults together, so that an operator who fetches missing files can fetch all of them at once. Does
 * nothing when there are no faults.
 */
function refuse(code: 'configuration' | 'corrupt', directory: string, faults: readonly string[]): void {
  if (faults.length === 0) return;
  const shown = faults.slice(0, faultsShownMax);
  const more = faults.length > shown.length ? [`… and ${faults.length - shown.length} more`] : [];
  throw new CofferdamError(
    code,
    `the archives in ${directory} are not those that the gateway wrote:\n${[...shown, ...more].join('\n')}\nThere is no answer: bring these files from the warden's archive directory or its backup, then ask again`,
  );
}

/** Checks that every file is there, before the search begins. Throws `configuration` otherwise. */
export function requireArchives(directory: string, archives: readonly ListedArchive[]): void {
  const faults = archives.flatMap(({ file }) => {
    const why = absence(join(directory, file));
    return why === undefined ? [] : [`${file} ${why}`];
  });
  refuse('configuration', directory, faults);
}

/**
 * Returns an instant, given in microseconds since 1970, as ISO 8601 in UTC with milliseconds, as the gateway writes it.
 */
const instant = (micros: number): string => new Date(Math.floor(micros / 1000)).toISOString();

function hitsOf(found: Sightings, names: Names): ArchivedHits {
  const [accounts, customers] = [names.ofAccounts(found.accounts), names.ofCustomers(found.customers)];
  return {
    hits: found.hits,
    first: instant(found.first),
    last: instant(found.last),
    sessions: found.sessions.size,
    accounts: accounts.slice(0, namesShownMax),
    customers: customers.slice(0, namesShownMax),
    kinds: [...found.kinds]
      .map(([kind, count]) => ({ kind, count }))
      .sort((a, b) => b.count - a.count || (a.kind < b.kind ? -1 : 1)),
    more: accounts.length > namesShownMax || customers.length > namesShownMax,
  };
}

function tooMany(indicators: readonly ListedIndicator[], tally: Tally): CofferdamError {
  const frequent = indicators[tally.mostSessions()];
  return new CofferdamError(
    'over-limit',
    `the indicators occur in more sessions than this search can hold: leave out the one that occurs in most of them, line ${frequent?.line ?? 0} (${frequent?.type ?? ''} ${frequent?.value ?? ''}). There is no answer`,
  );
}

/**
 * Reads every archive to its end. Returns the hits by the position of the indicator in the list, and the number of
 * entries that were read. Throws when an archive is not the file that was written.
 */
export async function huntArchives(
  client: Pick<Client, 'call'>,
  {
    directory,
    archives,
    indicators,
  }: {
    readonly directory: string;
    readonly archives: readonly ListedArchive[];
    readonly indicators: readonly ListedIndicator[];
  },
  progress: Progress,
): Promise<{ readonly hits: ReadonlyMap<number, ArchivedHits>; readonly entries: number }> {
  const names = namesFrom(client);
  const named = indicators.flatMap((one) => (one.type === 'account' ? [one.value] : []));
  const match = matcherOf(indicators, await names.accountIds(named));
  const tally = tallyOf();
  const faults: string[] = [];
  let entries = 0;
  for (const [i, archive] of archives.entries()) {
    const fault = await readArchive(join(directory, archive.file), archive, (entry) => {
      if (entries % progressEntries === 0)
        progress(`archive ${i + 1} of ${archives.length}, ${archive.month}: ${entries} entries`);
      entries += 1;
      const positions = match(entry);
      if (positions.length > 0 && !tally.add(entry, positions)) throw tooMany(indicators, tally);
    });
    if (fault !== undefined) faults.push(`${archive.file} ${fault}`);
    // Names are asked for after each file, so that the connection is not idle while all files are read.
    const found = [...tally.sightings.values()];
    if (faults.length === 0)
      await names.learn(
        found.flatMap((one) => [...one.accounts]),
        found.flatMap((one) => [...one.customers]),
      );
  }
  refuse('corrupt', directory, faults);
  return { hits: new Map([...tally.sightings].map(([position, found]) => [position, hitsOf(found, names)])), entries };
}
