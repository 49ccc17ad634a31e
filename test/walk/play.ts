// Owns: a walk: lists of calls by seed until a time is over, each examined by the oracle; a failing list is shrunk, and
// printed in a form that can be replayed.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { Said } from '../support/store-client.ts';
import { Bystanders } from './bystanders.ts';
import { Refused } from './node.ts';
import { Oracle } from './oracle.ts';
import type { Player } from './player.ts';
import { type Cast, type Spoken, speak, type ToPut } from './resolve.ts';
import { type Scene, stillBytes } from './scene.ts';
import { about, describe, type Step, steps } from './steps.ts';
import { type Operation, operations, wordsOf } from './words.ts';

const shrinkMs = 120_000;
/** The record is asked after each time this many lists, and at the end. */
const recordEvery = 6;
/** At the beginning of a list, the account with little room has room for this much more than it has had. */
const roomBytes = 250_000;
/** How long the session of the other node leaves an object unsealed; the warden deletes it after ten minutes. */
const leftMs = 300_000;
const unpreparedMax = 0.5;
/** This many lists are about an operation that chance left without an answer. */
const listsForAnAnswer = 30;
/** An object is put anew at most this often, while calls that name it wait for something else. */
const rewritesMax = 200;

export type Walked = {
  readonly seeds: number;
  readonly calls: number;
  readonly pairs: number;
  readonly violations: readonly string[];
  readonly otherPlaneWorstMs: number;
  readonly notes: Readonly<Record<string, unknown>>;
};

/** A player whose session nobody may touch, as its own statements describe it. */
async function goesOn(player: Player): Promise<string | undefined> {
  const stat = await player.node.say('tree.stat', { token: player.token, path: [] });
  const located = await player.node.say('download.locate', {
    token: player.token,
    download: player.download,
    offset: 0,
  });
  for (const answer of [stat, located]) if ('code' in answer) return `${answer.code}: ${answer.message}`;
  return undefined;
}

export class Walk {
  readonly #scene: Scene;
  readonly #oracle: Oracle;
  readonly #bystanders: Bystanders;
  readonly #still: Player;
  readonly #pairs = new Set<string>();
  readonly #cast: { sibling: Player; other: Player; enrolling: Player; ended: Player };
  /** What a list showed before it was shrunk. */
  #first: { readonly seed: number; readonly what: string } | undefined;
  #leftAt = Date.now();
  #lists = 0;
  #steps = 0;
  #unprepared = 0;
  readonly #why: Record<string, number> = {};
  readonly #spentMs: Record<string, number> = {};

