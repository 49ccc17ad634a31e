// Owns: `cofferdam <role>`: parsing the command line, loading the configuration, becoming the role's user, and starting
// the role.
// Must never: import a role's code before the process has given up the rights that the role does not need.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Config } from './config/config.ts';
import { loadConfig } from './config/load.ts';
import { withResolvedAdmin } from './config/loopback.ts';
import { lookUp, userOf } from './config/system-users.ts';
import { detach, unexpected } from './domain/detached.ts';
import { CofferdamError, errorCodes, toCofferdamError } from './domain/errors.ts';
import { outlive } from './domain/lost-output.ts';
import { stopSignals } from './domain/stop-signals.ts';
import type { Ready } from './supervisor/child.ts';

const help = `cofferdam: secure SFTP file-transfer gateway

  cofferdam up [--config FILE]                 all roles on this machine, under one supervisor
  cofferdam edge --node NAME --config FILE     one SFTP edge
  cofferdam warden --config FILE               authentication, catalogue, budgets, record, keys
  cofferdam store --config FILE                the only process that writes sealed objects
  cofferdam admin --config FILE                the operators' socket
  cofferdam migrate --config FILE              brings the database to this version
  cofferdam verify [--watch] --config FILE     the record against its witness, from another host; its FILE is another one (docs/operations/record.md)

Without --config, \`up\` serves a demo world on loopback below ./var.
Exit codes: 0 stopped as asked, 78 configuration fault (nothing was started), 1 anything else. Of \`verify\`: 0 good, 1 bad, 2 nothing verified, 3 not everything was read.
`;

const roles = ['up', 'edge', 'warden', 'store', 'admin', 'migrate'] as const;
type Role = (typeof roles)[number];

/** `initgroups` is missing from the type declarations, and present in every POSIX build of Node.js. */
const initGroups = (process as unknown as { initgroups(user: string, group: number): void }).initgroups.bind(process);

function becomeUser(users: Config['users'], role: Role, node: string | undefined): void {
  if (process.getuid?.() !== 0 || users === null || role === 'up' || role === 'migrate') return;
  const user = userOf(users, role === 'edge' ? { edge: node ?? '' } : role);
  if (user === undefined)
    throw new CofferdamError('configuration', `--node must name one of: ${Object.keys(users.edges).join(', ')}`);
  const gid = lookUp('/etc/passwd', user)?.[3];
  if (gid === undefined) throw new CofferdamError('configuration', `the system user ${user} does not exist`);
  initGroups(user, Number(gid));
  process.setgid?.(Number(gid));
  process.setuid?.(user);
}

/**
 * Tells the supervisor, over the channel between the two processes, that the role is ready. Without a supervisor it
 * does nothing.
 */
function announceReady({ closed }: Running): void {
  const ready: Ready = { is: 'ready', closed };
  if (process.send !== undefined) process.send(ready);
}

/**
 * A role that was started. `over` resolves when the role has done its work and wants to be stopped. `closed` is the
 * reason why the role runs and yet serves nobody.
 */
type Running = { readonly over?: Promise<void>; readonly closed?: string | undefined; stop(): Promise<void> };

async function startRole(role: Role, config: Config, node: string | undefined, signal: AbortSignal): Promise<Running> {
  switch (role) {
    case 'up':
      return (await import('./supervisor/supervisor.ts')).startAll(
        config,
        dirname(dirname(fileURLToPath(import.meta.url))),
        signal,
      );
    case 'warden':
      return (await import('./warden/warden.ts')).startWarden(config);
    case 'store':
      return (await import('./store/store.ts')).startStore(config);
    case 'admin':
      return (await import('./admin/admin.ts')).startAdmin(config);
    case 'edge': {
      const edge = config.edges.find((one) => one.node === node);
      if (edge === undefined)
        throw new CofferdamError(
          'configuration',
          `--node must name one of: ${config.edges.map((one) => one.node).join(', ')}`,
        );
      return (await import('./edge/edge.ts')).startEdge(config, edge);
    }
    case 'migrate':
      return (await import('./supervisor/prepare.ts')).migrateOnly(
        config,
        dirname(dirname(fileURLToPath(import.meta.url))),
        signal,
      );
  }
}

