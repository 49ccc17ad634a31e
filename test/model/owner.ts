// Owns: a dishonest owner of the database between any two moves: one row of any table is touched, clients continue,
// what must be found is found, and the row is put back. What must follow is in test/owner/classes.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseVerifierKey, readWitness, Verification } from '../../verifier/index.js';
import { type Class, classes, classOf, mustBeFound } from '../owner/classes.ts';
import { nameOf, OwnersRows, type Touch, type Touched } from '../owner/rows.ts';
import { recordIsSettled } from '../support/settled.ts';
import { flag, type Look } from './look.ts';
import { sha256 } from './oracle.ts';
import type { OwnersTally } from './owner-tally.ts';
import { type ModelClient, pathFor, type Scene } from './scene.ts';
import type { Actor, Step } from './steps.ts';

/**
 * What the threat model says, in seconds: a regular pass over the seals of this scene, a round, an epoch that is asked
 * for. Ten times that is late.
 */
export const sealCheckEveryMs = 1000;
const bounds = {
  sealed: sealCheckEveryMs / 1000,
  mac: sealCheckEveryMs / 1000,
  born: 0.5,
  sealer: 5.25,
  record: 60,
} as const;
const [patienceMs, recoversMs, probeMs] = [60_000, 90_000, 15_000];
const actors = ['depositor', 'colleague', 'own'] as const satisfies readonly Actor[];

/** Returns whether a violation is about something that must be true whatever the owner did. */
export const isOfOwner = (violation: string): boolean => /^the (?:owner: |edge ended|warden ended)/.test(violation);
const ofRun = (look: Look): string => `(f.name like '${look.prefix}%' or f.name like '.${look.prefix}%')`;
const accounts = "(select id from account where name in ('acme-batch', 'acme-colleague', 'processor'))";
const acme = "(select id from customer where name = 'acme')";
/** Rows that the moves meet; of other tables any row. */
function relevant(table: string, look: Look): string | undefined {
  const version = `select v.FIELD from version v join file f on f.id = v.file_id where ${ofRun(look)}`;
  const ofContent = `t.content_id in (${version.replace('FIELD', 'content_id')})`;
  return {
    version: `t.id in (${version.replace('FIELD', 'id')})`,
    file: `t.id in (${version.replace('FIELD', 'file_id')})`,
    content: `t.id in (${version.replace('FIELD', 'content_id')})`,
    extent: ofContent,
    session: `t.state = 'open' and t.account_id in ${accounts}`,
    download: "t.closed_at is null and t.session_id in (select id from session where state = 'open')",
    account: `t.id in ${accounts}`,
    credential: `t.state = 'active' and t.account_id in ${accounts}`,
    activation_window: `t.closed_at is null and t.account_id in ${accounts}`,
    folder: `t.name like 'm-%'`,
    folder_right: `t.account_id in ${accounts}`,
    customer: `t.id = ${acme}`,
    customer_key: `t.customer_id = ${acme}`,
    budget: `t.customer_id = ${acme} or t.account_id in ${accounts} or t.rank >= 4`,
  }[table];
}

export class Owner {
  readonly #look: Look;
  readonly #scene: Scene;
  readonly #tally: OwnersTally;
  readonly #violate: (what: string) => void;

  constructor(look: Look, tally: OwnersTally, violate: (what: string) => void) {
    this.#look = look;
    this.#scene = look.scene;
    this.#tally = tally;
    this.#violate = (what) => violate(`the owner: ${what}`);
  }

  /** The sessions are over afterwards, and the gateway serves as before. */
  async step({ touch: at, nth }: Extract<Step, { op: 'owner' }>): Promise<void> {
    const rows = new OwnersRows(this.#scene.owner);
    const all = await rows.touches();
    const tables = [...new Set(all.map((one) => one.table))];
    const ofTable = all.filter((one) => one.table === tables[at % tables.length]);
    const touch = ofTable[Math.floor(at / tables.length) % ofTable.length];
    if (touch === undefined) return;
    const is = classFor(touch);
    await this.#untilWitnessed();
    const [{ now } = { now: '' }] = await this.#scene.rows<{ now: string }>('select clock_timestamp()::text as now');
    const touched = await this.#touch(rows, touch, nth);
    if (touched === undefined) return;
    const from = performance.now();
    const tally = this.#tally;
    tally.touched += 1;
    tally.byClass[is] = (tally.byClass[is] ?? 0) + 1;
    await this.#probe(nameOf(touch));
    if (mustFind(is)) {
      const isFound = await this.#isFound(is, touched, now);
      const seconds = (performance.now() - from) / 1000;
      if (isFound !== undefined) tally.mustFind += 1;
      if (isFound === true) {
        tally.found += 1;
        tally.worstSeconds = Math.max(tally.worstSeconds, Math.round(seconds * 10) / 10);
        if (seconds > 10 * bounds[is as keyof typeof bounds])
          tally.late.push(`${nameOf(touch)}: ${seconds.toFixed(1)} s`);
      } else if (isFound === false)
        this.#violate(
          `${nameOf(touch)} (${is}) was not found within ${seconds.toFixed(0)} s: ${touched.before.slice(0, 600)}`,
        );
    }
    await touched.undo();
    await this.#release(nameOf(touch));
    await this.#recovers(nameOf(touch));
  }

