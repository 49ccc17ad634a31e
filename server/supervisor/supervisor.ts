// Owns: all roles on one machine: starting them in order, restarting them, and draining them in the opposite order.
// Must never: see a customer's data, or leave a process running behind it.

import { makeOperators } from '../admin/development-operators.ts';
import { type Config, runtimePaths } from '../config/config.ts';
import { stopGraceMs } from '../config/stop-times.ts';
import { ensureDemoWorld } from '../demo/world.ts';
import { CofferdamError } from '../domain/errors.ts';
import { createLogger } from '../observability/logger.ts';
import { Child } from './child.ts';
import { roleCommand } from './commands.ts';
import { greeting } from './greeting.ts';
import { checkMachine, prepare } from './prepare.ts';

/**
 * Starts everything, and resolves when everything serves. On any fault, what was started is stopped again and the fault
 * is thrown. `signal` cancels the steps before that which may take long.
 */
export async function startAll(
  config: Config,
  projectDirectory: string,
  signal: AbortSignal,
): Promise<{ stop(): Promise<void> }> {
  const log = createLogger(config, 'supervisor');
  if (config.mode === 'production' && process.getuid?.() !== 0)
    throw new CofferdamError(
      'configuration',
      'in production `up` must be started by root, which gives every role its own user; or start each role by its own unit',
    );
  await checkMachine(config);
  await using starting = new AsyncDisposableStack();
  const { wall, database, configFile, operators } = await prepare(config, projectDirectory, log, signal);
  const paths = runtimePaths(config);
  const store = new Child('store', roleCommand(paths, projectDirectory, configFile, 'store'), log);
  const warden = new Child('warden', roleCommand(paths, projectDirectory, configFile, 'warden'), log);
  const admin = new Child('admin', roleCommand(paths, projectDirectory, configFile, 'admin'), log);
  const edges = config.edges.map(
    (edge) => new Child(`edge ${edge.node}`, roleCommand(paths, projectDirectory, configFile, 'edge', edge.node), log),
  );
  const grace = stopGraceMs(config.limits);
  starting.defer(() => log.info('stopped'));
  starting.defer(() => database?.stop());
  starting.defer(() => store.stop(grace.store));
  starting.defer(() => warden.stop(grace.warden));
  starting.defer(() => admin.stop(grace.admin));
  starting.defer(async () => void (await Promise.all(edges.map((edge) => edge.stop(grace.edge)))));
  starting.defer(() => log.info('draining'));
  await store.start();
  const { closed } = await warden.start();
  if (config.mode === 'development') await makeOperators(config, operators);
  await Promise.all([admin.start(), ...edges.map((edge) => edge.start())]);
  if (config.demo) await ensureDemoWorld(config, projectDirectory);
  process.stdout.write(
    greeting(config, projectDirectory, { adminSocket: paths.adminSocket, isShared: wall.areShared, closed }),
  );
  const started = starting.move();
  return { stop: () => started.disposeAsync() };
}
