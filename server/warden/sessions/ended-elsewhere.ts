// Owns: what another warden ended, or a command there: a notice says where to look, the row says what is so. A lost notice is made good by the lease, and by
// forgetting all sessions when the listening connection was made anew.
// Must never: end or forget a session because a notice says so: every role of the database may send them, with any words.
import { idOf, type SessionId } from '../../domain/ids.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { joined } from '../every.ts';
import type { Nodes } from '../nodes/nodes.ts';
import { findEnded } from './ending-queries.ts';
import type { SessionRegistry } from './sessions.ts';

/** Named by notices and not looked at yet; of more, edges hear by their leases. */
const namedMax = 10_000;
/** Between two looks: what ends by the hundred is looked at together. */
const pauseMs = 10;
const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** `hear` takes the words of a notice, `node/session/…`, of which only the session's name is used, and only to look it up. */
export function endedElsewhere(
  { database, log }: { readonly database: Database; readonly log: Pick<Logger, 'warn'> },
  nodes: Pick<Nodes, 'terminate'>,
  sessions: Pick<SessionRegistry, 'forget'>,
): { hear(payload: string): void; stop(): Promise<void> } {
  const named = new Set<SessionId>();
  const looking = joined(
    async () => {
      const ids = [...named];
      named.clear();
      const ended = await database.withSystem((tx) => findEnded(tx, ids));
      sessions.forget(ended.map((one) => one.id));
      for (const { id, node, end } of ended) nodes.terminate(node, id, end);
    },
    pauseMs,
    (error) => log.warn({ err: error }, 'what ended elsewhere could not be looked at; edges hear of it by their leases'),
  );
  return {
    hear: (payload) => {
      const id = payload.split('/')[1] ?? '';
      if (!uuid.test(id) || named.size >= namedMax) return;
      named.add(idOf<SessionId>(id));
      looking.wake();
    },
    stop: () => looking.stop(),
  };
}
