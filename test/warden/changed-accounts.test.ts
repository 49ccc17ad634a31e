// What an account restricts is carried by its open sessions: whatever of it is changed ends them. The contact is not.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type AccountId, idOf } from '../../server/domain/ids.ts';
import type { SessionFilter } from '../../server/domain/session-filter.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import { useCasesOf } from '../../server/warden/use-cases.ts';
import { twoOfficers } from '../support/agreed.ts';
import { startSealBench } from '../support/seal-bench.ts';

const useCases = useCasesOf({ found: undefined });
type Wanted = Omit<Parameters<(typeof useCases)['account.set']>[0], 'name' | 'reason'>;

test('every change of an account ends its sessions, except one of its contact', async (t) => {
  const bench = await startSealBench(t);
  const warden = bench.warden as unknown as Warden;
  const officers = await twoOfficers(bench.warden);
  const account = idOf<AccountId>(randomUUID());
  const processor = { name: 'processor', kind: 'person', plane: 'internal', contact: null } as const;
  await officers.account({ id: account, customer: null, isDemo: false, manages: false, ...processor });

  /** Changes the account by two operators. Returns the answer, and which sessions were ended. */
  const set = async (
    wanted: Wanted,
  ): Promise<{ readonly answer: unknown; readonly ended: readonly SessionFilter[] }> => {
    const ended: SessionFilter[] = [];
    const params = { name: 'processor', reason: 'the account was reviewed', ...wanted };
    const answer = await warden.database.withSystem(async (tx) => {
      const change = await officers.change(tx, { operation: 'account.set', params });
      const doing: Doing = {
        tx,
        warden,
        operator: 'alice, approved by bob',
        operatorId: randomUUID(),
        change,
        widen: () => {},
        endSessions: async (filter) => {
          ended.push(filter);
          return 2;
        },
        savepoint: (one) => one(),
      };
      return sealing(tx, warden, { maker: 'operator', change: () => change }, () =>
        useCases['account.set'](params, doing),
      );
    });
    return { answer, ended };
  };

  const felt: readonly Wanted[] = [
    { networks: ['192.0.2.0/24'] },
    { networks: [] },
    { readOnly: true },
    { readOnly: false },
    { manages: true },
    { manages: false },
    { manages: false, contact: 'who@example.com' },
  ];
  for (const wanted of felt)
    t.same(await set(wanted), { answer: { sessionsEnded: 2 }, ended: [{ account }] }, JSON.stringify(wanted));
  t.same(await set({ contact: 'treasury@example.com' }), { answer: { sessionsEnded: 0 }, ended: [] }, 'the twin');
  await t.rejects(set({}), { code: 'invalid', message: 'nothing to change was named' });
});
