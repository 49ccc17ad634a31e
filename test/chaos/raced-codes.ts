// Owns: one code of many accounts, each given on two edges of two wardens at the same moment (T-12): exactly one of the
// two opens a session.
import { randomUUID } from 'node:crypto';
import { type AccountId, type CustomerId, idOf } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { fingerprintOf } from '../../server/warden/credentials/ssh-signature.ts';
import { codeAt, newSeed, stepAt, stepEndsInMs } from '../../server/warden/factors/totp.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { twoOfficers } from '../support/agreed.ts';
import { wideBudgets } from '../support/bank.ts';
import { Cluster } from '../support/cluster.ts';
import type { Teardown } from '../support/database.ts';
import { attempt, connectAs, type EdgePeer, hashOf, transcript, UserKey } from '../support/impostor.ts';

export type Raced = {
  readonly accounts: number;
  /** Accounts for which both logins, or neither, were accepted. */
  readonly twice: number;
  readonly never: number;
  readonly accepted: number;
  readonly seconds: number;
};

type Racer = { readonly name: string; readonly key: UserKey; readonly seed: Buffer };
const atOnce = 25;
/** Codes are made early enough in their step to arrive in it. */
const stepReserveMs = 4000;

/** Two partner edges, stopped: the test plays both, each on the socket of a warden of its own. */
export const racingCluster = (t: Teardown): Promise<Cluster> =>
  Cluster.start(t, { edges: 2, wardens: 2, budgets: wideBudgets });

async function makeRacers(cluster: Cluster, count: number): Promise<readonly Racer[]> {
  const ring = createKeyRing(cluster.config);
  const customer = randomUUID();
  const rows = Array.from({ length: count }, (_, i) => {
    const id = randomUUID();
    const seed = newSeed();
    const key = new UserKey();
    return { racer: { name: `r-${i}`, key, seed }, id, ...ring.sealSecret('totp', id, seed) };
  });
  await cluster.sealed(async (tx) => {
    await tx.query("insert into customer (id, name) values ($1, 'racers')", [customer]);
  });
  const database = new Database({ url: cluster.databaseUrl, applicationName: 'test', connectionsMax: 1 });
  try {
    const officers = await twoOfficers({ database, keys: ring });
    for (const { id, racer } of rows)
      await officers.account({
        id: idOf<AccountId>(id),
        customer: idOf<CustomerId>(customer),
        name: racer.name,
        kind: 'machine',
        plane: 'partner',
        contact: null,
        isDemo: false,
        manages: false,
      });
  } finally {
    await database.close();
  }
  await cluster.sealed(async (tx) => {
    await tx.query(
      `insert into second_factor (account_id, sealed_seed, sealed_by) select * from unnest($1::uuid[], $2::bytea[], $3::text[])`,
      [rows.map((row) => row.id), rows.map((row) => row.sealed), rows.map((row) => row.sealedBy)],
    );
    await tx.query(
      `insert into credential (id, account_id, type, algorithm, public_key, fingerprint, issued_by, expires_at)
     select gen_random_uuid(), x.id, 'public-key', 'ssh-ed25519', x.blob, x.fingerprint, 'race', now() + interval '1 day' from unnest($1::uuid[], $2::bytea[], $3::text[]) x(id, blob, fingerprint)`,
      [
        rows.map((row) => row.id),
        rows.map((row) => Buffer.from(row.racer.key.blob)),
        rows.map((row) => fingerprintOf(row.racer.key.blob)),
      ],
    );
    // A scope without a budget has no room for a session.
    await tx.query(
      `insert into budget (rank, direction, credential_id, account_id, customer_id, cap_hour_bytes, cap_day_bytes, cap_week_bytes, cap_hour_items, cap_day_items, cap_week_items, sessions_max)
     select 1, 'out', k.id, null::uuid, $1::uuid, 0, 0, 0, 0, 0, 0, 1000000 from credential k where k.issued_by = 'race'
     union all select 2, 'out', null, a.id, $1::uuid, 0, 0, 0, 0, 0, 0, 1000000 from account a where a.customer_id = $1::uuid
     union all select 3, 'out', null, null, $1::uuid, 0, 0, 0, 0, 0, 0, 1000000`,
      [customer],
    );
    await tx.query('update budget set sessions_max = 1000000 where rank >= 4 and sessions_max is not null');
  });
  return rows.map((row) => row.racer);
}

type Runner = { readonly peer: EdgePeer; challenge: string };

/** A login up to the question for the code. */
async function approach(runner: Runner, racer: Racer): Promise<string> {
  const exchange = transcript(runner.challenge);
  const signed = await runner.peer.call('exchange.sign', exchange);
  const key = await attempt(
    runner.peer,
    exchange.connection,
    racer.name,
    racer.key.evidence(racer.name, hashOf(exchange, signed)),
  );
  if (key.outcome !== 'partial') throw new Error(`the key was answered with ${key.outcome}`);
  const asked = await attempt(runner.peer, exchange.connection, racer.name, { type: 'keyboard-interactive' });
  if (asked.outcome !== 'prompt') throw new Error(`the wish to be asked was answered with ${asked.outcome}`);
  return exchange.connection;
}

export async function raceCodes(cluster: Cluster, accounts: number): Promise<Raced> {
  const racers = await makeRacers(cluster, accounts);
  const runners: Runner[] = [];
  for (const node of cluster.partnerNodes) {
    await cluster.stopEdge(node);
    const peer = connectAs(cluster.wardenSocket(node));
    const hello = await peer.call('node.hello', { protocol: 1, startId: randomUUID() });
    runners.push({ peer, challenge: hello.challenge });
  }
  const lease = setInterval(() => {
    for (const runner of runners)
      runner.peer.call('lease.renew', { sessions: 0, epoch: 0, active: [] }).then(
        (renewed) => (runner.challenge = renewed.challenge),
        () => {},
      );
  }, 1000);
  const started = performance.now();
  let twice = 0;
  let never = 0;
  let accepted = 0;
  try {
    const race = async (racer: Racer): Promise<void> => {
      const connections = await Promise.all(runners.map((runner) => approach(runner, racer)));
      const left = stepEndsInMs(Date.now() / 1000);
      if (left < stepReserveMs) await new Promise((resolve) => setTimeout(resolve, left + 50));
      const code = codeAt(racer.seed, stepAt(Date.now() / 1000));
      const outcomes = await Promise.all(
        runners.map((runner, i) =>
          attempt(runner.peer, connections[i] ?? '', racer.name, { type: 'answers', answers: [code] }),
        ),
      );
      const won = outcomes.filter((one) => one.outcome === 'accepted').length;
      accepted += won;
      if (won > 1) twice += 1;
      if (won === 0) never += 1;
    };
    for (let at = 0; at < racers.length; at += atOnce) await Promise.all(racers.slice(at, at + atOnce).map(race));
  } finally {
    clearInterval(lease);
    for (const runner of runners) runner.peer.close();
  }
  return { accounts, twice, never, accepted, seconds: Number(((performance.now() - started) / 1000).toFixed(1)) };
}
