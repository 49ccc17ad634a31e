// Owns: how certain it is that somebody outside has the bytes of a file whose extent keys left the warden.
// Must never: call a file `unsent` while the end of one of its read handles is unknown.

export const certainties = ['certain', 'possible', 'unsent'] as const;
/**
 * `certain`: at least one client closed the file itself after bytes had been sent. `possible`: keys left the warden,
 * and nobody knows how many bytes arrived. `unsent`: the edge says that nothing was sent, or the keys left the warden
 * only to hash a resumed upload; the edge had the keys in either case.
 */
export type Certainty = (typeof certainties)[number];

/** How one read handle ended, according to the record. */
export type HandleEnd = {
  /** Whether the key of at least one extent left the warden for this handle. */
  readonly isReleased: boolean;
  /** Null when the handle was never closed, because its node died with it. */
  readonly closed: { readonly by: string | null; readonly sentBytes: number | null } | null;
};

export type HandleVerdict = 'sent' | 'unclear' | 'nothing';

/**
 * Returns what one handle says about the file. Only the word `client` means that the client itself closed the handle; a
 * missing amount may be any amount.
 */
export function verdictOf({ isReleased, closed }: HandleEnd): HandleVerdict {
  if (closed === null) return isReleased ? 'unclear' : 'nothing';
  const { by, sentBytes } = closed;
  if (sentBytes === 0) return 'nothing';
  if (by === 'client' && sentBytes !== null) return 'sent';
  return isReleased ? 'unclear' : 'nothing';
}

/** Returns the most certain of the verdicts of all handles of a file. */
export function certaintyOf(handles: { readonly sent: number; readonly unclear: number }): Certainty {
  if (handles.sent > 0) return 'certain';
  return handles.unclear > 0 ? 'possible' : 'unsent';
}