/**
 * The modules are imported only here, after the change of user, so that no code of a role is loaded with rights that
 * the role gives up.
 */
async function endOnUnownedFailures(config: Config, role: Role, node: string | undefined): Promise<void> {
  const [{ createLogger }, { endOnUnownedFailure }] = await Promise.all([
    import('./observability/logger.ts'),
    import('./observability/last-word.ts'),
  ]);
  for (const output of [process.stdout, process.stderr]) outlive(output);
  endOnUnownedFailure(createLogger(config, role === 'up' ? 'supervisor' : role, node));
}

/**
 * Keeps SIGUSR1 from opening a debugger, however the process was started. The option `--disable-sigusr1` has the same
 * effect from the first moment on.
 */
function refuseDebugger(): void {
  process.on('SIGUSR1', () => {});
}

async function main(): Promise<void> {
  refuseDebugger();
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      node: { type: 'string' },
      watch: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const role = roles.find((one) => one === positionals[0]);
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(help);
    return;
  }
  if (positionals[0] === 'verify' && positionals.length === 1) {
    const stopped = new AbortController();
    for (const signal of stopSignals) process.on(signal, () => stopped.abort());
    process.exit(
      await (await import('./verify/verify.ts')).runVerify(values.config, values.watch === true, stopped.signal),
    );
  }
  if (role === undefined || positionals.length > 1 || values.watch === true)
    throw new CofferdamError('configuration', `there is no role "${positionals.join(' ')}": see cofferdam --help`);
  const loaded = loadConfig({
    file: values.config,
    env: process.env,
    isRoot: process.getuid?.() === 0,
    isTerminal: process.stderr.isTTY === true,
    projectDirectory: dirname(dirname(fileURLToPath(import.meta.url))),
  });
  const config = role === 'up' || role === 'admin' ? await withResolvedAdmin(loaded) : loaded;
  becomeUser(config.users, role, values.node);
  await endOnUnownedFailures(config, role, values.node);
  const stopping = new AbortController();
  let running: Running | undefined;
  const stop = (): void => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    // A migration that runs is cancelled by the signal. A role that is still starting is stopped as soon as it has
    // started, so that nothing is left half-started.
    if (running !== undefined) finish(running);
  };
  const finish = (whole: { stop(): Promise<void> }): void => {
    detach(
      whole.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`cofferdam ${role}: stopping failed: ${toCofferdamError(error).message}\n`);
          process.exit(1);
        },
      ),
      unexpected,
    );
  };
  for (const signal of stopSignals) process.on(signal, stop);
  // A role whose supervisor is gone has nobody who could restart or stop it.
  process.on('disconnect', () => process.exit(1));
  running = await startRole(role, config, values.node, stopping.signal).catch((error: unknown): undefined => {
    // A start that was given up is a stop as asked. A migration that was given up is not done.
    if (role !== 'up' || !stopping.signal.aborted || toCofferdamError(error).code !== 'unavailable') throw error;
    process.stderr.write(`cofferdam ${role}: ${toCofferdamError(error).message}\n`);
    return undefined;
  });
  if (running === undefined) process.exit(0);
  if (role === 'migrate') return;
  if (stopping.signal.aborted) return finish(running);
  announceReady(running);
  detach(running.over?.then(stop), unexpected);
}

detach(
  main().catch((thrown: unknown) => {
    const error =
      thrown instanceof TypeError && 'code' in thrown && String(thrown.code).startsWith('ERR_PARSE_ARGS')
        ? new CofferdamError('configuration', `${thrown.message}: see cofferdam --help`)
        : toCofferdamError(thrown);
    process.stderr.write(`cofferdam: ${error.message}\n`);
    if (error.code === 'bug') process.stderr.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
    process.exit(error.code === 'configuration' ? errorCodes.configuration.exit : 1);
  }),
  unexpected,
);
