// Two verifiers, written independently in two languages from one page, give the same verdict about records, altered
// records, slices and altered slices.
import { test } from 'tap';
import { agree } from './two-verifiers.ts';

test('both give the same verdict; npm run soak:verifier asks about ten thousand cases', async (t) => {
  const { cases, byVerdict, faults } = await agree(1, 12);
  t.same(faults, []);
  t.ok(cases >= 200, `${cases} cases`);
  for (const verdict of ['good', 'bad', 'incomplete'])
    t.ok((byVerdict[verdict] ?? 0) > 3, `${verdict}: ${byVerdict[verdict]}`);
});
