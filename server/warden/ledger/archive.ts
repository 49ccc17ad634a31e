// Owns: moving months of the record out of the database into one file each, step by step, and deleting the files whose
// retention has ended (decision 0037).
// Must never: drop a month before its file is durable and complete, and before a sealed and witnessed entry in every
// tree states it; or let a failure of one month keep the other months, or the warden, from going on.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as breath } from 'node:timers/promises';
import type { LedgerConfig } from '../../config/ledger-settings.ts';
import { syncDirectoryMeanwhile } from '../../disk/durable-file.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { type CustomerId, idOf } from '../../domain/ids.ts';
import { commonTree } from '../../domain/ledger/leaf.ts';
import { archivePart } from '../../domain/path-parts.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { lockNotAvailable, sqlState } from '../../postgres/database-errors.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import {
  type ArchiveLine,
  clearDrafts,
  type Draft,
  findDraft,
  hashOf,
  isThere,
  nameAsArchive,
  type Range,
  rangesOf,
  writeDraft,
} from './archive-file.ts';
import {
  type Archive,
  archivesToDelete,
  closeMonth,
  dropMonth,
  findArchive,
  forgetProgress,
  forwardsBehind,
  hasUnstated,
  insertArchive,
  isDeletionWitnessed,
  markDeleted,
  markDeletionStated,
  monthsToArchive,
  noteProgress,
  pageOfMonth,
  takeUnstated,
  unwitnessedStatements,
} from './archive-queries.ts';
import { record } from './entries/record.ts';

export type ArchiveOptions = {
  readonly config: Pick<LedgerConfig, 'archiveDirectory' | 'onlineMonths' | 'retentionMonths' | 'forwards'>;
  readonly database: Database;
  readonly log: Logger;
  /** Aborts the work at its present step. The next pass continues from there. */
  readonly signal?: AbortSignal;
  /** Called after each completed step, before the next one begins. */
  readonly onStep?: (step: Step, month: string) => void;
};

/**
 * The last step that was completed for a due month. Each step is durable by itself, so a process that starts after a
 * kill continues after the last one.
 */
type Step =
  | 'due'
  | 'closed'
  | 'writing'
  | 'written'
  | 'noted'
  | 'named'
  | 'stated'
  | 'witnessed'
  | 'read-again'
  | 'dropped'
  | 'deletion-stated'
  | 'deleted';
/** A month that stays in the database for now, and why. */
type Waiting = { readonly month: string; readonly step: Step; readonly why: string; readonly isFailure: boolean };

/** The number of entries of one page. A page of this size occupies the warden's only thread for a few milliseconds. */
const pageRows = 1000;
/**
 * The number of trees whose entries are written in one transaction. The transaction must end well before the lag of the
 * record would raise an alert.
 */
const statedMax = 500;
/**
 * The time for which a month may wait for a witness, for receivers or for a moment without readers before an alert is
 * raised.
 */
const patienceMs = 24 * 3_600_000;

const never = new AbortController().signal;

/**
 * Yields a month page by page, each page read in a transaction of its own. The month is closed, so its content does not
 * change between the pages.
 */
async function* pagesOf(
  database: Database,
  month: string,
  signal: AbortSignal,
  onPage: () => void,
): AsyncGenerator<readonly ArchiveLine[]> {
  for (let after = { tree: '00000000-0000-0000-0000-000000000000', position: -1 }; ; ) {
    signal.throwIfAborted();
    const rows = await database.withSystem((tx) => pageOfMonth(tx, month, after, pageRows));
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    onPage();
    if (rows.length < pageRows) return;
    after = { tree: last.tree, position: last.position };
    await breath();
  }
}

/**
 * Throws `corrupt` when the row of an archive names another file than the one that the month has. The name in the row
 * is what readers are told; paths are made of the month alone.
 */
function requireOwnName({ month, file }: Archive): void {
  const name = archivePart(month);
  if (file !== name)
    throw new CofferdamError(
      'corrupt',
      `the database names ${JSON.stringify(file.slice(0, 80))} as the archive of ${month.slice(0, 7)}, which is ${name}: somebody wrote that row, and nothing was read or deleted by it`,
    );
}

