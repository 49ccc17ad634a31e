// Owns: the table of the handlers of all operations that an edge may call. Nothing else is served.
import { CofferdamError } from '../domain/errors.ts';
import { idOf, type SessionId } from '../domain/ids.ts';
import type { EdgeToWarden } from '../rpc/edge-warden.ts';
import type { Handlers } from '../rpc/operation.ts';
import type { Logins } from './authentication/login.ts';
import type { Charging } from './budgets/charges.ts';
import type { EdgeCaller } from './callers/edge-caller.ts';
import type { Handler } from './callers/shares.ts';
import { treeHandlers } from './catalogue/tree-handlers.ts';
import { consoleHandlers } from './console/console.ts';
import { findSessionIdentifier } from './exchanges/exchange-queries.ts';
import type { Exchanges } from './exchanges/exchanges.ts';
import type { LedgerGuard } from './ledger/guard.ts';
import { beginsAnEntry, type UsedAllowances } from './nodes/allowances.ts';
import type { Nodes } from './nodes/nodes.ts';
import { selfTestHandlers } from './self-test/self-test.ts';
import type { SessionRegistry } from './sessions/sessions.ts';
import type { Storing } from './store/store-client.ts';
import { downloadHandlers } from './transfers/download-handlers.ts';
import type { Batching } from './transfers/transfer-batches.ts';
import { uploadHandlers } from './transfers/upload-handlers.ts';

type Parts = {
  readonly guard: LedgerGuard;
  readonly nodes: Nodes;
  readonly logins: Logins;
  readonly sessions: SessionRegistry;
  readonly exchanges: Exchanges;
  readonly allowances: UsedAllowances;
};

/**
 * The one operation that is served while the guard is closed. It registers the run of the node, ends the sessions of
 * earlier runs, and tells the edge who it is and which host keys it shows; it opens nothing. With it an edge can wait
 * at this warden, as it would wait for a warden that has not started yet.
 */
const greeting = 'node.hello';

const each = (
  handlers: Handlers<EdgeToWarden, EdgeCaller>,
  around: (name: string, handle: Handler) => Handler,
): Handlers<EdgeToWarden, EdgeCaller> =>
  Object.fromEntries(
    Object.entries(handlers).map(([name, handle]) => [name, around(name, handle as Handler)]),
  ) as Handlers<EdgeToWarden, EdgeCaller>;

/**
 * Wraps a handler. Except for the greeting, nothing is served while the record is in doubt, late at its witness, or
 * frozen; and the node's allowance for what the operation stores is taken before the handler runs.
 */
function guarded({ guard, allowances }: Parts, name: string, handle: Handler): Handler {
  return async (params, caller) => {
    if (name !== greeting) guard.require();
    if (beginsAnEntry(name as keyof EdgeToWarden)) guard.requireRoom();
    await allowances.take(name as keyof EdgeToWarden, caller, params);
    if (name === greeting) return handle(params, caller);
    const result = await handle(params, caller);
    // The guard may have closed while the handler ran. Then the answer is withheld, although the call began before.
    guard.require();
    return result;
  };
}

export function edgeHandlers(warden: Charging & Storing & Batching, parts: Parts): Handlers<EdgeToWarden, EdgeCaller> {
  const { nodes, logins, sessions, exchanges, allowances } = parts;
  const handlers: Handlers<EdgeToWarden, EdgeCaller> = {
    'node.hello': async ({ startId, nativeCipher }, caller) => {
      // A greeting that is refused, and a repeated greeting of a run that is registered already, take nothing from the
      // allowance.
      const epoch = await allowances.whenNew('runs', caller, (take) =>
        nodes.hello(caller, startId, nativeCipher ?? null, take),
      );
      // The process of an earlier run of this node is gone, so the sessions that it left open have ended.
      await sessions.endMatching({ node: caller.node, exceptStartId: startId }, 'lost');
      return {
        node: caller.node,
        plane: caller.plane,
        hostKeys: exchanges.publicKeys(caller),
        challenge: exchanges.challenge,
        epoch,
        banner: warden.banner,
      };
    },
    'lease.renew': async ({ epoch, active }, caller) => {
      const told = active.map(({ session, quietMs }) => ({ session: idOf<SessionId>(session), quietMs }));
      const renewed = await nodes.renew(caller, epoch, told);
      sessions.forget(renewed.ended.map((one) => one.session));
      return { ...renewed, ended: [...renewed.ended], challenge: exchanges.challenge };
    },
    'exchange.sign': async (params, caller) => {
      nodes.requireGreeted(caller);
      return exchanges.sign(params, caller);
    },
    'exchange.prove-host-keys': async ({ token, hostKeys }, caller) => {
      const session = await sessions.requireAny(token, caller);
      const identifier = await warden.database.withSystem((tx) => findSessionIdentifier(tx, session.id));
      if (identifier === undefined) throw new CofferdamError('session-ended', 'the session has ended');
      return { signatures: [...exchanges.prove(identifier, hostKeys)] };
    },
    'login.attempt': (params, caller) => logins.attempt(params, caller),
    'login.abandon': async ({ connection }, caller) => {
      logins.abandon(connection, caller);
      return {};
    },
    'session.end': async ({ token, reason, bytesIn, bytesOut }, caller) => {
      await sessions.close(await sessions.requireAny(token, caller), reason, bytesIn, bytesOut);
      return {};
    },
    ...selfTestHandlers(warden, (caller) => nodes.startIdOf(caller)),
    ...consoleHandlers(warden, sessions),
    ...treeHandlers(warden),
    ...uploadHandlers(warden),
    ...downloadHandlers(warden),
  };
  return each(handlers, (name, handle) => guarded(parts, name, handle));
}
