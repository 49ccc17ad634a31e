// Owns: what happens to output that nobody can read any more, because the terminal was closed or the reader of the pipe
// is gone.
// Must never: let such output end a process that still has to drain, or keep the output for later.

const hasCode = (error: unknown, codes: readonly string[]): boolean =>
  error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');

/**
 * Returns whether a write failed because the reader (EPIPE) or the terminal (EIO) is gone. Any other error is a fault.
 */
export const isLostOutput = (error: unknown): boolean => hasCode(error, ['EPIPE', 'EIO']);

type Sink = { on(event: 'error', listener: (error: Error) => void): unknown; write(text: string): boolean };

/** Returns whether a write failed because there is no room at the moment (ENOSPC, EDQUOT). */
export const isWithoutRoom = (error: unknown): boolean => hasCode(error, ['ENOSPC', 'EDQUOT']);

/**
 * Makes a stream survive the loss of its reader: from the first write that is lost, everything written to `sink` is
 * dropped. A write for which there was no room is reported to `withoutRoom`, and later writes are tried again. Other
 * errors are thrown, as if the stream had no listener for errors.
 */
export function outlive<S extends Sink>(sink: S, withoutRoom: (error: Error) => void = () => {}): S {
  sink.on('error', (error: Error) => {
    if (isWithoutRoom(error)) return withoutRoom(error);
    if (!isLostOutput(error)) throw error;
    sink.write = () => true;
  });
  return sink;
}
