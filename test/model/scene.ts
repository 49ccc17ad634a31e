// Owns: the gateway that the model drives: a bank with a folder of every kind, three accounts, and clients that ask
// without waiting when told to.
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { newOpenSshKeyPair } from '../../server/demo/openssh-key.ts';
import { bounded } from '../../server/domain/bounded.ts';
import { asWarden } from '../support/as-warden.ts';
import { wideBudgetsEnv } from '../support/bank.ts';
import type { Teardown } from '../support/database.ts';
import { WardenWire } from '../support/warden-wire.ts';
import { startWorld, type World } from '../support/world.ts';
import { sha256 } from './oracle.ts';
import { OwnersTally } from './owner-tally.ts';
import { type Actor, type Folder, folders } from './steps.ts';

/** Short, so that a slow transfer lives through several of them within seconds. */
export const idleMs = 2000;
const readyMs = 20_000;
/** Longer than anything for which the gateway itself waits: an answer that does not come at all is a violation. */
const answerMs = 90_000;
/** The words of an edge that no longer waits for its warden. */
const givenUp = /no answer in time|rpc peer is gone/;
const colleague = 'acme-colleague';
/** The name of the account with which each actor logs in. */
export const accountOf: Readonly<Record<Actor, string>> = {
  depositor: 'acme-batch',
  'depositor-again': 'acme-batch',
  colleague,
  own: 'processor',
};

export type Reply<T = unknown> =
  | { readonly kind: 'ok'; readonly value: T }
  /** The server refused. `status`: SSH_FX_*. */
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }
  /** The connection ended before an answer came. */
  | { readonly kind: 'lost' };

type Callback = (error: (Error & { code?: number | string }) | undefined, value?: never) => void;
type RawSftp = Record<string, (...args: readonly unknown[]) => void>;
type RawClient = {
  on(event: string, listener: (...args: never[]) => void): void;
  connect(options: object): void;
  destroy(): void;
  sftp(done: (error: Error | undefined, sftp: RawSftp) => void): void;
};
const { Client } = createRequire(import.meta.url)('ssh2') as { Client: new () => RawClient };

/** One connection with one SFTP session. Requests may be sent before earlier ones are answered. */
export class ModelClient {
  readonly #client: RawClient;
  readonly #sftp: RawSftp;
  readonly #gone: Promise<{ readonly kind: 'lost' }>;
  readonly #onGivenUp: () => void;
  isGone = false;
  lastUse = Date.now();

