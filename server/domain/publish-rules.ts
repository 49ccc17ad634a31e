// Owns: when a complete upload becomes visible to its readers.
// Must never: publish a name that says it is temporary. A close proves nothing: a client cut off by ^C closes cleanly too (T-26).
import type { PublishRule } from './ids.ts';

const temporarySuffixes = ['.filepart', '.part', '.partial', '.tmp', '.temp', '.crdownload', '.swp'] as const;
export const markerSuffix = '.done';

/** Names that uploading clients use until a file is whole: a leading dot or one of the usual endings, in any case. */
export function isTemporaryName(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith('.') || temporarySuffixes.some((suffix) => lower.endsWith(suffix));
}

/** The name that an empty `<name>.done` completes, or undefined when this is no marker. It may be a temporary one, which nothing releases. */
export function markedName(name: string): string | undefined {
  return name.length > markerSuffix.length && name.endsWith(markerSuffix) ? name.slice(0, -markerSuffix.length) : undefined;
}

export type Publication =
  | { readonly state: 'held' }
  | { readonly state: 'settling'; readonly settleMs: number }
  | { readonly state: 'published' };

const settle = (settleMs: number): Publication => (settleMs === 0 ? { state: 'published' } : { state: 'settling', settleMs });

export type PublishFolder = { readonly publishRule: PublishRule; readonly settleMs: number };

/** What a close under this name leads to. */
export function afterClose(folder: PublishFolder, name: string): Publication {
  if (isTemporaryName(name) || folder.publishRule === 'on-marker') return { state: 'held' };
  return settle(folder.settleMs);
}

/** What renaming a closed, unpublished version from `from` to `to` leads to. Leaving a temporary name is the sender's word that it is whole. */
export function afterRename(folder: PublishFolder, from: string, to: string): Publication {
  if (isTemporaryName(to) || folder.publishRule === 'on-marker') return { state: 'held' };
  if (folder.publishRule === 'on-rename' && isTemporaryName(from)) return { state: 'published' };
  return settle(folder.settleMs);
}
