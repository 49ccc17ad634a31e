// Owns: the replayed breach: banks and our processor work as on any day, a thief with a stolen key takes what he can,
// and meanwhile an edge, a warden and the store are killed. Everybody notes what really happened. Then the record is
// asked, and compared with the notes.
import { createHash, randomBytes, randomInt } from 'node:crypto';
import type { Cluster, ClusterAccount } from '../support/cluster.ts';
import { SftpClient } from '../support/sftp-client.ts';

const blockBytes = 32 * 1024;
const banks = ['alpha', 'alpha-2', 'beta', 'gamma'] as const;
/** Small payment files, a few statements, and some that take several extents. */
const sizes = [900, 4000, 30_000, 120_000, 700_000, 3_000_000, 20_000_000, 40_000_000] as const;
export const thiefAddress = '127.0.0.66';
const thiefIdent = 'WinSCP_release_6.3.5';

type Stored = { readonly customer: string; readonly path: string; readonly sha256: string; readonly size: number };
/** What the thief really got of one file, and whether he closed it. */
type Taken = { readonly file: Stored; bytes: number; isClosed: boolean };
export type Truth = {
  readonly taken: ReadonlyMap<string, Taken>;
  readonly names: number;
  readonly listings: number;
  readonly depositedByThief: readonly string[];
};
export type Setting = {
  readonly cluster: Cluster;
  readonly partners: readonly ClusterAccount[];
  readonly processor: ClusterAccount;
};

export async function setUp(cluster: Cluster): Promise<Setting> {
  const partners: ClusterAccount[] = [];
  for (const bank of banks) {
    await cluster.cofferctl(['customer', 'create', bank, '--reason', 'x']);
    partners.push(await cluster.addAccount(`${bank}-machine`, ['--customer', bank]));
  }
  return { cluster, partners, processor: await cluster.addAccount('processor', ['--internal', banks.join(',')]) };
}

const port = (cluster: Cluster, account: ClusterAccount): number =>
  cluster.portOf(
    account.name === 'processor' ? 'internal' : (cluster.partnerNodes[randomInt(cluster.partnerNodes.length)] ?? ''),
  );

const connect = (
  cluster: Cluster,
  account: ClusterAccount,
  as: { localAddress?: string; ident?: string } = {},
): Promise<SftpClient> =>
  SftpClient.connect({
    port: port(cluster, account),
    username: account.name,
    privateKey: account.privateKey,
    readyMs: 10_000,
    ...as,
  });

async function put(sftp: SftpClient, path: string, content: Buffer): Promise<void> {
  const handle = await sftp.open(path, 'w');
  const writes: Promise<void>[] = [];
  for (let at = 0; at < content.length; at += blockBytes) {
    writes.push(sftp.write(handle, at, content.subarray(at, at + blockBytes)));
    if (writes.length >= 32) await writes.shift();
  }
  await Promise.all(writes);
  await sftp.close(handle);
}

async function get(sftp: SftpClient, path: string, onBytes: (bytes: number) => void = () => {}): Promise<void> {
  const handle = await sftp.open(path);
  for (let at = 0; ; ) {
    const bytes = await sftp.read(handle, at, blockBytes);
    if (bytes.length === 0) break;
    at += bytes.length;
    onBytes(bytes.length);
  }
  await sftp.close(handle);
}

/** What happens to a transfer while the gateway is killed is its client's concern: it comes again. */
async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}

/**
 * One bank's minute: the processor fills statements, the bank delivers payments, and each is collected by whom it is
 * for.
 */
