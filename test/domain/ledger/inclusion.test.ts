// Audit paths lead to the root from their own leaf and place, and from nowhere else.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import { rootByPath } from '../../../server/domain/ledger/inclusion.ts';
import { auditPath, leafHash, levelsOf } from '../../../server/domain/ledger/merkle.ts';

const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();
const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.from(a).equals(Buffer.from(b));

test('every leaf of every size up to 70, by its own path only', async (t) => {
  for (let size = 1; size <= 70; size += 1) {
    const leaves = Array.from({ length: size }, (_, i) => leafHash(sha256, Buffer.from(`entry ${i}`)));
    const levels = levelsOf(sha256, leaves);
    const root = levels.at(-1)?.[0];
    let wrong = 0;
    for (const [index, leaf] of leaves.entries()) {
      const path = auditPath(levels, index);
      if (!same(rootByPath(sha256, index, size, leaf, path), root)) wrong += 1;
      const other = Buffer.from(leaf);
      other[0] = (other[0] ?? 0) ^ 1;
      if (same(rootByPath(sha256, index, size, other, path), root)) wrong += 1;
      if (size > 1 && same(rootByPath(sha256, (index + 1) % size, size, leaf, path), root)) wrong += 1;
      if (same(rootByPath(sha256, index, size, leaf, [...path, other]), root)) wrong += 1;
      if (path.length > 0 && same(rootByPath(sha256, index, size, leaf, path.slice(0, -1)), root)) wrong += 1;
      if (path.length > 0 && same(rootByPath(sha256, index, size, leaf, path.with(0, other)), root)) wrong += 1;
    }
    t.equal(wrong, 0, `${size} leaves`);
  }
});

test('a place that is not in the tree has no path', async (t) => {
  const leaf = leafHash(sha256, Buffer.from('x'));
  for (const [index, size] of [
    [0, 0],
    [1, 1],
    [-1, 1],
    [0.5, 1],
    [Number.NaN, 1],
    [0, Number.POSITIVE_INFINITY],
  ] as const)
    t.equal(rootByPath(sha256, index, size, leaf, []), undefined, `${index} of ${size}`);
  t.same(rootByPath(sha256, 0, 1, leaf, []), leaf, 'a tree of one leaf is that leaf');
  const far = 2 ** 40;
  t.ok(
    rootByPath(
      sha256,
      far - 1,
      far,
      leaf,
      Array.from({ length: 40 }, () => leaf),
    ),
    'sizes beyond 2^32 have places too',
  );
  t.equal(
    rootByPath(
      sha256,
      far - 1,
      far,
      leaf,
      Array.from({ length: 39 }, () => leaf),
    ),
    undefined,
  );
});
