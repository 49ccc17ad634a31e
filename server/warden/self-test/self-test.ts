// Owns: the accounts with which each node tests its controls, the codes that these tests use, and what follows from a
// verdict (T-20).
// Must never: give out a code or a right of any other account, or take silence for a good result.

import { CofferdamError } from '../../domain/errors.ts';
import type { AccountId, CustomerId } from '../../domain/ids.ts';
import { parseSshPublicKey } from '../../domain/ssh-keys.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Handlers } from '../../rpc/operation.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import type { Warden } from '../context/context.ts';
import { fingerprintOf } from '../credentials/ssh-signature.ts';
import { endFactor, hasFactorRow, replaceSeed } from '../factors/factor-queries.ts';
import { codeAt, lastingStep, newSeed, stepAt, stepEndsInMs } from '../factors/totp.ts';
import { record } from '../ledger/entries/record.ts';
import { passOverRows } from '../passes/row-passes.ts';
import { sealing } from '../seals/seals.ts';
import { testerOf } from '../testers/tester.ts';
import { selfTestBudgets } from './self-test-budgets.ts';
import {
  ensureAccount,
  ensureCustomer,
  findOwnSeed,
  forgetUnusedKeys,
  isUsableKey,
  lockTester,
  replaceKey,
  silentNodes,
  writeVerdict,
} from './self-test-queries.ts';

type Operations = 'self-test.begin' | 'self-test.code' | 'self-test.report';

const folder = 'probe';
/** How long a run must keep its key, in milliseconds. An edge changes it every day. */
const keyLifeMs = 20 * 3_600_000;
/**
 * The name of the node's account, and of the customer that belongs to it alone: nothing that one node uses up or writes
 * affects another one.
 */
const nameOf = (caller: EdgeCaller): string => testerOf(caller.node, caller.plane);