  private constructor(scene: Scene, oracle: Oracle, still: Player) {
    this.#scene = scene;
    this.#oracle = oracle;
    this.#still = still;
    this.#bystanders = new Bystanders(scene);
    this.#cast = {
      sibling: scene.player('wide'),
      other: scene.player('other'),
      enrolling: scene.player('enrolling'),
      ended: scene.player('wide'),
    };
  }

  static async create(scene: Scene): Promise<Walk> {
    const still = scene.player('still');
    const statement = await scene.deposit(still.person.customer, 'statement', stillBytes);
    await still.login();
    await still.openAt('stored', ['deposit', 'zqstill-1']);
    await still.closeWhole();
    await still.openAt('resumed', ['deposit', 'zqstill-2']);
    await still.leaveObject();
    await still.openDownload(statement);
    await still.exchange();
    // What it has closed is published automatically; from then on nothing of it changes.
    for (const end = Date.now() + 60_000; (await scene.settling(still.person.customerId)) > 0; await sleep(200))
      if (Date.now() > end) throw new Error('a deposit is not published');
    return new Walk(scene, await Oracle.create(scene), still);
  }

  /**
   * Plays the list of each seed from `seed` on until `untilMs` (wall clock, milliseconds), or the first that shows a
   * violation.
   */
  async play(options: { readonly seed: number; readonly untilMs: number; readonly goesOn?: boolean }): Promise<Walked> {
    const violations: string[] = [];
    let seed = options.seed;
    for (; Date.now() < options.untilMs; seed += 1) {
      const checked = await fc.check(
        fc.asyncProperty(steps(seed), (list) => this.#alone(() => this.#list(list, seed))),
        { seed, numRuns: 1, interruptAfterTimeLimit: shrinkMs, endOnFailure: options.goesOn === true },
      );
      // Shrinking that runs out of time leaves the last attempt behind.
      await this.#last.catch(() => {});
      if (!checked.failed) continue;
      const [list = []] = checked.counterexample ?? [];
      const why =
        checked.errorInstance instanceof Error ? checked.errorInstance.message : String(checked.errorInstance);
      const first = this.#first?.what === why ? '' : `\nat first: ${this.#first?.what}`;
      violations.push(`seed ${seed}, shrunk ${checked.numShrinks} times\n${describe(list)}\n=> ${why}${first}`);
      if (options.goesOn !== true) break;
    }
    if (violations.length === 0) violations.push(...(await this.#sayUnanswered(options.seed)));
    await this.#bystanders.stop();
    violations.push(...(await this.#end()));
    const { worstMs } = this.#bystanders;
    return {
      seeds: seed - options.seed,
      calls: this.#oracle.calls,
      pairs: this.#pairs.size,
      violations,
      otherPlaneWorstMs: Math.max(
        0,
        ...Object.entries(worstMs).flatMap(([what, ms]) => (what.startsWith('internal') ? [ms] : [])),
      ),
      notes: {
        steps: this.#steps,
        spentMs: this.#spentMs,
        unprepared: this.#unprepared,
        why: this.#why,
        codes: this.#oracle.codes,
        cuts: this.#scene.taken.cuts,
        puts: this.#scene.taken.puts,
        worstMs,
        rounds: this.#bystanders.rounds,
        unsettledMiB: Math.round(this.#oracle.largestUnsettled / 2 ** 20),
        rssGrowthMiB: Math.round(this.#oracle.largestRssGrowth / 2 ** 20),
        outcomes: this.#oracle.outcomes,
      },
    };
  }

  #last: Promise<void> = Promise.resolve();
  #alone(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.catch(() => {}).then(work);
    return this.#last;
  }

  async #list(list: readonly Step[], seed: number): Promise<void> {
    const started = performance.now();
    this.#lists += 1;
    if (Date.now() - this.#leftAt > leftMs) {
      await this.#still.leaveObject();
      this.#leftAt = Date.now();
    }
    await this.#oracle.begin();
    this.#bystanders.take();
    const tag = `${seed}-${randomBytes(3).toString('hex')}`;
    const mine = this.#scene.player(seed % 2 === 0 ? 'tight' : 'wide');
    const cast: Cast = { mine, ...this.#cast, foreign: this.#still };
    await this.#prepared(async () => {
      mine.statement = await this.#scene.deposit('thief', `s-${tag}`);
      await this.#makeRoom();
      await this.#dress(cast, tag);
    });
    for (const [at, step] of list.entries()) {
      this.#steps += 1;
      if (!(await this.#prepared(() => this.#ready(mine, step, `${tag}-${at}`)))) continue;
      await this.#step(cast, step);
    }
    this.#spent('steps', started);
    const looked = performance.now();
    const away = await goesOn(this.#still);
    if (away !== undefined) this.#oracle.violate(`the session of another node does not go on: ${away}`);
    await this.#oracle.look(this.#lists % recordEvery === 0);
    // Last, so that no list misses any of it; and what still waits now waits because of this list.
    await this.#bystanders.underWay();
    for (const failure of this.#bystanders.take()) this.#oracle.violate(`beside the taken edge: ${failure}`);
    const violations = this.#oracle.found();
    this.#spent('looking', looked);
    if (violations.length === 0) return;
    if (this.#first?.seed !== seed) this.#first = { seed, what: violations.join('\n') };
    throw new Error(violations.join('\n'));
  }

  #spent(what: string, since: number): void {
    this.#spentMs[what] = Math.round((this.#spentMs[what] ?? 0) + performance.now() - since);
  }

  /** Returns whether what a step is about could be made ready; the edge may have spent what it has. */
  async #prepared(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Refused || error instanceof CofferdamError)) throw error;
      this.#unprepared += 1;
      this.#why[error.message] = (this.#why[error.message] ?? 0) + 1;
      return false;
    }
  }

  async #makeRoom(): Promise<void> {
    await this.#scene.cluster.sealed(async (tx) => {
      await tx.query(
        `update budget b set cap_hour_bytes = b.total_bytes - b.base_hour_bytes + $2
         from credential c join account a on a.id = c.account_id where b.credential_id = c.id and b.direction = 'out' and a.name = $1`,
        [this.#scene.people.tight.name, roomBytes],
      );
    });
  }

  /** Everybody beside the account of the walk holds something, or held it. */
  async #dress({ sibling, other, enrolling, ended }: Cast, tag: string): Promise<void> {
    if (!(await enrolling.look(this.#scene.database)).session) await enrolling.login();
    await enrolling.exchange();
    await ended.login();
    await ended.openAt('stored', ['deposit', `${tag}-ended`]);
    await ended.end();
    for (const [player, name] of [
      [sibling, `${tag}-sibling`],
      [other, `zqother-${tag}`],
    ] as const) {
      const found = await player.look(this.#scene.database);
      if (!found.session) await player.login();
      if (!found.upload || !found.session) await player.openAt('stored', ['deposit', name]);
    }
  }

  /** What a step is about exists, in the state that the step needs. */
  async #ready(mine: Player, step: Step, name: string): Promise<void> {
    const words = new Set(
      step.calls.flatMap((one) => [...wordsOf(one.params)].flatMap(({ word, of }) => (of === 'mine' ? [word] : []))),
    );
    const found = await mine.look(this.#scene.database);
    if (!found.session) await mine.login();
    const wantsUpload = words.has('upload') || words.has('path') || words.has('objectId');
    if (wantsUpload && (!found.session || !found.upload || mine.stage !== step.stage))
      await mine.openAt(step.stage, ['deposit', name]);
    if (wantsUpload && mine.begun.length === 0) await mine.begin();
    if (words.has('download') && (!found.session || !found.download)) await mine.openDownload(mine.statement);
    if (words.has('connection')) await mine.exchange();
  }

  async #step(cast: Cast, step: Step): Promise<void> {
    const works: Promise<unknown>[] = [];
    this.#stored.clear();
    // The very same call is made with the very same values, each time.
    const spoken = new Map<string, Spoken>();
    for (const one of step.calls) {
      const name = JSON.stringify([one.op, one.params]);
      if (!spoken.has(name)) spoken.set(name, speak(one, cast));
    }
    const puts = [...spoken.values()].flatMap((one) => one.puts);
    const calls = Array.from({ length: step.times }, () => step.calls).flat();
    await Promise.all(puts.map((one) => this.#put(one, step.rewriteMs !== null)));
    for (const one of calls) {
      const words = spoken.get(JSON.stringify([one.op, one.params]));
      if (words !== undefined) works.push(this.#say(cast, words, one.lagMs));
    }
    const answered = Promise.all(works);
    if (step.rewriteMs !== null && puts.length > 0) await this.#rewrite(step.rewriteMs, puts, answered);
    await answered;
    // Of several greetings at once nobody knows which came last.
    if (calls.length > 1 && step.calls.some((one) => one.op === 'node.hello'))
      await this.#prepared(() => this.#scene.taken.greet());
    const [a, b] = step.calls;
    if (a !== undefined && b !== undefined) this.#pairs.add([a.op, b.op].sort().join(' '));
    await this.#meddle();
  }

  async #say(cast: Cast, spoken: Spoken, lagMs: number): Promise<void> {
    if (lagMs > 0) await sleep(lagMs);
    this.#oracle.say(spoken);
    const answer = await this.#scene.taken.say(spoken.op, spoken.params);
    this.#oracle.hear(spoken, answer);
    if (!('result' in answer)) return;
    const { startId } = spoken.params as { readonly startId?: string };
    if (spoken.op === 'node.hello' && startId !== undefined) this.#scene.taken.startId = startId;
    // A session that a call opened belongs to nobody: it makes room for the next ones.
    const { session } = answer.result as { readonly session?: { readonly token: string } };
    if (session !== undefined && !Object.values(cast).some((one) => one.token === session.token))
      await this.#scene.taken.say('session.end', {
        token: session.token,
        reason: 'client-closed',
        bytesIn: 0,
        bytesOut: 0,
      });
  }

  /** Puts an object, and other bytes under its ticket beside it. The extent gets what the store said. */
  async #put({ ticket, bytes, extent }: ToPut, isRaced: boolean): Promise<void> {
    const [said] = await Promise.all([
      this.#once(ticket, bytes),
      isRaced ? this.#once(ticket, randomBytes(bytes.length)) : undefined,
    ]);
    if (said !== undefined) extent.durable = said;
  }

  /** The tickets of a step by which something was stored. */
  readonly #stored = new Set<string>();

  /** Returns what the store said of the object, when it took it. By one ticket it takes one. */
  async #once(ticket: string, bytes: Uint8Array): Promise<Said | undefined> {
    const answer = await this.#scene.taken.put(ticket, bytes);
    if (answer.kind !== 'durable') return undefined;
    if (this.#stored.has(ticket)) this.#oracle.violate('an object was put twice');
    this.#stored.add(ticket);
    return answer.durable;
  }

  /**
   * The edge puts other bytes in the places of its objects while the warden seals them. It does not know when that is,
   * because the call first waits for a lock or for a charge. So it puts again and again.
   */
  async #rewrite(everyMs: number, puts: readonly ToPut[], answered: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    answered.then(over, over);
    for (let n = 0; n < rewritesMax && !isOver; n += 1) {
      await sleep(everyMs);
      for (const { ticket, bytes } of puts) await this.#once(ticket, randomBytes(bytes.length));
    }
  }

  /** Its user tries the files of the store and the sockets of other nodes, by plain system calls. */
  async #meddle(): Promise<void> {
    // Where all roles share one user, there is no wall to test.
    if (!this.#scene.taken.hand.isAnotherUser) return;
    for (const path of this.#scene.filesOfOthers()) await this.#scene.taken.hand.write(path, randomBytes(100));
  }

  /** What the oracle says after something that a walk does not do. For tests of the oracle. */
  async lookAfter(work: (oracle: Oracle) => Promise<unknown>, asksRecord = false): Promise<readonly string[]> {
    await this.#oracle.begin();
    await work(this.#oracle);
    return this.#oracle.look(asksRecord);
  }

  /** Each operation succeeds at least once, however few lists there was time for. */
  async #sayUnanswered(seed: number): Promise<readonly string[]> {
    const isSilent = (op: Operation): boolean => this.#oracle.answered[op] === undefined;
    for (const op of operations)
      for (let n = 0; n < listsForAnAnswer && isSilent(op); n += 1) {
        const [list = []] = fc.sample(about(op), { seed: seed + n, numRuns: 1 });
        try {
          await this.#list(list, seed);
        } catch (error) {
          return [
            `about ${op}, seed ${seed + n}\n${describe(list)}\n=> ${error instanceof Error ? error.message : String(error)}`,
          ];
        }
      }
    const silent = operations.filter(isSilent);
    return silent.length === 0 ? [] : [`never answered: ${silent.join(', ')}`];
  }

  /** At the end: the session of the other node finishes what it had begun, and the record is asked. */
  async #end(): Promise<readonly string[]> {
    await this.#oracle.begin();
    try {
      const extent = await this.#still.node.ask<{ readonly key: string }>('download.grant', {
        token: this.#still.token,
        download: this.#still.download,
        index: 0,
      });
      if (extent.key.length === 0) this.#oracle.violate('no key for the other node');
      await this.#still.store(700);
      await this.#still.closeWhole();
    } catch (error) {
      this.#oracle.violate(`the session of another node cannot finish: ${String(error)}`);
    }
    for (const failure of this.#bystanders.take()) this.#oracle.violate(`beside the taken edge: ${failure}`);
    if (this.#unprepared > unpreparedMax * this.#steps)
      this.#oracle.violate(`the walk does not walk: ${JSON.stringify(this.#why)}`);
    await this.#oracle.recordAnswers();
    return this.#oracle.found();
  }
}
