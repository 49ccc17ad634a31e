// Owns: finding circles: folders each of which imports all the others, directly or indirectly.
import { dirname, join, normalize } from 'node:path';
import { textOf } from './sources.ts';

export type Import = { readonly from: string; readonly to: string };

/** The imports of these files from each other, including types: both lead whoever reads one file to the other. */
export function importsIn(root: string, paths: readonly string[]): readonly Import[] {
  return paths.flatMap((from) =>
    [...textOf(root, from).matchAll(/(?<![.\w'-])(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, name = '']) => ({
      from,
      to: normalize(join(dirname(from), name)),
    })),
  );
}

/**
 * The same imports as between folders. Every folder is a room of its own, and so are the files beside its subfolders.
 */
export const foldersAsRooms = (imports: readonly Import[]): readonly Import[] =>
  imports.map(({ from, to }) => ({ from: dirname(from), to: dirname(to) })).filter(({ from, to }) => from !== to);

/** Everything that can be reached from `start`; `start` itself only when a way leads back to it. */
function reachedFrom(start: string, ways: ReadonlyMap<string, ReadonlySet<string>>): ReadonlySet<string> {
  const reached = new Set<string>();
  const next = [start];
  for (let one = next.pop(); one !== undefined; one = next.pop())
    for (const way of ways.get(one) ?? [])
      if (!reached.has(way)) {
        reached.add(way);
        next.push(way);
      }
  return reached;
}

/** The circles: each with all its members in alphabetical order. */
export function circlesIn(imports: readonly Import[]): readonly (readonly string[])[] {
  const ways = new Map<string, Set<string>>();
  for (const { from, to } of imports) ways.set(from, (ways.get(from) ?? new Set<string>()).add(to));
  const reached = new Map([...ways.keys()].map((one) => [one, reachedFrom(one, ways)]));
  const found = new Map<string, readonly string[]>();
  for (const [one, others] of reached) {
    if (!others.has(one)) continue;
    const circle = [...others].filter((other) => reached.get(other)?.has(one)).sort();
    found.set(circle.join(), circle);
  }
  return [...found.values()].sort((a, b) => b.length - a.length);
}
