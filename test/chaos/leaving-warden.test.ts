// A warden is asked to stop under load, with another one there and with an edge that does not react.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import { WardenClient } from '../../server/edge/warden-client/warden-client.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { wideAllowancesEnv } from '../support/bank.ts';
import { until } from '../support/until.ts';
import { startWorld } from '../support/world.ts';

const callers = 20;
const patience = { withinMs: 60_000, everyMs: 50 };
const checks = [{ check: 'cap', bites: true, text: 'a verdict of the test' }] as const;

test('a warden asked to stop answers every call under way, and later ones reach the next; a frozen edge delays it by seconds', async (t) => {
  const world = await startWorld(t, { env: wideAllowancesEnv });
  const config = JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config;
  const still = [...world.pidsOf('partner-1'), ...world.pidsOf('internal-1')];
  for (const pid of still) process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of still) process.kill(pid, 'SIGCONT');
  });
  let left = 0;
  const noteLeaving = async (): Promise<void> => {
    left += 1;
  };
  const client = new WardenClient(
    {
      node: idOf<NodeName>('partner-1'),
      limits: config.limits,
      paths: runtimePaths(config),
      log: createLogger(config, 'edge', 'partner-1'),
    },
    config.shares.edge.calls,
    {
      terminated: () => {},
      drain: () => {},
      leaving: noteLeaving,
      leaseChanged: () => {},
      sessionCount: () => 0,
      active: () => ({ active: [], told: () => {} }),
      hasNativeCipher: true,
    },
  );
  t.teardown(() => client.stop());
  await client.start(20_000);
  const faults: string[] = [];
  let [answered, isOver] = [0, false];
  // Each is a transaction that is never repeated: one whose answer is lost is a failure.
  const loops = Array.from({ length: callers }, async () => {
    while (!isOver)
      await client.call('self-test.report', { checks: [...checks] }).then(
        () => (answered += 1),
        (error: unknown) => faults.push(String(error)),
      );
  });
  const [before] = world.pidsOf('warden');
  if (before === undefined) throw new Error('no warden');
  await until('calls are answered', () => answered > callers || faults.length > 0, patience);
  t.same(faults, []);
  process.kill(before, 'SIGTERM');
  await until('another process', () => ![undefined, before].includes(world.pidsOf('warden')[0]), patience);
  await until('it greets the edge', () => client.isReady, patience);
  const then = answered;
  await until('calls are answered again', () => answered > then + callers, patience);
  isOver = true;
  await Promise.all(loops);
  t.same(faults, [], `${answered} calls, none without its answer`);
  t.equal(left, 1, 'the edge was told');
});
