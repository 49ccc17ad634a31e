// Owns: what becomes of words for which there is nobody any more: the terminal was closed, the reader of the pipe has gone.
// Must never: let them end a process that still has to drain, or keep them for later.
/** Of a write: whoever read it has gone (EPIPE), or the terminal has (EIO). Anything else is a fault of its own. */
export const isLostOutput = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'EIO');

type Sink = { on(event: 'error', listener: (error: Error) => void): unknown; write(text: string): boolean };

/** There is no room for it at the moment (ENOSPC, EDQUOT). */
export const isWithoutRoom = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');

/**
 * From its first lost line on, what is written to `sink` goes nowhere; what there was no room for is gone as `withoutRoom` says, and the next line is tried.
 * Other faults are thrown, as if nobody had listened.
 */
export function outlive<S extends Sink>(sink: S, withoutRoom: (error: Error) => void = () => {}): S {
  sink.on('error', (error: Error) => {
    if (isWithoutRoom(error)) return withoutRoom(error);
    if (!isLostOutput(error)) throw error;
    sink.write = () => true;
  });
  return sink;
}
