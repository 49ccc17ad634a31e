// T-08, T-13: many logins at once, in any order of messages, while the database's connections are cut: a session
// belongs to the account that was proved.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { fingerprintOf } from '../../server/warden/credentials/ssh-signature.ts';
import { Random } from '../fuzz/mutate.ts';
import { attempt, connectAs, hashOf, keyFromOpenSsh, transcript, type UserKey } from '../support/impostor.ts';
import { startWorld } from '../support/world.ts';

const logins = 600;
const atOnce = 20;
const loginsPerCut = 12;

test('600 logins of three machine accounts, crosswise and cut off: no session of anybody else', async (t) => {
  const world = await startWorld(t);
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const names = ['acme-batch', 'acme-2-batch', 'globex-batch'] as const;
  const keys = new Map<string, UserKey>(
    names.map((name) => [name, keyFromOpenSsh(readFileSync(world.keyFile(name), 'utf8'))]),
  );
  const [edge] = world.pidsOf('partner-1');
  process.kill(edge ?? 0, 'SIGSTOP');
  t.teardown(() => process.kill(edge ?? 0, 'SIGCONT'));
  const peer = connectAs(paths.wardenSocket('partner-1'));
  t.teardown(() => peer.close());
  const hello = await peer.call('node.hello', { protocol: 1, startId: randomUUID() });
  const random = new Random(3);
  const tally = { opened: 0, refused: 0, cut: 0, wrong: 0, missed: 0 };
  let ended = 0;
  const once = async (): Promise<void> => {
    const user = random.pick(names);
    const signer = random.pick(names);
    const offered = random.pick(names);
    const overName = random.below(6) === 0 ? random.pick(names) : user;
    const withProbe = random.below(2) === 0;
    const isOwn = signer === user && overName === user;
    try {
      const exchange = transcript(hello.challenge);
      const identifier = hashOf(exchange, await peer.call('exchange.sign', exchange));
      const blob = Buffer.from(keys.get(offered)?.blob ?? []).toString('base64');
      // A is offered, B is proved: B counts.
      if (withProbe)
        await attempt(peer, exchange.connection, user, {
          type: 'public-key-probe',
          algorithm: 'ssh-ed25519',
          key: blob,
        });
      const evidence = keys.get(signer)?.evidence(overName, identifier) ?? { type: 'none' as const };
      const outcome = await attempt(peer, exchange.connection, user, evidence);
      if (outcome.outcome !== 'accepted') {
        tally.refused += 1;
        if (isOwn) tally.missed += 1;
        return;
      }
      tally.opened += 1;
      if (!isOwn || outcome.session.account !== user) tally.wrong += 1;
      const said = await peer.call('console.run', { token: outcome.session.token, line: 'whoami' });
      if (!said.text.startsWith(`${user}:`)) tally.wrong += 1;
      const fingerprint = /logged in with (\S+)/.exec(said.text)?.[1];
      if (fingerprint !== fingerprintOf(keys.get(user)?.blob ?? new Uint8Array())) tally.wrong += 1;
      await peer.call('session.end', {
        token: outcome.session.token,
        reason: 'client-closed',
        bytesIn: 0,
        bytesOut: 0,
      });
    } catch (error) {
      if (!(error instanceof CofferdamError) || error.code === 'bug') throw error;
      tally.cut += 1;
    } finally {
      ended += 1;
    }
  };
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  // By the number of ended logins, not by the clock: on a slow machine, a login is not cut more often than on a fast
  // one.
  let cutAt = 0;
  const cutting = setInterval(() => {
    if (ended < cutAt + loginsPerCut) return;
    cutAt = ended;
    client
      .query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cofferdam warden' order by random() limit 3",
      )
      .catch(() => {});
  }, 20);
  try {
    for (let at = 0; at < logins; at += atOnce) await Promise.all(Array.from({ length: atOnce }, once));
  } finally {
    clearInterval(cutting);
    await client.end();
  }
  t.comment(JSON.stringify(tally));
  t.equal(tally.wrong, 0, 'each session is of the user who signed, with the key that signed');
  t.ok(tally.opened > 50, `${tally.opened} sessions were opened`);
  t.ok(tally.cut > 0, `${tally.cut} logins were cut off`);
  t.equal(tally.missed, 0, 'and whoever proved himself and was not cut off got in');
});
