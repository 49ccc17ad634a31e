// Owns: customers, accounts, credentials, sessions and published files as rows, for tests of what the database decides.
import { randomUUID } from 'node:crypto';
import { type BudgetDefaults, defaultBudgets } from '../../server/config/default-budgets.ts';
import { defaultNodeAllowances } from '../../server/config/node-allowances.ts';
import type {
  AccountId,
  ContentId,
  CredentialId,
  CustomerId,
  FolderId,
  SessionId,
  VersionId,
} from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import type { Scope } from '../../server/warden/budgets/budget-queries.ts';
import { createBudgets } from '../../server/warden/budgets/create-budgets.ts';
import { createBirths } from '../../server/warden/ledger/born.ts';
import { createTestDatabase, type Teardown, type TestDatabase } from './database.ts';
import {
  addAccount,
  addContent,
  addCredential,
  addCustomer,
  addCustomerKey,
  addFile,
  addFolder,
  addRight,
  addSession,
  addVersion,
} from './rows.ts';

const unlimited = 2 ** 49;
const plenty = { hour: unlimited, day: unlimited, week: unlimited };
const wide = {
  out: { bytes: plenty, files: plenty, rate: unlimited },
  in: { bytes: plenty, files: plenty, rate: unlimited },
  list: { names: plenty },
  sessions: 1000,
};
/** No cap refuses; a test narrows the one that it is about with `setCap`. */
export const wideBudgets: BudgetDefaults = {
  ...defaultBudgets,
  credential: wide,
  internalCredential: wide,
  account: wide,
  customer: wide,
  plane: wide,
  gateway: wide,
};

/** The same, as a configuration of a world. */
export const wideBudgetsEnv = { COFFERDAM_BUDGETS: JSON.stringify(wideBudgets) };
/** No edge reaches the limits of what it may make the warden store. */
export const wideAllowances = Object.fromEntries(
  Object.keys(defaultNodeAllowances).map((kind) => [kind, { atOnce: 10_000_000, perMinute: 10_000_000 }]),
);
export const wideAllowancesEnv = { COFFERDAM_PER_NODE: JSON.stringify(wideAllowances) };

export type Reader = {
  readonly session: SessionId;
  readonly account: AccountId;
  readonly credential: CredentialId;
  readonly customer: CustomerId;
  /** An open read handle of each file of `Bank.files`. */
  readonly downloads: readonly string[];
};

export class Bank {
  readonly sql: TestDatabase;
  readonly warden: Database;
  readonly id: CustomerId;
  readonly folder: FolderId;
  readonly #budgets: BudgetDefaults;
  readonly #extentBytes: number;
  readonly files: { readonly version: VersionId; readonly content: ContentId; readonly extents: number }[] = [];

  private constructor(
    sql: TestDatabase,
    warden: Database,
    id: CustomerId,
    folder: FolderId,
    budgets: BudgetDefaults,
    extentBytes: number,
  ) {
    this.sql = sql;
    this.warden = warden;
    this.id = id;
    this.folder = folder;
    this.#budgets = budgets;
    this.#extentBytes = extentBytes;
  }

  static async create(
    given: { readonly sql: TestDatabase; readonly warden: Database },
    name: string,
    extentBytes: number,
    budgets: BudgetDefaults = wideBudgets,
  ): Promise<Bank> {
    const { sql, warden } = given;
    const id = await addCustomer(sql, { name });
    await addCustomerKey(sql, { customer: id });
    const folder = await addFolder(sql, { customer: id, direction: 'collect' });
    await sql.query("insert into node (name, plane) values ('n', 'partner') on conflict do nothing");
    const bank = new Bank(sql, warden, id, folder, budgets, extentBytes);
    for (const scope of [
      { kind: 'customer', customer: id },
      { kind: 'plane', plane: 'partner' },
      { kind: 'plane', plane: 'internal' },
      { kind: 'gateway' },
    ] as const)
      await bank.#budget(scope);
    return bank;
  }

  async #budget(scope: Scope): Promise<void> {
    await this.warden.withSystem((tx) => createBudgets(tx, scope, this.#budgets));
  }

  /** A published file of this many extents. */
  async addFile(extents: number): Promise<void> {
    const customer = this.id;
    const file = await addFile(this.sql, { customer, folder: this.folder });
    const content = await addContent(this.sql, { customer });
    await this.sql.query(
      "insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, node) select $1::uuid, i, $2::uuid, md5($1::uuid::text || i::text), i * $3::int, $3::int, $3::int, sha256('x'), 'n' from generate_series(0, $4::int - 1) i",
      [content, this.id, this.#extentBytes, extents],
    );
    const version = await addVersion(this.sql, {
      customer,
      file,
      content,
      state: 'published',
      extentCount: extents,
      size: extents * this.#extentBytes,
      account: await this.#depositor(),
    });
    this.files.push({ version, content, extents });
  }

  async #depositor(): Promise<AccountId> {
    const [known] = await this.sql.query<{ id: AccountId }>(
      "select id from account where customer_id = $1 and kind = 'machine' and state = 'suspended' limit 1",
      [this.id],
    );
    return known?.id ?? (await addAccount(this.sql, { customer: this.id, state: 'suspended' }));
  }

  /**
   * An account with a key, a session, and a read handle on every file so far. Internal: an internal account with rights
   * on this bank.
   */
  async addReader(options: { readonly isInternal?: boolean } = {}): Promise<Reader> {
    const isInternal = options.isInternal === true;
    const account = await addAccount(this.sql, { customer: isInternal ? null : this.id, kind: 'person' });
    await addRight(this.sql, { account, customer: this.id, folder: this.folder });
    await this.#budget({ kind: 'account', account, customer: this.id, isInternal });
    return this.addCredential(account, isInternal);
  }

  /** One more key of an account, with a session of its own. */
  async addCredential(account: AccountId, isInternal = false): Promise<Reader> {
    const credential = await addCredential(this.sql, { account });
    await this.#budget({ kind: 'credential', credential, customer: isInternal ? null : this.id });
    return this.addSession(account, credential);
  }

  async addSession(account: AccountId, credential: CredentialId): Promise<Reader> {
    const session = await addSession(this.sql, { account, credential });
    const downloads: string[] = [];
    for (const file of this.files) {
      const download = randomUUID();
      await this.sql.query('insert into download (id, customer_id, session_id, version_id) values ($1, $2, $3, $4)', [
        download,
        this.id,
        session,
        file.version,
      ]);
      downloads.push(download);
    }
    return { session, account, credential, customer: this.id, downloads };
  }
}

export async function startBankDatabase(
  t: Teardown,
): Promise<{ readonly sql: TestDatabase; readonly warden: Database }> {
  const sql = await createTestDatabase(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 4, isPreparing: true });
  t.teardown(() => warden.close());
  return { sql, warden };
}

/**
 * The database of a bank, and one as a warden has it that remembers what it wrote: `births` knows its entries, and
 * judges them by the clock of this machine.
 */
export async function startWatchedBank(t: Teardown, connectionsMax = 1) {
  const given = await startBankDatabase(t);
  const births = createBirths({ unseenEntriesMax: 100, clockJumpMs: 30_000 });
  const from = performance.now();
  births.heard({ database: Date.now(), from, to: from });
  const database = new Database({
    url: given.sql.wardenUrl,
    applicationName: 'test',
    connectionsMax,
    drafts: () => births.begin(),
  });
  t.teardown(() => database.close());
  return { given, sql: given.sql, births, database };
}
