// Owns: the table of what the warden does to rows again and again by itself, and the one door to them: together, and each by itself when one cannot be done.
// Must never: let one row keep others from their turn, or try one that failed again and again without a pause.
import { type CofferdamError, toCofferdamError } from '../domain/errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Database, Transaction } from '../postgres/database.ts';
import { isPassing } from '../postgres/database-errors.ts';
import { insertAlert } from './alerts/alert-queries.ts';

type Described = {
  /** Rows of one pass. */
  readonly rowsMax: number;
  readonly does: string;
  /** What an operator types to see such a row. */
  readonly next: (key: string) => string;
};
const version = (key: string): string => `cofferctl ledger search --version ${key}`;
const sessions = (): string => 'cofferctl session list';
const credentials = (): string => 'cofferctl credential list';

/** Every pass over rows; `test/warden/poisoned-rows` breaks one row of each. How often each is done: `sweeps.ts`, `credential-sweeps.ts`, `seal-sweeps.ts`, `sessions.ts`. */
export const rowPasses = {
  publication: { rowsMax: 500, does: 'publishing what has settled', next: version },
  expiry: { rowsMax: 500, does: 'giving up what was interrupted long ago', next: version },
  waiting: { rowsMax: 500, does: 'telling of files with a receipt that are kept from being delivered', next: version },
  collection: { rowsMax: 500, does: 'letting go of the extents of what was given up', next: version },
  deletion: { rowsMax: 500, does: 'deleting objects that no version needs', next: () => 'cofferctl doctor' },
  window: { rowsMax: 500, does: 'withdrawing what was there long enough', next: version },
  retention: { rowsMax: 500, does: 'destroying what was kept long enough', next: version },
  keys: { rowsMax: 500, does: 'wiping the keys of what was destroyed', next: version },
  'session-end': { rowsMax: 5000, does: 'ending sessions whose time is over', next: sessions },
  'upload-release': { rowsMax: 1000, does: 'taking uploads out of the hands of ended sessions', next: version },
  'credential-retirement': { rowsMax: 200, does: 'revoking credentials that have retired', next: credentials },
  'credential-end': { rowsMax: 200, does: 'ending sessions of credentials that have ended', next: credentials },
  'credential-warning': { rowsMax: 200, does: 'telling of credentials that end soon', next: credentials },
  strangers: { rowsMax: 500, does: 'recording the logins of strangers', next: () => 'cofferctl ledger search --kind login.strangers' },
  alerts: { rowsMax: 200, does: 'logging alerts', next: () => 'cofferctl alert list' },
  'silent-nodes': { rowsMax: 1000, does: 'telling of nodes that do not test their controls', next: () => 'cofferctl status' },
  'broken-seals': { rowsMax: 1000, does: 'ending what relies on an altered row', next: () => 'cofferctl doctor' },
  'missing-budgets': { rowsMax: 1000, does: 'telling of budgets that somebody deleted', next: () => 'cofferctl doctor' },
  emergencies: { rowsMax: 1000, does: 'reminding of emergencies that nobody has reviewed', next: () => 'cofferctl break-glass list' },
} as const satisfies Readonly<Record<string, Described>>;
export type RowPassName = keyof typeof rowPasses;

export type RowPass<Done> = {
  /** Names of rows that seem to be due, the oldest first. Holds no lock. */
  readonly find: (tx: Transaction, limit: number) => Promise<readonly string[]>;
  /** What is done to them outside of the database, and may be done again. No transaction waits for it. */
  readonly before?: (keys: readonly string[]) => Promise<void>;
  /** Locks those of the rows that nobody else works on, looks again, and does what is to be done to them. */
  readonly work: (tx: Transaction, keys: readonly string[]) => Promise<Done>;
  /** After the commit of what was done. */
  readonly done?: (done: Done) => void;
};

/** How long a row that could not be done is left alone. Milliseconds. */
const asideMs = 10 * 60_000;
/** Rows of one pass that are left alone at the same time. With so many the pass rests until the first of them have their turn again: none is forgotten. */
const asideMax = 2000;
/** Rows that fail for one reason are named one by one up to so many; more of them have one alert together. */
const namedMax = 3;
/** Reasons that one pass tells apart; what fails for others beyond that has one alert together. */
const causesMax = 5;
/** Rows that such an alert names. */
const examplesMax = 10;
/** By database: whoever starts anew tries everything once. Until when, by name of the row. */
const asides = new WeakMap<Database, Map<RowPassName, Map<string, number>>>();

