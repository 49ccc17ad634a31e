// Owns: one run of the model: moves are made one after the other, some without waiting; the oracle examines the state
// after each move, and everything at the end.
import { randomBytes } from 'node:crypto';
import { refuseCalls } from '../support/store-faults.ts';
import type { Answered } from '../support/warden-wire.ts';
import { type Asking, age, ask, list, makeDirectory, maySee, operate } from './asks.ts';
import { End } from './end.ts';
import { Lives } from './lives.ts';
import { flag, Look, noSuchFile } from './look.ts';
import { type Before, Beliefs, HandleBelief, type Seen, sha256 } from './oracle.ts';
import { isOfOwner, Owner } from './owner.ts';
import { idleMs, type ModelClient, pathFor, type Reply, type Scene } from './scene.ts';
import type { Actor, Move, OpenHow, Step } from './steps.ts';

const sizes = { byte: 1, small: 700, block: 32_768, large: 300_000 } as const;
/** What ssh2's client sends as one WRITE; it sends the rest of a longer one only when that was answered. */
const packetBytes = 30_000;
const gapBytes = 1000;
const farBytes = 8 * 1024 * 1024;
const retryMs = 15_000;
/** After a cut, or after an edge gave up an answer, what was asked before may be carried out for so long. */
const cutSettlesMs = 3000;
const live = ['partial', 'held', 'settling', 'published'];
/** A slow transfer: as many small writes as take three idle lives. */
const dripEveryMs = 250;
const dripBytes = 64;

type Open = {
  readonly belief: HandleBelief;
  readonly handle: Buffer;
  readonly client: ModelClient;
  readonly appends: boolean;
};
export type Outcome = { readonly violations: readonly string[]; readonly steps: number };

