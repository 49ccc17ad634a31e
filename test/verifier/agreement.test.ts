// Two verifiers, written apart in two languages from one page, say the same of records, tampered records, slices and tampered slices.
import { test } from 'tap';
import { agree } from './two-verifiers.ts';

test('both say the same; npm run soak:verifier asks of ten thousand', async (t) => {
  const { cases, byVerdict, faults } = await agree(1, 12);
  t.same(faults, []);
  t.ok(cases >= 200, `${cases} cases`);
  for (const verdict of ['good', 'bad', 'incomplete']) t.ok((byVerdict[verdict] ?? 0) > 3, `${verdict}: ${byVerdict[verdict]}`);
});
