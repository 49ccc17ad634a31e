// Promise 3 in an indirect way: whoever continues a complete file that is not yet published gets the keys of what is
// read back.
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { sizeText } from '../../server/domain/budgets/amounts.ts';
import { attempt, connectAs, hashOf, keyFromOpenSsh, transcript } from '../support/impostor.ts';
import { startWorld } from '../support/world.ts';

const MiB = 1024 ** 2;

test('a compromised edge with a depositor gets no more keys by verifying than by reading: both are charged', async (t) => {
  const cap = 20 * MiB;
  const world = await startWorld(t, {
    limits: { settleMs: 600_000 },
    env: { COFFERDAM_BUDGETS: JSON.stringify({ account: { out: { bytes: { hour: cap, day: cap, week: cap } } } }) },
  });
  const local = join(world.directory, 'deposit');
  writeFileSync(local, randomBytes(40 * MiB));
  t.equal((await world.sftp('acme-batch', [`put ${local} deposit/a`])).code, 0, 'complete, and settling');
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  for (const pid of world.pidsOf('partner-1')) process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of world.pidsOf('partner-1')) process.kill(pid, 'SIGCONT');
  });
  const thief = connectAs(paths.wardenSocket('partner-1'));
  t.teardown(() => thief.close());
  const { challenge } = await thief.call('node.hello', { protocol: 1, startId: randomUUID() });
  const exchange = transcript(challenge);
  const hash = hashOf(exchange, await thief.call('exchange.sign', exchange));
  const key = keyFromOpenSsh(readFileSync(world.keyFile('acme-batch'), 'utf8'));
  const login = await attempt(thief, exchange.connection, 'acme-batch', key.evidence('acme-batch', hash));
  if (login.outcome !== 'accepted') throw new Error(login.outcome);
  const { token } = login.session;
  const upload = await thief.call('upload.open', { token, path: ['deposit', 'a'], continue: true, exclusive: false });
  t.same([upload.storedBytes, upload.baseBytes], [0, 40 * MiB], 'a continuation may read it back');
  let taken = 0;
  const refusals: string[] = [];
  for (let index = 0; index < 3; index += 1) {
    try {
      taken += (await thief.call('upload.base-extent', { token, upload: upload.upload, offset: index * 16 * MiB }))
        .bytes;
    } catch (error) {
      refusals.push(error instanceof Error ? error.message : String(error));
    }
  }
  t.ok(taken > 0 && taken <= cap, `${taken} bytes of 40 MiB, under a cap of ${cap}`);
  t.match(refusals, Array(2).fill(/^COFFERDAM-BUDGET-WEEK-BYTES-OUT: /), 'the rest was refused');
  const alerts = await world.cofferctlJson<{ alerts: readonly { kind: string }[] }>(['alert', 'list']);
  t.ok(
    alerts.alerts.some((one) => one.kind === 'budget.refused'),
    'and somebody hears of it',
  );
  const shown = await world.cofferctl(['budget', 'show', '--account', 'acme-batch']);
  t.match(shown.out, new RegExp(`out +week .* ${sizeText(taken)} of 20 MiB`), 'what was verified is charged');
});
