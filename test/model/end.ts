// Owns: what must be true when a run is over: nothing waits, what is visible can be read completely, receipts and
// objects fit, every release is on record.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../support/sealed-digest.ts';
import type { Answered } from '../support/warden-wire.ts';
import type { Lives } from './lives.ts';
import type { Look } from './look.ts';
import { type Beliefs, sha256 } from './oracle.ts';
import { accountOf, pathFor, type Reply } from './scene.ts';
import type { Actor } from './steps.ts';

const settleMs = 15_000;
/** So many sessions in a row may end in the middle of one file. */
const lostMax = 5;
const keysLeaveBy = /^(?:download\.grant|upload\.(?:verify|base)-extent)$/;

export class End {
  readonly #look: Look;
  readonly #beliefs: Beliefs;
  readonly #lives: Lives;

  constructor(look: Look, beliefs: Beliefs, lives: Lives) {
    this.#look = look;
    this.#beliefs = beliefs;
    this.#lives = lives;
  }

  /**
   * Every session has ended, and everything that was to be published or to leave has done so, except a closed file that
   * waits below an incomplete one of its name.
   */
  async settled(isFaulty: boolean): Promise<void> {
    let left = { open: 0, due: 0, leaving: [] as readonly string[] };
    for (const end = Date.now() + settleMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const [counted] = await this.#look.rowsOf<{ open: number; due: number }>(
        `count(*) filter (where v.upload_id is not null)::int as open, count(*) filter (where v.state = 'settling' and not exists
           (select from version above where above.file_id = v.file_id and above.number > v.number and above.state = 'partial'))::int as due`,
      );
      left = {
        open: counted?.open ?? 0,
        due: counted?.due ?? 0,
        leaving: this.#lives.leaving(await this.#look.rows()),
      };
      if (left.open === 0 && left.due === 0 && left.leaving.length === 0) return;
    }
    if (isFaulty) return;
    if (left.open > 0) this.#beliefs.violate('an upload was still held open long after its session had ended');
    if (left.due > 0) this.#beliefs.violate('a file was not published long after it should have been');
    for (const one of left.leaving) this.#beliefs.violate(one);
  }

  /**
   * Everything that is visible is read, and everything that is kept is examined in the store. `answers`: the warden's
   * answers that were received.
   */
  async final(answers: readonly Answered[]): Promise<void> {
    const rows = await this.#look.rows();
    this.#beliefs.look(rows, (before, state) => this.#lives.mayBecome(before, state));
    const isMarker = (path: string, size: number): boolean =>
      size === 0 && path.endsWith('.done') && this.#look.folderOf(path).rule === 'on-marker';
    this.#beliefs.account(rows, isMarker, (account) => accountOf[account as Actor]);
    const newest = new Map(rows.filter((row) => row.state === 'published').map((row) => [row.path, row]));
    for (const row of newest.values()) {
      const actor = this.#look.folderOf(row.path).direction === 'deposit' ? 'own' : 'colleague';
      const got = await this.#fetched(actor, pathFor(actor, row.path));
      if (got.kind !== 'ok')
        this.#beliefs.violate(`${row.path} is published and cannot be read: ${JSON.stringify(got)}`);
      else if (sha256(got.value) !== row.sha)
        this.#beliefs.violate(`${row.path} is published and a reader gets other bytes`);
      if (got.kind === 'ok') this.#lives.read(row.path, sha256(got.value), got.value.length);
    }
    await this.#receipts();
    await this.#objects();
    await this.#released(answers);
  }

  /**
   * Reads a whole file. A session that ended meanwhile, as an idle one does on a busy machine, says nothing about the
   * file.
   */
  async #fetched(actor: Actor, path: string): Promise<Reply<Buffer>> {
    for (let left = lostMax; ; left -= 1) {
      const got = await this.#look.fetch(await this.#look.scene.client(actor), path);
      if (got.kind !== 'lost' || left === 0) return got;
    }
  }

  async #receipts(): Promise<void> {
    const rows = await this.#look.rowsOf<{ path: string; receipt: string; sha: string; size: number }>(
      `f.name as path, v.receipt, encode(v.sha256, 'hex') as sha, v.size::float8 as size`,
      '',
      'and v.receipt is not null',
    );
    for (const { path, receipt, sha, size } of rows) {
      const fields = JSON.parse(receipt.split('\n')[1] ?? '{}') as { sha256?: string; size?: number };
      if (fields.sha256 !== sha || fields.size !== size)
        this.#beliefs.violate(`the receipt of ${path} names other bytes than its version`);
      if (!this.#beliefs.whole.has(sha))
        this.#beliefs.violate(`there is a receipt for ${path} with ${size} bytes that nobody completed`);
    }
  }

  /** Each object on which a complete version counts is in the store, with the digest that the catalogue keeps. */
  async #objects(): Promise<void> {
    const rows = await this.#look.rowsOf<{
      path: string;
      size: number;
      sum: number;
      objects: readonly [string, string][];
    }>(
      `f.name as path, v.size::float8 as size, coalesce(sum(e.bytes), 0)::float8 as sum,
         coalesce(jsonb_agg(jsonb_build_array(e.object_id, encode(e.digest, 'hex'))) filter (where e.object_id is not null and e.inline is null), '[]') as objects`,
      'left join extent e on e.content_id = v.content_id and e.index < v.extent_count',
      "and v.state in ('held', 'settling', 'published', 'withdrawn') group by f.name, v.id",
    );
    for (const row of rows) {
      if (row.sum !== row.size) this.#beliefs.violate(`${row.path} has ${row.size} bytes and its extents ${row.sum}`);
      for (const [object, digest] of row.objects) {
        try {
          const bytes = readFileSync(
            join(this.#look.scene.world.directory, 'store', 'objects', object.slice(0, 2), object),
          );
          if (digestOf(bytes).toString('hex') !== digest)
            this.#beliefs.violate(`an object of ${row.path} has another digest`);
        } catch {
          this.#beliefs.violate(`an object of ${row.path} is gone`);
        }
      }
    }
  }

  /**
   * Whatever a reader got is on record, and so is each key that left for the edge; what was charged is no less than
   * that, and within its cap.
   */
  async #released(answers: readonly Answered[]): Promise<void> {
    const read = [...this.#lives.bytesRead];
    const kept = await this.#look.rowsOf<{ sha: string; bytes: number }>(
      `encode(v.sha256, 'hex') as sha, (select coalesce(sum(l.bytes), 0)::float8 from ledger l where l.version_id = v.id and l.kind = 'extent.granted'
         and coalesce(l.public ->> 'outcome', 'repeat') = 'repeat') as bytes`,
    );
    for (const [sha, bytes] of read) {
      const recorded = kept.filter((one) => one.sha === sha).reduce((sum, one) => sum + one.bytes, 0);
      if (recorded < bytes)
        this.#beliefs.violate(`a reader got ${bytes} bytes of ${sha}, and ${recorded} are on record`);
    }
    const granted = answers.filter((one) => one.isOk && keysLeaveBy.test(one.op));
    const handleOf = (one: Answered): string => String(one.params.download ?? one.params.upload);
    const rows = await this.#look.scene.rows<{ handle: string; extent: number }>(
      `select distinct handle_id as handle, extent from ledger where kind in ('extent.granted', 'extent.verified') and handle_id = any($1)`,
      [granted.map(handleOf)],
    );
    const recorded = new Set(rows.flatMap(({ handle, extent }) => [handle, `${handle}/${extent}`]));
    for (const one of granted) {
      const key = one.params.index === undefined ? handleOf(one) : `${handleOf(one)}/${one.params.index}`;
      if (!recorded.has(key)) this.#beliefs.violate(`the key of ${key} left by ${one.op} and is not on record`);
    }
    const [budgets] = await this.#look.scene.rows<{ over: number; charged: number; recorded: number }>(
      `select count(*) filter (where total_bytes - base_hour_bytes > cap_hour_bytes or total_bytes - base_day_bytes > cap_day_bytes or
           total_bytes - base_week_bytes > cap_week_bytes)::int as over,
         sum(total_bytes) filter (where rank = 3 and direction = 'out' and customer_id = c.id)::float8 as charged,
         (select coalesce(sum(bytes), 0)::float8 from ledger l where l.customer_id = c.id
            and (l.kind = 'extent.verified' or l.kind = 'extent.granted' and coalesce(l.public ->> 'outcome', 'granted') = 'granted')) as recorded
       from budget, customer c where c.name = 'acme' group by c.id`,
    );
    if (budgets === undefined || budgets.over > 0) this.#beliefs.violate('a budget is past its cap');
    else if (budgets.charged < budgets.recorded)
      this.#beliefs.violate(`${budgets.recorded} bytes were released by the record, and ${budgets.charged} charged`);
  }
}
