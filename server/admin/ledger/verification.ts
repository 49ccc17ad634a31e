// Owns: verifying the whole record of the database against checkpoints that an operator brought from a witness, with
// the code of the stand-alone verifier.
// Must never: call the record good without a witness, or hold a snapshot while it works. It needs none, because sealed
// rows never change.

import { randomUUID } from 'node:crypto';
import {
  parseStrictly,
  parseVerifierKey,
  type Report,
  recordText,
  Verification,
  Witness,
} from '../../../verifier/index.js';
import { detach, unexpected } from '../../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import { headsTree } from '../../domain/ledger/leaf.ts';
import type { Claim, Share } from '../../domain/share.ts';
import type { Database } from '../../postgres/database.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { Shelf } from '../../rpc/shelf.ts';
import {
  type Bound,
  boundOf,
  monthsMark,
  nextTree,
  pageOfBlocks,
  pageOfEntries,
  pageOfHeads,
  pageOfLeaves,
} from './dump-queries.ts';

type Wish = Params<OperatorToAdmin, 'ledger.verify'>;
type State = Result<OperatorToAdmin, 'ledger.verification'>;
/** The checkpoints that were brought so far. */
type Collecting = { readonly witness: Witness; notes: number; last: ReturnType<Witness['add']> };
type Job = {
  state: 'running' | 'done' | 'failed';
  text: string;
  entries: number;
  report: Report | null;
  isDropped: boolean;
  /** null when the verification has begun. */
  collecting: Collecting | null;
};

const pageRows = 2000;
const keptMs = 60 * 60_000;
const blockLeaves = 256;
/** The largest number of checkpoints of one verification. Each different one takes 44 bytes of memory. */
const notesMax = 1_000_000;

function keyOf(text: string): ReturnType<typeof parseVerifierKey> {
  try {
    return parseVerifierKey(text);
  } catch (error) {
    throw new CofferdamError('invalid', error instanceof Error ? error.message : 'this is not a verifier key');
  }
}

/** The verifications that operators started. Each runs in this process and is kept for an hour. */
export class Verifications {
  readonly #database: Database;
  readonly #jobs: Shelf<Job>;

  constructor(database: Database, share: Share) {
    this.#database = database;
    this.#jobs = new Shelf(share, keptMs, (job) => (job.isDropped = true));
  }

  stop(): void {
    this.#jobs.clear();
  }

