// Owns: making the first two operators of an installation, once, at the request of somebody who is root on this
// machine.
// Must never: make an operator when an operator's key is stored, or ever was.
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { closedMs, happens } from '../../domain/bounded.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { ownDoor } from '../../rpc/door.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import { type BootstrapOperations, bootstrapOperations } from '../../rpc/operators/bootstrap.ts';
import { Peer } from '../../rpc/peer.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context/context.ts';
import { record } from '../ledger/entries/record.ts';
import { sealing } from '../seals/seals.ts';
import { keyOf } from './operator-commands.ts';
import { countOperators, insertOperator, insertOperatorKey, lockOperators } from './operator-queries.ts';

const nothing = {} as const;
const role = 'security-officer';

async function bootstrap(
  warden: Warden,
  { operators }: Params<BootstrapOperations, 'bootstrap'>,
): Promise<Result<BootstrapOperations, 'bootstrap'>> {
  const made = operators.map(({ name, publicKey }) => ({ name, ...keyOf(publicKey) }));
  if (
    new Set(made.map((one) => one.name)).size !== made.length ||
    new Set(made.map((one) => one.fingerprint)).size !== made.length
  )
    throw new CofferdamError('invalid', 'two persons with a key each are needed');
  await warden.database.withSystem(async (tx) => {
    await lockOperators(tx);
    if ((await countOperators(tx)) > 0)
      throw new CofferdamError(
        'conflict',
        'this installation has its operators; more are made by a change of two of them: cofferctl operator create',
      );
    await sealing(tx, warden, { maker: 'bootstrap', change: () => null }, async () => {
      for (const { name, fingerprint, spki } of made) {
        const id = await insertOperator(tx, name, role);
        if (id === undefined || !(await insertOperatorKey(tx, id, fingerprint, spki)))
          throw new CofferdamError('conflict', `${name} exists already`);
      }
    });
    const facts = { operators: made.map(({ name, fingerprint }) => ({ name, fingerprint })) };
    await record(tx, { kind: 'installation.bootstrapped', observer: 'warden', sensitive: facts });
    await insertAlert(tx, {
      kind: 'installation.bootstrapped',
      severity: 'warning',
      subject: 'installation',
      text: `the first operators of this installation were made: ${made.map((one) => one.name).join(' and ')}`,
      facts,
      nextCommand: 'cofferctl operator list',
    });
  });
  return { operators: made.map(({ name, fingerprint }) => ({ name, fingerprint })) };
}

/** Listens on the bootstrap socket until stopped. Throws `configuration` when that is impossible. */
export async function serveBootstrap(warden: Warden): Promise<{ stop(): Promise<void> }> {
  const path = warden.paths.bootstrapSocket;
  rmSync(path, { force: true });
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    new Peer({
      stream: socket,
      serves: bootstrapOperations,
      handlers: { bootstrap: (params) => bootstrap(warden, params) },
      calls: nothing,
      door: ownDoor(undefined),
      onClose: () => {},
      onBug: (op, error) => warden.log.error({ op, err: error }, 'defect in a handler'),
    });
  });
  server.maxConnections = 2;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new CofferdamError('configuration', `the warden cannot listen on ${path}`, { cause })),
    );
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await happens(closedMs, closed);
    },
  };
}
