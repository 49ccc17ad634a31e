// Owns: where the files of a run of tests lie: in memory, when there is enough of it. The databases and gateways of the
// tests flush what they commit, as everywhere, and on a file system in memory that costs nothing; none of our tests
// switches the machine off.
import { readFileSync, statfsSync } from 'node:fs';

const memoryPlace = '/dev/shm';
/** The number by which Linux names a file system in memory (`TMPFS_MAGIC` of its headers). */
const tmpfsType = 0x0102_1994;
/** A run of everything was seen with 3 GiB of files at a time. */
const placeBytes = 6 * 2 ** 30;
/** What has to be free of the memory that we may use: the files, and the processes of the tests. */
const memoryBytes = 10 * 2 ** 30;

/** Returns the options with which a directory is mounted itself; empty when it is not. */
function mountOptions(directory: string): readonly string[] {
  const rows = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return (
    rows
      .findLast((row) => row.split(' ')[1] === directory)
      ?.split(' ')[3]
      ?.split(',') ?? []
  );
}

/**
 * Returns a directory in memory that is large enough for the files of a run; undefined when there is none, or when
 * programs may not be started from it, which some tests do.
 */
export function placeInMemory(): string | undefined {
  try {
    const place = statfsSync(memoryPlace);
    const options = mountOptions(memoryPlace);
    const fits =
      place.type === tmpfsType && place.bavail * place.bsize >= placeBytes && process.availableMemory() >= memoryBytes;
    return fits && options.includes('rw') && !options.includes('noexec') ? memoryPlace : undefined;
  } catch {
    return undefined;
  }
}
