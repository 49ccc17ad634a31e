// Owns: the life of the record in one warden: looking, comparing with witnesses, sealing, freezing, the guard. One pass
// is called a beat.
// Must never: seal a record that was not compared, or open the guard while anything about the record is in doubt.
import type { Config } from '../../config/config.ts';
import { held } from '../../domain/detached.ts';
import { toCofferdamError } from '../../domain/errors.ts';
import type { Births } from '../../domain/ledger/births.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Reading } from '../../observability/metrics.ts';
import { advisoryLocks } from '../../postgres/advisory-locks.ts';
import { connections } from '../../postgres/connection-limits.ts';
import { Database, type DatabaseOptions } from '../../postgres/database.ts';
import { lead } from '../../postgres/leadership.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { Turns } from '../passes/turns.ts';
import { generationsOf } from '../seals/generations.ts';
import { LedgerAlarms, tellBehind } from './alarms.ts';
import { Born, createBirths } from './born.ts';
import { DatabaseClock } from './clock.ts';
import { compare, freezeOf, type Required, requireMemory, signedIn, type Vouched } from './comparison.ts';
import { record } from './entries/record.ts';
import { FoundFreeze } from './found-freeze.ts';
import { orDiverged } from './freezes.ts';
import { tellUnnamed } from './given-up.ts';
import type { Known, LedgerGuard } from './guard.ts';
import { rootAt } from './heads.ts';
import { behindOf, isOnlySlow, knownOf, LagClock, waitsOf } from './lag.ts';
import { readingsOf } from './ledger-metrics.ts';
import { LeftEntries } from './left-entries.ts';
import { OwnMemory } from './own-memory.ts';
import { gaveUpSince } from './releases.ts';
import { Rounds } from './rounds.ts';
import type { Signing } from './seal.ts';
import { type Freeze, type Look, look, lookClosely, markWitnessed } from './seal-queries.ts';
import { Sealer } from './sealer.ts';
import { openNote, signingOf } from './signatures.ts';
import { Vouching } from './vouching.ts';
import { commonOf } from './witness/rank.ts';
import { Delivery, type Witness } from './witness/witness.ts';
import { WitnessMemory } from './witness-memory.ts';

/** The largest number of sealing rounds in one beat. */
const roundsMax = 5;
/** How long a start waits for the witnesses to take the checkpoint that an earlier run left behind. */
const [catchUpMs, catchUpEveryMs] = [5000, 50];

type LedgerOptions = Pick<DatabaseOptions, 'alerts'> & {
  readonly config: Pick<Config, 'limits'>;
  readonly url: string;
  readonly keys: KeyRing;
  readonly guard: LedgerGuard;
  /** The entries that this process wrote, through any of its pools, and has not yet seen sealed. */
  readonly births?: Births;
  readonly witnesses: readonly Witness[];
  /** Where this warden remembers what it signed last and a freeze that it found; undefined: nowhere. */
  readonly memoryFile?: string;
  /** Where its beats are counted. */
  readonly turns?: Turns;
  readonly log: Logger;
};

export class Ledger {
  readonly #given: LedgerOptions;
  readonly #database: Database;
  readonly #sealer: Sealer;
  readonly #alarms: LedgerAlarms;
  readonly #lag: LagClock;
  readonly #births: Births;
  readonly #born: Born;
  readonly #memory: WitnessMemory;
  readonly #vouching: Vouching;
  readonly #own: OwnMemory;
  readonly #left: LeftEntries;
  readonly #leadership: ReturnType<typeof lead>;
  readonly #deliveries: readonly Delivery[];
  readonly #turns: Turns;
  #signing: Signing | undefined;
  /** The checkpoints that the witnesses had when the record was last compared with them. */
  #witnessed: readonly Vouched[] = [];
  /** The witnesses that answered with a checkpoint. */
  readonly #answered = new Set<string>();
  readonly #clock: DatabaseClock;
  readonly #found: FoundFreeze;
  #look: Look | undefined;
  #marked: string | undefined;
  #sealed = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isStarting = true;