function asideOf(database: Database, name: RowPassName): Map<string, number> {
  const passes = asides.get(database) ?? new Map<RowPassName, Map<string, number>>();
  asides.set(database, passes);
  const rows = passes.get(name) ?? new Map<string, number>();
  passes.set(name, rows);
  for (const [key, until] of rows) if (until <= performance.now()) rows.delete(key);
  return rows;
}

type Failed = { readonly why: string; readonly error: unknown; readonly keys: string[] };

/** What the database or the store itself said; its detail, which may hold values, stays in the log. */
const reasonOf = (error: CofferdamError): string => (error.cause instanceof Error ? error.cause.message : error.message).slice(0, 200);
/** A reason without what names a row in it: quoted text, identifiers, numbers. */
const causeOf = (why: string): string => why.replace(/'[^']*'|"[^"]*"/g, '…').replace(/\b[\da-f]{8}[\da-f-]*\b|\d+/gi, '…');

function note(failed: Map<string, Failed>, key: string, error: unknown): void {
  const why = reasonOf(toCofferdamError(error));
  const known = causeOf(why);
  const cause = failed.has(known) || failed.size < causesMax ? known : 'several reasons';
  const one = failed.get(cause) ?? { why, error, keys: [] };
  one.keys.push(key);
  failed.set(cause, one);
}

/**
 * One pass. All of its rows are done in one transaction; when one of them cannot be, each is done in a transaction of its own, and those that fail are
 * left alone for a while and told of: by name, or together when many of them fail for one reason, as with a store that is away. Faults of the connection are
 * nobody's: the pass ends with them, and comes again.
 */
export async function passOverRows<Done>(
  warden: { readonly database: Database; readonly log: Logger },
  name: RowPassName,
  pass: RowPass<Done>,
): Promise<void> {
  const { database } = warden;
  const { rowsMax } = rowPasses[name];
  const aside = asideOf(database, name);
  if (aside.size >= asideMax) return;
  const found = await database.withSystem((tx) => pass.find(tx, rowsMax + aside.size));
  const keys = found.filter((key) => !aside.has(key)).slice(0, rowsMax);
  if (keys.length === 0) return;
  const doThem = async (some: readonly string[]): Promise<void> => {
    await pass.before?.(some);
    const done = await database.withSystem((tx) => pass.work(tx, some));
    pass.done?.(done);
  };
  try {
    return await doThem(keys);
  } catch (error) {
    if (isPassing(error)) throw error;
  }
  const failed = new Map<string, Failed>();
  try {
    for (const key of keys) {
      if (aside.size >= asideMax) break;
      try {
        await doThem([key]);
      } catch (error) {
        if (isPassing(error)) throw error;
        aside.set(key, performance.now() + asideMs);
        note(failed, key, error);
      }
    }
  } finally {
    await eachInTurn(
      ...[...failed].map(
        ([cause, one]) =>
          () =>
            tell(warden, name, cause, one).catch((error: unknown) => {
              // Nobody has heard of them: they have their turn at once, and are told of then.
              for (const key of one.keys) aside.delete(key);
              throw error;
            }),
      ),
    );
  }
}

async function tell(
  { database, log }: { readonly database: Database; readonly log: Logger },
  name: RowPassName,
  cause: string,
  { why, error, keys }: Failed,
): Promise<void> {
  const { does, next } = rowPasses[name];
  const again = `tried again every ${asideMs / 60_000} minutes`;
  const examples = keys.slice(0, examplesMax);
  log.error({ err: error, pass: name, rows: examples, count: keys.length }, 'rows could not be done; the others of their pass are');
  const told = { kind: 'pass.row-failed', severity: 'critical' } as const;
  if (keys.length > namedMax)
    return database.withSystem((tx) =>
      insertAlert(tx, {
        ...told,
        subject: `${name}: ${cause}`.slice(0, 400),
        text: `${does}: ${keys.length} rows could not be done for one reason (${why}). What they have in common may be at fault: the store, a rule. They are ${again}`,
        facts: { pass: name, rows: examples, count: keys.length, why },
        nextCommand: 'cofferctl doctor',
        count: keys.length,
      }),
    );
  for (const key of keys)
    await database.withSystem((tx) =>
      insertAlert(tx, {
        ...told,
        subject: `${name}/${key}`.slice(0, 400),
        text: `${does}: ${key} could not be done (${why}). The others are not affected; it is ${again}`,
        facts: { pass: name, row: key, why },
        nextCommand: next(key),
      }),
    );
}

/** Passes that have nothing to do with each other: each has its turn whatever became of those before it. Throws the first fault. */
export async function eachInTurn(...works: readonly (() => Promise<void>)[]): Promise<void> {
  const faults: unknown[] = [];
  for (const work of works) await work().catch((error: unknown) => faults.push(error));
  if (faults.length > 0) throw faults[0];
}
