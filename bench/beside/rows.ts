// Owns: how each row is measured: what is prepared for all rounds before the first, and what one client does in one
// measurement of one side. Every measurement puts files of new names, and gets files that nobody got before.
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { finishedChildrenSeconds } from './cpu-meter.ts';
import type { RowName, Sample } from './metrics.ts';
import { SftpClient } from './sftp-client.ts';
import type { Side } from './side.ts';

type Row = {
  /** Makes what the client gets in rounds 0 to `last`. */
  prepare(side: Side, last: number): Promise<void>;
  measure(side: Side, round: number): Promise<Sample>;
};

export const sizes = {
  smallFiles: 300,
  smallBytes: 1024,
  sessions: 16,
  filesPerSession: 100,
  logins: 8,
  loginBytes: 4096,
  names: 10_000,
  /** Each measurement lists this many times, in one session. */
  listings: 3,
} as const;

/**
 * A server's processor time is read this long after the client was done: what it puts off, such as sealing the record,
 * counts as well.
 */
const settleMs = 250;

/** Returns what `work` returns, and the processor time of the server meanwhile, in seconds. */
async function costing<T>(side: Side, work: () => Promise<T>): Promise<readonly [T, number]> {
  const before = side.cpu.seconds();
  const value = await work();
  await sleep(settleMs);
  return [value, side.cpu.seconds() - before];
}

function makeFiles(directory: string, count: number, bytes: number, prefix = 'file'): string {
  mkdirSync(directory, { recursive: true });
  for (let i = 0; i < count; i += 1) writeFileSync(join(directory, `${prefix}-${i}`), randomBytes(bytes));
  return directory;
}

function makeLarge(directory: string, mib: number): string {
  mkdirSync(directory, { recursive: true });
  const file = openSync(join(directory, 'large'), 'w');
  for (let i = 0; i < mib; i += 1) writeSync(file, randomBytes(2 ** 20));
  closeSync(file);
  return directory;
}

const roundsUpTo = (last: number): readonly number[] => Array.from({ length: last + 1 }, (_, round) => round);

/** One transfer of a large file: MiB/s within the session, and the processor time of both ends for each GiB. */
async function transfer(side: Side, mib: number, line: string) {
  const clients = finishedChildrenSeconds();
  const client = await SftpClient.open(side.args);
  const [seconds, cpu] = await costing(side, () => client.do(line));
  await client.close();
  const perGib = 1024 / mib;
  return {
    throughput: mib / seconds,
    cpu: cpu * perGib,
    clientCpu: (finishedChildrenSeconds() - clients) * perGib,
  };
}

function large(local: string, mib: number): Pick<Record<RowName, Row>, 'upload' | 'download'> {
  const directory = makeLarge(join(local, 'large'), mib);
  return {
    upload: {
      prepare: async () => {},
      measure: async (side, round) => {
        const name = `large-${round}`;
        const found = await transfer(side, mib, `put ${directory}/large ${side.deposit}${name}`);
        side.clear(name);
        return { uploadThroughput: found.throughput, uploadCpu: found.cpu, uploadClientCpu: found.clientCpu };
      },
    },
    download: {
      prepare: async (side, last) => {
        for (const round of roundsUpTo(last)) await side.fill(`large-${round}`, [directory]);
      },
      measure: async (side, round) => {
        const found = await transfer(side, mib, `get ${side.collect}large-${round}/large /dev/null`);
        return { downloadThroughput: found.throughput, downloadCpu: found.cpu, downloadClientCpu: found.clientCpu };
      },
    },
  };
}

function small(local: string): Row {
  const files = sizes.smallFiles;
  const directory = makeFiles(join(local, 'small'), files, sizes.smallBytes);
  return {
    prepare: async (side, last) => {
      for (const round of roundsUpTo(last)) await side.fill(`small-${round}`, [directory]);
    },
    measure: async (side, round) => {
      const name = `small-${round}`;
      const got = join(local, `got-${side.name}-${name}`);
      const client = await SftpClient.open(side.args);
      await client.do(`mkdir ${side.deposit}${name}`);
      const [put, putCpu] = await costing(side, () => client.do(`put ${directory}/* ${side.deposit}${name}/`));
      const [get, getCpu] = await costing(side, () => client.do(`get -r ${side.collect}${name} ${got}`));
      await client.close();
      rmSync(got, { recursive: true });
      const perFile = (seconds: number): number => (seconds / files) * 1000;
      return {
        smallPutTime: perFile(put),
        smallPutCpu: perFile(putCpu),
        smallPutWithLoginTime: perFile(client.loginSeconds + put),
        smallGetTime: perFile(get),
        smallGetCpu: perFile(getCpu),
        smallGetWithLoginTime: perFile(client.loginSeconds + get),
      };
    },
  };
}

