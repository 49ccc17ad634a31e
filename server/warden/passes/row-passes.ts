// Owns: the table of all regular passes of the warden over rows, and the one function that carries them out: all rows
// of a pass together, or each row by itself when one of them cannot be done.
// Must never: let one row keep others from their turn, or retry a row that keeps failing without a pause.
import { type CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import { isPassing } from '../../postgres/database-errors.ts';
import { insertAlert } from '../alerts/alert-queries.ts';

type Described = {
  /** The largest number of rows of one pass. */
  readonly rowsMax: number;
  readonly does: string;
  /** Returns the command that an operator types to see such a row. */
  readonly next: (key: string) => string;
};
const version = (key: string): string => `cofferctl ledger search --version ${key}`;
const sessions = (): string => 'cofferctl session list';
const credentials = (): string => 'cofferctl credential list';

/**
 * All passes over rows. `test/warden/poisoned-rows` breaks one row of each. `regular-passes.ts` says how often they
 * run.
 */
export const rowPasses = {
  publication: { rowsMax: 500, does: 'publishing files that have settled', next: version },
  expiry: { rowsMax: 500, does: 'discarding expired uploads', next: version },
  waiting: {
    rowsMax: 500,
    does: 'reporting files that have a receipt and are kept from being delivered',
    next: version,
  },
  collection: { rowsMax: 500, does: 'freeing the extents of discarded versions', next: version },
  deletion: { rowsMax: 500, does: 'deleting objects that no version needs', next: () => 'cofferctl doctor' },
  window: { rowsMax: 500, does: 'withdrawing files whose window is over', next: version },
  retention: { rowsMax: 500, does: 'destroying files whose retention is over', next: version },
  extents: { rowsMax: 500, does: 'deleting the extents of destroyed files', next: () => 'cofferctl doctor' },
  'session-end': { rowsMax: 5000, does: 'ending sessions whose time is over', next: sessions },
  'upload-release': { rowsMax: 1000, does: 'releasing uploads of ended sessions', next: version },
  'credential-retirement': { rowsMax: 200, does: 'revoking credentials that have retired', next: credentials },
  'credential-end': { rowsMax: 200, does: 'ending sessions of credentials that have ended', next: credentials },
  'credential-warning': { rowsMax: 200, does: 'reporting credentials that end soon', next: credentials },
  strangers: {
    rowsMax: 500,
    does: 'recording the logins of strangers',
    next: () => 'cofferctl ledger search --kind login.strangers',
  },
  alerts: { rowsMax: 200, does: 'logging alerts', next: () => 'cofferctl alert list' },
  'silent-nodes': {
    rowsMax: 1000,
    does: 'reporting nodes that do not test their controls',
    next: () => 'cofferctl status',
  },
  'broken-seals': { rowsMax: 1000, does: 'ending what relies on an altered row', next: () => 'cofferctl doctor' },
  'missing-budgets': { rowsMax: 1000, does: 'reporting budgets that somebody deleted', next: () => 'cofferctl doctor' },
  emergencies: {
    rowsMax: 1000,
    does: 'reminding of emergencies that nobody has reviewed',
    next: () => 'cofferctl break-glass list',
  },
} as const satisfies Readonly<Record<string, Described>>;
/**
 * The largest number of extents whose rows one turn deletes, over all its versions. A large file takes several turns.
 */
export const extentsMax = 500;
export type RowPassName = keyof typeof rowPasses;

type RowPass<Done> = {
  /** Finds the names of rows that seem to be due, the oldest first. It only reads, and holds no lock. */
  readonly find: (tx: Transaction, limit: number) => Promise<readonly string[]>;
  /** Does work outside the database that may be repeated, such as work on files. No transaction is open meanwhile. */
  readonly before?: (keys: readonly string[]) => Promise<void>;
  /** Locks those of the rows that nobody else works on, checks again that they are due, and does the work on them. */
  readonly work: (tx: Transaction, keys: readonly string[]) => Promise<Done>;
  /** Is called with the result of `work` after its transaction was committed. */
  readonly done?: (done: Done) => void;
};

/** How long a row that failed is left alone, in milliseconds. */
const asideMs = 10 * 60_000;
/**
 * The largest number of rows of one pass that are left alone at the same time. When so many are left alone, the pass
 * rests until the first of them is due again, so that no row is forgotten.
 */
const asideMax = 2000;
/** Up to so many rows that fail for the same cause have an alert each; more of them share one alert. */
const namedMax = 3;
/** The number of causes that one pass tells apart. Rows that fail for further causes share one alert. */
const causesMax = 5;
/** The cause of rows that fail for further ones. */
const manyCauses = 'several reasons';
/** The number of rows that a shared alert names. */
const examplesMax = 10;
/**
 * The rows that are left alone: by database, then by pass, then by the name of the row, with the time
 * (`performance.now()`) at which the row is due again. A warden that starts has an empty map and tries every row once.
 */
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

/**
 * Returns the message of the database or of the store, at most 200 characters. Its details may contain values and stay
 * in the log.
 */
const reasonOf = (error: CofferdamError): string =>
  (error.cause instanceof Error ? error.cause.message : error.message).slice(0, 200);
/**
 * Returns the reason without anything that names one row (quoted text, identifiers, numbers), so that equal causes
 * compare as equal.
 */
const causeOf = (why: string): string =>
  why.replace(/'[^']*'|"[^"]*"/g, '…').replace(/\b[\da-f]{8}[\da-f-]*\b|\d+/gi, '…');

function note(failed: Map<string, Failed>, key: string, error: unknown): void {
  const why = reasonOf(toCofferdamError(error));
  const known = causeOf(why);
  const cause = failed.has(known) || failed.size < causesMax ? known : manyCauses;
  const one = failed.get(cause) ?? { why, error, keys: [] };
  one.keys.push(key);
  failed.set(cause, one);
}

/** How long a pass goes on while each of its turns finds as many rows as one turn may do, in milliseconds. */
const fullMs = 5000;

/**
 * The parts of a warden that a pass needs. `mayGoOn` is asked before every turn: whether the record is not in doubt,
 * for a pass that rests then, and whether nobody stops the warden. Without it a pass has one turn.
 */
export type PassingWarden = {
  readonly database: Database;
  readonly log: Logger;
  readonly mayGoOn?: (() => boolean) | undefined;
};

/**
 * Carries out one pass: one turn, and further ones while a turn is full, finds no row again, and five seconds are not
 * over. So a pass keeps up with what becomes due, and does not spin over rows that others hold.
 */
export async function passOverRows<Done>(warden: PassingWarden, name: RowPassName, pass: RowPass<Done>): Promise<void> {
  const { mayGoOn = () => true } = warden;
  const seen = new Set<string>();
  const end = performance.now() + (warden.mayGoOn === undefined ? 0 : fullMs);
  while (mayGoOn()) {
    const keys = await oneTurn(warden, name, pass);
    if (keys.length < rowPasses[name].rowsMax || keys.some((key) => seen.has(key)) || performance.now() >= end) return;
    for (const key of keys) seen.add(key);
  }
}

/**
 * Carries out one turn of a pass, and returns the rows that were done together. All rows are done in one transaction.
 * When that fails, each row is done in a transaction of its own; rows that fail again are left alone for ten minutes
 * and reported in alerts, one by one, or together when many of them fail for one cause (for example because the store
 * is away). A fault of the connection, of a lock or of the moment (`isPassing`) is no fault of a row: the pass ends
 * with it and is repeated at its next turn.
 */
async function oneTurn<Done>(
  warden: { readonly database: Database; readonly log: Logger },
  name: RowPassName,
  pass: RowPass<Done>,
): Promise<readonly string[]> {
  const { database } = warden;
  const { rowsMax } = rowPasses[name];
  const aside = asideOf(database, name);
  if (aside.size >= asideMax) return [];
  const found = await database.looking((tx) => pass.find(tx, rowsMax + aside.size));
  const keys = found.filter((key) => !aside.has(key)).slice(0, rowsMax);
  if (keys.length === 0) return [];
  const doThem = async (some: readonly string[]): Promise<void> => {
    await pass.before?.(some);
    const done = await database.withSystem((tx) => pass.work(tx, some));
    pass.done?.(done);
  };
  try {
    await doThem(keys);
    return keys;
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
              // The alert could not be written, so nobody has heard of these rows. They are due again at the next pass,
              // which then reports them.
              for (const key of one.keys) aside.delete(key);
              throw error;
            }),
      ),
    );
  }
  return [];
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
  log.error(
    { err: error, pass: name, rows: examples, count: keys.length },
    'rows failed; they are left alone for ten minutes',
  );
  const told = { kind: 'pass.row-failed', severity: 'critical' } as const;
  if (keys.length > namedMax)
    return database.withSystem((tx) =>
      insertAlert(tx, {
        ...told,
        subject: `${name}: ${cause}`.slice(0, 400),
        text: `${does}: ${keys.length} rows failed for ${cause === manyCauses ? `several reasons (the first is: ${why})` : `one reason (${why}). The cause is probably shared, for example the store or a database rule`}. They are ${again}`,
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
        text: `${does}: ${key} failed (${why}). The others are not affected; it is ${again}`,
        facts: { pass: name, row: key, why },
        nextCommand: next(key),
      }),
    );
}

/**
 * Runs works that do not depend on each other, one after the other; a failure does not keep the following ones from
 * their turn. Throws the first fault when all have had their turn.
 */
export async function eachInTurn(...works: readonly (() => Promise<void>)[]): Promise<void> {
  const faults: unknown[] = [];
  for (const work of works) await work().catch((error: unknown) => faults.push(error));
  if (faults.length > 0) throw faults[0];
}
