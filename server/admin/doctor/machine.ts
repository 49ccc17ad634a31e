// Owns: the findings about free space and inodes of the store.
import { statfs } from 'node:fs/promises';
import type { Config } from '../../config/config.ts';
import { type Finding, fault, ok, warning } from './finding.ts';

type Space = {
  readonly freeBytes: number;
  /** The number of inodes, and of free ones. Both are 0 when the file system creates inodes as needed. */
  readonly inodes: number;
  readonly freeInodes: number;
};

const enlarge = 'enlarge the store soon: df -h DIRECTORY';

export function spaceFindings(space: Space, directory: string, floor: number): readonly Finding[] {
  const bytes = `${Math.floor(space.freeBytes / 2 ** 30)} GiB free for the store`;
  const share = space.inodes === 0 ? 1 : space.freeInodes / space.inodes;
  const inodes = space.inodes === 0 ? 'inodes without a limit' : `${space.freeInodes} of ${space.inodes} inodes free`;
  const next = enlarge.replace('DIRECTORY', directory);
  const disk =
    space.freeBytes < floor
      ? fault('disk', `${bytes}: uploads are refused`, `free space or enlarge the store: df -h ${directory}`)
      : space.freeBytes < 4 * floor
        ? warning('disk', bytes, next)
        : ok('disk', bytes);
  const named = next.replace('df -h', 'df -i');
  if (share < 0.01) return [disk, fault('inodes', `${inodes}: uploads will fail`, named)];
  return [disk, share < 0.05 ? warning('inodes', inodes, named) : ok('inodes', inodes)];
}

export async function diskFindings({
  storeDirectory,
  limits,
}: Pick<Config, 'storeDirectory' | 'limits'>): Promise<readonly Finding[]> {
  try {
    const { bavail, bsize, files, ffree } = await statfs(storeDirectory);
    return spaceFindings(
      { freeBytes: bavail * bsize, inodes: files, freeInodes: ffree },
      storeDirectory,
      limits.freeSpaceFloorBytes,
    );
  } catch {
    return [
      warning(
        'disk',
        'the store cannot be seen by the admin process',
        `look yourself: df -h ${storeDirectory}; df -i ${storeDirectory}`,
      ),
    ];
  }
}