  async #touch(rows: OwnersRows, touch: Touch, nth: number): Promise<Touched | undefined> {
    if (touch.table !== 'ledger_fresh') {
      const where = relevant(touch.table, this.#look);
      const touched = where === undefined || nth % 4 === 3 ? undefined : await rows.touch(touch, { where, nth });
      return touched ?? rows.touch(touch, { nth });
    }
    // What waits for its seal waits a little longer: the owner holds the row that each round locks.
    const put = this.#put('born').catch(() => false);
    const touched = await rows.touch(touch, { where: "t.observer <> 'admin'", nth: 0 }, async (client) => {
      await client.query('select from ledger_state for update');
      for (const end = Date.now() + 5000; Date.now() < end; await sleep(20))
        if ((await client.query("select from ledger_fresh where observer <> 'admin'")).rowCount !== 0) return;
    });
    await put;
    return touched;
  }

  /** Everything that is touched below must be covered by a checkpoint. */
  async #untilWitnessed(): Promise<void> {
    await recordIsSettled((text) => this.#scene.rows<{ n: number }>(text));
    for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(50)) {
      const [row] = await this.#scene.rows<{ is: boolean }>(
        'select unwitnessed_since is null and coalesce(witnessed_size, 0) >= (select count(*) from ledger_head) as is from ledger_state',
      );
      if (row?.is === true) return;
    }
    this.#violate('the record is not witnessed for a minute');
  }

  /** Whatever was touched: whoever reads gets what somebody completed for this customer, or nothing. */
  async #probe(what: string): Promise<void> {
    const paths = (await this.#look.rows().catch(() => []))
      .filter((one) => one.state === 'published')
      .map((one) => one.path);
    for (const path of [...new Set(paths)].slice(-3)) {
      const actor = this.#look.folderOf(path).direction === 'deposit' ? 'own' : 'colleague';
      await this.#reads(actor, pathFor(actor, path), what);
    }
    await this.#reads('depositor', this.#scene.standing.acme.path, what);
    await this.#reads('globex', this.#scene.standing.globex.path, what);
    await this.#put('probe').catch(() => false);
  }

  async #reads(actor: Actor | 'globex', path: string, what: string): Promise<void> {
    const client = await this.#scene.attempt(actor);
    if (client === undefined) return;
    try {
      const got = await within(probeMs, this.#look.fetch(client, path));
      if (got?.kind !== 'ok') {
        this.#tally.refused += 1;
        return;
      }
      this.#tally.whole += 1;
      const sha = sha256(got.value);
      const { acme: ours, globex: theirs } = this.#scene.standing;
      const isTheirs = actor === 'globex';
      const isWhole = isTheirs ? sha === theirs.sha : sha === ours.sha || this.#tally.completed.has(sha);
      if (!isWhole)
        this.#violate(
          `${what}: ${actor} read ${got.value.length} bytes of ${path} that nobody completed for this customer`,
        );
    } finally {
      client.cut();
    }
  }

  /**
   * Deposits a new file in a session of its own. Returns its path and SHA-256 when it was acknowledged, and otherwise
   * false.
   */
  async #put(word: string): Promise<{ path: string; sha: string } | false> {
    const client = await this.#scene.attempt('depositor');
    if (client === undefined) return false;
    try {
      const data = Buffer.from(`${word} ${this.#look.prefix} ${Math.random()}`);
      const path = `/m-close/${this.#look.prefix}${word}-${Math.random().toString(36).slice(2, 10)}`;
      this.#tally.completed.add(sha256(data));
      const done = await within(probeMs, putWhole(client, path, data));
      return done === true ? { path, sha: sha256(data) } : false;
    } finally {
      client.cut();
    }
  }

  /** undefined: nobody reads that row, because it belongs to a session that is over, or to a handle. */
  async #isFound(is: Class, touched: Touched, since: string): Promise<boolean | undefined> {
    const asked = is === 'sealer';
    for (const end = performance.now() + patienceMs; performance.now() < end; await sleep(100)) {
      if (is === 'record') {
        if (!(await this.#verifies()) || (await this.#frozen())) return true;
      } else if (is === 'sealed' || is === 'mac') {
        if (await this.#isAlarmed(touched, since)) return true;
        if (is === 'mac' && !(await this.#isOpen(touched))) return undefined;
      } else if (await this.#frozen()) return true;
      if (asked)
        await this.#scene.rows(
          'update ledger_state set epoch_asked_at = clock_timestamp() where epoch_asked_at is null',
        );
    }
    return false;
  }

  async #isOpen({ touch, before }: Touched): Promise<boolean> {
    const { id } = JSON.parse(before) as { id?: string };
    return (
      touch.table === 'session' &&
      (await this.#scene.rows("select from session where id = $1 and state = 'open'", [id])).length > 0
    );
  }

  async #verifies(): Promise<boolean> {
    const { owner, world } = this.#scene;
    const [key] = await this.#scene.rows<{ verifier_key: string }>(
      'select verifier_key from ledger_key order by created_at desc limit 1',
    );
    const witness = await readWitness([`${world.directory}/witness`], [parseVerifierKey(key?.verifier_key ?? '')]);
    const verification = new Verification({ witness, now: Date.now(), maxAgeSeconds: 0 });
    const { rows } = await owner.query<{ line: string }>('select line from ledger_dump order by part, tree, position');
    for (const [i, { line }] of rows.entries()) verification.line(JSON.parse(line), `line ${i + 1}`);
    return verification.finish().ok;
  }

  async #isAlarmed({ touch, before }: Touched, since: string): Promise<boolean> {
    const kinds =
      touch.table === 'seal'
        ? [(JSON.parse(before) as { kind: string }).kind]
        : touch.table === 'session'
          ? ['session']
          : (
              await this.#scene.rows<{ kind: string }>(
                "select distinct substring(pg_get_triggerdef(oid) from 'break_seal\\(''([a-z-]+)''\\)') as kind from pg_trigger where tgname = 'break_seal' and tgrelid = $1::regclass",
                [touch.table],
              )
            ).map((one) => one.kind);
    const found = await this.#scene.rows(
      "select from alert where kind = 'row.broken-seal' and last_at >= $1::timestamptz and split_part(subject, '/', 1) = any ($2::text[])",
      [since, kinds],
    );
    return found.length > 0;
  }

  async #frozen(): Promise<boolean> {
    return (await this.#scene.rows('select from ledger_freeze where released_at is null')).length > 0;
  }

  /** As two operators do, when the row is as it was. */
  async #release(what: string): Promise<void> {
    // A process that notices it late freezes once more.
    for (const end = Date.now() + patienceMs; await this.#frozen(); await sleep(500)) {
      const [freeze] = await this.#scene.rows<{ id: string }>('select id from ledger_freeze where released_at is null');
      const done = await this.#scene.world.cofferctl([
        'ledger',
        'release',
        freeze?.id ?? '',
        '--reason',
        'put back as it was',
      ]);
      if (done.code !== 0 && Date.now() > end) {
        this.#violate(`${what}: put back as it was, and the freeze is not released: ${done.err}`);
        return;
      }
    }
  }

  async #recovers(what: string): Promise<void> {
    this.#scene.endAll();
    let last = 'nothing was put';
    for (const end = Date.now() + recoversMs; Date.now() < end; await sleep(200)) {
      const put = await this.#put('after').catch((error: unknown) => {
        last = String(error);
        return false as const;
      });
      if (put === false) continue;
      const got = await this.#readBack(put.path).catch(() => undefined);
      if (got === put.sha) return;
      last = `${put.path} was put, and read back as ${got}`;
    }
    this.#violate(`${what}: put back as it was, and the gateway does not serve as before: ${last}`);
  }

  async #readBack(path: string): Promise<string | undefined> {
    for (const actor of actors.filter((one) => one === 'own')) {
      const client = await this.#scene.attempt(actor);
      if (client === undefined) return undefined;
      try {
        const got = await within(probeMs, this.#look.fetch(client, pathFor(actor, path)));
        return got?.kind === 'ok' ? sha256(got.value) : JSON.stringify(got);
      } finally {
        client.cut();
      }
    }
    return undefined;
  }
}

/** A touch that must not only give nothing away: somebody reports it without being asked. */
const mustFind = (is: Class): boolean => mustBeFound(is) && is !== 'content' && is !== 'counter';

const classFor = ({ table, verb, column }: Touch): Class => {
  const is =
    column === undefined ? classes[table]?.[verb === 'deleted' ? 'deleted' : 'inserted'] : classOf(table, column);
  if (is === undefined) throw new Error(`${table}.${column} is in no class`);
  return is;
};

async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function putWhole(client: ModelClient, path: string, data: Buffer): Promise<boolean> {
  const opened = await client.ask<Buffer>('open', path, flag.write | flag.create | flag.truncate, {});
  if (opened.kind !== 'ok') return false;
  const written = await client.ask('write', opened.value, data, 0, data.length, 0);
  if (written.kind !== 'ok') return false;
  return (await client.ask('close', opened.value)).kind === 'ok';
}