export class Run {
  readonly #scene: Scene;
  readonly #look: Look;
  readonly #lives: Lives;
  readonly #asking: Asking;
  readonly #owner: Owner;
  readonly #beliefs = new Beliefs();
  readonly #open = new Map<string, Open>();
  readonly #pending = new Set<Promise<unknown>>();
  #steps = 0;
  /** A role was killed. */
  #hasKill = false;
  /** An answer between edge and warden went wrong, or the file system refused something. */
  #hasWireFault = false;
  #hasStoreFault = false;
  /** The owner of the database touched a row: from then on only what must be true in spite of it is checked. */
  #hasOwner = false;
  /** Faults of the file system that are not over. */
  readonly #faults = new Set<Promise<unknown>>();
  /** What the warden answered in this run, whether or not anybody received it. */
  readonly #answers: Answered[] = [];
  /** After a cut: what was asked before it may still take effect. */
  #unsettledUntil = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#look = new Look(scene, `r${randomBytes(5).toString('hex')}-`);
    this.#lives = new Lives(this.#look);
    this.#owner = new Owner(this.#look, scene.tally, (what) => this.#beliefs.violate(what));
    this.#asking = {
      look: this.#look,
      beliefs: this.#beliefs,
      lives: this.#lives,
      isAlone: () => this.#isAlone,
      changedNothing: (before, after, what) => this.#changedNothing(before, after, what),
      gone: (actor) => this.#cut(actor),
    };
  }

  async play(list: readonly Move[]): Promise<Outcome> {
    // A role that ended in the run before is back.
    for (const actor of ['depositor', 'own'] as const) await this.#scene.client(actor);
    const [edge] = this.#scene.world.pidsOf('partner-1');
    const [warden] = this.#scene.world.pidsOf('warden');
    const [store] = this.#scene.world.pidsOf('store');
    const logFrom = this.#scene.world.log.length;
    for (const move of list) {
      await this.#make(move);
      this.#steps += 1;
      this.#beliefs.look(await this.#look.rows(), (before, state) => this.#lives.mayBecome(before, state));
      if (this.#violations.length > 0) break;
    }
    await Promise.all(this.#pending);
    for (const sha of this.#beliefs.whole.keys()) this.#scene.tally.completed.add(sha);
    this.#scene.wire?.disarm();
    await Promise.all(this.#faults);
    this.#scene.endAll();
    if (this.#hasWireFault || this.#hasStoreFault) await this.#retry();
    const end = new End(this.#look, this.#beliefs, this.#lives);
    // What the owner did to rows is no fault of those who wrote them.
    if (!this.#hasOwner) {
      await end.settled(this.#hasKill || this.#hasWireFault || this.#hasStoreFault);
      this.#mark();
      await end.final(this.#answers);
    }
    if (!this.#hasKill) {
      if (this.#scene.world.pidsOf('partner-1')[0] !== edge) this.#beliefs.violate('the edge ended');
      if (this.#scene.world.pidsOf('warden')[0] !== warden) this.#beliefs.violate('the warden ended');
      if (this.#scene.world.pidsOf('store')[0] !== store) this.#beliefs.violate('the store ended');
    }
    if (!this.#hasKill && !this.#hasStoreFault && !this.#hasOwner)
      for (const line of this.#scene.world.log.slice(logFrom).split('\n'))
        if (/"level":(?:50|60)|\b(?:ERROR|FATAL)\b/.test(line)) this.#beliefs.violate(`logged: ${line.slice(0, 400)}`);
    return { violations: [...new Set(this.#violations)], steps: this.#steps };
  }

  get #violations(): readonly string[] {
    return this.#hasOwner ? this.#beliefs.violations.filter(isOfOwner) : this.#beliefs.violations;
  }

  async #make({ actor, slot, step }: Move): Promise<void> {
    const key = this.#handleFor(actor, slot, step);
    switch (step.op) {
      case 'open':
        return this.#openFile(actor, key, this.#look.path(step.at), step.how);
      case 'write':
        return this.#write(key, step);
      case 'fsync':
        return this.#fsync(key, step.waits);
      case 'peek':
        return this.#peek(key, step.waits);
      case 'fsetstat':
        return this.#fsetstat(key, step);
      case 'close':
        return this.#close(key, step.waits);
      case 'put':
        await this.#openFile(actor, key, this.#look.path(step.at), 'truncate');
        await this.#write(key, { op: 'write', where: 'next', size: step.size, waits: false });
        return this.#close(key, true);
      case 'more':
        await this.#openFile(actor, key, this.#look.path(step.at), 'keep');
        await this.#write(key, { op: 'write', where: 'next', size: 'small', waits: false });
        return step.closes ? this.#close(key, true) : undefined;
      case 'moved':
        await this.#openFile(actor, key, this.#look.path(step.at), 'keep');
        await this.#make({ actor, slot, step: { ...step, op: 'rename' } });
        await this.#write(key, { op: 'write', where: 'next', size: 'small', waits: false });
        return this.#close(key, true);
      case 'remove':
        return this.#onPath(actor, 'unlink', [this.#look.path(step.at)], () =>
          this.#beliefs.supersede(this.#look.path(step.at)),
        );
      case 'rename':
        return this.#onPath(
          actor,
          step.replaces ? 'ext_openssh_rename' : 'rename',
          [this.#look.path(step.at), this.#look.path(step.to)],
          () => this.#beliefs.renamed(this.#look.path(step.at), this.#look.path(step.to), this.#accountOf(actor)),
        );
      case 'truncate':
        return this.#onPath(actor, 'setstat', [this.#look.path(step.at), { size: 0 }], () =>
          this.#truncated(actor, this.#look.path(step.at)),
        );
      case 'read':
        return this.#read(actor, this.#look.path(step.at));
      case 'ask':
        return ask(this.#asking, actor, step);
      case 'list':
        return list(this.#asking, actor, step);
      case 'directory':
        return makeDirectory(this.#asking, actor, step);
      case 'operator':
        return operate(this.#asking, step);
      case 'age':
        return age(this.#asking, step.days);
      case 'cut':
        return this.#cut(actor);
      case 'rest':
        return new Promise((resolve) => setTimeout(resolve, step.ms));
      case 'drip':
        return this.#drip();
      case 'kill':
        return this.#kill(step.what);
      case 'wire':
        this.#hasWireFault = true;
        if (typeof step.call === 'number') this.#scene.wire?.armNext(step.call, step.fault);
        else this.#scene.wire?.arm(step.call, step.fault);
        return;
      case 'owner': {
        await Promise.all(this.#pending);
        for (const sha of this.#beliefs.whole.keys()) this.#scene.tally.completed.add(sha);
        // Everything found so far was found before the owner touched anything.
        if (this.#violations.length > 0) return;
        this.#hasOwner = true;
        await this.#owner.step(step);
        for (const one of ['depositor', 'depositor-again', 'colleague', 'own'] as const) this.#cut(one);
        return;
      }
      case 'store':
        return this.#refuseFiles(step);
    }
  }

  /** A move on a handle takes the actor's other handle when this slot has none: so fewer moves do nothing. */
  #handleFor(actor: Actor, slot: number, step: Step): string {
    const [wanted, other] = [`${actor}/${slot}`, `${actor}/${1 - slot}`];
    const needsOne = ['write', 'fsync', 'peek', 'fsetstat', 'close'].includes(step.op);
    return needsOne && !this.#open.has(wanted) && this.#open.has(other) ? other : wanted;
  }

  #accountOf(actor: Actor): string {
    return actor === 'depositor-again' ? 'depositor' : actor;
  }

  async #openFile(actor: Actor, key: string, path: string, how: OpenHow): Promise<void> {
    if (this.#open.has(key)) await this.#close(key, true);
    const client = await this.#scene.client(actor);
    const more = {
      truncate: flag.truncate,
      keep: 0,
      append: flag.append,
      exclusive: flag.truncate | flag.exclusive,
      update: flag.read,
    }[how];
    const isAlone = this.#isAlone;
    const before = await this.#look.rows();
    const mark = this.#mark();
    const reply = await client.ask<Buffer>('open', pathFor(actor, path), flag.write | flag.create | more, {});
    if (reply.kind !== 'ok') {
      // The warden did it, and nobody received the answer: what had that name may have been begun anew.
      if (reply.kind === 'lost' || (await this.#wasDone(mark, /^upload\.(?:open|offer|begin)$/)))
        this.#beliefs.supersede(path);
      else if (isAlone) this.#changedNothing(before, await this.#look.rows(), `OPEN of ${path} (${how})`);
      return;
    }
    const handle = reply.value;
    const attributes = await client.ask<{ size: number }>('fstat', handle);
    const stored = attributes.kind === 'ok' ? attributes.value.size : 0;
    const account = this.#accountOf(actor);
    const { base, before: was, isCertain } = this.#base(path, account, stored, before);
    this.#beliefs.supersede(path);
    const belief = new HandleBelief(path, account, base, was, isCertain);
    this.#beliefs.handles.push(belief);
    this.#open.set(key, { belief, handle, client, appends: how === 'append' });
  }

  /** The bytes that an opened file already has, from what was written to that name before. */
  #base(
    path: string,
    account: string,
    stored: number,
    rows: readonly Seen[],
  ): { readonly base: Buffer; readonly before: Before; readonly isCertain: boolean } {
    if (stored === 0) return { base: Buffer.alloc(0), before: 'nothing', isCertain: true };
    // A complete file of this length has the name, and no incomplete one: its bytes are known from whoever completed
    // it, whoever wrote to that name since.
    const standing = rows.filter((row) => row.path === path && live.includes(row.state) && row.size === stored);
    const complete = standing.some((row) => row.sha === null) ? undefined : standing.at(-1);
    const whole = this.#beliefs.handles.find((one) => complete !== undefined && sha256(one.image) === complete.sha);
    if (whole !== undefined) return { base: Buffer.from(whole.image), before: 'complete', isCertain: true };
    const isWhole = this.#beliefs.acknowledged.some((one) => one.path === path && one.size === stored);
    const last = this.#beliefs.handles
      .filter((one) => one.path === path && one.account === account && one.image.length >= stored)
      .at(-1);
    if (last === undefined)
      this.#beliefs.violate(`${path} was opened with ${stored} bytes that its account never wrote`);
    // Either content may be there of what was written anew while an answer went wrong, or whose handle is still open.
    // The upload that is then taken over is resumed as it was before, unless what was written anew already has more,
    // and the CLOSE of that handle is refused.
    const isOneOfTwo = last?.isRewritten === true && (this.#hasWireFault || this.#hasStoreFault || !last.isClosed);
    const isCertain = last?.isCertain === true && !isOneOfTwo;
    const base = Buffer.from(last?.image.subarray(0, stored) ?? Buffer.alloc(stored));
    return { base, before: isWhole ? 'complete' : 'partial', isCertain };
  }

  async #write(key: string, step: Extract<Step, { op: 'write' }>): Promise<void> {
    const open = this.#open.get(key);
    if (open === undefined) return;
    const { belief } = open;
    const data = randomBytes(sizes[step.size]);
    const length = belief.next;
    const offset = {
      next: length,
      start: 0,
      behind: Math.max(0, length - 1),
      gap: length + gapBytes,
      far: length + farBytes,
    }[step.where];
    // In append mode the server decides the position.
    belief.write(open.appends ? belief.end : offset, data);
    const work: Promise<void>[] = [];
    for (let done = 0; done < data.length; done += packetBytes) {
      const part = data.subarray(done, done + packetBytes);
      work.push(
        this.#onHandle(
          key,
          true,
          () => open.client.ask('write', open.handle, part, 0, part.length, offset + done),
          `WRITE at ${offset + done}`,
        ),
      );
    }
    if (step.waits) await Promise.all(work);
  }

  get #isAlone(): boolean {
    const settled = Math.max(this.#unsettledUntil, this.#scene.givenUpAt + cutSettlesMs);
    const isQuiet = this.#scene.wire?.isQuiet !== false;
    return this.#pending.size === 0 && this.#faults.size === 0 && isQuiet && Date.now() > settled;
  }

  /** The position of the answers that came so far. */
  #mark(): number {
    this.#answers.push(...(this.#scene.wire?.takeAnswers() ?? []));
    return this.#answers.length;
  }

  /** Returns whether the warden did one of these since then, and its edge never received the answer. */
  async #wasDone(mark: number, operations: RegExp): Promise<boolean> {
    await this.#scene.wire?.settled();
    this.#mark();
    return this.#answers.slice(mark).some((one) => one.isOk && !one.isHeard && operations.test(one.op));
  }

  /** For a while, the file system of this process refuses. Moves continue meanwhile. */
  async #refuseFiles(step: Extract<Step, { op: 'store' }>): Promise<void> {
    this.#hasStoreFault = true;
    // One at a time: a process has one tracer.
    await Promise.all(this.#faults);
    const [edge = 0] = this.#scene.world.pidsOf('partner-1');
    const [warden = 0] = this.#scene.world.pidsOf('warden');
    const [store = 0] = this.#scene.world.pidsOf('store');
    const end = await refuseCalls({ edge, store, warden }, step.fault, step.error);
    const over = new Promise((resolve) => setTimeout(resolve, step.ms)).then(end);
    this.#faults.add(over);
    void over.finally(() => this.#faults.delete(over));
  }

  async #fsync(key: string, waits: boolean): Promise<void> {
    const belief = this.#open.get(key)?.belief;
    const bytes = belief?.hasWritten === true ? belief.next : 0;
    await this.#onHandle(
      key,
      waits,
      (open) => open.client.ask('ext_openssh_fsync', open.handle),
      'FSYNC',
      (reply) => {
        if (belief !== undefined && reply.kind === 'ok') this.#beliefs.synced(belief, bytes);
      },
    );
  }

  async #fsetstat(key: string, step: Extract<Step, { op: 'fsetstat' }>): Promise<void> {
    const open = this.#open.get(key);
    if (open === undefined) return;
    const { belief } = open;
    const size = { same: belief.image.length, more: belief.image.length + gapBytes, zero: 0, times: undefined }[
      step.size
    ];
    const attributes = size === undefined ? { atime: 1_700_000_000, mtime: 1_700_000_000 } : { size };
    const isFresh = !belief.hasWritten;
    const then = (reply: Reply): void => {
      if (reply.kind !== 'ok' || size === undefined) return;
      belief.announced = size > 0 || belief.image.length > 0 ? size : undefined;
    };
    if (size === 0 && isFresh) belief.beginAnew();
    await this.#onHandle(
      key,
      step.waits,
      () => open.client.ask('fsetstat', open.handle, attributes),
      `FSETSTAT ${step.size}`,
      then,
    );
  }

  /** What is being written is not read back. That a READ is refused says nothing about the file. */
  async #peek(key: string, waits: boolean): Promise<void> {
    const open = this.#open.get(key);
    if (open === undefined) return;
    const answered = open.client.ask<number>('read', open.handle, Buffer.alloc(100), 0, 100, 0).then((reply) => {
      if (reply.kind === 'ok' && reply.value > 0)
        this.#beliefs.violate(`${open.belief.path} is being written, and a READ gave bytes of it`);
    });
    await this.#wait(answered, waits);
  }

  /** A size of 0 by name counts on the actor's own open handle when nothing was written there yet. */
  #truncated(actor: Actor, path: string): void {
    this.#beliefs.supersede(path);
    for (const [key, { belief }] of this.#open) {
      if (!key.startsWith(`${actor}/`) || belief.path !== path || belief.hasWritten) continue;
      belief.beginAnew();
      belief.announced = undefined;
    }
  }

  /** One request on an open handle. A refusal is remembered: the handle must not become a file. */
  async #onHandle(
    key: string,
    waits: boolean,
    ask: (open: Open) => Promise<Reply>,
    what: string,
    then: (reply: Reply) => void = () => {},
  ): Promise<void> {
    const open = this.#open.get(key);
    if (open === undefined) return;
    const answered = ask(open).then((reply) => {
      if (reply.kind === 'refused') open.belief.refusal ??= `${what}: ${reply.text}`;
      then(reply);
    });
    await this.#wait(answered, waits);
  }

  async #wait(work: Promise<unknown>, waits: boolean): Promise<void> {
    this.#pending.add(work);
    void work.finally(() => this.#pending.delete(work));
    if (waits) await work;
  }

  async #close(key: string, waits: boolean): Promise<void> {
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#open.delete(key);
    const { belief } = open;
    const mark = this.#mark();
    const closing = open.client.ask('close', open.handle).then(async (reply) => {
      // What began with bytes that nobody knows for certain is known by what the warden was told of it; readers are
      // compared with that.
      if (reply.kind === 'ok' && !belief.isCertain) return this.#learn(belief);
      if (reply.kind !== 'refused') return this.#beliefs.closed(belief, reply.kind);
      belief.isClosed = true;
      // Committed, and the client was told that the outcome is unknown: the file may be there, whole. The same is true
      // of a warden that was killed.
      if (belief.flaw === undefined && (this.#hasKill || (await this.#wasDone(mark, /^upload\.(?:close|put)$/))))
        this.#beliefs.closed(belief, 'lost');
    });
    // What a commit may show must be known before anybody looks: until the answer is here, it counts as lost.
    if (!waits && open.belief.flaw === undefined) this.#beliefs.whole.set(sha256(open.belief.image), open.belief.path);
    await this.#wait(closing, waits);
  }

  async #learn(belief: HandleBelief): Promise<void> {
    const newest = (await this.#look.rows()).filter((row) => row.path === belief.path && row.sha !== null).at(-1);
    if (newest?.sha != null) this.#beliefs.whole.set(newest.sha, belief.path);
    this.#beliefs.supersede(belief.path);
    belief.isClosed = true;
  }

  async #onPath(actor: Actor, method: string, paths: readonly unknown[], then: () => void): Promise<void> {
    const client = await this.#scene.client(actor);
    const isAlone = this.#isAlone;
    const before = await this.#look.rows();
    const mark = this.#mark();
    const reply = await client.ask(
      method,
      ...paths.map((one) => (typeof one === 'string' ? pathFor(actor, one) : one)),
    );
    if (
      reply.kind === 'ok' ||
      reply.kind === 'lost' ||
      (await this.#wasDone(mark, /^tree\.(?:remove|rename)$|^upload\./))
    )
      then();
    else if (isAlone) {
      const after = await this.#look.rows();
      this.#changedNothing(before, after, `${method} ${paths.join(' ')} by ${actor}`);
      // The directory of a new name may be missing.
      const [path, to] = paths;
      if (reply.status !== noSuchFile || (typeof to === 'string' && to.split('/').length > 3)) return;
      const isThere = (rows: readonly Seen[]): boolean => rows.some((row) => row.path === path && maySee(actor)(row));
      if (isThere(before) && isThere(after))
        this.#beliefs.violate(`${method} of ${String(path)} by ${actor} said that there is no such file`);
    }
  }

  #changedNothing(before: readonly Seen[], after: readonly Seen[], what: string): void {
    // What settles, and what leaves by its reads and its days, does so beside whatever is asked.
    const stateOf = (row: Seen): string =>
      row.state === 'settling' || this.#lives.mayLeave(row, row.state) ? 'published' : row.state;
    const shown = (rows: readonly Seen[]): string =>
      JSON.stringify(rows.filter((row) => row.state !== 'partial').map((row) => ({ ...row, state: stateOf(row) })));
    if (shown(before) !== shown(after))
      this.#beliefs.violate(`${what} was refused and changed something: ${shown(before)} became ${shown(after)}`);
  }

  /** Reads a whole file; what is read must be whole, and "no such file" must be true. */
  async #read(actor: Actor, path: string): Promise<void> {
    const isReader = (this.#look.folderOf(path).direction === 'deposit') === (actor === 'own');
    if (!isReader) return;
    const before = await this.#look.rows();
    // It may count before its answer is here.
    this.#lives.tries(path);
    const got = await this.#look.fetch(await this.#scene.client(actor), pathFor(actor, path));
    if (got.kind === 'ok') this.#lives.read(path, sha256(got.value), got.value.length);
    const isThere = (rows: readonly Seen[]): boolean =>
      rows.some((row) => row.path === path && row.state === 'published');
    if (got.kind === 'ok' && !this.#beliefs.whole.has(sha256(got.value)))
      this.#beliefs.violate(`a reader of ${path} got ${got.value.length} bytes that nobody completed`);
    if (got.kind === 'refused' && got.status === noSuchFile && isThere(before) && isThere(await this.#look.rows()))
      this.#beliefs.violate(`${path} is published and a reader was told that there is no such file`);
  }

  #cut(actor: Actor): void {
    this.#scene.current(actor)?.cut();
    this.#unsettledUntil = Date.now() + cutSettlesMs;
    for (const [key, open] of this.#open) if (key.startsWith(`${actor}/`) && open.client.isGone) this.#open.delete(key);
    for (const slot of [0, 1]) this.#open.delete(`${actor}/${slot}`);
  }

  /** Bytes on an open handle are activity: a slow upload succeeds. */
  async #drip(): Promise<void> {
    const client = await this.#scene.connect('depositor');
    const path = `/m-close/${this.#look.prefix}drip-${randomBytes(3).toString('hex')}`;
    const belief = new HandleBelief(path, 'depositor', Buffer.alloc(0), 'nothing');
    const opened = await client.ask<Buffer>('open', path, flag.write | flag.create | flag.truncate, {});
    if (opened.kind !== 'ok') return this.#beliefs.violate(`a slow upload could not begin: ${JSON.stringify(opened)}`);
    this.#beliefs.handles.push(belief);
    for (
      const end = Date.now() + 3 * idleMs;
      Date.now() < end;
      await new Promise((resolve) => setTimeout(resolve, dripEveryMs))
    ) {
      const data = randomBytes(dripBytes);
      const reply = await client.ask('write', opened.value, data, 0, data.length, belief.image.length);
      if (reply.kind !== 'ok') {
        client.cut();
        return this.#beliefs.violate(
          `a slow upload was ended after ${belief.image.length} bytes: ${JSON.stringify(reply)}`,
        );
      }
      belief.write(belief.image.length, data);
    }
    const closed = await client.ask('close', opened.value);
    if (closed.kind === 'ok') this.#beliefs.closed(belief, 'ok');
    else this.#beliefs.violate(`a slow upload could not be closed: ${JSON.stringify(closed)}`);
    client.cut();
  }

  async #kill(what: 'partner-1' | 'warden' | 'store'): Promise<void> {
    this.#hasKill = true;
    const [pid] = this.#scene.world.pidsOf(what);
    this.#scene.world.kill(what);
    for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const [now] = this.#scene.world.pidsOf(what);
      if (now !== undefined && now !== pid) break;
    }
    if (what === 'partner-1')
      for (const actor of ['depositor', 'depositor-again', 'colleague'] as const) this.#cut(actor);
  }

  /**
   * The fault is over: what a client tries again succeeds, within a time in which everything that was lost is there
   * again.
   */
  async #retry(): Promise<void> {
    const path = `/m-close/${this.#look.prefix}retried`;
    let last = '';
    for (const end = Date.now() + retryMs; ; await new Promise((resolve) => setTimeout(resolve, 200))) {
      const client = await this.#scene.client('depositor');
      const belief = new HandleBelief(path, 'depositor', Buffer.alloc(0), 'nothing');
      const data = randomBytes(sizes.block);
      belief.write(0, data);
      const opened = await client.ask<Buffer>('open', path, flag.write | flag.create | flag.truncate, {});
      const written =
        opened.kind === 'ok'
          ? await client.ask('write', opened.value, data.subarray(0, packetBytes), 0, packetBytes, 0)
          : opened;
      const rest = data.subarray(packetBytes);
      const more =
        written.kind === 'ok' && opened.kind === 'ok'
          ? await client.ask('write', opened.value, rest, 0, rest.length, packetBytes)
          : written;
      const closed = more.kind === 'ok' && opened.kind === 'ok' ? await client.ask('close', opened.value) : more;
      if (closed.kind === 'ok') return this.#beliefs.closed(belief, 'ok');
      this.#beliefs.closed(belief, 'lost');
      last = JSON.stringify(closed);
      if (Date.now() > end)
        return this.#beliefs.violate(`what was tried again long after the last fault was refused: ${last}`);
    }
  }
}
