// Owns: a small history for tests of incidents: entries of the record as they are written, sealed or not, with the
// catalogue beside them.
import { createHash, randomUUID } from 'node:crypto';
import type { AccountId, CustomerId, DirectoryId, FolderId, VersionId } from '../../server/domain/ids.ts';
import type { TestDatabase } from './database.ts';
import { addContent, addFile, addVersion } from './rows.ts';

export type Entry = {
  readonly kind: string;
  readonly at: Date;
  readonly customer?: string | null;
  readonly account?: string | null;
  readonly session?: string | null;
  readonly node?: string | null;
  readonly handle?: string;
  readonly version?: string;
  readonly extent?: number;
  readonly bytes?: number | null;
  readonly public?: object;
  readonly credential?: string;
  readonly also?: string;
  readonly source?: string;
  readonly client?: string;
  readonly operator?: string;
  readonly sensitive?: object;
};
export type Who = { readonly session: string; readonly account: string; readonly node: string };

const columns = `at, kind, observer, customer_id, account_id, session_id, node, handle_id, version_id, extent, bytes, public, credential, also_credential, source, source_port, client, operator, sensitive`;
export const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

export class History {
  readonly #sql: TestDatabase;
  #number = 0;
  readonly #months = new Set<string>();
  /** Entries from now on wait for their seal. */
  isFresh = false;

  constructor(sql: TestDatabase) {
    this.#sql = sql;
  }

  async add(entry: Entry): Promise<void> {
    const values = [
      entry.at,
      entry.kind,
      'warden',
      entry.customer ?? null,
      entry.account ?? null,
      entry.session ?? null,
      entry.node ?? null,
      entry.handle ?? null,
      entry.version ?? null,
      entry.extent ?? null,
      entry.bytes ?? null,
      JSON.stringify(entry.public ?? {}),
      entry.credential ?? null,
      entry.also ?? null,
      entry.source ?? null,
      entry.source === undefined ? null : 40_000,
      entry.client ?? null,
      entry.operator ?? null,
      JSON.stringify(entry.sensitive ?? {}),
    ];
    const marks = values.map((_, i) => `$${i + 1}`).join(', ');
    if (this.isFresh) {
      await this.#sql.query(`insert into ledger_fresh (${columns}) values (${marks})`, values);
      return;
    }
    this.#number += 1;
    const month = entry.at.toISOString().slice(0, 7);
    if (!this.#months.has(month)) await this.#sql.query('select ledger_month($1)', [entry.at]);
    this.#months.add(month);
    await this.#sql.query(
      `insert into ledger_sealed (number, tree, position, salt, leaf, id, ${columns}) values ($20, coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'), $20, sha256('s'), sha256('l'), $20, ${marks})`,
      [...values, this.#number],
    );
  }

  /** A file of the catalogue with one version. */
  async version(
    customer: CustomerId,
    folder: FolderId,
    name: string,
    options: {
      readonly published?: Date;
      readonly withdrawn?: Date;
      readonly size?: number;
      readonly extents?: number;
      readonly directory?: DirectoryId;
      readonly account: AccountId;
    },
  ): Promise<VersionId> {
    const at = options.published ?? new Date(0);
    const { account, directory = null, withdrawn = null } = options;
    const file = await addFile(this.#sql, { customer, folder, directory, name });
    const content = await addContent(this.#sql, { customer });
    const version = await addVersion(this.#sql, {
      customer,
      file,
      content,
      account,
      state: withdrawn === null ? 'published' : 'withdrawn',
      extentCount: options.extents ?? 1,
      size: options.size ?? 100,
      sha256: Buffer.from(digest(name), 'hex'),
      closedAt: at,
      publishedAt: at,
      withdrawnAt: withdrawn,
    });
    return version;
  }

  async open(
    who: Who,
    at: Date,
    facts: Pick<Entry, 'credential' | 'also' | 'source' | 'client' | 'customer'>,
  ): Promise<void> {
    await this.add({
      kind: 'session.opened',
      at,
      ...who,
      ...facts,
      public: { proofs: ['public-key', 'totp'], cipherIn: 'aes' },
    });
  }

  async end(who: Who, at: Date, reason = 'closed'): Promise<void> {
    await this.add({ kind: 'session.ended', at, ...who, public: { reason, bytesIn: 1, bytesOut: 2 } });
  }

  /** A read: opened, these extents released, closed when `closed` is given. Returns the handle's id. */
  async read(
    who: Who,
    at: Date,
    file: {
      readonly customer: string;
      readonly version: string;
      readonly folder?: string;
      readonly path: string;
      readonly size?: number;
      readonly extentCount?: number;
      readonly sha256?: string;
    },
    what: {
      readonly extents: readonly number[];
      readonly bytes?: number;
      readonly closed?: { readonly by: string; readonly sent: number };
    },
  ): Promise<string> {
    const handle = randomUUID();
    const { customer, version } = file;
    const base = { ...who, customer, version, handle };
    await this.add({
      ...base,
      kind: 'download.opened',
      at,
      bytes: file.size ?? 100,
      public: {
        folder: file.folder ?? 'collect',
        path: file.path,
        sha256: file.sha256 ?? digest(file.path.split('/').at(-1) ?? ''),
        extentCount: file.extentCount ?? 1,
      },
    });
    for (const extent of what.extents)
      await this.add({
        ...base,
        kind: 'extent.granted',
        at: new Date(at.getTime() + 1000),
        extent,
        bytes: what.bytes ?? 100,
      });
    if (what.closed !== undefined)
      await this.add({
        ...base,
        kind: 'download.closed',
        at: new Date(at.getTime() + 2000),
        bytes: what.closed.sent,
        public: { by: what.closed.by },
      });
    return handle;
  }
}
