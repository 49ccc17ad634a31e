// Owns: which files are tried, and which tests may catch a slip in them: those that run within seconds, without a
// gateway and without a database.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/**
 * Files and folders of which a test of seconds should catch every slip. SQL is tested against a database, which is
 * another kind of test.
 */
const rooms = [
  'server/domain/',
  'server/extents/',
  'server/edge/sftp/codec.ts',
  'server/edge/sftp/handles.ts',
  'server/edge/sftp/packet-cutter.ts',
  'server/edge/sftp/reorder.ts',
  'server/edge/transport/channel.ts',
  'server/warden/keys/',
] as const;
/** What the copy consists of. */
export const copied = ['server', 'admin-cli', 'certs', 'verifier', 'test', 'migrations', 'scripts', 'docs'] as const;

/** Folders of tests of one unit; the others have tests of whole programs, which are for other promises. */
const unitFolders = ['domain', 'edge', 'extents', 'rpc', 'verifier', 'warden'] as const;
/**
 * How a test of another kind begins. Only a test, or a support file that it imports, contains such a call; those that
 * define it do not count.
 */
const heavy = /\b(?:createTestDatabase|createEmptyDatabase|startTestServer|startWorld|makeOriginal)\b/;
const definesHeavy = ['test/support/database.ts', 'test/support/world.ts', 'test/support/cluster.ts'];

export const sourcesBelow = (root: string, folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
    .sort();

export function triedFiles(root: string, parts: readonly string[]): readonly string[] {
  return rooms
    .flatMap((room) => (room.endsWith('/') ? sourcesBelow(root, room) : [room]))
    .filter((file) => !file.endsWith('-queries.ts'))
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)));
}

/** A file and everything of ours that it imports, however indirectly. */
function closureOf(root: string, file: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    // A test may have a text that only looks like an import.
    if (seen.has(path) || !existsSync(join(root, path))) return;
    seen.add(path);
    for (const [, name = ''] of readFileSync(join(root, path), 'utf8').matchAll(
      /(?:from|import)\s*\(?\s*'(\.[^']+\.ts)'/g,
    ))
      visit(relative(root, resolve(root, dirname(path), name)));
  };
  visit(file);
  return seen;
}

/** Tests that are quick by what they are made of, with everything that each of them imports. */
export function quickTests(root: string): ReadonlyMap<string, ReadonlySet<string>> {
  const tests = unitFolders
    .flatMap((folder) => sourcesBelow(root, `test/${folder}`))
    .filter((file) => file.endsWith('.test.ts'));
  const isHeavy = new Map<string, boolean>();
  const says = (file: string): boolean => {
    const before = isHeavy.get(file);
    const found = before ?? (!definesHeavy.includes(file) && heavy.test(readFileSync(join(root, file), 'utf8')));
    isHeavy.set(file, found);
    return found;
  };
  return new Map(
    tests
      .map((file) => [file, closureOf(root, file)] as const)
      .filter(([, closure]) => ![...closure].some((file) => file.startsWith('test/') && says(file))),
  );
}

/** A test that begins a process or a thread, or listens, has a process of its own for every slip. */
export const isAlone = (root: string, closure: ReadonlySet<string>): boolean =>
  [...closure].some((file) =>
    /'node:(?:worker_threads|child_process|net|tls|http|https|dgram)'/.test(readFileSync(join(root, file), 'utf8')),
  );
