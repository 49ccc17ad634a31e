// Owns: the use cases of operators without a running warden: each is carried out as a change that two operators agreed
// on, and whose sessions it would end is told.
import { defaultCredentialAges } from '../../server/config/credential-ages.ts';
import type { SessionFilter } from '../../server/domain/session-filter.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import { useCasesOf } from '../../server/warden/use-cases.ts';
import { type Agreed, twoOfficers } from './agreed.ts';
import { wideBudgets } from './bank.ts';
import type { Teardown } from './database.ts';
import { doingOf } from './doing.ts';
import { type SealBench, startSealBench } from './seal-bench.ts';

/** What the bench answers for the sessions that a use case asks to end. */
export const sessionsEnded = 2;
const useCases = useCasesOf({ found: undefined });
type UseCases = typeof useCases;
type Answered<O extends keyof UseCases> = {
  readonly answer: Awaited<ReturnType<UseCases[O]>>;
  readonly ended: readonly SessionFilter[];
};

export type UseCaseBench = SealBench & {
  readonly officers: Agreed;
  /** What the use cases receive as their warden. */
  readonly given: Warden;
  /** Carries out one operation. Returns its answer, and which sessions it asked to end. */
  agreed<O extends keyof UseCases & string>(operation: O, params: Parameters<UseCases[O]>[0]): Promise<Answered<O>>;
};

export async function startUseCaseBench(t: Teardown): Promise<UseCaseBench> {
  const bench = await startSealBench(t);
  const limits = { settleMs: 0, collectWindowDays: 30, collectRetentionDays: 60 };
  const warden = {
    ...bench.warden,
    edges: [],
    isDemo: false,
    ages: defaultCredentialAges,
    budgets: wideBudgets,
    limits,
  } as unknown as Warden;
  const officers = await twoOfficers(bench.warden);
  const agreed: UseCaseBench['agreed'] = async (operation, params) => {
    const ended: SessionFilter[] = [];
    const answer = await warden.database.withSystem(async (tx) => {
      const change = await officers.change(tx, { operation, params: { ...params } });
      const doing = doingOf(warden, tx, change, {
        endSessions: async (filter) => {
          ended.push(filter);
          return sessionsEnded;
        },
      });
      const useCase = useCases[operation] as (given: typeof params, of: Doing) => Promise<unknown>;
      return sealing(tx, warden, { maker: 'operator', change: () => change }, () => useCase(params, doing));
    });
    return { answer, ended } as Awaited<ReturnType<typeof agreed<typeof operation>>>;
  };
  return { ...bench, officers, given: warden, agreed };
}
