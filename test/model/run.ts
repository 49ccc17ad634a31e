// Owns: one run of the model: moves are made one after the other, some without waiting; the oracle looks after each, and at everything at the end.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Acknowledged, type Before, Beliefs, HandleBelief, type Seen, sha256 } from './oracle.ts';
import { idleMs, type ModelClient, pathFor, type Reply, type Scene } from './scene.ts';
import { type Actor, type FileName, folders, type Move, names, type Step } from './steps.ts';

/** SSH_FXF_* */
const flag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;
const noSuchFile = 2;
const sizes = { byte: 1, small: 700, block: 32_768, large: 300_000 } as const;
/** What ssh2's client sends as one WRITE; it sends the rest of a longer one only when that was answered. */
const packetBytes = 30_000;
const gapBytes = 1000;
const farBytes = 8 * 1024 * 1024;
const settleMs = 15_000;
const cutSettlesMs = 3000;
/** A slow transfer: as many small writes as take three idle lives. */
const dripEveryMs = 250;
const dripBytes = 64;

type Open = { readonly belief: HandleBelief; readonly handle: Buffer; readonly client: ModelClient; readonly appends: boolean };
export type Outcome = { readonly violations: readonly string[]; readonly steps: number };

export class Run {
  readonly #scene: Scene;
  readonly #prefix: string;
  readonly #beliefs = new Beliefs();
  readonly #open = new Map<string, Open>();
  readonly #pending = new Set<Promise<unknown>>();
  #steps = 0;
  #hasFault = false;
  /** After a cut: what was asked before it may still have its effect. */
  #unsettledUntil = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#prefix = `r${randomBytes(5).toString('hex')}-`;
  }

  async play(list: readonly Move[]): Promise<Outcome> {
    // A role that ended in the run before is back.
    for (const actor of ['depositor', 'own'] as const) await this.#scene.client(actor);
    const [edge] = this.#scene.world.pidsOf('partner-1');
    const [warden] = this.#scene.world.pidsOf('warden');
    const logFrom = this.#scene.world.log.length;
    for (const move of list) {
      await this.#make(move);
      this.#steps += 1;
      this.#beliefs.look(await this.#rows(), (path) => this.#folderOf(path).replace);
      if (this.#beliefs.violations.length > 0) break;
    }
    await Promise.all(this.#pending);
    this.#scene.endAll();
    await this.#settled();
    await this.#final();
    if (!this.#hasFault) {
      if (this.#scene.world.pidsOf('partner-1')[0] !== edge) this.#beliefs.violate('the edge ended');
      if (this.#scene.world.pidsOf('warden')[0] !== warden) this.#beliefs.violate('the warden ended');
      for (const line of this.#scene.world.log.slice(logFrom).split('\n'))
        if (/"level":(?:50|60)|\b(?:ERROR|FATAL)\b/.test(line)) this.#beliefs.violate(`logged: ${line.slice(0, 400)}`);
    }
    return { violations: [...new Set(this.#beliefs.violations)], steps: this.#steps };
  }

  #folderOf(path: string): (typeof folders)[number] {
    const folder = folders.find((one) => path.startsWith(`/${one.name}/`));
    if (folder === undefined) throw new Error(`no folder of ${path}`);
    return folder;
  }

  #path(at: FileName): string {
    const name = names[at.name] ?? names[0];
    // A leading dot and the endings say what they say to the gateway behind the run's own word.
    const own = name.startsWith('.') ? `.${this.#prefix}${name.slice(1)}` : `${this.#prefix}${name}`;
    return `/${folders[at.folder]?.name ?? ''}/${own}`;
  }

  #rows(): Promise<readonly Seen[]> {
    return this.#scene.rows<Seen>(
      `select v.id, '/' || d.name || '/' || f.name as path, v.state, encode(v.sha256, 'hex') as sha, v.size::float8 as size
       from version v join file f on f.id = v.file_id join folder d on d.id = f.folder_id
       where f.name like $1 or f.name like $2 order by v.opened_at`,
      [`${this.#prefix}%`, `.${this.#prefix}%`],
    );
  }

  async #make({ actor, slot, step }: Move): Promise<void> {
    const key = this.#handleFor(actor, slot, step);
    switch (step.op) {
      case 'open':
        return this.#openFile(actor, key, this.#path(step.at), step.how);
      case 'write':
        return this.#write(key, step);
      case 'fsync':
        return this.#onHandle(key, step.waits, (open) => open.client.ask('ext_openssh_fsync', open.handle), 'FSYNC');
      case 'fsetstat':
        return this.#fsetstat(key, step);
      case 'close':
        return this.#close(key, step.waits);
      case 'put':
        await this.#openFile(actor, key, this.#path(step.at), 'truncate');
        await this.#write(key, { op: 'write', where: 'next', size: step.size, waits: false });
        return this.#close(key, true);
      case 'more':
        await this.#openFile(actor, key, this.#path(step.at), 'keep');
        await this.#write(key, { op: 'write', where: 'next', size: 'small', waits: false });
        return step.closes ? this.#close(key, true) : undefined;
      case 'remove':
        return this.#onPath(actor, 'unlink', [this.#path(step.at)], () => this.#beliefs.supersede(this.#path(step.at)));
      case 'rename':
        return this.#onPath(actor, step.replaces ? 'ext_openssh_rename' : 'rename', [this.#path(step.at), this.#path(step.to)], () =>
          this.#beliefs.renamed(this.#path(step.at), this.#path(step.to), this.#accountOf(actor)),
        );
      case 'truncate':
        return this.#onPath(actor, 'setstat', [this.#path(step.at), { size: 0 }], () => this.#beliefs.supersede(this.#path(step.at)));
      case 'read':
        return this.#read(actor, this.#path(step.at));
      case 'cut':
        return this.#cut(actor);
      case 'rest':
        return new Promise((resolve) => setTimeout(resolve, step.ms));
      case 'drip':
        return this.#drip();
      case 'kill':
        return this.#kill(step.what);
    }
  }

  /** What works on a handle takes the actor's other one where this slot has none: fewer moves that do nothing. */
  #handleFor(actor: Actor, slot: number, step: Step): string {
    const [wanted, other] = [`${actor}/${slot}`, `${actor}/${1 - slot}`];
    const needsOne = step.op === 'write' || step.op === 'fsync' || step.op === 'fsetstat' || step.op === 'close';
    return needsOne && !this.#open.has(wanted) && this.#open.has(other) ? other : wanted;
  }

  #accountOf(actor: Actor): string {
    return actor === 'depositor-again' ? 'depositor' : actor;
  }

  async #openFile(actor: Actor, key: string, path: string, how: 'truncate' | 'keep' | 'append' | 'exclusive'): Promise<void> {
    if (this.#open.has(key)) await this.#close(key, true);
    const client = await this.#scene.client(actor);
    const more = { truncate: flag.truncate, keep: 0, append: flag.append, exclusive: flag.truncate | flag.exclusive }[how];
    const isAlone = this.#isAlone;
    const before = await this.#rows();
    const reply = await client.ask<Buffer>('open', pathFor(actor, path), flag.write | flag.create | more, {});
    if (reply.kind === 'refused' && isAlone) this.#changedNothing(before, await this.#rows(), `OPEN of ${path} (${how})`);
    if (reply.kind !== 'ok') return;
    const handle = reply.value;
    const attributes = await client.ask<{ size: number }>('fstat', handle);
    const stored = attributes.kind === 'ok' ? attributes.value.size : 0;
    const account = this.#accountOf(actor);
    const { base, before: was } = this.#base(path, account, stored);
    this.#beliefs.supersede(path);
    const belief = new HandleBelief(path, account, base, was);
    this.#beliefs.handles.push(belief);
    this.#open.set(key, { belief, handle, client, appends: how === 'append' });
  }

  /** The bytes that an opened file has already, from what was written to that name before. */
  #base(path: string, account: string, stored: number): { readonly base: Buffer; readonly before: Before } {
    if (stored === 0) return { base: Buffer.alloc(0), before: 'nothing' };
    const isWhole = this.#beliefs.acknowledged.some((one) => one.path === path && one.size === stored);
    const last = this.#beliefs.handles.filter((one) => one.path === path && one.account === account && one.image.length >= stored).at(-1);
    if (last === undefined) this.#beliefs.violate(`${path} was opened with ${stored} bytes that its account never wrote`);
    return { base: Buffer.from(last?.image.subarray(0, stored) ?? Buffer.alloc(stored)), before: isWhole ? 'complete' : 'partial' };
  }

  async #write(key: string, step: Extract<Step, { op: 'write' }>): Promise<void> {
    const open = this.#open.get(key);
    if (open === undefined) return;
    const { belief } = open;
    const data = randomBytes(sizes[step.size]);
    const length = belief.next;
    const offset = { next: length, start: 0, behind: Math.max(0, length - 1), gap: length + gapBytes, far: length + farBytes }[step.where];
    // In append mode the place is the server's.
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
    return this.#pending.size === 0 && Date.now() > this.#unsettledUntil;
  }

  async #fsetstat(key: string, step: Extract<Step, { op: 'fsetstat' }>): Promise<void> {
    const open = this.#open.get(key);
    if (open === undefined) return;
    const { belief } = open;
    const size = { same: belief.image.length, more: belief.image.length + gapBytes, zero: 0, times: undefined }[step.size];
    const attributes = size === undefined ? { atime: 1_700_000_000, mtime: 1_700_000_000 } : { size };
    const isFresh = !belief.hasWritten;
    const then = (reply: Reply): void => {
      if (reply.kind !== 'ok' || size === undefined) return;
      belief.announced = size > 0 || belief.image.length > 0 ? size : undefined;
    };
    if (size === 0 && isFresh) belief.beginAnew();
    await this.#onHandle(key, step.waits, () => open.client.ask('fsetstat', open.handle, attributes), `FSETSTAT ${step.size}`, then);
  }

  /** One request on an open handle. What is refused is remembered: the handle must not become a file. */
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
    const closing = open.client.ask('close', open.handle).then((reply) => {
      if (reply.kind === 'refused') open.belief.isClosed = true;
      else this.#beliefs.closed(open.belief, reply.kind);
    });
    // What a commit may show must be known before anybody looks: until the answer is here, it counts as lost.
    if (!waits && open.belief.flaw === undefined) this.#beliefs.whole.set(sha256(open.belief.image), open.belief.path);
    await this.#wait(closing, waits);
  }

  async #onPath(actor: Actor, method: string, paths: readonly unknown[], then: () => void): Promise<void> {
    const client = await this.#scene.client(actor);
    const isAlone = this.#isAlone;
    const before = await this.#rows();
    const reply = await client.ask(method, ...paths.map((one) => (typeof one === 'string' ? pathFor(actor, one) : one)));
    if (reply.kind === 'ok' || reply.kind === 'lost') then();
    else if (isAlone) this.#changedNothing(before, await this.#rows(), `${method} ${paths.join(' ')} by ${actor}`);
  }

  #changedNothing(before: readonly Seen[], after: readonly Seen[], what: string): void {
    const shown = (rows: readonly Seen[]): string =>
      JSON.stringify(
        rows.filter((row) => row.state !== 'partial').map((row) => ({ ...row, state: row.state === 'settling' ? 'published' : row.state })),
      );
    if (shown(before) !== shown(after))
      this.#beliefs.violate(`${what} was refused and changed something: ${shown(before)} became ${shown(after)}`);
  }

  /** Reads a whole file; what is read must be whole, and "no such file" must be true. */
  async #read(actor: Actor, path: string): Promise<void> {
    const isReader = (this.#folderOf(path).direction === 'deposit') === (actor === 'own');
    if (!isReader) return;
    const before = await this.#rows();
    const got = await this.#fetch(await this.#scene.client(actor), pathFor(actor, path));
    const isThere = (rows: readonly Seen[]): boolean => rows.some((row) => row.path === path && row.state === 'published');
    if (got.kind === 'ok' && !this.#beliefs.whole.has(sha256(got.value)))
      this.#beliefs.violate(`a reader of ${path} got ${got.value.length} bytes that nobody completed`);
    if (got.kind === 'refused' && got.status === noSuchFile && isThere(before) && isThere(await this.#rows()))
      this.#beliefs.violate(`${path} is published and a reader was told that there is no such file`);
  }

  async #fetch(client: ModelClient, path: string): Promise<Reply<Buffer>> {
    const opened = await client.ask<Buffer>('open', path, flag.read, {});
    if (opened.kind !== 'ok') return opened;
    const attributes = await client.ask<{ size: number }>('fstat', opened.value);
    if (attributes.kind !== 'ok') return attributes;
    const whole = Buffer.alloc(attributes.value.size);
    for (let at = 0; at < whole.length; ) {
      const read = await client.ask<number>('read', opened.value, whole, at, Math.min(32_768, whole.length - at), at);
      if (read.kind !== 'ok') return read;
      at += read.value;
    }
    const closed = await client.ask('close', opened.value);
    return closed.kind === 'ok' ? { kind: 'ok', value: whole } : (closed as Reply<Buffer>);
  }

  #cut(actor: Actor): void {
    this.#scene.current(actor)?.cut();
    this.#unsettledUntil = Date.now() + cutSettlesMs;
    for (const [key, open] of this.#open) if (key.startsWith(`${actor}/`) && open.client.isGone) this.#open.delete(key);
    for (const slot of [0, 1]) this.#open.delete(`${actor}/${slot}`);
  }

  /** Bytes on an open handle are activity: a slow upload goes through. */
  async #drip(): Promise<void> {
    const client = await this.#scene.connect('depositor');
    const path = `/m-close/${this.#prefix}drip-${randomBytes(3).toString('hex')}`;
    const belief = new HandleBelief(path, 'depositor', Buffer.alloc(0), 'nothing');
    const opened = await client.ask<Buffer>('open', path, flag.write | flag.create | flag.truncate, {});
    if (opened.kind !== 'ok') return this.#beliefs.violate(`a slow upload could not begin: ${JSON.stringify(opened)}`);
    this.#beliefs.handles.push(belief);
    for (const end = Date.now() + 3 * idleMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, dripEveryMs))) {
      const data = randomBytes(dripBytes);
      const reply = await client.ask('write', opened.value, data, 0, data.length, belief.image.length);
      if (reply.kind !== 'ok') {
        client.cut();
        return this.#beliefs.violate(`a slow upload was ended after ${belief.image.length} bytes: ${JSON.stringify(reply)}`);
      }
      belief.write(belief.image.length, data);
    }
    const closed = await client.ask('close', opened.value);
    if (closed.kind === 'ok') this.#beliefs.closed(belief, 'ok');
    else this.#beliefs.violate(`a slow upload could not be closed: ${JSON.stringify(closed)}`);
    client.cut();
  }

  async #kill(what: 'partner-1' | 'warden'): Promise<void> {
    this.#hasFault = true;
    const [pid] = this.#scene.world.pidsOf(what);
    this.#scene.world.kill(what);
    for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const [now] = this.#scene.world.pidsOf(what);
      if (now !== undefined && now !== pid) break;
    }
    if (what === 'partner-1') for (const actor of ['depositor', 'depositor-again', 'colleague'] as const) this.#cut(actor);
  }

  /** Every session has ended, and what was to be published is. */
  async #settled(): Promise<void> {
    for (const end = Date.now() + settleMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const [row] = await this.#scene.rows<{ count: number }>(
        `select count(*)::int as count from version v join file f on f.id = v.file_id
         where (f.name like $1 or f.name like $2) and (v.state = 'settling' or v.upload_id is not null)`,
        [`${this.#prefix}%`, `.${this.#prefix}%`],
      );
      if (row?.count === 0) return;
    }
    if (!this.#hasFault) this.#beliefs.violate('an upload was still held open long after its session had ended');
  }

  /** Everything that is visible is read, and everything that is kept is looked at where it lies. */
  async #final(): Promise<void> {
    const rows = await this.#rows();
    this.#beliefs.look(rows, (path) => this.#folderOf(path).replace);
    this.#beliefs.account(rows, (path, size) => size === 0 && path.endsWith('.done') && this.#folderOf(path).rule === 'on-marker');
    const newest = new Map(rows.filter((row) => row.state === 'published').map((row) => [row.path, row]));
    for (const row of newest.values()) {
      const actor = this.#folderOf(row.path).direction === 'deposit' ? 'own' : 'colleague';
      const got = await this.#fetch(await this.#scene.client(actor), pathFor(actor, row.path));
      if (got.kind !== 'ok') this.#beliefs.violate(`${row.path} is published and cannot be read: ${JSON.stringify(got)}`);
      else if (sha256(got.value) !== row.sha) this.#beliefs.violate(`${row.path} is published and a reader gets other bytes`);
    }
    await this.#receipts();
    await this.#objects();
  }

  async #receipts(): Promise<void> {
    const rows = await this.#scene.rows<{ path: string; receipt: string; sha: string; size: number }>(
      `select f.name as path, v.receipt, encode(v.sha256, 'hex') as sha, v.size::float8 as size from version v join file f on f.id = v.file_id
       where (f.name like $1 or f.name like $2) and v.receipt is not null`,
      [`${this.#prefix}%`, `.${this.#prefix}%`],
    );
    for (const { path, receipt, sha, size } of rows) {
      const fields = JSON.parse(receipt.split('\n')[1] ?? '{}') as { sha256?: string; size?: number };
      if (fields.sha256 !== sha || fields.size !== size) this.#beliefs.violate(`the receipt of ${path} names other bytes than its version`);
      if (!this.#beliefs.whole.has(sha)) this.#beliefs.violate(`there is a receipt for ${path} with ${size} bytes that nobody completed`);
    }
  }

  /** Each object that a complete version counts lies in the store with the digest that the catalogue keeps. */
  async #objects(): Promise<void> {
    const rows = await this.#scene.rows<{ path: string; size: number; extents: number; sum: number; objects: readonly [string, string][] }>(
      `select f.name as path, v.size::float8 as size, v.extent_count as extents, coalesce(sum(e.bytes), 0)::float8 as sum, count(e.*)::int as found,
         coalesce(jsonb_agg(jsonb_build_array(e.object_id, encode(e.digest, 'hex'))) filter (where e.object_id is not null and e.inline is null), '[]') as objects
       from version v join file f on f.id = v.file_id left join extent e on e.content_id = v.content_id and e.index < v.extent_count
       where (f.name like $1 or f.name like $2) and v.state in ('held', 'settling', 'published', 'withdrawn') group by f.name, v.id`,
      [`${this.#prefix}%`, `.${this.#prefix}%`],
    );
    for (const row of rows) {
      if (row.sum !== row.size) this.#beliefs.violate(`${row.path} has ${row.size} bytes and its extents ${row.sum}`);
      for (const [object, digest] of row.objects) {
        try {
          const bytes = readFileSync(join(this.#scene.world.directory, 'store', 'objects', object.slice(0, 2), object));
          if (createHash('sha256').update(bytes).digest('hex') !== digest)
            this.#beliefs.violate(`an object of ${row.path} has another digest`);
        } catch {
          this.#beliefs.violate(`an object of ${row.path} is gone`);
        }
      }
    }
  }
}

export type { Acknowledged };
