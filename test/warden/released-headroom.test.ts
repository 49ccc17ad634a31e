// Headroom that two operators approved is released once by one: also when only one of the two directions was used up.
import { test } from 'tap';
import { startUseCaseBench } from '../support/use-case-bench.ts';

const reason = 'a large delivery';
const scope = { kind: 'customer', customer: 'acme' } as const;

test('what was released is approved again before it is released again', async (t) => {
  const { sql, agreed } = await startUseCaseBench(t);
  await agreed('customer.create', { name: 'acme', reason });
  const release = (): Promise<unknown> => agreed('budget.release', { scope, hours: 1, reason });
  const approve = (direction: 'out' | 'in'): Promise<unknown> =>
    agreed('budget.set', { scope, direction, headroomPercent: 20, reason });
  const wide = async (): Promise<readonly string[]> =>
    (
      await sql.query<{ direction: string }>(
        'select direction from budget where headroom_until > clock_timestamp() order by direction',
      )
    ).map((one) => one.direction);

  await t.rejects(release(), { code: 'conflict', message: /no headroom was approved for this scope/ });
  await approve('out');
  t.match(await release(), { answer: { percent: 20 } });
  t.same(await wide(), ['out']);
  await t.rejects(release(), { code: 'conflict', message: /released before; it has to be approved again/ });
  await approve('in');
  await t.rejects(
    release(),
    { code: 'conflict', message: /released before/ },
    'the other direction was not used up yet',
  );
  t.same(await wide(), ['out'], 'and nothing was released by that');
  await approve('out');
  t.match(await release(), { answer: { percent: 20 } }, 'the twin: both are approved');
  t.same(await wide(), ['in', 'out']);
});
