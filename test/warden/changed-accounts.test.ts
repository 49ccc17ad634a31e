// What an account restricts is carried by its open sessions: whatever of it is changed ends them. The contact is not.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type AccountId, idOf } from '../../server/domain/ids.ts';
import { sessionsEnded, startUseCaseBench } from '../support/use-case-bench.ts';

test('every change of an account ends its sessions, except one of its contact', async (t) => {
  const { officers, agreed } = await startUseCaseBench(t);
  const account = idOf<AccountId>(randomUUID());
  const processor = { name: 'processor', kind: 'person', plane: 'internal', contact: null } as const;
  await officers.account({ id: account, customer: null, isDemo: false, manages: false, ...processor });
  const by = { name: 'processor', reason: 'the account was reviewed' } as const;
  for (const wanted of [
    { networks: ['192.0.2.0/24'] },
    { networks: [] },
    { readOnly: true },
    { readOnly: false },
    { manages: true },
    { manages: false },
    { manages: false, contact: 'who@example.com' },
  ])
    t.same(
      await agreed('account.set', { ...by, ...wanted }),
      { answer: { sessionsEnded }, ended: [{ account }] },
      JSON.stringify(wanted),
    );
  t.same(
    await agreed('account.set', { ...by, contact: 'treasury@example.com' }),
    { answer: { sessionsEnded: 0 }, ended: [] },
    'the twin',
  );
  await t.rejects(agreed('account.set', by), { code: 'invalid', message: 'nothing to change was named' });
});
