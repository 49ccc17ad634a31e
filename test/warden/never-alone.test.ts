// An emergency is prepared by two, and then one operator does alone what it names. What makes and watches operators,
// and what preserves evidence, is never among that.
import { test } from 'tap';
import { type OperatorToAdmin, operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { startUseCaseBench } from '../support/use-case-bench.ts';

/** Nouns whose operations are done by two, whatever burns. */
const byTwo = ['operator', 'break-glass', 'change', 'hold', 'ledger'];

test('no emergency holds an operation on operators, emergencies, changes, holds or the record', async (t) => {
  const { agreed } = await startUseCaseBench(t);
  const prepare = (operation: string): Promise<unknown> =>
    agreed('break-glass.prepare', {
      operator: 'agreed-alice',
      operations: ['key.add', operation],
      hours: 1,
      validDays: 1,
      reason: 'the night shift',
    });
  const needsSecond = Object.keys(operatorToAdmin).filter(
    (name) => operatorToAdmin[name as keyof OperatorToAdmin].second !== 'never',
  );
  const [never, alone] = [true, false].map((isNever) =>
    needsSecond.filter((name) => byTwo.includes(name.split('.')[0] ?? '') === isNever),
  );
  for (const noun of byTwo.filter((one) => one !== 'change'))
    t.ok(
      never?.some((name) => name.startsWith(`${noun}.`)),
      `${noun} has such an operation`,
    );
  for (const name of never ?? [])
    await t.rejects(prepare(name), { code: 'denied', message: `${name} is never done alone` });
  for (const name of alone ?? []) t.match(await prepare(name), { answer: { breakGlass: /^[0-9a-f-]{36}$/ } }, name);
  await t.rejects(prepare('customer.list'), { code: 'invalid' }, 'what needs nobody else');
  await t.rejects(prepare('no.such'), { code: 'invalid' });
});
