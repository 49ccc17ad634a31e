// Owns: how long each process may take to stop. What a process itself waits for and the time after which the supervisor
// kills it come from one calculation, so that no process is killed while clients may still learn what became of their
// bytes and calls. The units of systemd and the containers wait a fixed 30 s, which is enough for the default
// `drainMs`.
// Must never: give a process less time than it itself waits for clients. A command or a pass that a kill interrupts is
// undone by the database.
import type { Limits } from './config.ts';

/**
 * How long an edge that stops may take, after every connection was ended, to seal the bytes of its uploads for which
 * clients have read OK and to report them to the warden, in milliseconds.
 */
export const lastWordsMs = 10_000;
/**
 * How long a store that stops waits until the objects that edges have sent completely are durable and answered, in
 * milliseconds. Nothing new begins meanwhile.
 */
export const lastPutsMs = 3000;
/** What a warden that stops waits for, once it has told its edges, each in milliseconds. */
export type WardenLeaves = { readonly edgeMs: number; readonly answersMs: number };
/**
 * A warden waits `edgeMs` for an edge to answer `warden.leaving`; an edge answers when none of its logins and key
 * exchanges is half done, or after two seconds. It then waits `answersMs` until the calls that this edge made earlier
 * are answered: an extent may be being copied, or a charge may wait for its turn.
 */
export const wardenLeaves: WardenLeaves = { edgeMs: 5000, answersMs: 15_000 };
/** The additional time that a process needs to end its threads and to write the last lines of its log. */
const restMs = 5000;

/** Returns how long an edge that is stopped lets transfers finish before it cuts them, in milliseconds. */
export const transfersMs = ({ drainMs }: Pick<Limits, 'drainMs'>): number => drainMs / 2;

/** Returns the time in milliseconds after which a process that was asked to stop may be killed. */
export const stopGraceMs = (
  limits: Pick<Limits, 'drainMs'>,
): Readonly<Record<'edge' | 'admin' | 'warden' | 'store', number>> => ({
  edge: transfersMs(limits) + lastWordsMs + restMs,
  admin: restMs,
  warden: wardenLeaves.edgeMs + wardenLeaves.answersMs + restMs,
  store: lastPutsMs + restMs,
});
