// Owns: the one list of what a warden does again and again by itself: how often, over which rows, and whether it rests
// while the record is in doubt. Several wardens may run these passes at the same time.
// Must never: keep what a pass does. Each is a function of the folder whose rows it is about.
import type { AlertLog } from './alerts/sinks/log-sink.ts';
import { recordStrangers } from './authentication/login-record.ts';
import { watchMissing } from './budgets/create-budgets.ts';
import { forgetAnswered } from './commands/answered.ts';
import type { Warden } from './context/context.ts';
import { sweepCredentials } from './credentials/credential-sweeps.ts';
import { sweepGuesses } from './guesses/penalty-queries.ts';
import type { LedgerGuard } from './ledger/guard.ts';
import { remind } from './operators/emergencies.ts';
import { every } from './passes/every.ts';
import { eachInTurn, type PassingWarden, type RowPassName } from './passes/row-passes.ts';
import type { Turns } from './passes/turns.ts';
import { applyRetention } from './retention/retention.ts';
import type { CatalogueWatch } from './seals/catalogue-watch.ts';
import { watchSelfTests } from './self-test/self-test.ts';
import { sweepSeals } from './sessions/seal-sweeps.ts';
import type { SessionRegistry } from './sessions/sessions.ts';
import type { Storing } from './store/store-client.ts';
import { collectUnsettled, searchStrays, watchAllowances } from './transfers/recovery.ts';
import { collect, publish } from './transfers/sweeps.ts';

type Given = {
  readonly warden: Warden & Storing & Pick<PassingWarden, 'mayGoOn'>;
  readonly guard: Pick<LedgerGuard, 'state'>;
  readonly sessions: SessionRegistry;
  readonly alerts: AlertLog;
  readonly catalogue: Pick<CatalogueWatch, 'pass'>;
};

type Timings = Pick<Warden, 'limits' | 'ages'>;
/** The settings that say how often a pass runs, in milliseconds. */
const settings = {
  'limits.collectEveryMs': ({ limits }: Timings) => limits.collectEveryMs,
  'limits.sealCheckEveryMs': ({ limits }: Timings) => limits.sealCheckEveryMs,
  'credentials.sweepEveryMs': ({ ages }: Timings) => ages.sweepEveryMs,
} as const;

export type RegularPass = {
  readonly does: string;
  /** The time between two turns: in milliseconds, or the setting that says so. */
  readonly every: number | keyof typeof settings;
  /**
   * Whether the pass rests while the record is in doubt, because what it publishes, withdraws, destroys or counts
   * cannot be undone.
   */
  readonly restsInDoubt: boolean;
  /** Its passes over rows, in their order; none for work that has no rows which could stand in each other's way. */
  readonly rows: readonly RowPassName[];
  readonly run: (given: Given) => Promise<void>;
};

export const regularPasses: readonly RegularPass[] = [
  {
    does: 'publishes files that have settled',
    every: 250,
    restsInDoubt: true,
    rows: ['publication'],
    run: ({ warden }) => publish(warden),
  },
  {
    does: 'gives up expired uploads and frees what no version needs',
    every: 'limits.collectEveryMs',
    restsInDoubt: true,
    rows: ['expiry', 'waiting', 'collection', 'deletion'],
    run: ({ warden }) => collect(warden),
  },
  {
    does: 'withdraws and destroys files whose time is over',
    every: 'limits.collectEveryMs',
    restsInDoubt: true,
    rows: ['window', 'retention', 'extents'],
    run: ({ warden }) => applyRetention(warden),
  },
  {
    does: 'writes the activity of sessions, releases uploads, and ends sessions whose time is over',
    every: 1000,
    restsInDoubt: false,
    rows: ['upload-release', 'session-end'],
    run: ({ sessions }) => sessions.sweep(),
  },
  {
    does: 'logs alerts',
    every: 1000,
    restsInDoubt: false,
    rows: ['alerts'],
    run: ({ warden, alerts }) => alerts.pass(warden.database),
  },
  {
    does: 'records the failed logins of strangers',
    every: 5000,
    restsInDoubt: true,
    rows: ['strangers'],
    run: ({ warden }) => recordStrangers(warden),
  },
  {
    does: 'reports nodes that do not test their controls',
    every: 10_000,
    restsInDoubt: true,
    rows: ['silent-nodes'],
    run: ({ warden }) => watchSelfTests(warden),
  },
  {
    does: 'ends credentials and announces their ends',
    every: 'credentials.sweepEveryMs',
    restsInDoubt: false,
    rows: ['credential-retirement', 'credential-end', 'credential-warning'],
    run: ({ warden, sessions }) => sweepCredentials(warden, sessions),
  },
  {
    does: 'looks at the catalogue of the database, at all seals, and for budgets that are missing',
    every: 'limits.sealCheckEveryMs',
    restsInDoubt: false,
    rows: ['broken-seals', 'missing-budgets'],
    run: ({ warden, sessions, catalogue }) =>
      eachInTurn(
        () => catalogue.pass(),
        () => sweepSeals(warden, sessions),
        () => watchMissing(warden),
      ),
  },
  {
    does: 'reminds of emergencies that nobody has reviewed',
    every: 3_600_000,
    restsInDoubt: false,
    rows: ['emergencies'],
    run: ({ warden }) => remind(warden),
  },
  {
    does: 'forgets old guesses',
    every: 60_000,
    restsInDoubt: false,
    rows: [],
    run: ({ warden }) => warden.database.withSystem((tx) => sweepGuesses(tx, warden.limits.guessForgetMs)),
  },
  {
    does: 'forgets answered commands',
    every: 30_000,
    restsInDoubt: false,
    rows: [],
    run: ({ warden }) => forgetAnswered(warden.database),
  },
  {
    does: 'watches how much edges put into the store, and deletes what no upload took',
    every: 60_000,
    restsInDoubt: true,
    rows: [],
    run: ({ warden }) =>
      eachInTurn(
        () => watchAllowances(warden),
        () => collectUnsettled(warden),
      ),
  },
  {
    does: 'searches the store for objects that were left behind before its present run',
    every: 60_000,
    restsInDoubt: true,
    rows: [],
    run: ({ warden }) => searchStrays(warden),
  },
];

/** Starts all regular passes. `stop` waits for those that run, which end with the turn that they are in. */
export function startRegularPasses(given: Given & { readonly turns: Turns }): { stop(): Promise<void> } {
  const { warden, guard, turns } = given;
  let isStopped = false;
  const beats = regularPasses.map((pass) => {
    const everyMs = typeof pass.every === 'number' ? pass.every : settings[pass.every](warden);
    const mayGoOn = (): boolean => !isStopped && (!pass.restsInDoubt || guard.state.is === 'open');
    const passing = { ...given, warden: { ...warden, mayGoOn } };
    const turn = async (): Promise<void> => (mayGoOn() ? turns.timed(pass.does, () => pass.run(passing)) : undefined);
    return every(everyMs, turn, warden.log);
  });
  return {
    stop: async () => {
      isStopped = true;
      await Promise.all(beats.map((beat) => beat.stop()));
    },
  };
}
