// Owns: how long each role may take to stop. The role's own patience and that of whoever waits for it (the supervisor, a unit of systemd, a container) are one
// calculation: nobody is killed while it still says what became of acknowledged bytes.
// Must never: be shorter than what a role may wait for by itself.
import type { Limits } from './config.ts';

/** For so long at most an edge that goes seals what its uploads acknowledged, and tells the warden of it, once every connection was ended. */
export const lastWordsMs = 10_000;
/** What a process needs besides: threads that end, the last lines of its log. */
const restMs = 5000;

/** While an edge that is stopped lets transfers finish, before it cuts them. */
export const transfersMs = ({ drainMs }: Pick<Limits, 'drainMs'>): number => drainMs / 2;

/** After this time a role that was asked to stop may be ended by force. */
export const stopGraceMs = (limits: Pick<Limits, 'drainMs'>): Readonly<Record<'edge' | 'admin' | 'warden', number>> => ({
  edge: transfersMs(limits) + lastWordsMs + restMs,
  admin: restMs,
  // It waits two seconds for edges that are in the middle of something, and answers what is under way.
  warden: 2 * restMs,
});