/**
 * Opens all sessions, and does `before` in each; then all of them do their line at once. Returns files/s without and
 * with the logins, and the processor time of the server for each file, without the logins, in milliseconds.
 */
async function together(
  side: Side,
  { before, lineOf }: { readonly before?: (session: number) => string; readonly lineOf: (session: number) => string },
): Promise<{ readonly rate: number; readonly withLogin: number; readonly cpu: number }> {
  const clients = await Promise.all(Array.from({ length: sizes.sessions }, () => SftpClient.open(side.args)));
  if (before !== undefined) await Promise.all(clients.map((client, session) => client.do(before(session))));
  const [seconds, cpu] = await costing(side, async () => {
    const started = performance.now();
    await Promise.all(clients.map((client, session) => client.do(lineOf(session))));
    return (performance.now() - started) / 1000;
  });
  await Promise.all(clients.map((client) => client.close()));
  const files = sizes.sessions * sizes.filesPerSession;
  const logins = Math.max(...clients.map((client) => client.loginSeconds));
  return { rate: files / seconds, withLogin: files / (logins + seconds), cpu: (cpu / files) * 1000 };
}

function parallel(local: string): Row {
  const directory = makeFiles(join(local, 'parallel'), sizes.filesPerSession, sizes.smallBytes);
  const nameOf = (round: number, session: number): string => `parallel-${round}-${session}`;
  return {
    prepare: async (side, last) => {
      for (const round of roundsUpTo(last))
        await Promise.all(
          Array.from({ length: sizes.sessions }, (_, session) => side.fill(nameOf(round, session), [directory])),
        );
    },
    measure: async (side, round) => {
      const got = join(local, `got-${side.name}-parallel-${round}`);
      mkdirSync(got);
      const put = await together(side, {
        before: (session) => `mkdir ${side.deposit}${nameOf(round, session)}`,
        lineOf: (session) => `put ${directory}/* ${side.deposit}${nameOf(round, session)}/`,
      });
      const get = await together(side, {
        lineOf: (session) => `get -r ${side.collect}${nameOf(round, session)} ${got}/${session}`,
      });
      rmSync(got, { recursive: true });
      return {
        parallelPutRate: put.rate,
        parallelPutCpu: put.cpu,
        parallelPutWithLoginRate: put.withLogin,
        parallelGetRate: get.rate,
        parallelGetCpu: get.cpu,
        parallelGetWithLoginRate: get.withLogin,
      };
    },
  };
}

function login(local: string): Row {
  const path = join(makeFiles(join(local, 'login'), 1, sizes.loginBytes), 'file-0');
  return {
    prepare: async () => {},
    measure: async (side, round) => {
      const [seconds, cpu] = await costing(side, async () => {
        const started = performance.now();
        for (let i = 0; i < sizes.logins; i += 1) {
          const client = await SftpClient.open(side.args);
          await client.do(`put ${path} ${side.deposit}login-${round}-${i}`);
          await client.close();
        }
        return (performance.now() - started) / 1000;
      });
      const each = 1000 / sizes.logins;
      return { loginAndSmallPutTime: seconds * each, loginAndSmallPutCpu: cpu * each };
    },
  };
}

function list(local: string): Row {
  const parts = Array.from({ length: sizes.sessions }, (_, part) =>
    makeFiles(join(local, 'names', String(part)), sizes.names / sizes.sessions, 0, `statement-${part}`),
  );
  return {
    prepare: (side) => side.fill('names', parts),
    measure: async (side) => {
      const client = await SftpClient.open(side.args);
      const [seconds, cpu] = await costing(side, async () => {
        let sum = 0;
        for (let i = 0; i < sizes.listings; i += 1) sum += await client.do(`ls -1 ${side.collect}names`);
        return sum;
      });
      await client.close();
      const each = 1000 / sizes.listings;
      return { listTime: seconds * each, listCpu: cpu * each };
    },
  };
}

/** The rows that were asked for. Their local files are made below `local`. */
export function makeRows(local: string, mib: number, only: readonly RowName[]): ReadonlyMap<RowName, Row> {
  const isWanted = (...names: readonly RowName[]): boolean => names.some((name) => only.includes(name));
  const rows: Partial<Record<RowName, Row>> = {
    ...(isWanted('upload', 'download') ? large(local, mib) : {}),
    ...(isWanted('small') ? { small: small(local) } : {}),
    ...(isWanted('parallel') ? { parallel: parallel(local) } : {}),
    ...(isWanted('login') ? { login: login(local) } : {}),
    ...(isWanted('list') ? { list: list(local) } : {}),
  };
  return new Map(only.flatMap((name) => (rows[name] === undefined ? [] : [[name, rows[name]] as const])));
}
