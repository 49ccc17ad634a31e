// Owns: a bank with a folder, whose versions are made as in real use, and the parts of a warden that its passes need.
import { randomBytes, randomUUID } from 'node:crypto';
import type { Config } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import {
  type AccountId,
  type ContentId,
  type CustomerId,
  type CustomerKeyId,
  type FileId,
  type FolderId,
  idOf,
  type VersionId,
} from '../../server/domain/ids.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { settingsOf, type Warden } from '../../server/warden/context/context.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import type { Store, Storing } from '../../server/warden/store/store-client.ts';
import { createTestDatabase, type Teardown, type TestDatabase, temporaryDirectory } from './database.ts';
import { addAccount, addContent, addCustomer, addCustomerKey, addFile, addFolder, addVersion } from './rows.ts';
import { startTestStore } from './store.ts';

export type ShelfWarden = Pick<Warden, keyof ReturnType<typeof settingsOf> | 'database' | 'log' | 'keys'> & Storing;

function wardenOf(t: Teardown, sql: TestDatabase, config: Config, store: Store): ShelfWarden {
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 3, isPreparing: true });
  t.teardown(() => database.close());
  const log = createLogger({ log: { level: 'error', pretty: false } }, 'test');
  // What is meant to fail fails, and would log so at length.
  log.level = 'silent';
  return { ...settingsOf(config), database, log, store, keys: createKeyRing(config) };
}

export type Seeded = { readonly version: VersionId; readonly content: ContentId; readonly object: string };

/** A bank with a folder; versions are made as in real use: partial, with extents, then what they become. */
export class Shelf {
  readonly sql: TestDatabase;
  readonly config: Config;
  readonly warden: ShelfWarden;
  readonly customer = idOf<CustomerId>(randomUUID());
  readonly folder = idOf<FolderId>(randomUUID());
  readonly account = idOf<AccountId>(randomUUID());
  readonly #key = idOf<CustomerKeyId>(randomUUID());

  private constructor(sql: TestDatabase, config: Config, warden: ShelfWarden) {
    this.sql = sql;
    this.config = config;
    this.warden = warden;
  }

  static async create(t: Teardown): Promise<Shelf> {
    const sql = await createTestDatabase(t);
    const config = loadConfig({
      file: undefined,
      env: { COFFERDAM_VAR: temporaryDirectory(t) },
      isRoot: false,
      isTerminal: false,
      projectDirectory: '/',
    });
    const store = await startTestStore(t, config);
    const shelf = new Shelf(sql, config, wardenOf(t, sql, config, store));
    const { customer } = shelf;
    await addCustomer(sql, { id: customer, name: 'acme' });
    await addCustomerKey(sql, { id: shelf.#key, customer });
    await addAccount(sql, { id: shelf.account, customer, name: 'acme' });
    await addFolder(sql, { id: shelf.folder, customer, retentionDays: 1 });
    return shelf;
  }

  /** One more warden, which knows nothing of what the first one met. */
  async another(t: Teardown): Promise<ShelfWarden> {
    return wardenOf(t, this.sql, this.config, this.warden.store);
  }

  /** A partial version of this many extents of 10 bytes, held open by an upload. */
  async add(extents: number, file = idOf<FileId>(randomUUID())): Promise<Seeded> {
    const { customer, account } = this;
    await addFile(this.sql, { id: file, customer, folder: this.folder, mayExist: true });
    const content = await addContent(this.sql, { customer, key: this.#key });
    const upload = randomUUID();
    const version = await addVersion(this.sql, { customer, file, content, state: 'partial', account, upload });
    const seeded = { version, content, object: randomBytes(16).toString('hex') };
    for (let index = 0; index < extents; index += 1) {
      await this.sql.query(
        "insert into extent (content_id, index, customer_id, object_id, start, bytes, sealed_bytes, digest, node) values ($1, $2, $3, $4, $5, 10, 10, sha256('x'), 'n')",
        [
          seeded.content,
          index,
          this.customer,
          index === 0 ? seeded.object : randomBytes(16).toString('hex'),
          index * 10,
        ],
      );
      await this.sql.query('update version set extent_count = extent_count + 1, size = size + 10 where id = $1', [
        seeded.version,
      ]);
    }
    return seeded;
  }

  close(version: string, state: string): Promise<unknown> {
    return this.sql.query(
      `update version set state = $2, sha256 = sha256('x'), closed_at = now(), upload_id = null, receipt = 'r',
         publish_at = case when $2 = 'settling' then now() - interval '1 minute' end, published_at = case when $2 = 'published' then now() - interval '2 days' end where id = $1`,
      [version, state],
    );
  }

  async become(seeded: Seeded, state: string): Promise<void> {
    if (state === 'partial') return;
    if (state === 'discarded')
      await this.sql.query("update version set state = 'discarded', upload_id = null where id = $1", [seeded.version]);
    else if (state === 'held' || state === 'settling') await this.close(seeded.version, state);
    else {
      await this.close(seeded.version, 'published');
      if (state !== 'published')
        await this.sql.query("update version set state = 'withdrawn', withdrawn_at = now() where id = $1", [
          seeded.version,
        ]);
      if (state === 'destroyed')
        await this.sql.query("update version set state = 'destroyed' where id = $1", [seeded.version]);
    }
  }

  async state(version: string): Promise<string> {
    return (
      (await this.sql.query<{ state: string }>('select state from version where id = $1', [version]))[0]?.state ??
      'gone'
    );
  }

  async has(object: string): Promise<boolean> {
    return (await this.sql.query('select 1 from extent where object_id = $1', [object])).length === 1;
  }
}
