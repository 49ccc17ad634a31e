// Owns: the best forgery of a record that is possible without its signing key: rows, leaves, blocks, heads and trees
// all fit each other.
import type pg from 'pg';
import {
  type Grown,
  headLines,
  headsTree,
  headText,
  leafData,
  numberCommitment,
  type PlacedEntry,
} from '../../server/domain/ledger/leaf.ts';
import { TreeMap } from '../../server/domain/ledger/map.ts';
import {
  append,
  emptyFrontier,
  type Frontier,
  frontierBytes,
  leafHash,
  rootOf,
} from '../../server/domain/ledger/merkle.ts';
import { base64, sha256 } from '../../server/warden/ledger/hashing.ts';

type Sealed = PlacedEntry & { readonly salt: Buffer };
const columns = `tree, position::float8, number::float8, micros(at)::float8 as at, kind, observer, customer_id as customer, account_id as account, session_id as session, node, plane,
  handle_id as handle, version_id as version, extent, bytes::float8, public::text as "publicText", credential, also_credential as "alsoCredential", host(source) as source,
  source_port as "sourcePort", client, operator, sensitive::text as "sensitiveText", salt`;

type Tree = { frontier: Frontier; readonly blocks: { readonly index: number; readonly hash: Uint8Array }[] };

function grow(tree: Tree, leaf: Uint8Array): void {
  tree.frontier = append(sha256, tree.frontier, leaf, (index, hash) => void tree.blocks.push({ index, hash }));
}

/** Everything is computed again from the rows as they are; only the checkpoint's signature cannot be. */
export async function recompute(client: pg.Client): Promise<void> {
  await client.query('set session_replication_role = replica');
  const { rows: heads } = await client.query<{ position: number; at: number; number: number; secret: Buffer }>(
    'select position::float8, micros(at)::float8 as at, number::float8, secret from ledger_head order by position',
  );
  const { rows: entries } = await client.query<Sealed>(`select ${columns} from ledger_sealed order by number`);
  const trees = new Map<string, Tree>();
  const treeOf = (name: string): Tree => {
    const known = trees.get(name) ?? { frontier: emptyFrontier, blocks: [] };
    trees.set(name, known);
    return known;
  };
  const log = treeOf(headsTree);
  let next = 0;
  let map = TreeMap.empty(sha256, new Uint8Array(32));
  for (const head of heads) {
    const grown = new Set<string>();
    for (let entry = entries[next]; entry !== undefined && entry.number <= head.number; entry = entries[next]) {
      const leaf = leafHash(sha256, leafData(sha256, entry, entry.salt));
      await client.query('update ledger_sealed set leaf = $1 where number = $2 and leaf <> $1', [leaf, entry.number]);
      grow(treeOf(entry.tree), leaf);
      grown.add(entry.tree);
      next += 1;
    }
    const rowOf = (tree: string): Grown => {
      const { frontier } = treeOf(tree);
      return { tree, size: frontier.size, root: base64(rootOf(sha256, frontier)) };
    };
    const isEpoch = !map.secret.every((byte, i) => byte === head.secret[i]);
    const named = isEpoch ? [...trees.keys()].filter((tree) => tree !== headsTree) : [...grown];
    const lines = headLines(named.map(rowOf));
    map = (isEpoch ? TreeMap.empty(sha256, Uint8Array.from(head.secret)) : map).with(named.map(rowOf));
    await client.query('update ledger_head set trees = $1, map_root = $2 where position = $3', [
      lines,
      Buffer.from(map.root()),
      head.position,
    ]);
    const commitment = base64(numberCommitment(sha256, head.secret, head.position, head.number));
    grow(
      log,
      leafHash(sha256, new TextEncoder().encode(headText(head.position, head.at, base64(map.root()), commitment))),
    );
  }
  await client.query('delete from ledger_block');
  for (const [name, { frontier, blocks }] of trees) {
    await client.query('update ledger_tree set frontier = $1 where tree = $2', [
      Buffer.from(frontierBytes(frontier)),
      name,
    ]);
    for (const { index, hash } of blocks)
      await client.query('insert into ledger_block (tree, index, hash) values ($1, $2, $3)', [
        name,
        index,
        Buffer.from(hash),
      ]);
  }
}