async function ordinaryMinute(
  { cluster, partners, processor }: Setting,
  minute: number,
  stored: Stored[],
): Promise<void> {
  const bank = banks[minute % banks.length] ?? banks[0];
  const partner = partners[minute % banks.length];
  if (partner === undefined) return;
  const made = async (account: ClusterAccount, directory: string, customer: string, name: string): Promise<void> => {
    const content = randomBytes(sizes[randomInt(sizes.length - 2)] ?? 900);
    await persistently(async () => {
      const sftp = await connect(cluster, account);
      await put(sftp, `${directory}/${name}`, content).finally(() => sftp.end());
    });
    const sha256 = createHash('sha256').update(content).digest('hex');
    stored.push({
      customer,
      path: directory.endsWith('deposit') ? `/deposit/${name}` : `/collect/${name}`,
      sha256,
      size: content.length,
    });
  };
  await made(partner, '/deposit', bank, `pain-${minute}.xml`);
  await made(processor, `/${bank}/collect`, bank, `camt-${minute}.xml`);
  await persistently(async () => {
    const sftp = await connect(cluster, partner);
    try {
      await sftp.list('/collect');
      await get(sftp, `/collect/camt-${minute}.xml`);
    } finally {
      sftp.end();
    }
  });
  await persistently(async () => {
    const sftp = await connect(cluster, processor);
    try {
      await sftp.list(`/${bank}/deposit`);
      await get(sftp, `/${bank}/deposit/pain-${minute}.xml`);
    } finally {
      sftp.end();
    }
  });
}

/** The large files that a thief would want. */
async function fill({ cluster, partners }: Setting, stored: Stored[]): Promise<void> {
  for (const [i, customer] of banks.entries()) {
    const sftp = await connect(cluster, partners[i] as ClusterAccount);
    for (const size of sizes) {
      const content = randomBytes(size);
      const name = `archive-${size}.bin`;
      await put(sftp, `/deposit/${name}`, content);
      stored.push({
        customer,
        path: `/deposit/${name}`,
        sha256: createHash('sha256').update(content).digest('hex'),
        size,
      });
    }
    sftp.end();
  }
}

class Thief {
  readonly #setting: Setting;
  readonly taken = new Map<string, Taken>();
  names = 0;
  listings = 0;
  #sftp: SftpClient | undefined;

  constructor(setting: Setting) {
    this.#setting = setting;
  }

  async #session(): Promise<SftpClient> {
    this.#sftp ??= await connect(this.#setting.cluster, this.#setting.processor, {
      localAddress: thiefAddress,
      ident: thiefIdent,
    });
    return this.#sftp;
  }

  /** Connects again after the connection was ended. */
  again(): void {
    this.#sftp?.destroy();
    this.#sftp = undefined;
  }

  async look(customer: string, folder: string): Promise<void> {
    const sftp = await this.#session();
    this.names += (await sftp.list(`/${customer}/${folder}`)).length;
    this.listings += 1;
  }

  /** Takes a file in sequence; `onFirst` happens when its first bytes have arrived, and he waits for it. */
  async take(file: Stored, onFirst: () => Promise<void> = async () => {}): Promise<void> {
    const sftp = await this.#session();
    const handle = await sftp.open(`/${file.customer}${file.path}`);
    const key = `${file.customer}${file.path}`;
    for (let at = 0; ; ) {
      const bytes = await sftp.read(handle, at, blockBytes);
      if (bytes.length === 0) break;
      at += bytes.length;
      const taken = this.taken.get(key) ?? { file, bytes: 0, isClosed: false };
      this.taken.set(key, taken);
      taken.bytes = Math.max(taken.bytes, at);
      if (at === bytes.length) await onFirst();
    }
    await sftp.close(handle);
    const taken = this.taken.get(key);
    if (taken !== undefined) taken.isClosed = true;
  }

  async openOnly(file: Stored): Promise<void> {
    const sftp = await this.#session();
    await sftp.close(await sftp.open(`/${file.customer}${file.path}`));
  }

  end(): void {
    this.#sftp?.end();
  }
}

const expectLost = async (work: Promise<void>): Promise<void> => {
  const outcome = await work.then(
    () => 'done',
    () => 'lost',
  );
  if (outcome !== 'lost') throw new Error('the transfer should have been cut');
};

