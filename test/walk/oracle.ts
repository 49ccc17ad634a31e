// Owns: what must be true of a gateway one of whose edges lies, without the product's code: by the answers that the
// edge got, by the rows as the database's owner sees them, and by the files of the store.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Answer } from './node.ts';
import type { Spoken } from './resolve.ts';
import { marks, type Scene, stillBytes } from './scene.ts';
import { Stored } from './stored.ts';

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A key that the edge was given for something stored. */
type Loot = {
  readonly handle: string;
  readonly index: number;
  readonly object: string;
  readonly customer: string;
  readonly content: string;
  readonly bytes: number;
  readonly by: string;
  readonly op: string;
};

/** Returns the parts of a context, each prefixed with its length: purpose, customer, content, index and object. */
function partsOfContext(text: string): readonly string[] {
  const bytes = Buffer.from(text, 'base64');
  const parts: string[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    parts.push(bytes.subarray(at + 4, at + 4 + length).toString('utf8'));
    at += 4 + length;
  }
  return parts;
}

function* objectsIn(value: unknown): Generator<Readonly<Record<string, unknown>>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Readonly<Record<string, unknown>>;
  for (const part of Object.values(value)) yield* objectsIn(part);
}

/** The handle named by a call, or ''. */
const handleIn = (params: unknown): string => {
  const { upload, download } = params as { readonly upload?: unknown; readonly download?: unknown };
  return String(download ?? upload ?? '');
};

/** The most rows that one call may leave in one table. */
const rowsPerCall = 6;
/** The most rows that others than the compromised edge may leave in one table while a list is played. */
const rowsOfOthers = 3000;
/** The most bytes by which the resident memory of the warden, or of the store, may grow during a walk. */
const rssGrowthMax = 300 * 2 ** 20;
/**
 * The keys that a node may make for its self-test account: ten at once, and one more a minute (`selfTestKeys` of its
 * allowances). Each is one credential.
 */
const selfTestKeysAtOnce = 10;
/** The operations that give a name to something. */
const naming: ReadonlySet<string> = new Set([
  'tree.make-directory',
  'tree.rename',
  'upload.open',
  'upload.offer',
  'upload.begin',
]);

type Counts = Readonly<Record<string, number>>;

export class Oracle {
  readonly #scene: Scene;
  readonly #stored: Stored;
  readonly #violations: string[] = [];
  readonly #loot: Loot[] = [];
  #lootLooked = 0;
  #logAt = 0;
  #stillBefore = '';
  #counts: Counts = {};
  #callsThen = 0;
  #rss = { warden: 0, store: 0 };
  #processes = '';
  readonly #startedAt = Date.now();
  #calls = 0;
  readonly #credentialsThen: number;
  readonly #secrets: ReadonlyMap<string, readonly string[]>;
  /** By customer: names with the mark of somebody else that the customer gave to what it made in its own folders. */
  readonly #given = new Map<string, Set<string>>();
  readonly codes: Record<string, number> = {};
  readonly answered: Record<string, number> = {};
  readonly outcomes: Record<string, number> = {};
  largestRssGrowth = 0;