export function selfTestHandlers(
  warden: Warden,
  startIdOf: (caller: EdgeCaller) => string,
): Pick<Handlers<EdgeToWarden, EdgeCaller>, Operations> {
  const { database, keys } = warden;
  /** The key of the present run of each node, and when it was registered. */
  const begun = new Map<string, { readonly startId: string; readonly fingerprint: string; readonly at: number }>();

  /**
   * Permits one key for each run and day. The same key may be named again, which changes nothing. Throws `conflict`
   * otherwise.
   */
  const requireKeyOfRun = (caller: EdgeCaller, fingerprint: string): void => {
    const startId = startIdOf(caller);
    const known = begun.get(caller.node);
    if (known?.startId === startId && known.fingerprint === fingerprint) return;
    if (known?.startId === startId && performance.now() - known.at < keyLifeMs)
      throw new CofferdamError('conflict', 'this run of the node already has a self-test key');
    begun.set(caller.node, { startId, fingerprint, at: performance.now() });
  };

  /**
   * Creates the node's account and its rights, and makes this key its only usable one. What remains of earlier keys,
   * and is not named by a session, is deleted.
   */
  const makeTester = async (caller: EdgeCaller, blob: Buffer, type: string, fingerprint: string): Promise<void> => {
    const budgets = selfTestBudgets(warden.budgets);
    const isInternal = caller.plane === 'internal';
    const alone = (work: (tx: Transaction, account: AccountId, customer: CustomerId) => Promise<void>): Promise<void> =>
      database.withSystem(async (tx) => {
        await lockTester(tx, nameOf(caller));
        if (await isUsableKey(tx, nameOf(caller), fingerprint)) return;
        await sealing(tx, warden, { maker: 'self-test', change: () => null }, async () => {
          const customer = await ensureCustomer(tx, nameOf(caller));
          if (customer.isNew) await keys.createCustomerKey(tx, customer.id);
          await createBudgets(tx, { kind: 'customer', customer: customer.id }, budgets);
          const account = await ensureAccount(tx, customer.id, nameOf(caller), caller.plane, folder);
          await createBudgets(tx, { kind: 'account', account, customer: customer.id, isInternal }, budgets);
          await work(tx, account, customer.id);
        });
      });
    // The factor is removed, and that is recorded, before another one is made. It does not matter what somebody made of
    // its row, so no alteration can end the self-test for good.
    await alone(async (tx, account) => {
      if (await hasFactorRow(tx, account)) await endFactor(tx, account);
    });
    await alone(async (tx, account, customer) => {
      await forgetUnusedKeys(tx, nameOf(caller));
      const credential = await replaceKey(tx, account, type, blob, fingerprint);
      await createBudgets(tx, { kind: 'credential', credential, customer: isInternal ? null : customer }, budgets);
      await replaceSeed(tx, account, keys.sealSecret('totp', account, newSeed()));
    });
  };
  return {
    'self-test.begin': async ({ key }, caller) => {
      const blob = Buffer.from(key, 'base64');
      const { type } = parseSshPublicKey(blob, 3072);
      const fingerprint = fingerprintOf(blob);
      requireKeyOfRun(caller, fingerprint);
      await makeTester(caller, blob, type, fingerprint);
      return {
        account: nameOf(caller),
        directory: caller.plane === 'internal' ? `/${nameOf(caller)}/${folder}` : `/${folder}`,
      };
    },

    'self-test.code': async (_params, caller) => {
      const own = await database.withSystem((tx) =>
        sealing(tx, warden, { maker: 'self-test', change: () => null }, () => findOwnSeed(tx, nameOf(caller))),
      );
      if (own === undefined) throw new CofferdamError('conflict', 'the self-test of this node has not begun');
      const seed = keys.openSecret('totp', own.account, own.sealed, own.sealedBy);
      const now = Date.now() / 1000;
      const free = lastingStep(own.used, now);
      const near = [-1, 0, 1, 2].map((distance) => codeAt(seed, stepAt(now) + distance));
      return { ...(free === undefined ? {} : { code: codeAt(seed, free) }), near, waitMs: stepEndsInMs(now) };
    },

    'self-test.report': async ({ checks }, caller) => {
      await database.withSystem(async (tx) => {
        for (const verdict of checks) {
          await writeVerdict(tx, caller.node, verdict);
          if (verdict.bites) continue;
          await record(tx, { kind: 'self-test.failed', node: caller.node, observer: 'edge', public: verdict });
          await insertAlert(tx, {
            kind: 'self-test.failed',
            severity: 'critical',
            subject: `${caller.node}/${verdict.check}`,
            text: `the control "${verdict.check}" did not work on ${caller.node}: ${verdict.text}`,
            facts: { node: caller.node, ...verdict },
            nextCommand: 'cofferctl doctor',
          });
        }
      });
      return {};
    },
  };
}

const silentRounds = 3;
/** How long a round takes at most, in milliseconds: as long as the refusals that it provokes are delayed. */
const roundMs = 60_000;

/** Returns how long a node may be silent about its controls, in milliseconds. */
export const quietMsOf = ({ limits }: Pick<Warden, 'limits'>): number =>
  silentRounds * limits.selfTestEveryMs + roundMs;

/** Raises an alert, as a regular pass, for nodes that serve but do not report on their controls. */
export async function watchSelfTests(warden: Warden): Promise<void> {
  if (warden.limits.selfTestEveryMs === 0) return;
  const quietMs = quietMsOf(warden);
  // After a start of the warden itself every node has the same time to report.
  if (process.uptime() * 1000 < quietMs) return;
  await alarmSilent(warden, quietMs);
}

export async function alarmSilent(warden: Pick<Warden, 'database' | 'log'>, quietMs: number): Promise<void> {
  await passOverRows(warden, 'silent-nodes', {
    find: (tx) => silentNodes(tx, quietMs),
    work: async (tx, nodes) => {
      for (const node of nodes)
        await insertAlert(tx, {
          kind: 'self-test.silent',
          severity: 'critical',
          subject: node,
          text: `${node} serves, but has not tested its controls for ${Math.round(quietMs / 1000)} s`,
          facts: { node },
          nextCommand: 'cofferctl status',
        });
    },
  });
}
