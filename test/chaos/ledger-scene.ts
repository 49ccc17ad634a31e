// Owns: the scene of the soak of the record: a database server of its own, two sealers, two writers, a witness; and
// everything that can be killed there.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { chownSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { bounded } from '../../server/domain/bounded.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { createDatabase, migrate } from '../../server/postgres/migrate.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import { DatabaseKeeper } from '../../server/supervisor/database-keeper.ts';
import { ensureUser } from '../../server/supervisor/layout.ts';
import { migrations, type Teardown, temporaryDirectory, testPasswords } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';
import { childrenOf } from '../support/world.ts';

export type Hand = { readonly role: 'sealer' | 'writer'; process: ChildProcess };
const database = 'record';
/** The tree of a customer for whom one entry is written, at the start. */
export const quietTree = 'eeeeeeee-0000-4000-8000-000000000000';
const hands = ['sealer', 'sealer', 'writer', 'writer'] as const;

export class LedgerScene {
  readonly witness: string;
  readonly hands: Hand[] = [];
  /** Entries whose commit was reported to their writer. */
  readonly acknowledged = new Set<string>();
  readonly frozen: string[] = [];
  readonly #directory: string;
  readonly #configFile: string;
  readonly #keeper: DatabaseKeeper;
  /** Hashes of notes that a witness reported to be durable. */
  readonly #durable = new Set<string>();
  #isOver = false;
  /** No sealer is started again. */
  #isHeld = false;
  /** Sealers that reported that they begin. */
  #begun = 0;

  private constructor(directory: string, configFile: string, keeper: DatabaseKeeper) {
    this.#directory = directory;
    this.#configFile = configFile;
    this.#keeper = keeper;
    this.witness = join(directory, 'witness');
  }

