// Owns: how certain it is that somebody outside has the bytes of a file whose extent keys left the warden.
// Must never: call a file `unsent` while the end of one of its read handles is unknown.

export const certainties = ['certain', 'possible', 'unsent'] as const;
/**
 * `certain`: at least one client closed the file itself after bytes had been sent. `possible`: keys left the warden,
 * and nobody knows how many bytes arrived. `unsent`: the edge says that nothing was sent, or the keys left the warden
 * only to hash a resumed upload; the edge had the keys in either case.
 */
type Certainty = (typeof certainties)[number];

/** Returns the most certain of the verdicts of all handles of a file. */
export function certaintyOf(handles: { readonly sent: number; readonly unclear: number }): Certainty {
  if (handles.sent > 0) return 'certain';
  return handles.unclear > 0 ? 'possible' : 'unsent';
}