  /**
   * `onGivenUp` is called when the edge answers that it waited for the warden no longer, and when the connection is
   * gone: what was asked may still be done.
   */
  constructor(client: RawClient, sftp: RawSftp, gone: Promise<unknown>, onGivenUp: () => void) {
    this.#client = client;
    this.#sftp = sftp;
    this.#onGivenUp = onGivenUp;
    this.#gone = gone.then(() => {
      this.isGone = true;
      onGivenUp();
      return { kind: 'lost' } as const;
    });
  }

  ask<T = unknown>(method: string, ...args: readonly unknown[]): Promise<Reply<T>> {
    this.lastUse = Date.now();
    if (this.isGone) return Promise.resolve({ kind: 'lost' });
    const answer = new Promise<Reply<T>>((resolve) => {
      const done: Callback = (error, value) => {
        this.lastUse = Date.now();
        if (error && givenUp.test(error.message)) this.#onGivenUp();
        if (!error) resolve({ kind: 'ok', value: value as T });
        else if (typeof error.code === 'number') resolve({ kind: 'refused', status: error.code, text: error.message });
        else resolve({ kind: 'lost' });
      };
      try {
        this.#sftp[method]?.(...args, done);
      } catch {
        resolve({ kind: 'lost' });
      }
    });
    return bounded(answerMs, `the answer to ${method}`, Promise.race([answer, this.#gone]));
  }

  cut(): void {
    this.#client.destroy();
  }

  get gone(): Promise<unknown> {
    return this.#gone;
  }
}

export class Scene {
  readonly world: World;
  readonly database: pg.Client;
  /** A second connection of the owner of the database, for what it does in transactions of its own. */
  readonly owner: pg.Client;
  /** What became of its touches. */
  readonly tally = new OwnersTally();
  /** A file of the bank, and one of another bank, that exist whatever is played. */
  standing = { acme: { path: '/collect/standing', sha: '' }, globex: { path: '/collect/standing', sha: '' } };
  readonly #clients = new Map<Actor, ModelClient>();
  /** When an edge last gave up waiting for its warden, or a connection was last gone. */
  givenUpAt = 0;
  readonly #keys: Readonly<Record<string, string>>;
  /** What stands between the partner edge and its warden, once it was placed there. */
  wire: WardenWire | undefined;

  private constructor(world: World, database: pg.Client, owner: pg.Client, keys: Readonly<Record<string, string>>) {
    this.world = world;
    this.database = database;
    this.owner = owner;
    this.#keys = keys;
  }

  /** `limits`: what the moves of this scene need otherwise. */
  static async start(t: Teardown, limits: Readonly<Record<string, number>> = {}): Promise<Scene> {
    const world = await startWorld(t, {
      isFresh: true,
      limits: { sessionIdleLifeMs: idleMs, collectEveryMs: 500, ...limits },
      env: { ...wideBudgetsEnv },
    });
    const pair = newOpenSshKeyPair('colleague');
    const keyFile = join(world.directory, 'colleague');
    writeFileSync(keyFile, pair.privateText, { mode: 0o600 });
    writeFileSync(`${keyFile}.pub`, `${pair.publicLine}\n`);
    for (const words of [
      ['account', 'create', colleague, '--customer', 'acme', '--kind', 'machine'],
      ['key', 'add', colleague, '--file', `${keyFile}.pub`],
      ['window', 'open', colleague, '--hours', '8', '--reason', 'model'],
    ]) {
      const done = await world.cofferctl([...words, ...(words.includes('--reason') ? [] : [])]);
      if (done.code !== 0) throw new Error(`${words.join(' ')}: ${done.err}`);
    }
    await asWarden(world, ...folders.flatMap((folder) => folderStatements(folder)));
    const connected = async (): Promise<pg.Client> => {
      const client = new pg.Client({ connectionString: world.databaseUrl });
      await client.connect();
      t.teardown(() => client.end());
      return client;
    };
    const database = await connected();
    const keys = { [colleague]: pair.privateText } as Record<string, string>;
    for (const name of ['acme-batch', 'globex-batch', 'processor'])
      keys[name] = readFileSync(world.keyFile(name), 'utf8');
    return new Scene(world, database, await connected(), keys);
  }

  /** A file for each of two banks, by our own account. */
  async placeStanding(): Promise<void> {
    for (const bank of ['acme', 'globex'] as const) {
      const bytes = Buffer.from(`${bank}${randomUUID().repeat(10_000)}`);
      const file = join(this.world.directory, `standing-${bank}`);
      writeFileSync(file, bytes);
      const put = await this.world.sftpWhenServed('processor', [`put ${file} /${bank}/collect/standing`]);
      if (put.code !== 0) throw new Error(put.err);
      this.standing[bank].sha = sha256(bytes);
    }
  }

  /** A session that is opened for one purpose, in one attempt; undefined: it was refused. */
  async attempt(actor: Actor | 'globex'): Promise<ModelClient | undefined> {
    try {
      return await this.#once(actor);
    } catch {
      return undefined;
    }
  }

  /**
   * From now on, answers between the partner edge and its warden may go wrong: the edge starts again, and connects in
   * another way.
   */
  async placeWire(t: Teardown): Promise<void> {
    this.endAll();
    const { world } = this;
    const wire = await WardenWire.between(t, join(world.directory, 'run', 'partner-1', 'warden.sock'));
    const [before] = world.pidsOf('partner-1');
    world.kill('partner-1');
    for (
      const end = Date.now() + 60_000;
      !wire.isConnected || world.pidsOf('partner-1')[0] === before;
      await sleep(100)
    )
      if (Date.now() > end) throw new Error(`the edge did not come back: ${world.log.slice(-2000)}`);
    this.wire = wire;
  }

  /**
   * The open session of this actor, or a fresh one when the actor has none, or when it was idle for so long that it may
   * be over at any moment.
   */
  async client(actor: Actor): Promise<ModelClient> {
    const known = this.#clients.get(actor);
    if (known !== undefined && !known.isGone) return known;
    const fresh = await this.connect(actor);
    this.#clients.set(actor, fresh);
    return fresh;
  }

  /** The session that this actor has open, if any. */
  current(actor: Actor): ModelClient | undefined {
    const known = this.#clients.get(actor);
    return known?.isGone === true ? undefined : known;
  }

  async connect(actor: Actor): Promise<ModelClient> {
    for (const end = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 200))) {
      try {
        return await this.#once(actor);
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
  }

  async #once(actor: Actor | 'globex'): Promise<ModelClient> {
    const account = actor === 'globex' ? 'globex-batch' : accountOf[actor];
    const { host, port } = actor === 'own' ? this.world.demo.internal : this.world.demo.partner;
    const client = new Client();
    const gone = new Promise<void>((resolve) => client.on('close', () => resolve()));
    const sftp = await bounded(
      2 * readyMs,
      `a session of ${account}`,
      new Promise<RawSftp>((resolve, reject) => {
        client.on('ready', () => client.sftp((error, opened) => (error ? reject(error) : resolve(opened))));
        client.on('error', ((error: Error) => reject(error)) as never);
        void gone.then(() => reject(new Error('closed')));
        client.connect({
          host,
          port,
          username: account,
          privateKey: this.#keys[account],
          readyTimeout: readyMs,
          agent: undefined,
        });
      }),
    );
    return new ModelClient(client, sftp, gone, () => {
      this.givenUpAt = Date.now();
    });
  }

  endAll(): void {
    for (const client of this.#clients.values()) client.cut();
    this.#clients.clear();
  }

  async rows<T>(sql: string, values: readonly unknown[] = []): Promise<readonly T[]> {
    return (await this.database.query(sql, [...values])).rows as readonly T[];
  }
}

/** A path of the bank as this actor writes it. */
export const pathFor = (actor: Actor, path: string): string => (actor === 'own' ? `/acme${path}` : path);

function folderStatements(folder: Folder): readonly string[] {
  const id = randomUUID();
  const verbs = (isOwn: boolean): string =>
    (folder.direction === 'deposit') === isOwn
      ? "'{list,read}'"
      : folder.direction === 'deposit'
        ? "'{list,write}'"
        : "'{list,write,remove}'";
  const right = (account: string, isOwn: boolean): string =>
    `insert into folder_right (account_id, customer_id, folder_id, verbs)
     select a.id, c.id, '${id}', ${verbs(isOwn)} from account a, customer c where a.name = '${account}' and c.name = 'acme'`;
  return [
    `insert into folder (id, customer_id, name, direction, publish_rule, settle_ms, replace_allowed, directories_allowed, reads_max, window_days, retention_days)
     select '${id}', id, '${folder.name}', '${folder.direction}', '${folder.rule}', ${folder.settleMs}, ${folder.replace}, true, ${folder.readsMax},
       ${folder.windowDays}, ${folder.retentionDays} from customer where name = 'acme'`,
    right('acme-batch', false),
    right(colleague, false),
    right('processor', true),
  ];
}