  static async start(t: Teardown): Promise<LedgerScene> {
    const directory = temporaryDirectory(t);
    // Less than a stall: a process that stands still is no jump of the clock.
    const config = ledgerConfig(directory, { sealEveryMs: 20, checkpointEveryMs: 500, clockJumpMs: 400 });
    const configFile = join(directory, 'config.json');
    writeFileSync(configFile, JSON.stringify(config));
    const user = process.getuid?.() === 0 ? ensureUser('cofferdam-db', []) : null;
    for (const name of ['pg', 'data-of']) {
      mkdirSync(join(directory, name));
      if (user !== null) chownSync(join(directory, name), user.uid, user.gid);
    }
    const keeper = new DatabaseKeeper(
      {
        dataDirectory: join(directory, 'data-of', 'data'),
        socketDirectory: join(directory, 'pg'),
        superuserPassword: 'test',
        user,
        startTimeoutMs: 60_000,
      },
      createLogger(config, 'soak'),
    );
    await keeper.start();
    const scene = new LedgerScene(directory, configFile, keeper);
    t.teardown(() => scene.#stop());
    await createDatabase(keeper.url('postgres'), database);
    await migrate(keeper.url(database), migrations, testPasswords);
    mkdirSync(scene.witness);
    // The keys of an installation are made once, before there are two wardens.
    scene.#spawn('sealer');
    for (
      const end = Date.now() + 60_000;
      (await scene.progress()) === 0 && scene.hands[0]?.process.exitCode === null;
    ) {
      if (Date.now() > end) throw new Error('nothing was sealed for a minute after the start');
      if (scene.hands.length === 1) scene.#spawn('writer');
      await sleep(50);
    }
    await scene.withClient((client) =>
      client.query(
        `insert into ledger_fresh (kind, observer, customer_id, public, sensitive) values ('download.closed', 'edge', $1, '{"by": "client"}', '{}')`,
        [quietTree],
      ),
    );
    for (const role of hands.slice(scene.hands.length - 1)) if (scene.hands.length < hands.length) scene.#spawn(role);
    return scene;
  }

  #spawn(role: Hand['role'], hand?: Hand): void {
    const url = withCredentials(this.#keeper.url(database), 'cofferdam_warden', testPasswords.warden);
    const child = spawn(process.execPath, [join(import.meta.dirname, 'ledger-hand.ts'), role, this.#configFile, url], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // A sealer reports on standard output that it froze; the test judges it there.
    createInterface({ input: child.stderr }).on(
      'line',
      (line) => line.includes('"frozen: ') || process.stderr.write(`${line}\n`),
    );
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [word, ...rest] = line.split(' ');
      if (word === 'done') for (const id of rest) this.acknowledged.add(id);
      else if (word === 'kept') this.#durable.add(rest[0] ?? '');
      else if (word === 'begins') this.#begun += 1;
      else if (word === 'frozen') this.frozen.push(rest.join(' '));
    });
    const own = hand ?? { role, process: child };
    own.process = child;
    if (hand === undefined) this.hands.push(own);
    // As a supervisor would. A sealer that finds no database ends, too.
    child.once('close', () => {
      if (!this.#isOver) setTimeout(() => this.#again(role, own), 50);
    });
  }

  #again(role: Hand['role'], own: Hand): void {
    if (this.#isOver || (this.#isHeld && role === 'sealer')) return;
    this.#spawn(role, own);
  }

  /** Until they are released, no sealer runs. */
  async holdSealers(): Promise<void> {
    this.#isHeld = true;
    const isGone = ({ process: child }: Hand): boolean => child.exitCode !== null || child.signalCode !== null;
    const sealers = this.hands.filter((hand) => hand.role === 'sealer');
    for (const end = Date.now() + 30_000; !sealers.every(isGone); await sleep(20)) {
      for (const hand of sealers) if (!isGone(hand)) hand.process.kill('SIGKILL');
      if (Date.now() > end) throw new Error('sealers that were killed did not end');
    }
    // Longer than a sealer that had ended before waits to be started again.
    await sleep(100);
  }

  /** They run, and have examined the record: a moment later one of them leads. */
  async freeSealers(): Promise<void> {
    this.#isHeld = false;
    this.#begun = 0;
    for (const hand of this.hands.filter((one) => one.role === 'sealer')) this.#spawn('sealer', hand);
    for (const end = Date.now() + 60_000; this.#begun === 0; await sleep(5))
      if (Date.now() > end) throw new Error('no sealer began');
  }

  async #stop(): Promise<void> {
    this.#isOver = true;
    for (const { process: child } of this.hands) {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
    await this.#keeper.stop();
  }

  get #postmaster(): number {
    return Number(readFileSync(join(this.#directory, 'data-of', 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  /**
   * One connection as superuser; again from the start while the server goes down and recovers. `work` changes nothing
   * that stays.
   */
  async withClient<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    // The minute is for a server that is away. Work that was cut after a minute of work is begun again, a few times.
    let end = Date.now() + 60_000;
    for (let tries = 1; ; await sleep(50)) {
      const client = new pg.Client({ connectionString: this.#keeper.url(database) });
      client.on('error', () => {});
      try {
        await client.connect();
        end = Date.now() + 60_000;
        return await work(client);
      } catch (error) {
        const isAway = !(error instanceof pg.DatabaseError) || error.code?.startsWith('57') === true;
        if (!isAway || (Date.now() > end && tries >= 5)) throw error;
        if (Date.now() > end) {
          tries += 1;
          end = Date.now() + 60_000;
        }
      } finally {
        await client.end().catch(() => {});
      }
    }
  }

  /** The number of the last sealed entry. */
  progress(): Promise<number> {
    return this.withClient(async (client) =>
      Number((await client.query<{ n: string }>('select number as n from ledger_state')).rows[0]?.n),
    );
  }

  verifierKey(): Promise<string> {
    return this.withClient(
      async (client) =>
        (await client.query<{ k: string }>('select verifier_key as k from ledger_key')).rows[0]?.k ?? '',
    );
  }

  killHand(role: Hand['role']): void {
    const own = this.hands.filter((hand) => hand.role === role);
    own[randomInt(own.length)]?.process.kill('SIGKILL');
  }

  /** The server ends connections one by one, as when an administrator or a proxy ends them. */
  async endBackend(like: string): Promise<void> {
    await this.withClient((client) =>
      client.query(
        'select pg_terminate_backend(pid) from (select pid from pg_stat_activity where application_name like $1 and pid <> pg_backend_pid() order by random() limit 1) one',
        [like],
      ),
    );
  }

  /** kill -9 of a server process: PostgreSQL ends all others and recovers. */
  killBackend(): void {
    const backends = childrenOf(this.#postmaster);
    const pid = backends[randomInt(Math.max(1, backends.length))];
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }

  /** Immediate shutdown: no checkpoint; its keeper starts it again. */
  killServer(): void {
    process.kill(this.#postmaster, 'SIGQUIT');
  }

  /** The leader stands still, loses its connections and its lead, and continues as if it still led. */
  async stall(): Promise<void> {
    const sealers = this.hands.filter((hand) => hand.role === 'sealer');
    const { process: child } = sealers[randomInt(sealers.length)] ?? {};
    child?.kill('SIGSTOP');
    await this.endBackend('cofferdam sealer leads');
    await sleep(randomInt(50, 900));
    child?.kill('SIGCONT');
  }

  /**
   * A power failure: everything ends at once. Of the witness only what fdatasync has returned for is certain: the last
   * line or two may be there in part, and what is allocated but was never written reads as zeros.
   */
  async cutPower(): Promise<void> {
    const children = this.hands.map((hand) => hand.process);
    // A process that ended by itself a moment ago does not end a second time.
    const left = children.filter((child) => child.exitCode === null && child.signalCode === null);
    const gone = bounded(
      30_000,
      'sealers and writers that were killed',
      Promise.all(left.map((child) => new Promise((resolve) => child.once('close', resolve)))),
    );
    for (const child of left) child.kill('SIGKILL');
    this.killServer();
    await gone;
    this.#tearWitness();
  }

  #tearWitness(): void {
    const name = readdirSync(this.witness).sort().at(-1);
    if (name === undefined) return;
    const path = join(this.witness, name);
    const bytes = readFileSync(path);
    let certain = 0;
    for (let start = 0, end = bytes.indexOf(0x0a); end !== -1; start = end + 1, end = bytes.indexOf(0x0a, start)) {
      const line = bytes.subarray(start, end).toString('utf8');
      const hash = /^"/.test(line)
        ? createHash('sha256')
            .update(String(JSON.parse(line)))
            .digest('hex')
        : '';
      if (this.#durable.has(hash)) certain = end + 1;
    }
    const kind = randomInt(4);
    if (bytes.length > certain && kind < 2) {
      const cut = certain + randomInt(bytes.length - certain);
      if (kind === 0) truncateSync(path, cut);
      else writeFileSync(path, Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(bytes.length - cut)]));
    } else if (kind === 2) {
      // A line that was on its way when the power failed: no part of a line that was written as a whole.
      const torn = `"cofferdam/${randomBytes(randomInt(1, 200)).toString('hex')}`;
      writeFileSync(path, Buffer.concat([bytes, Buffer.from(torn), Buffer.alloc(randomInt(2) * randomInt(1, 64))]));
    }
  }
}
