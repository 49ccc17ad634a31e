// Owns: when a complete upload becomes visible to its readers.
// Must never: publish a file whose name says that it is temporary. A close proves nothing: a client that is ended with
// ^C closes its handles cleanly too (T-26).
import type { PublishRule } from './ids.ts';

const temporarySuffixes = ['.filepart', '.part', '.partial', '.tmp', '.temp', '.crdownload', '.swp'] as const;
/** The ending of the names of markers in a folder for which no other was set. */
export const defaultMarker = '.done';

/**
 * Returns whether a name is one that clients use while an upload is not finished: it has a leading dot or one of the
 * usual endings, in any case.
 */
export function isTemporaryName(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith('.') || temporarySuffixes.some((suffix) => lower.endsWith(suffix));
}

/**
 * Returns the name that an empty file `<name><marker>` completes, or undefined when the name is no marker. `marker` is
 * the ending that the folder has for its markers. The result may be a temporary name, which no marker publishes.
 */
export function markedName(name: string, marker: string): string | undefined {
  return name.length > marker.length && name.endsWith(marker) ? name.slice(0, -marker.length) : undefined;
}

type Publication =
  | { readonly state: 'held' }
  | { readonly state: 'settling'; readonly settleMs: number }
  | { readonly state: 'published' };

const settle = (settleMs: number): Publication =>
  settleMs === 0 ? { state: 'published' } : { state: 'settling', settleMs };

type PublishFolder = { readonly publishRule: PublishRule; readonly settleMs: number };

/** Returns the state of a version that is closed under this name. */
export function afterClose(folder: PublishFolder, name: string): Publication {
  if (isTemporaryName(name) || folder.publishRule === 'on-marker') return { state: 'held' };
  return settle(folder.settleMs);
}

/**
 * Returns the state of a closed, unpublished version that is renamed from `from` to `to`. A rename away from a
 * temporary name is the sender's statement that the file is complete.
 */
export function afterRename(folder: PublishFolder, from: string, to: string): Publication {
  if (isTemporaryName(to) || folder.publishRule === 'on-marker') return { state: 'held' };
  if (folder.publishRule === 'on-rename' && isTemporaryName(from)) return { state: 'published' };
  return settle(folder.settleMs);
}
