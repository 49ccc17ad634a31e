// Owns: the admin process: one operator per connection, and the gate that every call passes.
// Must never: let a call through whose certificate, operator, role or record is missing (T-04).
import { createHash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
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
import { Scopes } from './incident/scopes.ts';
import { Verifications } from './ledger/verification.ts';
import { Listener } from './listener.ts';
import { findOperator, type Operator, recordCall } from './operator-queries.ts';
import { refusalOf, TrustFiles } from './trust.ts';

const nothing = {} as const;

/** The handlers behind the gate: operator known and active, role sufficient, asked and answered on the record. */
function gated(database: Database, handlers: Handlers<OperatorToAdmin, OperatorCaller>): Handlers<OperatorToAdmin, OperatorCaller> {
  const entries = Object.entries(handlers).map(([name, handler]) => {
    const operation = name as OperatorOperation;
    const run = handler as (params: unknown, caller: OperatorCaller) => Promise<unknown>;
    return [
      operation,
      async (params: unknown, caller: OperatorCaller): Promise<unknown> => {
        const operator = await caller.operator();
        const { certificate } = caller;
        const facts = { operator: operator.name, role: operator.role, certificate, operation };
        const isAllowed = mayCall(operator.role, operatorToAdmin[operation].role);
        await database.withSystem((tx) => recordCall(tx, 'operator.asked', { ...facts, params, allowed: isAllowed }));
        if (!isAllowed)
          throw new CofferdamError('denied', `${operation} needs the role ${operatorToAdmin[operation].role}; you are ${operator.role}`);
        const outcome = await run(params, { operator: async () => operator, certificate }).then(
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

function spkiFingerprint(certificate: X509Certificate): string {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

type Serving = {
  readonly database: Database;
  readonly handlers: Handlers<OperatorToAdmin, OperatorCaller>;
  readonly trust: TrustFiles;
  readonly log: Logger;
};

function serve(socket: TLSSocket, certificate: X509Certificate, { database, handlers, trust, log }: Serving): void {
  const shown = { fingerprint: spkiFingerprint(certificate), serial: certificate.serialNumber.toLowerCase() };
  const operator = async (): Promise<Operator> => {
    const refusal = refusalOf(trust.current, certificate);
    const found = refusal === undefined ? await database.withSystem((tx) => findOperator(tx, shown.fingerprint)) : undefined;
    if (found !== undefined) return found;
    log.warn({ certificate: shown, reason: refusal ?? 'no operator' }, 'a call of nobody was refused');
    throw new CofferdamError('denied', refusal ?? 'this certificate belongs to no active operator');
  };
  new Peer({
    stream: socket,
    serves: operatorToAdmin,
    handlers,
    calls: nothing,
    caller: { operator, certificate: shown },
    onClose: () => {},
    onBug: (op, error) => log.error({ op, err: error }, 'defect in a handler'),
  });
}

export async function startAdmin(config: Config): Promise<{ stop(): Promise<void> }> {
  const log = createLogger(config, 'admin');
  const trust = new TrustFiles(`${runtimePaths(config).certs}/admin`, log);
  const database = new Database({ url: roleUrl(config, 'admin'), applicationName: 'cofferdam admin', connectionsMax: 8 });
  const commands = new CommandLine(database);
  await commands.start();
  const verifications = new Verifications(database);
  const scopes = Scopes.of(config);
  const handlers = gated(database, adminHandlers(config, database, commands, scopes, verifications));
  const serving: Serving = { database, handlers, trust, log };
  const listener = await Listener.start({ config, trust, log, serve: (socket, certificate) => serve(socket, certificate, serving) });
  log.info('admin serves');
  return {
    stop: async () => {
      await listener.stop();
      await commands.stop();
      verifications.stop();
      await scopes.stop();
      await database.close();
    },
  };
}
