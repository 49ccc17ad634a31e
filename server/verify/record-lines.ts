// Owns: the record of the database as the lines of a dump, page by page, up to where it stood at the start.
// Must never: hold a transaction open while somebody verifies: what is sealed never changes.

import { boundOf, nextTree, pageOfBlocks, pageOfEntries, pageOfHeads, pageOfLeaves } from '../admin/ledger/dump-queries.ts';
import { headsTree } from '../domain/ledger/leaf.ts';
import { blockLeaves } from '../domain/ledger/merkle.ts';
import type { Database } from '../postgres/database.ts';

const pageRows = 1000;
const firstPlace = { tree: '00000000-0000-0000-0000-000000000000', index: -1 } as const;

/** Heads, blocks, leaves, entries by tree and position; each piece is some lines, each with its newline. */
export async function* recordLines(database: Database): AsyncGenerator<string> {
  const bound = await database.withSystem(boundOf);
  const sizes = new Map<string, number>([[headsTree, bound.heads]]);
  for (let after = -1; ; ) {
    const rows = await database.withSystem((tx) => pageOfHeads(tx, after, bound, pageRows));
    for (const { line } of rows)
      for (const word of JSON.parse(line).head as unknown[])
        if (typeof word === 'string')
          for (const [, tree = '', size = ''] of word.matchAll(/^([0-9a-f-]{36}) (\d+) /gm)) sizes.set(tree, Number(size));
    yield textOf(rows);
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) break;
    after = last.at;
  }
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
    for (let after = -1; ; ) {
      const rows = await database.withSystem((tx) => pageOfEntries(tx, of, after, sizes.get(of) ?? 0, bound, pageRows));
      yield textOf(rows);
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageRows) break;
      after = last.at;
    }
    tree = await database.withSystem((tx) => nextTree(tx, of));
  }
}

const textOf = (rows: readonly { readonly line: string }[]): string => rows.map((row) => `${row.line}\n`).join('');
