// Owns: when a complete upload becomes visible to its readers.
// Must never: publish a file whose name says that it is temporary. A close proves nothing: a client that is ended with
// ^C closes its handles cleanly too (T-26).
import type { PublishRule } from './ids.ts';
import type { VirtualPath } from './paths.ts';

/** How names end while a file is being sent. They are compared in lower case. */
const temporarySuffixes = [
  '.filepart', // WinSCP
  '.part',
  '.partial', // rclone
  '.tmp',
  '.temp',
  '.temporary',
  '.crdownload', // Chrome
  '.download', // Safari
  '.opdownload', // Opera
  '.writing', // Spring Integration
  '.inprogress',
  '.in-progress',
  '.in_progress',
  '.uploading',
  '.upload',
  '.incomplete',
  '.in',
  '.swp', // vim
  '~',
] as const;
/** How names begin while a file is being sent: a leading dot with rsync, lftp and NiFi. */
const temporaryPrefixes = ['.', '_tmp_'] as const;
/** The ending of the names of markers in a folder for which no other was set. */
export const defaultMarker = '.done';

/**
 * Returns whether a path is one that clients use while an upload is not finished: its name has one of the usual
 * beginnings or endings, in any case, or a directory on its way begins with a dot.
 */
export function isTemporary(path: VirtualPath): boolean {
  const name = path.at(-1)?.toLowerCase() ?? '';
  return (
    path.slice(0, -1).some((directory) => directory.startsWith('.')) ||
    temporaryPrefixes.some((prefix) => name.startsWith(prefix)) ||
    temporarySuffixes.some((suffix) => name.endsWith(suffix) && name.length > suffix.length)
  );
}

/**
 * Returns the name that a whole file completes as a marker, or undefined when it is no marker: the folder publishes by
 * marker, the file has no bytes, and its name is final and ends as the markers of the folder do. `path` is the one
 * below the folder. The result may be a temporary name, which no marker publishes.
 */
export function markedBy(
  { publishRule, marker }: { readonly publishRule: PublishRule; readonly marker: string },
  path: VirtualPath,
  size: number,
): string | undefined {
  const name = path.at(-1) ?? '';
  if (publishRule !== 'on-marker' || size !== 0 || isTemporary(path)) return undefined;
  return name.length > marker.length && name.endsWith(marker) ? name.slice(0, -marker.length) : undefined;
}

type Publication =
  | { readonly state: 'held' }
  | { readonly state: 'settling'; readonly settleMs: number }
  | { readonly state: 'published' };

const settle = (settleMs: number): Publication =>
  settleMs === 0 ? { state: 'published' } : { state: 'settling', settleMs };

type PublishFolder = { readonly publishRule: PublishRule; readonly settleMs: number };

/** Returns the state of a version that is closed under this path below its folder. */
export function afterClose(folder: PublishFolder, path: VirtualPath): Publication {
  if (isTemporary(path) || folder.publishRule === 'on-marker') return { state: 'held' };
  return settle(folder.settleMs);
}

/**
 * Returns the state of a closed, unpublished version that is renamed from `from` to `to`. A rename away from a
 * temporary name is the sender's statement that the file is complete. Both paths are those below the folder.
 */
export function afterRename(folder: PublishFolder, from: VirtualPath, to: VirtualPath): Publication {
  if (isTemporary(to) || folder.publishRule === 'on-marker') return { state: 'held' };
  if (folder.publishRule === 'on-rename' && isTemporary(from)) return { state: 'published' };
  return settle(folder.settleMs);
}
