// Whatever an edge stated, a report has numbers that a program can hold; what nobody stated is no number.
import { test } from 'tap';
import { createTestDatabase } from '../support/database.ts';

test('a sum of a report is a whole number that a program can hold, or null', async (t) => {
  const sql = await createTestDatabase(t);
  const most = Number.MAX_SAFE_INTEGER;
  const [row] = await sql.query(
    'select whole_number(null) as unknown, whole_number(7) as seven, whole_number(1e30) as most, whole_number(-1e30) as least',
  );
  t.same(
    Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, value === null ? null : Number(value)])),
    {
      unknown: null,
      seven: 7,
      most,
      least: -most,
    },
  );
});
