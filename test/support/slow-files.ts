// Owns: a file system that is slow, and tells: each call of node:fs/promises takes a few turns more, what it did is
// listed when it has ended, and a test may let one fail, do half, or meet something that happened meanwhile.
import files, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { Test } from 'tap';

const calls = ['link', 'lstat', 'mkdir', 'open', 'readdir', 'rm', 'rmdir', 'statfs', 'unlink'] as const;
const handleCalls = ['close', 'datasync', 'read', 'stat', 'sync', 'truncate', 'write'] as const;
type Call = (typeof calls)[number] | (typeof handleCalls)[number];
type Function = (...args: never[]) => Promise<unknown>;

export type SlowFiles = {
  /** `call path` of each call that has ended well, in their order. */
  readonly done: string[];
  /** The number of calls that have begun and not ended. */
  underWay: number;
  /** The number of files that are open. */
  open: number;
  /**
   * Called before each call with its path and its arguments: what it throws is how the call ends, and what it returns
   * is given instead.
   */
  before: (call: Call, path: string, args: unknown[]) => unknown;
};

const turns = async (): Promise<void> => {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Until the end of the test. */
export function slowFiles(t: Test): SlowFiles {
  const seen: SlowFiles = { done: [], underWay: 0, open: 0, before: () => undefined };
  const slow = (call: Call, path: string | undefined, original: Function): Function => {
    return async (...args: unknown[]) => {
      const place = path ?? String(args[0]);
      seen.underWay += 1;
      try {
        await turns();
        const instead = await seen.before(call, place, args);
        const result = instead ?? (await original(...(args as never[])));
        await turns();
        seen.done.push(`${call} ${place}`);
        if (call === 'close') seen.open -= 1;
        if (call === 'open') {
          seen.open += 1;
          slowHandle(result as FileHandle, place);
        }
        return result;
      } finally {
        seen.underWay -= 1;
      }
    };
  };
  const slowHandle = (handle: FileHandle, path: string): void => {
    for (const call of handleCalls)
      Object.defineProperty(handle, call, {
        value: slow(call, path, (handle[call] as unknown as Function).bind(handle)),
      });
  };
  const originals = calls.map((call) => [call, files[call]] as const);
  for (const [call, original] of originals)
    Object.assign(files, { [call]: slow(call, undefined, original as unknown as Function) });
  syncBuiltinESMExports();
  t.teardown(() => {
    for (const [call, original] of originals) Object.assign(files, { [call]: original });
    syncBuiltinESMExports();
  });
  return seen;
}
