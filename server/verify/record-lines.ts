// Owns: reading the record from the database as the lines of a dump, page by page, up to its end at the start: all of
// it, or what was sealed after a position that was proved.
// Must never: hold a transaction open while the lines are verified. None is needed, because what is sealed never
// changes.

import {
  type Bound,
  boundOf,
  type Line,
  nextTree,
  pageOfBlocks,
  pageOfEntries,
  pageOfHeads,
  pageOfLeaves,
} from '../admin/ledger/dump-queries.ts';
import { headsTree } from '../domain/ledger/leaf.ts';
import { blockLeaves } from '../domain/ledger/merkle.ts';
import type { Database } from '../postgres/database.ts';
import { grownTrees, pageOfHashes } from './since-queries.ts';

const pageRows = 1000;
const pageTrees = 500;
/** A position before the first of every tree. */
const beforeAll = { tree: '00000000-0000-0000-0000-000000000000', index: -1 } as const;

/** Where an earlier run ended: the position of its last head, and how many entries of each tree it had read. */
export type ReadPosition = { readonly head: number; readonly sizes: ReadonlyMap<string, number> };

const textOf = (rows: readonly Line[]): string => rows.map((row) => `${row.line}\n`).join('');

/** Yields the rows after position `first`, page by page. */
async function* pages<Row extends Line>(
  first: number,
  ask: (after: number) => Promise<readonly Row[]>,
): AsyncGenerator<readonly Row[]> {
  for (let after = first; ; ) {
    const rows = await ask(after);
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    after = last.at;
  }
}

/** Yields the heads after position `after`, and puts the sizes that they state of their trees into `sizes`. */
async function* headLines(
  database: Database,
  after: number,
  bound: Bound,
  sizes: Map<string, number>,
): AsyncGenerator<string> {
  for await (const rows of pages(after, (from) =>
    database.withSystem((tx) => pageOfHeads(tx, from, bound, pageRows)),
  )) {
    for (const { line } of rows)
      for (const word of JSON.parse(line).head as unknown[])
        if (typeof word === 'string')
          for (const [, tree = '', size = ''] of word.matchAll(/^([0-9a-f-]{36}) (\d+) /gm))
            sizes.set(tree, Number(size));
    yield textOf(rows);
  }
}

async function* entryLines(
  database: Database,
  tree: string,
  after: number,
  size: number,
  bound: Bound,
): AsyncGenerator<string> {
  const ask = (from: number): Promise<readonly Line[]> =>
    database.withSystem((tx) => pageOfEntries(tx, tree, from, size, bound, pageRows));
  for await (const rows of pages(after, ask)) yield textOf(rows);
}

/**
 * Yields the lines of the whole record: heads, blocks and leaves, then the entries by tree and position. A piece is
 * some whole lines, each with its newline.
 */
export async function* recordLines(database: Database): AsyncGenerator<string> {
  const bound = await database.withSystem(boundOf);
  const sizes = new Map<string, number>([[headsTree, bound.heads]]);
  yield* headLines(database, -1, bound, sizes);
  for (const pageOf of [pageOfBlocks, pageOfLeaves])
    for (let after: { readonly tree: string; readonly index: number } = beforeAll; ; ) {
      const from = after;
      const rows = await database.withSystem((tx) => pageOf(tx, from, pageRows));
      // A block that was completed after the start is left out.
      yield textOf(
        pageOf === pageOfLeaves
          ? rows
          : rows.filter(({ tree, at }) => (at + 1) * blockLeaves <= (sizes.get(tree) ?? 0)),
      );
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageRows) break;
      after = { tree: last.tree, index: last.at };
    }
  for (let tree = await database.withSystem((tx) => nextTree(tx, null)); tree !== undefined; ) {
    const of = tree;
    yield* entryLines(database, of, -1, sizes.get(of) ?? 0, bound);
    tree = await database.withSystem((tx) => nextTree(tx, of));
  }
}

/**
 * Yields what was sealed after a position, in the same form as `recordLines`: the last head once more, the heads after
 * it, and what every tree has beyond its known size, also when no new head names that tree.
 */
export async function* recordLinesSince(database: Database, read: ReadPosition): AsyncGenerator<string> {
  const bound = await database.withSystem(boundOf);
  const sizes = new Map<string, number>([...read.sizes, [headsTree, bound.heads]]);
  yield* headLines(database, read.head - 1, bound, sizes);
  const startOf = (tree: string): number => (tree === headsTree ? read.head + 1 : (read.sizes.get(tree) ?? 0));
  const trees = [...sizes.keys()].sort();
  const grown = [];
  for (let from = 0; from < trees.length; from += pageTrees) {
    const some = trees.slice(from, from + pageTrees);
    grown.push(...(await database.withSystem((tx) => grownTrees(tx, some, some.map(startOf)))));
  }
  grown.sort((a, b) => (a.tree < b.tree ? -1 : 1));
  for (const part of [2, 3] as const)
    for (const { tree } of grown.filter(({ blocks, leaves }) => (part === 2 ? blocks : leaves))) {
      const first = part === 2 ? Math.floor(startOf(tree) / blockLeaves) : startOf(tree);
      const ask = (from: number): Promise<readonly Line[]> =>
        database.withSystem((tx) => pageOfHashes(tx, part, tree, from, pageRows));
      for await (const rows of pages(first - 1, ask))
        yield textOf(part === 3 ? rows : rows.filter(({ at }) => (at + 1) * blockLeaves <= (sizes.get(tree) ?? 0)));
    }
  for (const { tree } of grown.filter(({ entries }) => entries))
    yield* entryLines(database, tree, startOf(tree) - 1, sizes.get(tree) ?? 0, bound);
}
