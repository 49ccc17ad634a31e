// Rights are taken away whatever somebody altered in the rows beside them. Where every row of them was deleted, nothing
// is taken or given, because the rows could be put back with their seal.
import { test } from 'tap';
import { startVerbEffects } from '../support/verb-effects.ts';

type EffectOf = Awaited<ReturnType<typeof startVerbEffects>>['effectOf'];

const change = (act: 'give' | 'take', folder?: string): Parameters<EffectOf>[0] => [
  'account.set',
  {
    name: 'acme-batch',
    rights: [{ act, customer: 'acme', ...(folder === undefined ? {} : { folder }) }],
    reason: 'test',
  },
];

test('everything is taken, whatever the rows beside the rights say', async (t) => {
  const { effectOf } = await startVerbEffects(t);
  t.match(
    await effectOf(change('take', 'collect'), ["update folder set direction = 'deposit' where name = 'collect'"]),
    {
      answer: { sessionsEnded: 4 },
      changed: { 'folder_right acme-batch/acme/collect': { verbs: [] } },
      added: { alert: [{ kind: 'row.broken-seal', subject: 'folder/acme/collect' }] },
    },
    'the direction of the folder was altered',
  );
  t.match(
    await effectOf(change('take'), [
      "update account set customer_id = (select id from customer where name = 'acme-2') where name = 'acme-batch'",
    ]),
    {
      changed: {
        'folder_right acme-batch/acme/collect': { verbs: [] },
        'folder_right acme-batch/acme/deposit': { verbs: [] },
      },
    },
    'the account was given to another bank',
  );
});

test('nothing is taken or given where all rows were deleted', async (t) => {
  const { effectOf } = await startVerbEffects(t);
  const deleted = "delete from folder_right where account_id = (select id from account where name = 'acme-batch')";
  for (const act of ['take', 'give'] as const)
    await t.rejects(effectOf(change(act), [deleted]), { code: 'denied', message: /it was altered before/ }, act);
  t.match(await effectOf(change('take')), { answer: { sessionsEnded: 4 } }, 'the twin: as they were');
});
