// Owns: the record of the database as the lines of a dump, page by page, up to where it stood at the start: all of it, or what is behind a place that was proved.
// Must never: hold a transaction open while somebody verifies: what is sealed never changes.

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
import { pageOfHashes, rowsBehind } from './since-queries.ts';

const pageRows = 1000;
const pageTrees = 500;
const firstPlace = { tree: '00000000-0000-0000-0000-000000000000', index: -1 } as const;

/** Where an earlier run ended: its last head, and how many entries of each tree it had read. */
export type Place = { readonly head: number; readonly sizes: ReadonlyMap<string, number> };

const textOf = (rows: readonly Line[]): string => rows.map((row) => `${row.line}\n`).join('');

/** Rows behind `first`, page by page. */
async function* pages<Row extends Line>(first: number, ask: (after: number) => Promise<readonly Row[]>): AsyncGenerator<readonly Row[]> {
  for (let after = first; ; ) {
    const rows = await ask(after);
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    after = last.at;
  }
}

/** The heads behind `after`; `sizes` is told what they say of their trees. */
async function* headLines(database: Database, after: number, bound: Bound, sizes: Map<string, number>): AsyncGenerator<string> {
  for await (const rows of pages(after, (from) => database.withSystem((tx) => pageOfHeads(tx, from, bound, pageRows)))) {
    for (const { line } of rows)
      for (const word of JSON.parse(line).head as unknown[])
        if (typeof word === 'string')
          for (const [, tree = '', size = ''] of word.matchAll(/^([0-9a-f-]{36}) (\d+) /gm)) sizes.set(tree, Number(size));
    yield textOf(rows);
  }
}

async function* entryLines(database: Database, tree: string, after: number, size: number, bound: Bound): AsyncGenerator<string> {
  const ask = (from: number): Promise<readonly Line[]> => database.withSystem((tx) => pageOfEntries(tx, tree, from, size, bound, pageRows));
  for await (const rows of pages(after, ask)) yield textOf(rows);
}

/** Heads, blocks, leaves, entries by tree and position; each piece is some lines, each with its newline. */
export async function* recordLines(database: Database): AsyncGenerator<string> {
  const bound = await database.withSystem(boundOf);
  const sizes = new Map<string, number>([[headsTree, bound.heads]]);
  yield* headLines(database, -1, bound, sizes);
  for (const pageOf of [pageOfBlocks, pageOfLeaves])
    for (let after: { readonly tree: string; readonly index: number } = firstPlace; ; ) {
      const from = after;
      const rows = await database.withSystem((tx) => pageOf(tx, from, pageRows));
      // Blocks that were complete at the start.
      yield textOf(pageOf === pageOfLeaves ? rows : rows.filter(({ tree, at }) => (at + 1) * blockLeaves <= (sizes.get(tree) ?? 0)));
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

/** The same of what is behind a place: the last head once more and those behind it, and of every tree what is behind its size, whether a head names it or not. */
export async function* recordLinesSince(database: Database, place: Place): AsyncGenerator<string> {
  const bound = await database.withSystem(boundOf);
  const sizes = new Map<string, number>([...place.sizes, [headsTree, bound.heads]]);
  yield* headLines(database, place.head - 1, bound, sizes);
  const startOf = (tree: string): number => (tree === headsTree ? place.head + 1 : (place.sizes.get(tree) ?? 0));
  const trees = [...sizes.keys()].sort();
  const behind = [];
  for (let from = 0; from < trees.length; from += pageTrees) {
    const some = trees.slice(from, from + pageTrees);
    behind.push(...(await database.withSystem((tx) => rowsBehind(tx, some, some.map(startOf)))));
  }
  behind.sort((a, b) => (a.tree < b.tree ? -1 : 1));
  for (const part of [2, 3] as const)
    for (const { tree } of behind.filter(({ blocks, leaves }) => (part === 2 ? blocks : leaves))) {
      const first = part === 2 ? Math.floor(startOf(tree) / blockLeaves) : startOf(tree);
      const ask = (from: number): Promise<readonly Line[]> => database.withSystem((tx) => pageOfHashes(tx, part, tree, from, pageRows));
      for await (const rows of pages(first - 1, ask))
        yield textOf(part === 3 ? rows : rows.filter(({ at }) => (at + 1) * blockLeaves <= (sizes.get(tree) ?? 0)));
    }
  for (const { tree } of behind.filter(({ entries }) => entries))
    yield* entryLines(database, tree, startOf(tree) - 1, sizes.get(tree) ?? 0, bound);
}
