// Owns: carrying out one operation of operators in a world of two banks that are alike, and saying everything that it
// did: to which rows of whom, which entries it wrote, and what it answered. Then it is undone.
import type { Config } from '../../server/config/config.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import { operatorToAdmin } from '../../server/rpc/operators/table.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import { generationsOf } from '../../server/warden/seals/generations.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import { SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { useCasesOf } from '../../server/warden/use-cases.ts';
import type { Teardown } from './database.ts';
import { doingOf } from './doing.ts';
import { type Effects, effectsOf, inWords, snapshotOf, tablesOf } from './effects.ts';
import { nextOperation } from './lock-sequence.ts';
import { resolved } from './resolved.ts';
import { makeTwoBanks, type TwoBanks } from './two-banks.ts';
import { startUseCaseBench } from './use-case-bench.ts';

const useCases = useCasesOf({ found: undefined });
type UseCases = typeof useCases;
type Verb = keyof UseCases & string;
type ParamsOf<O extends Verb> = Parameters<UseCases[O]>[0];
/**
 * What is done: an operation with its parameters. In texts, `<name>` stands for the id or the fingerprint of what has
 * this name, and `<line NAME>` for a public key.
 */
type Doable = { readonly [O in Verb]: readonly [O, ParamsOf<O>] }[Verb];
/** What was done before: an operation, or a statement about columns that no seal covers. */
export type Step = Doable | string;

type Effect = Effects & { readonly answer: unknown; readonly widened?: readonly string[] };
/** What an operation does after these steps, or why it is refused. */
export type Case = { readonly says?: string; readonly prior?: readonly Step[]; readonly run: Doable } & (
  | { readonly does: Effect }
  | { readonly refused: { readonly code: string; readonly message: string | RegExp } }
);
/** Thrown to undo what was done. */
class Undone extends Error {}

export type VerbEffects = TwoBanks & {
  /** Rejects as the operation does. Nothing of it is left in either case. */
  effectOf(run: Doable, prior?: readonly Step[]): Promise<Effect>;
};

export async function startVerbEffects(t: Teardown): Promise<VerbEffects> {
  const bench = await startUseCaseBench(t);
  const banks = await makeTwoBanks(bench);
  const { names, keys } = banks;
  const { keys: seals, database } = bench.warden;
  const shares = { warden: { sessions: { all: 100 } } } as unknown as Config['shares'];
  const registry = new SessionRegistry(
    { limits: bench.given.limits, shares },
    database,
    seals,
    [] as never,
    undefined as never,
  );
  const carryOut = async (within: Transaction, operation: Verb, params: unknown) => {
    generationsOf(seals).forget();
    await within.query(nextOperation);
    // What one operation declares is none of the next one's business, as if each had a transaction of its own.
    const tx = Object.create(within) as Transaction;
    const isAlone = operatorToAdmin[operation].second === 'never';
    const change = isAlone ? null : await bench.officers.change(tx, { operation, params: { ...(params as object) } });
    if (change !== null) names.set(change, 'change');
    const widened: string[] = [];
    const doing = doingOf(bench.given, tx, change, {
      widen: (what) => void widened.push(...what),
      endSessions: async (filter, reason, how) => (await registry.endWithin(tx, filter, reason, how?.end)).count,
    });
    const run = useCases[operation] as (given: unknown, of: Doing) => Promise<unknown>;
    const maker = { maker: 'operator', change: () => change } as const;
    return { answer: await sealing(tx, bench.given, maker, () => run(params, doing)), widened };
  };
  const tables = await database.withSystem(tablesOf);
  const usualRows = await database.withSystem((tx) => snapshotOf(tx, tables));
  const calledOrLine = (name: string): string =>
    name.startsWith('line ') ? (keys.get(name.slice('line '.length))?.line ?? `no key ${name}`) : banks.called(name);
  const named = <T>(given: T): T => resolved(given, calledOrLine);
  const carryOutOne = async (tx: Transaction, step: Step): Promise<void> => {
    if (typeof step === 'string') {
      await tx.query(named(step));
      return;
    }
    const { answer } = await carryOut(tx, step[0], named(step[1]));
    for (const [kind, id] of Object.entries(answer as object))
      if (['rotation', 'breakGlass', 'hold'].includes(kind)) names.set(id as string, `the ${kind}`);
  };
  const effectOf: VerbEffects['effectOf'] = async ([operation, params], prior = []) => {
    let effect: Effect | undefined;
    const usual = new Map(names);
    const work = async (tx: Transaction): Promise<never> => {
      for (const step of prior)
        await carryOutOne(tx, step).catch((cause: unknown) => {
          // Otherwise it might pass for the refusal that is expected.
          throw new Error(`what comes before ${operation} failed: ${String(cause)}`, { cause });
        });
      const before = prior.length === 0 ? usualRows : await snapshotOf(tx, tables);
      const { answer, widened } = await carryOut(tx, operation, named(params));
      effect = {
        answer: inWords(answer, names),
        ...(widened.length === 0 ? {} : { widened }),
        ...effectsOf(before, await snapshotOf(tx, tables), names),
      };
      throw new Undone();
    };
    try {
      await database.withSystem(work);
    } catch (error) {
      if (!(error instanceof Undone)) throw error;
    } finally {
      generationsOf(seals).forget();
      names.clear();
      for (const [id, name] of usual) names.set(id, name);
    }
    if (effect === undefined) throw new Error(`${operation} did nothing`);
    return effect;
  };
  return { ...banks, effectOf };
}