  /**
   * Takes checkpoints, and begins to verify when no more are to come. Throws `not-found` for a verification that is
   * gone, and `conflict` for one that has begun.
   */
  take(
    { keys, notes, maxAgeSeconds, verification: earlier, more = false }: Wish,
    by: Claim,
  ): { readonly verification: string } {
    const id = earlier ?? randomUUID();
    if (earlier === undefined) {
      const witness = new Witness(keys.map(keyOf));
      const collecting = { witness, notes: 0, last: undefined };
      this.#jobs.put(by, id, {
        state: 'running',
        text: 'reading checkpoints',
        entries: 0,
        report: null,
        isDropped: false,
        collecting,
      });
    }
    const job = this.#jobs.require(id);
    const { collecting } = job;
    if (collecting === null)
      throw new CofferdamError('conflict', 'this verification has begun: it takes no more checkpoints');
    for (const note of notes) {
      collecting.notes += 1;
      collecting.last = collecting.witness.add(note, `checkpoint ${collecting.notes}`, collecting.last);
    }
    if (collecting.notes > notesMax)
      throw new CofferdamError(
        'over-limit',
        `more than ${notesMax} checkpoints: verify with \`cofferdam verify\` or the stand-alone verifier`,
      );
    if (more) return { verification: id };
    collecting.witness.close();
    job.collecting = null;
    this.#begin(job, collecting.witness, maxAgeSeconds);
    return { verification: id };
  }

  #begin(job: Job, witness: Witness, maxAgeSeconds: number): void {
    job.text = 'reading heads';
    const verification = new Verification({ witness, now: Date.now(), maxAgeSeconds });
    detach(
      this.#run(job, verification).then(
        (report) => {
          job.report = report;
          job.text = recordText(report, maxAgeSeconds);
          job.state = 'done';
        },
        (thrown: unknown) => {
          job.text = toCofferdamError(thrown).message;
          job.state = 'failed';
        },
      ),
      unexpected,
    );
  }

  state(id: string): State {
    const { state, text, entries, report } = this.#jobs.require(id);
    return {
      state,
      text,
      entries,
      verdict: report?.verdict ?? null,
      findings: (report?.findings ?? []).map(({ what, text: said, tree, position, number }) => ({
        what,
        text: said,
        tree: tree ?? null,
        position: position ?? null,
        number: number ?? null,
      })),
    };
  }

  async #run(job: Job, verification: Verification): Promise<Report> {
    const mark = await this.#database.withSystem(monthsMark);
    const bound = await this.#database.withSystem(boundOf);
    const sizes = new Map<string, number>();
    await this.#heads(job, verification, bound, sizes);
    await this.#blocks(job, verification, sizes);
    await this.#leaves(job, verification);
    job.text = 'reading entries';
    for (let tree = await this.#next(null); tree !== undefined; tree = await this.#next(tree)) {
      const of = tree;
      const size = sizes.get(tree) ?? 0;
      for (let after = -1; ; ) {
        const rows = await this.#database.withSystem((tx) => pageOfEntries(tx, of, after, size, bound, pageRows));
        for (const { line, at } of rows) verification.line(parseStrictly(line), `entry ${at} of tree ${of}`);
        job.entries += rows.length;
        const last = rows.at(-1);
        if (last === undefined || rows.length < pageRows || job.isDropped) break;
        after = last.at;
      }
    }
    if ((await this.#database.withSystem(monthsMark)) !== mark)
      throw new CofferdamError('conflict', 'a month of the record left the database meanwhile: ask again');
    return verification.finish();
  }

  #next(after: string | null): Promise<string | undefined> {
    return this.#database.withSystem((tx) => nextTree(tx, after));
  }

  async #heads(job: Job, verification: Verification, bound: Bound, sizes: Map<string, number>): Promise<void> {
    sizes.set(headsTree, bound.heads);
    for (let after = -1; !job.isDropped; ) {
      const rows = await this.#database.withSystem((tx) => pageOfHeads(tx, after, bound, pageRows));
      for (const { line, at } of rows) {
        const value = parseStrictly(line) as { readonly head?: readonly unknown[] } | undefined;
        verification.line(value, `head ${at}`);
        for (const [, tree = '', size = ''] of String(value?.head?.[4]).matchAll(/^(\S+) (\d+) /gm))
          sizes.set(tree, Number(size));
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageRows) return;
      after = last.at;
    }
  }

  /** Passes on the blocks that were complete at the bound. */
  async #blocks(job: Job, verification: Verification, sizes: ReadonlyMap<string, number>): Promise<void> {
    for (let after = { tree: '00000000-0000-0000-0000-000000000000', index: -1 }; !job.isDropped; ) {
      const rows = await this.#database.withSystem((tx) => pageOfBlocks(tx, after, pageRows));
      for (const { tree, at, line } of rows)
        if ((at + 1) * blockLeaves <= (sizes.get(tree) ?? 0))
          verification.line(parseStrictly(line), `block ${at} of tree ${tree}`);
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageRows) return;
      after = { tree: last.tree, index: last.at };
    }
  }

  async #leaves(job: Job, verification: Verification): Promise<void> {
    for (let after = { tree: '00000000-0000-0000-0000-000000000000', index: -1 }; !job.isDropped; ) {
      const rows = await this.#database.withSystem((tx) => pageOfLeaves(tx, after, pageRows));
      for (const { tree, at, line } of rows) verification.line(parseStrictly(line), `leaf ${at} of tree ${tree}`);
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageRows) return;
      after = { tree: last.tree, index: last.at };
    }
  }
}
