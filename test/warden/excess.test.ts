// T-35: how much in the incoming directory of an edge is too much. Only an object for which an upload waits is left
// out, up to the size of one extent.
import { test } from 'tap';
import type { Found } from '../../server/extents/object-store.ts';
import { excessOf } from '../../server/warden/transfers/incoming-allowance.ts';

const mib = 2 ** 20;
const bytesMax = 100 * mib;
const object = (n: number): string => n.toString(16).padStart(32, '0');
const file = (name: string, bytes: number): Found => ({ name, kind: 'file', ageMs: 0, bytes });
const excess = (found: readonly Found[], unknown: readonly string[] = []): string | undefined =>
  excessOf({ found, isWhole: true, fault: null }, new Set(unknown), bytesMax);

test('an object that an upload waits for counts with what exceeds an extent', (t) => {
  const extent = 16 * mib + 65_536;
  const many = Array.from({ length: 1000 }, (_, n) => file(object(n), extent));
  t.equal(excess(many), undefined);
  t.equal(excess([...many, file(object(2000), extent + bytesMax)]), undefined);
  t.match(
    excess([...many, file(object(2000), extent + bytesMax + 512)]),
    /^0\.1 GiB that no upload waits for, in 0 files$/,
  );
  t.end();
});

test('everything else counts as a whole, whatever its name is and whatever it is', (t) => {
  const half = bytesMax / 2;
  for (const [what, other] of [
    ['an object without an upload', file(object(2), half)],
    ['a name of an edge’s own', file('anything', half)],
    ['a name that is no UTF-8', file('\u00ff', half)],
    ['no file, with the name of an object', { ...file(object(3), half), kind: 'other' as const }],
  ] as const) {
    const found = [file(object(1), half), other, file(object(4), mib)];
    t.equal(excess(found, [object(1), object(2)]), undefined, `${what}: as much as there may be`);
    t.match(
      excess([...found, file(object(5), 512)], [object(1), object(2), object(5)]),
      /in 3 files$/,
      `${what}: more than that`,
    );
  }
  t.end();
});

test('what cannot be counted is too much', (t) => {
  t.equal(
    excessOf({ found: [], isWhole: false, fault: 'EACCES' }, new Set(), bytesMax),
    'its files cannot be counted (EACCES)',
  );
  t.equal(excessOf({ found: [], isWhole: false, fault: null }, new Set(), bytesMax), 'more than 10000 files');
  t.end();
});
