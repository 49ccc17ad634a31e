// Owns: how long each role may take to stop. The role's own limits and the limit of the process that waits for it (the
// supervisor, a systemd unit, a container) come from one calculation, so that no role is killed while it still reports
// what happened to acknowledged bytes.
// Must never: give a role less time than it may itself wait for.
import type { Limits } from './config.ts';

/**
 * How long an edge that stops may take, after every connection was ended, to seal the bytes that its uploads
 * acknowledged and to report them to the warden.
 */
export const lastWordsMs = 10_000;
/**
 * How long a store that stops waits until the objects that edges have ended are durable and answered. Nothing new
 * begins meanwhile.
 */
export const lastPutsMs = 3000;
/** The additional time that a process needs to end its threads and to write the last lines of its log. */
const restMs = 5000;

/** Returns how long an edge that is stopped lets transfers finish before it cuts them, in milliseconds. */
export const transfersMs = ({ drainMs }: Pick<Limits, 'drainMs'>): number => drainMs / 2;

/** Returns the time in milliseconds after which a role that was asked to stop may be killed. */
export const stopGraceMs = (
  limits: Pick<Limits, 'drainMs'>,
): Readonly<Record<'edge' | 'admin' | 'warden' | 'store', number>> => ({
  edge: transfersMs(limits) + lastWordsMs + restMs,
  admin: restMs,
  // The warden waits two seconds for edges that are in the middle of a call, and answers the calls that are under way.
  warden: 2 * restMs,
  store: lastPutsMs + restMs,
});
