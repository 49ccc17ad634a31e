// Owns: putting together the handlers of every operation an edge may call; one table, nothing else is served.
import type { EdgeToWarden } from '../rpc/edge-warden.ts';
import type { Handlers } from '../rpc/operation.ts';
import type { Logins } from './authentication/login.ts';
import type { GrantQueue } from './budgets/grant-queue.ts';
import { treeHandlers } from './catalogue/tree-handlers.ts';
import type { EdgeCaller, Warden } from './context.ts';
import type { HostKey } from './keys/key-files.ts';
import type { Nodes } from './nodes/nodes.ts';
import type { SessionRegistry } from './sessions/sessions.ts';
import { downloadHandlers } from './transfers/download-handlers.ts';
import { uploadHandlers } from './transfers/upload-handlers.ts';

export type Rooms = {
  readonly nodes: Nodes;
  readonly logins: Logins;
  readonly sessions: SessionRegistry;
  readonly grants: GrantQueue;
  readonly hostKeys: readonly HostKey[];
};

export function edgeHandlers(warden: Warden, rooms: Rooms): Handlers<EdgeToWarden, EdgeCaller> {
  const { nodes, logins, sessions, hostKeys } = rooms;
  return {
    'node.hello': async ({ startId }, caller) => {
      const epoch = await nodes.hello(caller, startId);
      // What an earlier run of this node left open is over: its process is gone.
      await sessions.endMatching({ node: caller.node, exceptStartId: startId }, 'lost');
      return { node: caller.node, plane: caller.plane, hostKeys: [...hostKeys], epoch, banner: '' };
    },
    'lease.renew': async ({ epoch }, caller) => {
      const renewed = await nodes.renew(caller, epoch);
      sessions.forget(renewed.ended);
      return { epoch: renewed.epoch, ended: [...renewed.ended] };
    },
    'login.attempt': (params, caller) => logins.attempt(params, caller),
    'login.abandon': async ({ connection }, caller) => {
      logins.abandon(connection, caller);
      return {};
    },
    'session.end': async ({ token, reason, bytesIn, bytesOut }, caller) => {
      await sessions.close(await sessions.require(token, caller), reason, bytesIn, bytesOut);
      return {};
    },
    ...treeHandlers(warden),
    ...uploadHandlers(warden),
    ...downloadHandlers(warden, rooms.grants),
  };
}