  private constructor(scene: Scene, credentials: number) {
    const { still, other } = scene.people;
    this.#secrets = new Map([
      [marks.still, [marks.still, still.customerId, `:${stillBytes}`]],
      [marks.other, [marks.other, other.customerId]],
      [marks.busy, [marks.busy]],
    ]);
    this.#scene = scene;
    this.#stored = new Stored(scene, (what) => this.violate(what));
    this.#credentialsThen = credentials;
  }

  static async create(scene: Scene): Promise<Oracle> {
    const oracle = new Oracle(scene, (await scene.rows('select from credential')).length);
    oracle.#rss = scene.rssBytes;
    await oracle.begin();
    return oracle;
  }

  violate(what: string): void {
    this.#violations.push(what);
  }

  found(): readonly string[] {
    return [...new Set(this.#violations)];
  }

  /** The most bytes of the store that belonged to no extent. */
  get largestUnsettled(): number {
    return this.#stored.largestUnsettled;
  }

  get calls(): number {
    return this.#calls;
  }

  /** Forgets the violations, and remembers the present state: from here on a list of calls is examined by itself. */
  async begin(): Promise<void> {
    this.#violations.length = 0;
    this.#logAt = this.#scene.complaints(this.#logAt).at;
    this.#stillBefore = await this.#still();
    this.#counts = await this.#countRows();
    this.#callsThen = this.#calls;
    this.#processes = this.#scene.processes;
  }

  /**
   * Takes in a call that is about to be made. From now on answers may tell this customer the names it gives in its own
   * folders.
   */
  say({ op, params, by }: Spoken): void {
    if (by === undefined || !naming.has(op)) return;
    const given = this.#given.get(by.person.customer) ?? new Set();
    // What a rename names first exists already, or belongs to somebody else.
    const named = op === 'tree.rename' ? ((params as { readonly to?: unknown }).to ?? null) : params;
    for (const [name] of JSON.stringify(named).matchAll(/"zq[^"]*"/g)) given.add(name);
    this.#given.set(by.person.customer, given);
  }

  /** Takes in one answer, as it comes. */
  hear(spoken: Spoken, answer: Answer): void {
    this.#calls += 1;
    const code = 'code' in answer ? answer.code : 'answered';
    this.codes[code] = (this.codes[code] ?? 0) + 1;
    const said = `${spoken.op} ${code}`;
    this.outcomes[said] = (this.outcomes[said] ?? 0) + 1;
    if (code === 'answered') this.answered[spoken.op] = (this.answered[spoken.op] ?? 0) + 1;
    if (code === 'bug' || code === 'thrown')
      this.violate(`${spoken.op} was a defect: ${JSON.stringify(answer)} after ${shown(spoken.params)}`);
    this.#mustNotTell(spoken, answer);
    if ('result' in answer) for (const one of objectsIn(answer.result)) this.#keyIn(spoken, one);
  }

  /**
   * An answer tells no names and numbers except those of the customer of the call, those that the call itself named,
   * and names that its customer gave before.
   */
  #mustNotTell({ op, params, by }: Spoken, answer: Answer): void {
    const asked = JSON.stringify(params);
    let text = JSON.stringify('result' in answer ? answer.result : answer.message);
    for (const name of this.#given.get(by?.person.customer ?? '') ?? []) text = text.replaceAll(name, '"its own"');
    for (const [bank, secrets] of this.#secrets)
      for (const secret of secrets)
        if (bank !== by?.person.customer && text.includes(secret) && !asked.includes(secret))
          this.violate(`${op} told of ${bank}: ${text.slice(0, 300)}`);
  }

  #keyIn({ op, params, by }: Spoken, one: Readonly<Record<string, unknown>>): void {
    const { key, context, bytes } = one;
    if (typeof key !== 'string' || typeof context !== 'string') return;
    const [, customer = '', content = '', index = '', object = ''] = partsOfContext(context);
    if (by === undefined) return this.violate(`${op} gave a key to a token that nobody has: ${shown(params)}`);
    if (customer !== by.customer) this.violate(`${op} gave ${by.person.name} a key of customer ${customer}`);
    if (typeof bytes !== 'number') return;
    this.#loot.push({
      handle: handleIn(params),
      index: Number(index),
      object,
      customer,
      content,
      bytes,
      by: by.person.name,
      op,
    });
  }

  /** Returns what was wrong with a list of calls. With `everything`, checks that take longer are made, too. */
  async look(everything: boolean): Promise<readonly string[]> {
    await this.#settled();
    await this.#nothingOfOthersChanged();
    await this.#everyReleaseIsOnRecord();
    await this.#noCapWasPassed();
    await this.#stored.look();
    await this.#nothingGrowsWithoutEnd();
    this.#nothingComplained();
    if (everything) await this.recordAnswers();
    this.#lootLooked = this.#loot.length;
    return this.found();
  }

  /** Waits 50 ms when something is still running. */
  async #settled(): Promise<void> {
    const [row] = await this.#scene.rows<{ n: string }>(
      "select count(*) as n from pg_stat_activity where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid() and backend_type = 'client backend'",
    );
    if (Number(row?.n ?? 0) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  /** Returns every row, and the hash of every object, of the bank that is on another node. */
  async #still(): Promise<string> {
    const tables = await this.#scene.rows<{ name: string }>(
      `select c.table_name as name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
       where c.table_schema = 'public' and c.column_name = 'customer_id' and t.table_type = 'BASE TABLE' and c.table_name not like 'ledger_sealed_%' and c.table_name <> 'ledger_sealed' order by 1`,
    );
    const parts: string[] = [];
    for (const { name } of tables.filter((one) => one.name !== 'ledger_fresh')) {
      const [row] = await this.#scene.rows<{ all: string | null }>(
        // The account may know that somebody guesses against it, from whichever node the guesses come.
        `select string_agg(to_jsonb(t)::text, E'\\n' order by to_jsonb(t)::text) as all from ${name} t where customer_id = (select id from customer where name = $1) ${name === 'alert' ? "and kind <> 'login.guessing'" : ''}`,
        [marks.still],
      );
      parts.push(`${name}: ${row?.all ?? ''}`);
    }
    const account = '(select id from account where name = $1)';
    for (const [name, text] of [
      ['session', `select to_jsonb(s) - 'last_seen_at' as row from session s where account_id = ${account}`],
      [
        'download',
        `select to_jsonb(d) as row from download d join session s on s.id = d.session_id where s.account_id = ${account}`,
      ],
      ['credential', `select to_jsonb(c) - 'last_used_at' as row from credential c where account_id = ${account}`],
      ['window', `select to_jsonb(w) as row from activation_window w where account_id = ${account}`],
      [
        'entries',
        `select to_jsonb(l.id) as row from ledger l where account_id = ${account} and node = 'p2' and kind not in ('login.refused', 'login.partial')`,
      ],
    ] as const) {
      const found = await this.#scene.rows<{ row: unknown }>(`${text} order by 1`, [`${marks.still}-1`]);
      parts.push(`${name}: ${found.map(({ row }) => JSON.stringify(row)).join('\n')}`);
    }
    const objects = this.#scene.objects();
    for (const { object } of await this.#scene.rows<{ object: string }>(
      // Also what was put and not sealed.
      `select object_id as object from extent where inline is null and customer_id = (select id from customer where name = $1)
       union select object_id from pending_extent where customer_id = (select id from customer where name = $1) order by 1`,
      [marks.still],
    )) {
      const path = objects.get(object);
      parts.push(`object ${object}: ${path === undefined ? 'not there' : hash(readFileSync(path))}`);
    }
    return parts.join('\n');
  }

  async #nothingOfOthersChanged(): Promise<void> {
    const now = await this.#still();
    if (now === this.#stillBefore) return;
    const before = new Set(this.#stillBefore.split('\n'));
    const after = new Set(now.split('\n'));
    const gone = [...before].filter((line) => !after.has(line)).slice(0, 3);
    const came = [...after].filter((line) => !before.has(line)).slice(0, 3);
    this.violate(`what belongs to a bank of another node changed: ${JSON.stringify({ gone, came }).slice(0, 1500)}`);
  }

  async #everyReleaseIsOnRecord(): Promise<void> {
    const fresh = this.#loot.slice(this.#lootLooked);
    if (fresh.length === 0) return;
    const recorded = await this.#scene.rows<{ handle: string; extent: number; n: string }>(
      `select handle_id as handle, extent, count(*) as n from ledger where kind in ('extent.granted', 'extent.verified') and handle_id = any ($1::uuid[]) group by 1, 2`,
      [[...new Set(fresh.map((one) => one.handle))].filter((id) => /^[0-9a-f-]{36}$/.test(id))],
    );
    const entries = new Map(recorded.map((one) => [`${one.handle}/${one.extent}`, Number(one.n)]));
    const given = new Map<string, number>();
    for (const one of this.#loot) {
      const name = `${one.handle}/${one.index}`;
      given.set(name, (given.get(name) ?? 0) + 1);
    }
    for (const one of fresh) {
      const name = `${one.handle}/${one.index}`;
      const [keys, written] = [given.get(name) ?? 0, entries.get(name) ?? 0];
      if (written < keys) this.violate(`${one.op}: ${keys} keys of extent ${name} left, and ${written} entries say so`);
    }
    const owners = await this.#scene.rows<{ object: string; customer: string; content: string }>(
      'select object_id as object, customer_id as customer, content_id as content from extent where object_id = any ($1)',
      [fresh.map((one) => one.object)],
    );
    const ownerOf = new Map(owners.map((one) => [one.object, one]));
    for (const one of fresh) {
      const owner = ownerOf.get(one.object);
      if (owner !== undefined && (owner.customer !== one.customer || owner.content !== one.content))
        this.violate(`${one.op}: the key of object ${one.object} was given as another customer's or content's`);
    }
  }

  /** Nobody has more than their cap: by the keys that were given, by the entries of the record, and by the counters. */
  async #noCapWasPassed(): Promise<void> {
    const loot = new Map<string, number>();
    const seen = new Set<string>();
    for (const one of this.#loot) {
      if (one.op !== 'download.grant' || seen.has(`${one.by}/${one.object}`)) continue;
      seen.add(`${one.by}/${one.object}`);
      loot.set(one.by, (loot.get(one.by) ?? 0) + one.bytes);
    }
    const budgets = await this.#scene.rows<{ name: string; total: string; cap: string; charged: string }>(
      `select a.name, b.total_bytes as total, b.cap_hour_bytes + b.base_hour_bytes as cap,
         (select coalesce(sum(l.bytes), 0) from ledger l where l.account_id = a.id and l.kind = 'extent.granted' and not (l.public ? 'outcome')) as charged
       from account a join credential c on c.account_id = a.id join budget b on b.credential_id = c.id and b.direction = 'out'
       where a.name like 'thief%' or a.name = $1`,
      [`${marks.other}-1`],
    );
    for (const { name, total, cap, charged } of budgets) {
      const had = loot.get(name) ?? 0;
      const numbers = `${JSON.stringify({ had, charged, total, cap })}`;
      if (Number(total) > Number(cap)) this.violate(`${name} was charged more than its cap: ${numbers}`);
      if (had > Number(charged)) this.violate(`${name} has more bytes than entries say were charged: ${numbers}`);
      if (Number(charged) > Number(total)) this.violate(`${name} was charged less than the entries say: ${numbers}`);
    }
  }

  async #countRows(): Promise<Counts> {
    const tables = await this.#scene.rows<{ name: string }>(
      "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
    );
    const text = tables
      .map(({ name }) => `select '${name}' as name, count(*)::int as n from ${name}`)
      .join(' union all ');
    return Object.fromEntries(
      (await this.#scene.rows<{ name: string; n: number }>(text)).map(({ name, n }) => [name, n]),
    );
  }

  async #nothingGrowsWithoutEnd(): Promise<void> {
    const counts = await this.#countRows();
    const calls = this.#calls - this.#callsThen;
    for (const [name, n] of Object.entries(counts)) {
      const grown = n - (this.#counts[name] ?? 0);
      if (grown > rowsPerCall * calls + rowsOfOthers) this.violate(`${name} grew by ${grown} rows with ${calls} calls`);
    }
    const minutes = (Date.now() - this.#startedAt) / 60_000;
    const credentials = (counts.credential ?? 0) - this.#credentialsThen;
    if (credentials > selfTestKeysAtOnce + minutes) this.violate(`${credentials} credentials came that nobody made`);
    const [pending] = await this.#scene.rows<{ n: number }>(
      'select coalesce(max(n), 0)::int as n from (select count(*) as n from pending_extent group by upload_id) x',
    );
    if ((pending?.n ?? 0) > 64) this.violate(`${pending?.n} extents of one upload are begun`);
    const rss = this.#scene.rssBytes;
    for (const role of ['warden', 'store'] as const) {
      const growth = rss[role] - this.#rss[role];
      this.largestRssGrowth = Math.max(this.largestRssGrowth, growth);
      if (growth > rssGrowthMax) this.violate(`the ${role} grew by ${Math.round(growth / 2 ** 20)} MiB`);
    }
  }

  #nothingComplained(): void {
    const { lines, at } = this.#scene.complaints(this.#logAt);
    this.#logAt = at;
    if (this.#scene.processes !== this.#processes) this.violate('a role ended');
    for (const line of lines) this.violate(`logged: ${line.slice(0, 600)}`);
  }

  /** Asks which files an incident exposed, and verifies the record. */
  async recordAnswers(): Promise<void> {
    const scope = await this.#scene.cluster.cofferctlAlone(['incident', 'scope', '--node', 'p2', '--json']);
    if (scope.code !== 0) this.violate(`incident scope does not answer: ${scope.code} ${scope.err.slice(0, 400)}`);
    else this.#scopeNames(scope.out);
    const verified = await this.#scene.cluster.cofferctlAlone(['ledger', 'verify', '--json']);
    if (verified.code !== 0)
      this.violate(`ledger verify: ${verified.code} ${verified.out.slice(0, 400)} ${verified.err.slice(0, 400)}`);
  }

  /** Sums are safe non-negative integers, and released bytes are no fewer than left. */
  #scopeNames(out: string): void {
    const { totals } = JSON.parse(out) as { readonly totals: Readonly<Record<string, number>> };
    const released = this.#distinctReleased();
    if ((totals.releasedBytes ?? released) < released)
      this.violate(`scope says ${totals.releasedBytes} bytes, and ${released} left`);
    for (const [name, value] of Object.entries(totals))
      if (!Number.isSafeInteger(value) || value < 0) this.violate(`scope says ${name}: ${value}`);
  }

  #distinctReleased(): number {
    const objects = new Map(
      this.#loot.filter((one) => one.op === 'download.grant').map((one) => [one.object, one.bytes]),
    );
    return [...objects.values()].reduce((sum, bytes) => sum + bytes, 0);
  }
}

const shown = (value: unknown): string => JSON.stringify(value).slice(0, 400);
