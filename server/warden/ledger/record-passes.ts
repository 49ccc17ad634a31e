// Owns: the regular work of the leading warden for the record beside sealing: making the tables of coming months,
// recording verdicts about the record, and archiving months.
// Must never: use a connection that sealing or a plane needs, or delay a stop.
import type { LedgerConfig } from '../../config/ledger-settings.ts';
import type { AlertSink } from '../../domain/raised-alert.ts';
import type { Logger } from '../../observability/logger.ts';
import { connections } from '../../postgres/connection-limits.ts';
import { Database, type DatabaseOptions } from '../../postgres/database.ts';
import { every } from '../passes/every.ts';
import type { Turns } from '../passes/turns.ts';
import { archiveDue } from './archive.ts';
import { makeMonthsAhead } from './months.ts';
import { recordVerdicts, VerdictMemory } from './verdicts.ts';

const passEveryMs = 60_000;
/** The rest after a pass in which archiving a month failed, or in which a month waits at another step than `stated`. */
const againMs = 10 * 60_000;

type RecordPasses = {
  readonly config: LedgerConfig;
  readonly url: string;
  readonly log: Logger;
  readonly drafts: NonNullable<DatabaseOptions['drafts']>;
  readonly alerts: AlertSink;
  readonly turns: Turns;
  /** Returns true while this warden leads and the record is in order. */
  readonly mayWork: () => boolean;
};

/** Starts a pass a minute over a pool of its own. `stop` aborts the work at its present step. */
export function startRecordPasses({ config, url, log, drafts, alerts, turns, mayWork }: RecordPasses): {
  stop(): Promise<void>;
} {
  const database = new Database({
    url,
    applicationName: 'cofferdam archives',
    connectionsMax: connections.archives,
    drafts,
    alerts,
  });
  const stopped = new AbortController();
  const verdicts = new VerdictMemory();
  let restUntil = 0;
  const pass = async (): Promise<void> => {
    if (!mayWork()) {
      // Another warden may record verdicts now.
      verdicts.forget();
      return;
    }
    await makeMonthsAhead(database);
    await recordVerdicts(
      database,
      { any: config.verifiedWithinHours, full: config.fullyVerifiedWithinHours },
      verdicts,
    );
    if (performance.now() < restUntil) return;
    const waiting = await archiveDue({ config, database, log, signal: stopped.signal });
    if (waiting.some((one) => one.isFailure || one.step !== 'stated')) restUntil = performance.now() + againMs;
  };
  const does = 'makes months ahead, records verdicts and archives';
  const passes = every(passEveryMs, () => turns.timed(does, pass), log);
  return {
    stop: async () => {
      stopped.abort();
      await passes.stop();
      await database.close();
    },
  };
}