  constructor(given: LedgerOptions) {
    this.#given = given;
    const { witnessAlarmMs, witnessStopMs } = given.config.limits;
    const { lockMs, statementMs } = waitsOf(witnessStopMs);
    this.#turns = given.turns ?? new Turns();
    this.#births = given.births ?? createBirths(given.config.limits);
    // This pool skips the guard's check of new connections, because what the guard knows comes from it.
    this.#database = new Database({
      url: given.url,
      applicationName: 'cofferdam sealer',
      connectionsMax: connections.sealer,
      isPreparing: true,
      statementMs,
      admission: async () => ({ release: () => {}, lockMs }),
      drafts: () => this.#births.begin(false),
      alerts: given.alerts,
    });
    const rounds = new Rounds(this.#database, given.log, undefined, ({ id, digest }) =>
      this.#births.setAside(id, digest),
    );
    this.#born = new Born(this.#database, this.#births, (era) =>
      this.#database.withSystem((tx) => gaveUpSince(tx, given.keys, era)),
    );
    this.#own = new OwnMemory(given.memoryFile);
    this.#left = new LeftEntries({
      births: this.#births,
      place: () => this.#born.place,
      begin: (place) => this.#born.beginAt(place),
      own: this.#own,
      log: given.log,
    });
    this.#sealer = new Sealer(this.#database, given.log, rounds, async (round) => {
      await this.#own.signed(round.note);
      this.#born.proved.signed(round);
    });
    this.#lag = new LagClock({
      guard: given.guard,
      database: this.#database,
      log: given.log,
      known: () => knownOf(this.#births, this.#deliveries),
      alarmMs: witnessAlarmMs,
      stopMs: witnessStopMs,
      behind: () => behindOf(this.#deliveries),
    });
    this.#clock = new DatabaseClock(given.config.limits.clockJumpMs);
    this.#alarms = new LedgerAlarms(this.#database, given.log);
    this.#found = new FoundFreeze(this.#database, given.keys, this.#own, this.#alarms, given.log);
    this.#memory = new WitnessMemory(given.witnesses, this.#alarms);
    this.#vouching = new Vouching(given.witnesses, this.#alarms, given.log);
    this.#leadership = lead(given.url, 'cofferdam sealer leads', advisoryLocks.sealerLeadership);
    this.#deliveries = given.witnesses.map((witness) => new Delivery(witness, given.log));
  }

  /**
   * Does the first beat. Then the guard is open, or its state says why not. Throws `unavailable` if the database cannot
   * be reached.
   */
  async start(): Promise<void> {
    await this.#beat();
    // Checkpoints of an earlier run are delivered first: that no warden ran meanwhile is no reason for an alert, or for
    // the state `late`.
    for (const end = performance.now() + catchUpMs; this.#isLate && performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, catchUpEveryMs));
      await this.#beat();
    }
    this.#isStarting = false;
    this.#lag.start();
    const next = (): void => {
      if (this.#isStopped) return;
      this.#timer = setTimeout(() => {
        this.#running = held(
          this.#turns
            .timed('looks at the record and seals', () => this.#beat())
            .catch((error: unknown) => this.#doubt(error))
            .finally(next),
        );
      }, this.#given.config.limits.sealEveryMs);
    };
    next();
  }

  get #isFrozen(): boolean {
    const { state } = this.#given.guard;
    return state.is === 'closed' && state.why === 'frozen';
  }

  /**
   * Closes the guard as frozen, and forgets the generations of seals: they may be newer than this database and refuse
   * its operators.
   */
  #closeFrozen(text: string): void {
    if (!this.#isFrozen) generationsOf(this.#given.keys).forget();
    this.#births.heard(undefined);
    this.#given.guard.close('frozen', text);
  }

  get #isLate(): boolean {
    const { state } = this.#given.guard;
    return state.is === 'closed' && state.why === 'late';
  }

  /** Stops the beats. Seals what is waiting and delivers it, when this warden leads. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running;
    await this.#lag.stop();
    // The second beat looks for the entries that the first one sealed.
    for (let i = 0; i < 2; i += 1)
      if (this.#given.guard.state.is === 'open' || this.#found.isUnwritten) await this.#beat().catch(() => {});
    await this.#left.keep();
    this.#left.tell();
    await Promise.all(this.#deliveries.map((one) => one.stop()));
    await this.#leadership.stop();
    await this.#database.close();
  }

  /**
   * Returns whether this warden holds the leadership, that is, whether it does the work that only one warden may do.
   */
  get isLeading(): boolean {
    return this.#leadership.isLeading;
  }

  /**
   * Returns the number of the newest sealed entry while this warden leads and the record is in order; otherwise
   * undefined.
   */
  get newest(): number | undefined {
    const { state } = this.#given.guard;
    const isInOrder = state.is === 'open' || state.why === 'late';
    return this.#leadership.isLeading && isInOrder ? this.#look?.number : undefined;
  }

  get metrics(): readonly Reading[] {
    return readingsOf({
      isOpen: this.#given.guard.state.is === 'open',
      isLeading: this.#leadership.isLeading,
      sealed: this.#sealed,
      seen: this.#look,
    });
  }

  #doubt(error: unknown): void {
    const { guard, log } = this.#given;
    if (this.#found.isUnwritten)
      log.error({ err: error }, 'the freeze could not be written; nothing is served meanwhile, and it is tried again');
    else if (this.#isFrozen)
      log.error(
        { err: error },
        'a look at the frozen record failed; nothing is served meanwhile, and it is tried again',
      );
    if (isOnlySlow(error)) {
      log.warn(
        { err: error },
        'a look at the record did not end in time; how long that may go on is judged by the clock',
      );
      return;
    }
    if (guard.state.is === 'open' || guard.state.why === 'late') {
      const { code, message } = toCofferdamError(error);
      guard.close('unsure', `the record cannot be looked at: ${message}`);
      if (code === 'unavailable')
        log.warn({ err: error }, 'the record cannot be looked at; nothing is served meanwhile');
      else log.error({ err: error }, 'defect in the sealer; nothing is served meanwhile');
    }
  }

  async #beat(): Promise<void> {
    await this.#own.load();
    const signing = await this.#sign();
    const from = performance.now();
    const seen = await this.#database.withSystem((tx) => lookClosely(tx, this.#given.config.limits.unsealedEntriesMax));
    const to = performance.now();
    this.#look = seen;
    this.#left.begin(seen);
    this.#lag.saw(seen, from);
    const isFull = seen.unsealed >= this.#given.config.limits.unsealedEntriesMax;
    this.#given.guard.hasRoom = !isFull && this.#births.hasRoom;
    // What this warden found goes first: it stands whether its row was never written, says something else, or is gone.
    const found = await this.#found.standing(seen);
    this.#given.guard.found = found;
    if (found !== undefined) {
      this.#clock.forget();
      this.#closeFrozen(found.text);
      await this.#found.keep(found);
      return this.#left.keep();
    }
    if (seen.freeze !== null) {
      this.#clock.forget();
      this.#closeFrozen(seen.freeze.text);
      if (!this.#own.hasFound) await this.#alarms.foundByOthers(seen.freeze);
      return this.#left.keep();
    }
    await this.#own.settle();
    const jump = this.#clock.jump(seen, from, to);
    if (jump !== undefined) return this.#freeze(seen, jump);
    this.#births.heard({ database: seen.now, from, to });
    const lost = await this.#memory.lost();
    if (lost !== undefined) return this.#given.guard.close('unsure', lost);
    if (!(await this.#isCompared(seen, signing))) return;
    this.#learn(seen, signing);
    await this.#found.isOver();
    await this.#own.saw(this.#required.filter((one) => one.hasCheckpoint).map((one) => one.name));
    const missed = await orDiverged(seen, () => this.#born.look(seen, signing, this.#witnessed, from));
    if (missed !== undefined) return this.#freeze(seen, missed);
    await this.#left.settle();
    // The alerts are raised before sealing, because the sealing may be what does not make progress.
    if (isFull) await this.#alarms.full(seen.unsealed, this.#given.config.limits.unsealedEntriesMax);
    for (const one of this.#deliveries) await tellBehind(one, this.#alarms, this.#given.config.limits.witnessAlarmMs);
    await this.#mark(seen, signing);
    // The lag is judged before anything is sealed, because the sealing may block. From there on only `LagClock` judges.
    await this.#judge(seen);
    if (!this.#leadership.isLeading) return;
    const diverged = (await orDiverged(seen, () => this.#seal(seen, signing))) ?? this.#born.setAside();
    if (diverged !== undefined) await this.#freeze(seen, diverged);
  }

  async #sign(): Promise<Signing> {
    if (this.#signing !== undefined) return this.#signing;
    this.#signing = await this.#database.withSystem((tx) => signingOf(tx, this.#given.keys));
    return this.#signing;
  }

  /**
   * Learns from a genuine checkpoint what other wardens sealed, so that a database which falls back behind it is
   * noticed.
   */
  #learn({ checkpoint, era, heads, now }: Look, signing: Signing): void {
    const { known } = this.#given.guard;
    if (known === undefined || (known.heads === heads && known.era === era)) return;
    const signed = openNote(signing, checkpoint);
    if (signed !== undefined && signed.era === era && signed.size === heads && heads > known.heads)
      this.#given.guard.learn({ ...known, era, heads, root: signed.root, at: now });
  }

  /**
   * Returns whether the record is what was witnessed and what this process has seen. If not, freezes it or closes the
   * guard.
   */
  async #isCompared(before: Look, signing: Signing): Promise<boolean> {
    const { guard, keys, config } = this.#given;
    const { known } = guard;
    const isSame =
      known !== undefined &&
      known.identity === before.identity &&
      known.era === before.era &&
      known.heads <= before.heads;
    if (isSame && !(guard.state.is === 'closed' && guard.state.why !== 'late')) return true;
    const vouched = await this.#vouched(before, signing, known);
    // The database is read after the witnesses were asked: another warden may have sealed and delivered more since the
    // beat began.
    const { seen, verdict, root } = await this.#database.withSystem(async (tx) => {
      const now = await look(tx);
      const vouching = [...vouched, ...signedIn(now, signing)];
      return {
        seen: now,
        verdict: await compare(tx, keys, now, vouching, config.limits.witnessStopMs),
        root: await rootAt(tx, now.heads),
      };
    });
    if (seen.freeze !== null) {
      this.#closeFrozen(seen.freeze.text);
      return false;
    }
    // What is judged here is what the beat goes on with. An era that is shown for one look only is none of a release.
    if (seen.era !== before.era || seen.identity !== before.identity) return false;
    if (verdict.is === 'good' && root !== undefined) {
      if (known !== undefined && known.identity !== seen.identity) await this.#tellMoved(known.identity, seen.identity);
      if (known !== undefined && (known.era !== seen.era || this.#isFrozen)) {
        generationsOf(keys).forget();
        await this.#database.withSystem((tx) => generationsOf(keys).refresh(tx));
      }
      for (const one of verdict.unnamed) await this.#database.withSystem((tx) => tellUnnamed(tx, seen, one));
      guard.learn({ era: seen.era, heads: seen.heads, root, identity: seen.identity, at: seen.now });
      guard.open();
      return true;
    }
    const newest = vouched.at(-1);
    if (verdict.is !== 'good') await this.#freeze(seen, freezeOf('', verdict, seen));
    else if (newest !== undefined)
      await this.#freeze(
        seen,
        freezeOf(
          '',
          { is: 'diverged', text: 'heads of the record are missing in the database', witnessed: newest },
          seen,
        ),
      );
    else guard.close('unsure', 'heads of the record are missing in the database');
    return false;
  }

  /**
   * Asks who vouches for which checkpoint: the witnesses, the memory of this warden, and what this process has seen.
   */
  async #vouched(before: Look, signing: Signing, known: Known | undefined): Promise<readonly Vouched[]> {
    const vouched = [...(await this.#vouching.ask(signing))];
    for (const { witness } of vouched) if (witness !== undefined) this.#answered.add(witness);
    if (known === undefined) requireMemory(this.#required, before);
    const own = this.#own.vouched(signing);
    if (own !== undefined) vouched.push(own);
    this.#witnessed = [...vouched];
    if (known === undefined) return vouched;
    const { era, heads: size, root, at } = known;
    return [...vouched, { by: 'this warden', era, size, root, time: new Date(at).toISOString() }];
  }

  async #tellMoved(before: string, after: string): Promise<void> {
    this.#given.log.warn({ before, after }, 'the database is another server or timeline, with the same record');
    await this.#database.withSystem((tx) =>
      record(tx, { kind: 'database.changed', observer: 'warden', sensitive: { before, after } }),
    );
  }

  async #freeze(seen: Look, freeze: Omit<Freeze, 'id'>): Promise<void> {
    this.#closeFrozen(freeze.text);
    await this.#found.find(seen, freeze, this.#given.guard.known);
  }

  /** The required witnesses that can be read, with what they answered or took since the start. */
  get #required(): readonly Required[] {
    const had = this.#own.witnesses;
    return this.#deliveries.flatMap(({ witness: { name, isRequired, newest }, kept }) =>
      isRequired && newest !== null
        ? [{ name, hasCheckpoint: this.#answered.has(name) || kept !== undefined, had: had?.includes(name) }]
        : [],
    );
  }

  /**
   * Marks the oldest of the required witnesses' newest notes, which all of them have; each takes notes at other times
   * and skips some.
   */
  async #mark({ era }: Look, { signer }: Signing): Promise<void> {
    const common = commonOf(this.#deliveries.filter((one) => one.witness.isRequired).map((one) => one.kept));
    if (common === undefined || common === this.#marked || !this.#leadership.isLeading) return;
    const opened = signer.open(common);
    if (opened.era === era) await this.#database.withSystem((tx) => markWitnessed(tx, opened, common));
    this.#marked = common;
  }

  async #seal(seen: Look, signing: Signing): Promise<undefined> {
    const { guard, config } = this.#given;
    const newest = openNote(signing, seen.checkpoint);
    const isOldEra = newest !== undefined && newest.era !== seen.era;
    // A checkpoint of an earlier run, or of another warden, may not have reached the witnesses of this warden.
    if (newest !== undefined && !isOldEra && seen.checkpoint !== null)
      for (const one of this.#deliveries) one.offer(seen.checkpoint);
    // Until an era's first checkpoint is witnessed nothing more is sealed: the former one of a witness would contradict
    // the new ones.
    if (seen.isBeginning && newest?.era === seen.era && !seen.isWitnessed) return;
    const isDue = seen.checkpointAgeMs === null || seen.checkpointAgeMs >= config.limits.checkpointEveryMs;
    if (!isDue && this.#sealer.isAtRest(seen)) return;
    for (let rounds = 0; rounds < roundsMax; rounds += 1) {
      const { known } = guard;
      if (known === undefined) return;
      const { isEpochAsked, now } = seen;
      const beat = { compared: known, vouched: this.#witnessed, isSignDue: rounds === 0 && isDue, isEpochAsked, now };
      const done = await this.#sealer.round(signing, beat);
      if (done === undefined) return;
      // Only a checkpoint of a committed head counts as seen and is delivered.
      const { size, root, era } = done.checkpoint;
      guard.learn({ ...known, era, heads: size, root, at: now });
      this.#sealed += done.sealed;
      for (const one of this.#deliveries) one.offer(done.note);
      if (!done.isFull) return;
    }
  }

  /**
   * Opens or closes the guard by the lag, of which `LagClock` raises the alarm. Late entries of operators only raise an
   * alert.
   */
  async #judge({ operatorsUnsealedMs }: Look): Promise<void> {
    const { guard, config } = this.#given;
    if (!this.#isStarting && operatorsUnsealedMs >= config.limits.witnessAlarmMs)
      await this.#alarms.operatorsLate(operatorsUnsealedMs);
    const { ms, text } = this.#lag.late;
    if (ms >= config.limits.witnessStopMs) guard.close('late', text);
    else guard.open();
  }
}