/** Plays this many minutes of a day, with the theft in the middle of them. */
export async function play(setting: Setting, minutes: number): Promise<Truth> {
  const { cluster } = setting;
  const stored: Stored[] = [];
  await fill(setting, stored);
  const thief = new Thief(setting);
  let isOver = false;
  let minute = 0;
  const day = (async () => {
    while (minute < minutes || !isOver) {
      await ordinaryMinute(setting, minute, stored);
      minute += 1;
    }
  })();
  const of = (customer: string, size: number): Stored => {
    const found = stored.find((one) => one.customer === customer && one.path === `/deposit/archive-${size}.bin`);
    if (found === undefined) throw new Error('no such file');
    return found;
  };
  for (const customer of ['alpha', 'beta']) {
    await thief.look(customer, 'deposit');
    for (const size of sizes.slice(0, 7)) await thief.take(of(customer, size));
  }
  await thief.openOnly(of('gamma', 4000));
  // The edge dies while he reads: nobody can say how much of it he got.
  await expectLost(
    thief.take(of('alpha', 40_000_000), async () => {
      cluster.killEdge('internal');
    }),
  );
  thief.again();
  await persistently(async () => {
    thief.again();
    await thief.look('alpha-2', 'deposit');
  });
  // The warden dies while he reads: the edge waits for the next one, and he gets everything.
  await thief.take(of('alpha-2', 40_000_000), async () => {
    for (let i = 0; i < cluster.wardenCount; i += 1) cluster.killWarden(i);
  });
  // Nothing that is read passes through the store.
  cluster.killStore();
  for (const size of sizes.slice(0, 3)) await thief.take(of('alpha-2', size));
  // His own connection breaks.
  await expectLost(
    thief.take(of('beta', 40_000_000), async () => {
      thief.again();
    }),
  );
  await thief.take(of('gamma', 900));
  thief.end();
  isOver = true;
  await day;
  return { taken: thief.taken, names: thief.names, listings: thief.listings, depositedByThief: [] };
}

type Scope = {
  readonly tookMs: number;
  readonly totals: { readonly names: number; readonly releasedBytes: number };
  readonly record: { readonly completeFrom: string | null };
  readonly files: readonly {
    readonly customer: string;
    readonly folder: string;
    readonly path: string;
    readonly sha256: string;
    readonly size: number;
    readonly certainty: 'certain' | 'possible' | 'unsent';
    readonly releasedBytes: number;
    readonly sentBytes: number;
  }[];
};
export type Verdict = {
  readonly truth: number;
  readonly recall: number;
  readonly precisionOfCertain: number;
  readonly possible: number;
  readonly difference: number;
  readonly faults: readonly string[];
  readonly tookMs: number;
};

export async function askScope(cluster: Cluster, args: readonly string[]): Promise<Scope> {
  const done = await cluster.cofferctlAlone(['incident', 'scope', ...args, '--json']);
  if (done.code !== 0) throw new Error(done.err);
  return JSON.parse(done.out) as Scope;
}

