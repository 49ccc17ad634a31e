// Owns: what may be said of a file whose keys left the warden: how sure it is that somebody outside has its bytes.
// Must never: call a file unsent while one of its read handles has an end that nobody knows.

export const certainties = ['certain', 'possible', 'unsent'] as const;
/**
 * certain: at least one client closed the file itself after bytes had been sent. possible: keys left, and how much arrived nobody knows.
 * unsent: the edge says that nothing went out, or the keys left only to hash a resumed upload. The edge held the keys all the same.
 */
export type Certainty = (typeof certainties)[number];

/** How one read handle ended, as the record has it. */
export type HandleEnd = {
  /** The key of at least one extent left to it. */
  readonly isReleased: boolean;
  /** null: it was never closed, its node died with it. */
  readonly closed: { readonly by: string | null; readonly sentBytes: number | null } | null;
};

export type HandleVerdict = 'sent' | 'unclear' | 'nothing';

/** What one handle says. Whoever closed it: only the word `client` is the client's own close; an amount that is missing may be any. */
export function verdictOf({ isReleased, closed }: HandleEnd): HandleVerdict {
  if (closed === null) return isReleased ? 'unclear' : 'nothing';
  const { by, sentBytes } = closed;
  if (sentBytes === 0) return 'nothing';
  if (by === 'client' && sentBytes !== null) return 'sent';
  return isReleased ? 'unclear' : 'nothing';
}

/** The surest of what the handles of a file say. */
export function certaintyOf(handles: { readonly sent: number; readonly unclear: number }): Certainty {
  if (handles.sent > 0) return 'certain';
  return handles.unclear > 0 ? 'possible' : 'unsent';
}