/**
 * Returns whether the retention of a month has ended by the clock of this process, in whole months as the query counts
 * them. The database alone does not decide that a file is deleted.
 */
function isEnded(month: string, retentionMonths: number, now = new Date()): boolean {
  const [year = 0, ordinal = 0] = month.split('-').map(Number);
  return year * 12 + (ordinal - 1) + retentionMonths <= now.getUTCFullYear() * 12 + now.getUTCMonth();
}

class Month {
  readonly #options: ArchiveOptions;
  readonly #month: string;
  step: Step = 'due';

  constructor(options: ArchiveOptions, month: string) {
    this.#options = options;
    this.#month = month;
  }

  get #signal(): AbortSignal {
    return this.#options.signal ?? never;
  }

  get #path(): string {
    return join(this.#options.config.archiveDirectory, archivePart(this.#month));
  }

  #did(step: Step): void {
    this.step = step;
    this.#options.onStep?.(step, this.#month);
  }

  #write(): Promise<Draft> {
    const { config, database } = this.#options;
    this.step = 'writing';
    const pages = pagesOf(database, this.#month, this.#signal, () => this.#did('writing'));
    return writeDraft(config.archiveDirectory, this.#month, pages, this.#signal);
  }

  /**
   * Moves the month as far as possible. Returns undefined when the month has left the database, and otherwise why it
   * waits. Throws the error that stopped it.
   */
  async leave(): Promise<Omit<Waiting, 'month'> | undefined> {
    const { database } = this.#options;
    await database.withSystem((tx) => closeMonth(tx, this.#month));
    this.#did('closed');
    const archive = (await database.withSystem((tx) => findArchive(tx, this.#month))) ?? (await this.#make());
    requireOwnName(archive);
    await this.#find(archive, false);
    await this.#state(archive);
    this.#did('stated');
    return this.#leaveStated(archive);
  }

  /**
   * Makes the archive of the month: the draft is durable before its row is inserted, and gets the name of the archive
   * after that. When two wardens do this at once, the one that inserted its row first wins, and the other one uses that
   * row.
   */
  async #make(): Promise<Archive> {
    const { database } = this.#options;
    const draft = await this.#write();
    this.#did('written');
    const made: Archive = {
      month: this.#month,
      file: archivePart(this.#month),
      sha256: draft.sha256,
      entries: draft.entries,
    };
    const isFirst = await database.withSystem((tx) => insertArchive(tx, made, draft.ranges));
    this.#did('noted');
    if (isFirst) {
      await this.#nameAsArchive(draft.path, draft.sha256);
      return made;
    }
    await rm(draft.path, { force: true });
    const theirs = await database.withSystem((tx) => findArchive(tx, this.#month));
    if (theirs === undefined)
      throw new CofferdamError('conflict', `another warden archives ${this.#month.slice(0, 7)}`);
    return theirs;
  }

  /**
   * Makes sure that the file which the archive's row names is in the directory. When it is missing or different, a
   * draft with the right hash is renamed, or the file is written again from the month, which is still in the database.
   * With `isRead` the whole file is read and hashed; otherwise only its existence is checked. Throws `corrupt` when the
   * file cannot be written again with the same hash.
   */
  async #find({ sha256, file }: Archive, isRead: boolean): Promise<void> {
    const { config, log } = this.#options;
    const { archiveDirectory } = config;
    if (isRead ? (await hashOf(this.#path, this.#signal)) === sha256 : await isThere(this.#path)) return;
    const left = await findDraft(archiveDirectory, this.#month, sha256, this.#signal);
    if (left === undefined) {
      log.warn(
        { file },
        'an archive is not the file that was written, or is not here; it is written again, for its month is still in the database',
      );
      const draft = await this.#write();
      if (draft.sha256 !== sha256) {
        await rm(draft.path, { force: true });
        throw new CofferdamError(
          'corrupt',
          `the archive ${file} is not the file that was written, and cannot be written again as it was: put it back`,
        );
      }
      await this.#nameAsArchive(draft.path, sha256);
    } else await this.#nameAsArchive(left, sha256);
  }

  async #nameAsArchive(draft: string, sha256: string): Promise<void> {
    await nameAsArchive(this.#options.config.archiveDirectory, { month: this.#month, draft, sha256 }, this.#signal);
    this.#did('named');
  }

  /** Returns what the file of the archive holds. Throws `corrupt` when it cannot be had as it was written. */
  async #held(archive: Archive): Promise<ReadonlyMap<string, Range>> {
    const read = (): Promise<ReadonlyMap<string, Range> | undefined> =>
      rangesOf(this.#path, archive.sha256, this.#signal);
    let ranges = await read();
    if (ranges === undefined) {
      await this.#find(archive, true);
      ranges = await read();
    }
    const entries = [...(ranges?.values() ?? [])].reduce((sum, one) => sum + one.entries, 0);
    if (ranges === undefined || entries !== archive.entries)
      throw new CofferdamError(
        'corrupt',
        `the archive ${archive.file} does not hold what the database notes about it: nothing is stated`,
      );
    return ranges;
  }

  /**
   * Writes a `ledger.archived` entry into each tree of which the file holds entries. What is stated is read from the
   * file: the rows about it only say which trees are left. Throws `corrupt` when they say something else.
   */
  async #state(archive: Archive): Promise<void> {
    if (!(await this.#options.database.withSystem((tx) => hasUnstated(tx, this.#month)))) return;
    const held = await this.#held(archive);
    for (;;) {
      this.#signal.throwIfAborted();
      const told = await this.#options.database.withSystem(async (tx) => {
        const ranges = await takeUnstated(tx, this.#month, statedMax);
        for (const { tree, first, last, entries } of ranges) {
          const { first: begin, last: end, entries: count } = held.get(tree) ?? { first: -1, last: -1, entries: 0 };
          if (first !== begin || last !== end || entries !== count)
            throw new CofferdamError(
              'corrupt',
              `the database notes other entries of tree ${tree} than ${archive.file} holds: nothing is stated`,
            );
          await record(tx, {
            kind: 'ledger.archived',
            observer: 'warden',
            customer: tree === commonTree ? null : idOf<CustomerId>(tree),
            public: { month: this.#month.slice(0, 7), first, last, entries },
            sensitive: { file: archive.file, sha256: archive.sha256, total: archive.entries },
          });
        }
        return ranges.length;
      });
      if (told < statedMax) return;
    }
  }

  async #leaveStated(archive: Archive): Promise<Omit<Waiting, 'month'> | undefined> {
    const { config, database, log } = this.#options;
    const unwitnessed = await database.withSystem((tx) => unwitnessedStatements(tx, archive));
    if (unwitnessed > 0) return this.#waits(`what says so in ${unwitnessed} trees is not sealed and witnessed yet`);
    this.#did('witnessed');
    const names = config.forwards.map((one) => one.name);
    const waiting = await database.withSystem((tx) => forwardsBehind(tx, this.#month, names));
    if (waiting.length > 0) return this.#waits(`receivers do not have all of it yet: ${waiting.join(', ')}`);
    await this.#find(archive, true);
    this.#did('read-again');
    this.#options.signal?.throwIfAborted();
    const why = await database.withSystem((tx) => dropMonth(tx, this.#month));
    if (why !== null) return { step: this.step, why, isFailure: true };
    this.#did('dropped');
    log.info({ ...archive }, 'a month of the record is in an archive');
    return undefined;
  }

  #waits(why: string): Omit<Waiting, 'month'> {
    return { step: this.step, why, isFailure: false };
  }
}

/**
 * Returns the text that an operator reads about a failure. An error of the operating system is shown in its own words,
 * because they say what to do.
 */
function wordsOf(error: unknown): string {
  if (sqlState(error) === lockNotAvailable) return 'the record is read without a pause, or somebody has a lock on it';
  if (error instanceof Error && 'code' in error && !(error instanceof CofferdamError)) return error.message;
  return toCofferdamError(error).message;
}

async function tell({ config, database, log }: ArchiveOptions, waiting: Waiting): Promise<void> {
  const { month, step, why, isFailure } = waiting;
  const told = why.slice(0, 300);
  const dueMs = await database.withSystem((tx) =>
    noteProgress(tx, { month, step, why: told, isFailure, online: config.onlineMonths }),
  );
  log.warn({ month, step, why: told }, 'a month of the record stays in the database');
  if (!isFailure && dueMs < patienceMs) return;
  await database.withSystem((tx) =>
    insertAlert(tx, {
      kind: 'ledger.archive-stuck',
      severity: isFailure ? 'critical' : 'warning',
      subject: month.slice(0, 7),
      text: `the month ${month.slice(0, 7)} of the record stays in the database, ${step}: ${told}`,
      facts: { month: month.slice(0, 7), step, why: told },
      nextCommand: 'cofferctl ledger status',
    }),
  );
}

/**
 * Returns whether an error is a lock that was not free. Such an error goes away by itself; every other failure needs an
 * operator.
 */
const isOfTheMoment = (error: unknown): boolean => sqlState(error) === lockNotAvailable;

/**
 * Moves every due month as far towards its archive as is possible now, and deletes archives whose retention has ended.
 * Returns the months that wait, with the reasons, which are also stored and raised as alerts. Throws only when the
 * database is unavailable or `signal` was aborted.
 */
export async function archiveDue(options: ArchiveOptions): Promise<readonly Waiting[]> {
  const { config, database, signal = never } = options;
  const due = await database.withSystem(async (tx) => {
    const months = await monthsToArchive(tx, config.onlineMonths);
    await forgetProgress(tx, months);
    return months;
  });
  // An error here is ignored: if the directory cannot be read, the first month that needs it reports the error.
  await clearDrafts(config.archiveDirectory).catch(() => {});
  const waiting: Waiting[] = [];
  for (const month of due) {
    const work = new Month(options, month);
    try {
      const left = await work.leave();
      if (left !== undefined) waiting.push({ month, ...left });
    } catch (error) {
      signal.throwIfAborted();
      options.log.error(
        { err: error, month, step: work.step },
        'archiving a month of the record failed; it is tried again',
      );
      waiting.push({ month, step: work.step, why: wordsOf(error), isFailure: !isOfTheMoment(error) });
    }
  }
  for (const one of waiting) await tell(options, one);
  await database.withSystem((tx) =>
    forgetProgress(
      tx,
      waiting.map((one) => one.month),
    ),
  );
  await deleteEnded(options);
  return waiting;
}

/**
 * Deletes archives whose retention has ended. The record states the deletion first; the file is removed once that entry
 * is sealed and witnessed.
 */
async function deleteEnded(options: ArchiveOptions): Promise<void> {
  const { config, database, log, signal = never } = options;
  for (const archive of await database.withSystem((tx) => archivesToDelete(tx, config.retentionMonths)))
    try {
      requireOwnName(archive);
      if (isEnded(archive.month, config.retentionMonths)) await deleteArchive(options, archive);
    } catch (error) {
      signal.throwIfAborted();
      const month = archive.month.slice(0, 7);
      const why = wordsOf(error).slice(0, 300);
      log.error({ err: error, month }, 'an archive whose retention has ended is not deleted; it is tried again');
      await database.withSystem((tx) =>
        insertAlert(tx, {
          kind: 'ledger.archive-stuck',
          severity: 'critical',
          subject: month,
          text: `the archive of ${month}, whose retention has ended, is not deleted: ${why}`,
          facts: { month, why },
          nextCommand: 'cofferctl ledger status',
        }),
      );
    }
}

async function deleteArchive({ config, database, log, onStep }: ArchiveOptions, archive: Archive): Promise<void> {
  const { month } = archive;
  const file = archivePart(month);
  await database.withSystem(async (tx) => {
    if (!(await markDeletionStated(tx, month))) return;
    await record(tx, {
      kind: 'ledger.archive-deleted',
      observer: 'warden',
      sensitive: { month: month.slice(0, 7), file },
    });
  });
  onStep?.('deletion-stated', month);
  if (!(await database.withSystem((tx) => isDeletionWitnessed(tx, archive)))) return;
  await rm(join(config.archiveDirectory, file), { force: true });
  await syncDirectoryMeanwhile(config.archiveDirectory);
  onStep?.('deleted', month);
  await database.withSystem((tx) => markDeleted(tx, month));
  log.info({ month, file }, 'the retention of an archive has ended');
}
