// Owns: what the leading warden does for the record again and again beside sealing: tables of the months to come, verdicts about it, and months that leave.
// Must never: use a connection that sealing or a plane needs, or hold up a stop.
import type { LedgerConfig } from '../../config/ledger-settings.ts';
import type { Logger } from '../../observability/logger.ts';
import { connections } from '../../postgres/connection-limits.ts';
import { Database, type DatabaseOptions } from '../../postgres/database.ts';
import { every } from '../every.ts';
import { archiveDue } from './archive.ts';
import { makeMonthsAhead } from './months.ts';
import { recordVerdicts } from './verdicts.ts';

const passEveryMs = 60_000;
/** A month that could not leave is looked at again after so long. */
const againMs = 10 * 60_000;

export type RecordPasses = {
  readonly config: LedgerConfig;
  readonly url: string;
  readonly log: Logger;
  readonly drafts: NonNullable<DatabaseOptions['drafts']>;
  /** This warden leads, and the record is in order. */
  readonly mayWork: () => boolean;
};

export function startRecordPasses({ config, url, log, drafts, mayWork }: RecordPasses): { stop(): Promise<void> } {
  const database = new Database({ url, applicationName: 'cofferdam archives', connectionsMax: connections.archives, drafts });
  const stopped = new AbortController();
  let restUntil = 0;
  const pass = async (): Promise<void> => {
    if (!mayWork()) return;
    await makeMonthsAhead(database);
    await recordVerdicts(database, { any: config.verifiedWithinHours, full: config.fullyVerifiedWithinHours });
    if (performance.now() < restUntil) return;
    const waiting = await archiveDue({ config, database, log, signal: stopped.signal });
    if (waiting.some((one) => one.isFailure || one.step !== 'stated')) restUntil = performance.now() + againMs;
  };
  const passes = every(passEveryMs, pass, log);
  return {
    stop: async () => {
      stopped.abort();
      await passes.stop();
      await database.close();
    },
  };
}
