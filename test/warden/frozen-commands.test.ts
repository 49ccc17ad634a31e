// While the record is frozen, nothing is done but what ends that, and what is about changes: whoever asks, and whatever
// two operators have signed.
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import type { Proposal } from '../../server/rpc/change-document.ts';
import { changeUseCases } from '../../server/warden/changes/changes.ts';
import type { Doing, UseCases } from '../../server/warden/commands/doing.ts';
import { decide, type Operations } from '../../server/warden/commands/execute.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import { hourMs, startTwoOperators } from '../support/two-operators.ts';

type State = Operations['guard']['state'];
const frozen: State = { is: 'closed', why: 'frozen', text: 'the record is another one' };
const reason = 'a test';
const release = {
  ...{
    freeze: randomUUID(),
    why: 'behind',
    witnessedEra: 1,
    witnessedSize: 9,
    witnessedRoot: 'x',
    witnessedAt: '2026-12-01T00:00:00.000Z',
  },
  ...{ heads: 5, era: 1, reason },
};

/** Two operators, and a warden whose record is as `becomes` said last. What was carried out is in `done`. */
async function setUp(t: Test) {
  const bench = await startTwoOperators(t);
  const { warden, bob } = bench;
  const done: string[] = [];
  const carriesOut = (operation: string) => async (): Promise<never> => {
    done.push(operation);
    return { era: 2 } as never;
  };
  const names = ['account.expire', 'account.lock', 'ledger.release'] as const;
  let state: State = { is: 'open' };
  const operations: Operations = {
    useCases: Object.fromEntries(names.map((name) => [name, carriesOut(name)])) as UseCases,
    changes: changeUseCases,
    demo: {},
    guard: {
      get state() {
        return state;
      },
    },
  };
  const ask = (operation: string, params: unknown): Promise<unknown> =>
    warden.database.withSystem((tx) => {
      let change: string | null = null;
      const doing = {
        tx,
        warden,
        operator: bob.name,
        operatorId: bob.id,
        change: null,
        widen: () => {},
        endSessions: async () => 0,
      };
      const given = { ...doing, savepoint: (work: () => Promise<unknown>) => work() } as unknown as Doing;
      const command = {
        id: randomUUID(),
        operation,
        params,
        operator: bob.name,
        operatorId: bob.id,
        role: 'security-officer',
        isActive: true,
        ageMs: 0,
      };
      return sealing(tx, warden, { maker: 'operator', change: () => change }, () =>
        decide(command, given, operations, (id) => (change = id)),
      );
    });
  const approve = (proposal: Proposal): Promise<unknown> =>
    ask('change.approve', bench.approval(proposal, bob, bob.keys[0]));
  const becomes = (next: State): void => {
    state = next;
  };
  return { ...bench, done, ask, approve, becomes };
}
const refused = { code: 'unavailable', message: /^frozen: the record is another one\. Nothing was done/ };

test('while the record is frozen one operator does nothing, and what two signed before is not carried out', async (t) => {
  const { done, ask, propose, approve, stateOf, becomes } = await setUp(t);
  const [early, late] = [await propose(hourMs), await propose(hourMs)];
  await approve(early);
  t.same([await stateOf(early), done], ['applied', ['account.expire']], 'the twin: the record is in order');
  await ask('account.lock', { name: 'acme-batch', reason });
  t.same(done, ['account.expire', 'account.lock']);
  done.length = 0;
  becomes(frozen);
  await t.rejects(ask('account.lock', { name: 'acme-batch', reason }), refused);
  await t.rejects(approve(late), refused, 'approved, and not carried out');
  t.same([await stateOf(late), done], ['proposed', []], 'nor does it count as applied');
  await ask('change.reject', { change: late.change, reason });
  t.equal(await stateOf(late), 'rejected', 'the twin: changes can be rejected');
});

test('two operators release a frozen record', async (t) => {
  const { done, propose, approve, stateOf, becomes } = await setUp(t);
  becomes(frozen);
  const proposal = await propose(hourMs, { operation: 'ledger.release', params: release });
  await approve(proposal);
  t.same([await stateOf(proposal), done], ['applied', ['ledger.release']]);
});
