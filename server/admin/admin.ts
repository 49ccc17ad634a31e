// Owns: the admin process: TLS 1.3 with client certificates over a unix socket, one operator per connection.
// Must never: listen on a network address; let a call through whose operator, role or record is missing (T-04).
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { type Config, runtimePaths } from '../config/config.ts';
import { CofferdamError, toCofferdamError } from '../domain/errors.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { Database } from '../postgres/database.ts';
import { roleUrl } from '../postgres/role-url.ts';
import type { Handlers } from '../rpc/operation.ts';
import { mayCall, type OperatorOperation, type OperatorToAdmin, operatorToAdmin } from '../rpc/operator-admin.ts';
import { Peer } from '../rpc/peer.ts';
import { CommandLine } from './command-line.ts';
import { adminHandlers, type OperatorCaller } from './handlers.ts';
import { findOperator, type Operator, recordCall } from './operator-queries.ts';

const connectionsMax = 64;
const handshakeMs = 5000;
const nothing = {} as const;

function tlsFiles(config: Config): { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer } {
  const directory = `${runtimePaths(config).certs}/admin`;
  try {
    return {
      cert: readFileSync(`${directory}/cert.pem`),
      key: readFileSync(`${directory}/key.pem`),
      ca: readFileSync(`${directory}/ca.pem`),
    };
  } catch (cause) {
    throw new CofferdamError('configuration', `the admin certificate cannot be read in ${directory}`, { cause });
  }
}

/** The handlers behind the gate: operator known and active, role sufficient, asked and answered on the record. */
function gated(database: Database, handlers: Handlers<OperatorToAdmin, OperatorCaller>): Handlers<OperatorToAdmin, OperatorCaller> {
  const entries = Object.entries(handlers).map(([name, handler]) => {
    const operation = name as OperatorOperation;
    const run = handler as (params: unknown, caller: OperatorCaller) => Promise<unknown>;
    return [
      operation,
      async (params: unknown, caller: OperatorCaller): Promise<unknown> => {
        const operator = await caller.operator();
        const facts = { operator: operator.name, role: operator.role, operation };
        const isAllowed = mayCall(operator.role, operatorToAdmin[operation].role);
        await database.withSystem((tx) => recordCall(tx, 'operator.asked', { ...facts, params, allowed: isAllowed }));
        if (!isAllowed)
          throw new CofferdamError('denied', `${operation} needs the role ${operatorToAdmin[operation].role}; you are ${operator.role}`);
        const outcome = await run(params, { operator: async () => operator }).then(
          (result) => ({ result }),
          (thrown: unknown) => ({ thrown }),
        );
        const code = 'thrown' in outcome ? toCofferdamError(outcome.thrown).code : 'ok';
        await database.withSystem((tx) => recordCall(tx, 'operator.answered', { ...facts, outcome: code }));
        if ('thrown' in outcome) throw outcome.thrown;
        return outcome.result;
      },
    ];
  });
  return Object.fromEntries(entries) as Handlers<OperatorToAdmin, OperatorCaller>;
}

function spkiFingerprint(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  return (
    certificate &&
    createHash('sha256')
      .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('hex')
  );
}

function serve(socket: TLSSocket, database: Database, handlers: Handlers<OperatorToAdmin, OperatorCaller>, log: Logger): void {
  const fingerprint = spkiFingerprint(socket);
  if (!socket.authorized || fingerprint === undefined) {
    socket.destroy();
    return;
  }
  const operator = async (): Promise<Operator> => {
    const found = await database.withSystem((tx) => findOperator(tx, fingerprint));
    if (found === undefined) throw new CofferdamError('denied', 'this certificate belongs to no active operator');
    return found;
  };
  new Peer({
    stream: socket,
    serves: operatorToAdmin,
    handlers,
    calls: nothing,
    caller: { operator },
    onClose: () => {},
    onBug: (op, error) => log.error({ op, err: error }, 'defect in a handler'),
  });
}

export async function startAdmin(config: Config): Promise<{ stop(): Promise<void> }> {
  const log = createLogger(config, 'admin');
  const files = tlsFiles(config);
  const database = new Database({ url: roleUrl(config, 'admin'), applicationName: 'cofferdam admin', connectionsMax: 8 });
  const commands = new CommandLine(database);
  await commands.start();
  const handlers = gated(database, adminHandlers(config, database, commands));
  const open = new Set<TLSSocket>();
  const server: Server = createServer(
    { ...files, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true, handshakeTimeout: handshakeMs },
    (socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      serve(socket, database, handlers, log);
    },
  );
  server.maxConnections = connectionsMax;
  server.on('tlsClientError', (error) => log.warn({ reason: error.message }, 'an operator connection was refused'));
  const path = runtimePaths(config).adminSocket;
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new CofferdamError('configuration', `the admin process cannot listen on ${path}`, { cause })));
    server.listen(path, resolve);
  });
  // Everybody on this machine may knock; the certificate is the gate.
  chmodSync(path, 0o666);
  log.info('admin serves');
  return {
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
      await commands.stop();
      await database.close();
    },
  };
}
