// Owns: `npm run bench:ledger [ROUNDS]`, the measurement of what the record costs: entries a second, written and
// sealed, and what sealing adds to uploads of small files. The last line of the output is JSON.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { originOf } from '../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../server/observability/logger.ts';
import { Database } from '../server/postgres/database.ts';
import { checkpointSigner } from '../server/warden/keys/checkpoint-signer.ts';
import { record } from '../server/warden/ledger/entries/record.ts';
import { Sealer } from '../server/warden/ledger/sealer.ts';
import { Cluster } from '../test/support/cluster.ts';
import { createTestDatabase } from '../test/support/database.ts';
import { SftpClient } from '../test/support/sftp-client.ts';

const rounds = Number(process.argv[2] ?? 3);
const works: (() => Promise<void> | void)[] = [];
const t = { teardown: (work: () => Promise<void> | void) => void works.unshift(work) };
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function seconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/**
 * Returns entries a second: written one in each transaction, by one caller and by sixteen at once, and then sealed in
 * rounds.
 */
async function entries(): Promise<{ readonly written1: number; readonly written16: number; readonly sealed: number }> {
  const sql = await createTestDatabase(t);
  const database = new Database({ url: sql.wardenUrl, applicationName: 'bench', connectionsMax: 16 });
  t.teardown(() => database.close());
  const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
  const signing = { origin, signer: checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin) };
  const write = async (count: number, callers: number): Promise<number> => {
    let left = count;
    const took = await seconds(async () => {
      await Promise.all(
        Array.from({ length: callers }, async () => {
          while (left-- > 0)
            await database.withSystem((tx) =>
              record(tx, {
                kind: 'folder.listed',
                observer: 'warden',
                public: { folder: 'deposit', path: '/', names: 12, after: null },
              }),
            );
        }),
      );
    });
    return count / took;
  };
  const written1: number[] = [];
  const written16: number[] = [];
  const sealed: number[] = [];
  for (let i = 0; i < rounds; i += 1) {
    written1.push(await write(1000, 1));
    written16.push(await write(10_000, 16));
    await sql.query(
      "insert into ledger_fresh (kind, observer, customer_id, session_id, version_id, extent, bytes) select 'extent.granted', 'warden', md5((i % 64)::text)::uuid, gen_random_uuid(), gen_random_uuid(), 0, 65536 from generate_series(1, 40000) i",
    );
    let count = 0;
    const sealer = new Sealer(database, createLogger({ log: { level: 'error', pretty: false } }, 'bench'));
    const took = await seconds(async () => {
      for (let isFull = true; isFull; ) {
        const round = await sealer.round(signing, { isSignDue: false, now: Date.now() });
        count += round?.sealed ?? 0;
        isFull = round?.isFull === true;
      }
    });
    sealed.push(count / took);
  }
  return {
    written1: Math.round(median(written1)),
    written16: Math.round(median(written16)),
    sealed: Math.round(median(sealed)),
  };
}

/** Returns files of 4 KiB a second, uploaded through the real gateway by eight sessions at once. */
async function uploads(
  cluster: Cluster,
  account: { readonly name: string; readonly privateKey: string },
  name: string,
): Promise<number> {
  const [node = ''] = cluster.partnerNodes;
  const content = randomBytes(4096);
  const sessions = await Promise.all(
    Array.from({ length: 8 }, () =>
      SftpClient.connect({ port: cluster.portOf(node), username: account.name, privateKey: account.privateKey }),
    ),
  );
  const each = 50;
  const took = await seconds(async () => {
    await Promise.all(
      sessions.map(async (sftp, s) => {
        for (let i = 0; i < each; i += 1) {
          const handle = await sftp.open(`/deposit/${name}-${s}-${i}`, 'w');
          await sftp.write(handle, 0, content);
          await sftp.close(handle);
        }
      }),
    );
  });
  for (const sftp of sessions) sftp.end();
  return (sessions.length * each) / took;
}

async function sealing(): Promise<{
  readonly filesSealed: number;
  readonly filesUnsealed: number;
  readonly ratio: number;
}> {
  const make = async (limits: Readonly<Record<string, number>>) => {
    const cluster = await Cluster.start(t, { edges: 1, wardens: 1, limits });
    const { accounts } = await cluster.addCustomer('bank', 1);
    return { cluster, account: accounts[0] as { name: string; privateKey: string } };
  };
  const usual = await make({});
  // In this cluster nothing is sealed, and nothing stops because of that, so that only the writing of entries is
  // measured.
  const never = await make({ sealEveryMs: 3_600_000, witnessStopMs: 86_400_000, witnessAlarmMs: 86_400_000 });
  const results: { sealed: number; unsealed: number }[] = [];
  for (let i = 0; i < rounds; i += 1)
    results.push({
      sealed: await uploads(usual.cluster, usual.account, `a${i}`),
      unsealed: await uploads(never.cluster, never.account, `b${i}`),
    });
  return {
    filesSealed: Math.round(median(results.map((one) => one.sealed))),
    filesUnsealed: Math.round(median(results.map((one) => one.unsealed))),
    ratio: Number(median(results.map((one) => one.sealed / one.unsealed)).toFixed(2)),
  };
}

try {
  const rates = await entries();
  process.stdout.write(
    `entries/s: ${rates.written1} by one caller, ${rates.written16} by sixteen; ${rates.sealed} sealed\n`,
  );
  const files = await sealing();
  process.stdout.write(
    `files of 4 KiB/s, eight sessions: ${files.filesSealed} with sealing, ${files.filesUnsealed} without, ratio ${files.ratio}\n`,
  );
  process.stdout.write(`${JSON.stringify({ rounds, ...rates, ...files })}\n`);
} finally {
  for (const work of works) await work();
}
