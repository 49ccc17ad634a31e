// Owns: the forwards of one warden: checking how far each has come, their metrics, and the alert when one is late.
// Must never: influence whether anything is served.
import { hostname } from 'node:os';
import type { Config } from '../../../config/config.ts';
import { held } from '../../../domain/detached.ts';
import type { Logger } from '../../../observability/logger.ts';
import type { Reading } from '../../../observability/metrics.ts';
import { connections } from '../../../postgres/connection-limits.ts';
import { Database, type DatabaseOptions } from '../../../postgres/database.ts';
import { insertAlert } from '../../alerts/alert-queries.ts';
import { Forward, type ForwardState, type ForwardTimes } from './forward.ts';
import { defaultTimes, destinationText } from './syslog-connection.ts';

/** The value of the field that CEF calls the version of the device. */
const version = '0.1.0';
const lookMs = 1000;
const alarmEveryMs = 60_000;

const times: ForwardTimes = {
  ...defaultTimes,
  pollMs: 250,
  confirmMs: 30_000,
  doubtMs: 2000,
  retryFirstMs: 250,
  retryLongestMs: 15_000,
  stopMs: 2000,
};

type ForwardsOptions = Pick<DatabaseOptions, 'alerts'> & {
  readonly config: Pick<Config, 'limits' | 'ledger'>;
  readonly url: string;
  readonly log: Logger;
  readonly newest: () => number | undefined;
  readonly times?: Partial<ForwardTimes>;
};

/** All forwards of the configuration. Without any it opens no connection and does nothing. */
export class Forwards {
  readonly #given: ForwardsOptions;
  readonly #database: Database | undefined;
  readonly #forwards: readonly Forward[];
  readonly #standings = new Map<string, ForwardState>();
  readonly #alarmedAt = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(given: ForwardsOptions) {
    this.#given = given;
    const { forwards } = given.config.ledger;
    if (forwards.length === 0) {
      this.#forwards = [];
      return;
    }
    // The forwards have a pool of their own, so that a large backlog and the sealer never wait for each other's
    // connections.
    const database = new Database({
      url: given.url,
      applicationName: 'cofferdam forwarder',
      connectionsMax: connections.forwarder,
      alerts: given.alerts,
    });
    const context = {
      database,
      log: given.log,
      source: { hostname: hostname(), version },
      newest: given.newest,
      times: { ...times, ...given.times },
    };
    this.#database = database;
    this.#forwards = forwards.map((one) => new Forward(one, context));
    const next = (): void => {
      if (this.#isStopped) return;
      this.#timer = setTimeout(() => {
        this.#looking = held(
          this.#look()
            .catch((error: unknown) =>
              context.log.error({ err: error }, 'defect in looking at the forwards; it is tried again'),
            )
            .finally(next),
        );
      }, lookMs);
    };
    next();
  }

  async #look(): Promise<void> {
    for (const forward of this.#forwards) {
      const { name } = forward.config;
      try {
        const standing = await forward.look();
        if (standing === undefined) this.#standings.delete(name);
        else {
          this.#standings.set(name, standing);
          await this.#judge(forward, standing);
        }
      } catch (error) {
        // The database is unavailable. The sealer reports that, and nothing is served meanwhile.
        this.#given.log.debug({ err: error, forward: name }, 'a forward cannot be looked at');
      }
    }
  }

  async #judge({ config: { name, destination } }: Forward, { behind, error }: ForwardState): Promise<void> {
    const { config, log } = this.#given;
    if (behind.ms < config.limits.forwardAlarmMs) return;
    if (performance.now() - (this.#alarmedAt.get(name) ?? Number.NEGATIVE_INFINITY) < alarmEveryMs) return;
    const seconds = Math.round(behind.ms / 1000);
    const why = error === null ? 'it takes entries too slowly' : error;
    const text = `the receiver ${name} (${destinationText(destination)}) is ${behind.entries} entries and ${seconds} s behind: ${why}. Nothing is lost: they wait in the database`;
    log.warn({ forward: name, ...behind }, text);
    await this.#database?.withSystem((tx) =>
      insertAlert(tx, {
        kind: 'ledger.forward-late',
        severity: 'warning',
        subject: name,
        text,
        facts: { forward: name, entries: behind.entries, ms: behind.ms, error },
        nextCommand: 'cofferctl ledger status',
      }),
    );
    // This comes after the insert: an alert that could not be written does not count as raised.
    this.#alarmedAt.set(name, performance.now());
  }

  get metrics(): readonly Reading[] {
    const all = [...this.#standings.values()];
    const gauge = (name: string, help: string, value: (one: ForwardState) => number): readonly Reading[] =>
      all.map((one) => ({ name, help, kind: 'gauge', value: value(one), labels: { forward: one.name } }));
    return [
      ...gauge(
        'ledger_forward_behind_entries',
        'Sealed entries that the receiver does not have.',
        (one) => one.behind.entries,
      ),
      ...gauge('ledger_forward_behind_seconds', 'Age of the oldest of them.', (one) => one.behind.ms / 1000),
      ...gauge('ledger_forward_broken', 'Whether the last attempt failed.', (one) => (one.error === null ? 0 : 1)),
    ];
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
    await Promise.all(this.#forwards.map((one) => one.stop()));
    await this.#database?.close();
  }
}
