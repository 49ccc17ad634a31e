// Owns: a bank with a folder, whose versions are made as in real use, and the parts of a warden that its passes need.
import { randomBytes, randomUUID } from 'node:crypto';
import type { Config } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { settingsOf, type Warden } from '../../server/warden/context/context.ts';
import { createTestDatabase, type Teardown, type TestDatabase, temporaryDirectory } from './database.ts';

export type ShelfWarden = Pick<Warden, keyof ReturnType<typeof settingsOf> | 'database' | 'log'>;

function wardenOf(t: Teardown, sql: TestDatabase, config: Config): ShelfWarden {
  const database = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 3, isPreparing: true });
  t.teardown(() => database.close());
  const log = createLogger({ log: { level: 'error', pretty: false } }, 'test');
  // What is meant to fail fails, and would log so at length.
  log.level = 'silent';
  return { ...settingsOf(config), database, log };
}

export type Seeded = { readonly version: string; readonly content: string; readonly object: string };

/** A bank with a folder; versions are made as in real use: partial, with extents, then what they become. */
export class Shelf {
  readonly sql: TestDatabase;
  readonly config: Config;
  readonly warden: ShelfWarden;
  readonly customer = randomUUID();
  readonly folder = randomUUID();
  readonly account = randomUUID();
  readonly #key = randomUUID();

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
    const shelf = new Shelf(sql, config, wardenOf(t, sql, config));
    await sql.query("insert into customer (id, name) values ($1, 'acme')", [shelf.customer]);
    await sql.query("insert into customer_key values ($1, $2, '', 'k')", [shelf.#key, shelf.customer]);
    await sql.query(
      "insert into account (id, customer_id, name, kind, plane) values ($1, $2, 'acme', 'machine', 'partner')",
      [shelf.account, shelf.customer],
    );
    await sql.query(
      "insert into folder (id, customer_id, name, direction, retention_days) values ($1, $2, 'deposit', 'deposit', 1)",
      [shelf.folder, shelf.customer],
    );
    return shelf;
  }

  /** One more warden, which knows nothing of what the first one met. */
  async another(t: Teardown): Promise<ShelfWarden> {
    return wardenOf(t, this.sql, this.config);
  }

  /** A partial version of this many extents of 10 bytes, held open by an upload. */
  async add(extents: number, file = randomUUID()): Promise<Seeded> {
    const seeded = { version: randomUUID(), content: randomUUID(), object: randomBytes(16).toString('hex') };
    await this.sql.query(
      'insert into file (id, customer_id, folder_id, name) values ($1::uuid, $2, $3, $1::uuid::text) on conflict do nothing',
      [file, this.customer, this.folder],
    );
    await this.sql.query("insert into content values ($1, $2, $3, 'w')", [seeded.content, this.customer, this.#key]);
    await this.sql.query(
      `insert into version (id, customer_id, file_id, number, content_id, state, account_id, session_id, node, upload_id)
       values ($1, $2, $3, (select count(*) + 1 from version where file_id = $3), $4, 'partial', $5, gen_random_uuid(), 'n', gen_random_uuid())`,
      [seeded.version, this.customer, file, seeded.content, this.account],
    );
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