/** What the record says, compared with what happened. */
export function judge(scope: Scope, truth: Truth): Verdict {
  const faults: string[] = [];
  const key = (one: { readonly customer: string; readonly folder: string; readonly path: string }): string =>
    `${one.customer}/${one.folder}${one.path}`;
  const listed = new Map(scope.files.map((one) => [key(one), one]));
  const certain = new Set(scope.files.filter((one) => one.certainty === 'certain').map(key));
  const possible = new Set(scope.files.filter((one) => one.certainty === 'possible').map(key));
  const found = [...truth.taken.keys()].filter((name) => listed.has(name));
  for (const [name, { file, bytes, isClosed }] of truth.taken) {
    const row = listed.get(name);
    if (row === undefined) faults.push(`${name} was taken and is not listed`);
    else {
      if (row.releasedBytes < bytes)
        faults.push(`${name}: ${bytes} bytes were taken, ${row.releasedBytes} are listed as released`);
      if (row.sha256 !== file.sha256 || row.size !== file.size)
        faults.push(`${name}: another file than the one that was taken`);
    }
    if (isClosed && !certain.has(name)) faults.push(`${name} was taken whole and is not certain`);
  }
  for (const name of certain)
    if (!truth.taken.has(name)) faults.push(`${name} is said to be certain and was not taken`);
  const difference = [...truth.taken.keys()].filter((name) => !certain.has(name));
  for (const name of possible)
    if (!difference.includes(name)) faults.push(`${name} is possible, and nothing was missing there`);
  for (const name of difference) if (!possible.has(name)) faults.push(`${name} is missing among the possible`);
  for (const row of scope.files) if (row.certainty === 'unsent') faults.push(`${key(row)} was released and not sent`);
  if (scope.totals.names !== truth.names)
    faults.push(`${truth.names} names were told, the record has ${scope.totals.names}`);
  if (scope.record.completeFrom !== null) faults.push('the answer says that it is not complete');
  return {
    truth: truth.taken.size,
    recall: found.length / Math.max(1, truth.taken.size),
    precisionOfCertain:
      certain.size === 0 ? 0 : [...certain].filter((name) => truth.taken.has(name)).length / certain.size,
    possible: possible.size,
    difference: difference.length,
    faults,
    tookMs: scope.tookMs,
  };
}

/**
 * Months of history around it: sessions of the same accounts from other sources, with what they read. They are rows of
 * the record without a position in its trees: for questions, not for verifiers.
 */
export async function addHistory(cluster: Cluster, sessions: number): Promise<void> {
  await cluster.query("select ledger_month(clock_timestamp() - m * interval '1 month') from generate_series(0, 13) m");
  await cluster.query(
    `with s as materialized (
       select gen_random_uuid() as session, gen_random_uuid() as tree, a.id as account, a.customer_id, a.plane, k.fingerprint,
         clock_timestamp() - interval '1 day' - random() * interval '12 months' as at, i
       from generate_series(1, $1::int) i join lateral (select * from account a where not a.is_self_test and i > 0 order by random() limit 1) a on true
         join lateral (select fingerprint from credential k where k.account_id = a.id limit 1) k on true),
     v as materialized (select id, customer_id, size, row_number() over (order by id) as n, count(*) over () as all from version where state = 'published')
     insert into ledger_sealed (number, tree, position, salt, leaf, id, at, kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public, credential, source, source_port, client, sensitive)
     select -row_number() over (), s.tree, x.p, sha256(s.session::text::bytea), sha256(s.session::text::bytea), -row_number() over (), s.at + x.p * interval '1 second', x.kind, 'warden',
       case when x.p between 1 and 3 then v.customer_id else s.customer_id end, s.account, s.session, case s.plane when 'internal' then 'internal' else 'p1' end, s.plane,
       case when x.p between 1 and 3 then s.tree end, case when x.p between 1 and 3 then v.id end, case x.p when 2 then 0 end, case when x.p between 1 and 3 then least(v.size, 16777216) end,
       case x.p when 3 then '{"by": "client"}'::jsonb when 1 then '{"folder": "collect", "path": "/old"}' else '{}' end,
       case x.p when 0 then s.fingerprint end, case x.p when 0 then ('10.1.' || (s.i % 200) || '.' || (s.i % 250 + 1))::inet end, case x.p when 0 then 40000 end, case x.p when 0 then 'SSH-2.0-OpenSSH_9.2' end, '{}'
     from s join v on v.n = s.i % v.all + 1 cross join (values (0, 'session.opened'), (1, 'download.opened'), (2, 'extent.granted'), (3, 'download.closed'), (4, 'session.ended')) x(p, kind)`,
    [sessions],
  );
}
