// Owns: the handlers of what operators may read about the gateway as a whole.
import type { Result } from '../../rpc/operation.ts';
import type { gatewayOperations } from '../../rpc/operators/gateway.ts';
import type { OperatorRole, OperatorToAdmin } from '../../rpc/operators/table.ts';
import { examine } from '../doctor/doctor.ts';
import { silentNodes } from '../doctor/nodes.ts';
import { ledgerStatus } from '../ledger/status-queries.ts';
import { listControls, listNodes } from '../node/node-queries.ts';
import { totals } from '../node/totals-queries.ts';
import { pingMs, type Reading, type Reads } from '../reading/reading.ts';
import { installationId } from './gateway-queries.ts';

type Said = Result<OperatorToAdmin, 'ledger.status'>['verified'];
const saidOf = (said: Said): Result<OperatorToAdmin, 'status'>['record']['verified'] =>
  said === null ? null : { at: said.at, verdict: said.verdict, run: said.run };

export function gatewayReads(at: Reading): Reads<typeof gatewayOperations> {
  const { config, database, read } = at;
  return {
    whoami: async (_params, caller) => {
      const operator = await caller.operator();
      return { operator: operator.name, role: operator.role as OperatorRole, installation: await read(installationId) };
    },
    status: async (_params, caller) => {
      const wardenAnswersMs = await pingMs(at, await caller.operator());
      const { nodes, sums, controls, ledger } = await read(async (tx) => ({
        nodes: await listNodes(tx),
        sums: await totals(tx),
        controls: await listControls(tx),
        ledger: await ledgerStatus(tx, []),
      }));
      const lateMs = Math.max(ledger.unsealedMs, ledger.unwitnessedMs);
      const { version, sizeBytes, now: _now, ...counts } = sums;
      return {
        nodes: nodes.map(({ startedAt: _startedAt, lagMs: _lagMs, nativeCipher: _nativeCipher, ...node }) => ({
          ...node,
          lastSeenAt: node.lastSeenAt?.toISOString() ?? null,
          drainingUntil: node.drainingUntil?.toISOString() ?? null,
        })),
        wardenAnswersMs,
        record: {
          entries: ledger.entries,
          frozen: ledger.freeze?.text ?? null,
          lateMs,
          isStopped: ledger.freeze !== null || lateMs >= config.limits.witnessStopMs,
          stuckMonths: ledger.archiving.filter((one) => one.failedAt !== null).length,
          verified: saidOf(ledger.verified),
          fullyVerified: saidOf(ledger.fullyVerified),
          standingBad: saidOf(ledger.standingBad),
        },
        controls: [...controls],
        silentNodes: silentNodes(config.limits, nodes, controls, sums.now),
        database: { version, sizeBytes },
        counts,
      };
    },
    doctor: async (_params, caller) => {
      const answerMs = await pingMs(at, await caller.operator());
      return { findings: [...(await examine(config, database, answerMs))] };
    },
  };
}
