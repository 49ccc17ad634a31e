// Owns: the handling of sessions that another warden, or a command there, ended. A notice says which row to look at,
// and the row says what is true. A lost notice is made good by the lease, and by forgetting all sessions when the
// listening connection was made anew.
// Must never: end or forget a session because a notice says so: every role of the database may send notices with any
// text.
import { idOf, type SessionId } from '../../domain/ids.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Database } from '../../postgres/database.ts';
import { joined } from '../passes/every.ts';
import { findEnded } from './ending-queries.ts';
import type { EdgeNotifier } from './open-session.ts';
import type { SessionRegistry } from './sessions.ts';

/**
 * The largest number of sessions that were named by notices and not looked at yet. Edges hear of further ones with
 * their leases.
 */
const namedMax = 10_000;
/** The pause between two looks, in milliseconds, so that sessions that end by the hundred are looked at together. */
const pauseMs = 10;
const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/**
 * Returns the receiver of notices. `hear` takes the text of a notice, `node/session/…`; only the id of the session is
 * used, and only to look up its row.
 */
export function endedElsewhere(
  { database, log }: { readonly database: Database; readonly log: Pick<Logger, 'warn'> },
  nodes: EdgeNotifier,
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
    (error) =>
      log.warn(
        { err: error },
        'sessions that another process ended could not be looked up; edges learn of them with their leases',
      ),
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
