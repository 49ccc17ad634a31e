// Owns: the handlers of what operators may read; everything that changes goes to the warden as a command.
import { readFileSync } from 'node:fs';
import { type Config, runtimePaths } from '../config/config.ts';
import { CofferdamError } from '../domain/errors.ts';
import { parseReceipt } from '../domain/receipt.ts';
import type { Database } from '../postgres/database.ts';
import type { Handlers, Result } from '../rpc/operation.ts';
import { type OperatorOperation, type OperatorRole, type OperatorToAdmin, operatorToAdmin } from '../rpc/operator-admin.ts';
import { listAlerts, listHolds } from './budget-queries.ts';
import { budgetHistory, exposureOf, showBudgets } from './budget-reports.ts';
import type { CommandLine } from './command-line.ts';
import { listCredentials, listRotations, listWindows, staleCredentials } from './credential-queries.ts';
import { dormantMs, planFor, showCredential, showRotation } from './credential-reports.ts';
import {
  certificateFinding,
  clockFinding,
  controlFindings,
  databaseFindings,
  diskFinding,
  type Finding,
  nodeFindings,
  silentNodes,
  wallFinding,
} from './doctor.ts';
import { listSessionsOfNode } from './node-queries.ts';
import type { Operator } from './operator-queries.ts';
import {
  databaseFacts,
  findReceiptByPath,
  findReceiptByVersion,
  findReceiptKey,
  listAccounts,
  listControls,
  listCustomers,
  listFiles,
  listFolders,
  listKeyExchangeUse,
  listNodes,
  listSessions,
  totals,
} from './report-queries.ts';

/** The operator is looked up again for every call. */
export type OperatorCaller = { readonly operator: () => Promise<Operator> };
type Reads = {
  readonly [K in OperatorOperation as OperatorToAdmin[K]['changes'] extends true ? never : K]: Handlers<OperatorToAdmin, OperatorCaller>[K];
};

const rowsMax = 500;
/** Of JSON in one list: a frame with room to spare. */
const listBytesMax = 110_000;

/** As many rows as one answer holds. */
function fitting<K extends string, T>(name: K, rows: readonly T[]): { readonly [P in K]: T[] } & { readonly more: boolean } {
  const taken: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1;
    if (bytes > listBytesMax) break;
    taken.push(row);
  }
  return { [name]: taken, more: taken.length < rows.length } as { readonly [P in K]: T[] } & { readonly more: boolean };
}

export function adminHandlers(config: Config, database: Database, commands: CommandLine): Handlers<OperatorToAdmin, OperatorCaller> {
  const read = database.withSystem.bind(database);
  const pingMs = async (operator: Operator): Promise<number | null> => {
    const started = performance.now();
    return commands.send(operator.id, 'warden.ping', {}).then(
      () => Math.round(performance.now() - started),
      () => null,
    );
  };
  const reads: Reads = {
    whoami: async (_params, caller) => {
      const operator = await caller.operator();
      return { operator: operator.name, role: operator.role as OperatorRole };
    },
    status: async (_params, caller) => {
      const wardenAnswersMs = await pingMs(await caller.operator());
      const { nodes, sums, controls } = await read(async (tx) => ({
        nodes: await listNodes(tx),
        sums: await totals(tx),
        controls: await listControls(tx),
      }));
      const { version, sizeBytes, now: _now, ...counts } = sums;
      return {
        nodes: nodes.map(({ startedAt: _startedAt, ...node }) => ({
          ...node,
          lastSeenAt: node.lastSeenAt?.toISOString() ?? null,
          drainingUntil: node.drainingUntil?.toISOString() ?? null,
        })),
        wardenAnswersMs,
        controls: [...controls],
        silentNodes: silentNodes(config, nodes, controls, sums.now),
        database: { version, sizeBytes },
        counts,
      };
    },
    doctor: async (_params, caller) => {
      const answerMs = await pingMs(await caller.operator());
      const { nodes, facts, sums, controls } = await read(async (tx) => ({
        controls: await listControls(tx),
        nodes: await listNodes(tx),
        facts: await databaseFacts(tx),
        sums: await totals(tx),
      }));
      const warden: Finding =
        answerMs === null
          ? {
              check: 'warden',
              verdict: 'fault',
              text: 'does not answer commands',
              next: "look at the warden's log; the supervisor starts it again by itself",
            }
          : { check: 'warden', verdict: 'ok', text: `answers in ${answerMs} ms`, next: null };
      return {
        findings: [
          warden,
          ...nodeFindings(nodes),
          ...controlFindings(controls, silentNodes(config, nodes, controls, sums.now)),
          ...databaseFindings(facts),
          clockFinding(sums.now),
          await diskFinding(config),
          wallFinding(config),
          certificateFinding(readFileSync(`${runtimePaths(config).certs}/admin/cert.pem`, 'utf8')),
        ],
      };
    },
    'node.drain-plan': ({ node: name }) =>
      read(async (tx) => {
        const node = (await listNodes(tx)).find((one) => one.name === name);
        if (node === undefined) throw new CofferdamError('not-found', `there is no node named ${name}: see cofferctl status`);
        const { plane, alive, drainingUntil } = node;
        const sessions = fitting('sessions', await listSessionsOfNode(tx, name, rowsMax));
        return { plane, alive, drainingUntil: drainingUntil?.toISOString() ?? null, ...sessions };
      }),
    'customer.list': async ({ limit }) => fitting('customers', await read((tx) => listCustomers(tx, null, limit ?? rowsMax))),
    'customer.show': ({ name }) =>
      read(async (tx) => {
        const [customer] = await listCustomers(tx, name, 1);
        if (customer === undefined) throw new CofferdamError('not-found', `there is no customer named ${name}`);
        return { customer, folders: [...(await listFolders(tx, name))], accounts: [...(await listAccounts(tx, name))] };
      }),
    'account.list': async ({ customer }) => fitting('accounts', await read((tx) => listAccounts(tx, customer ?? null))),
    'credential.list': async (filter) => fitting('credentials', await read((tx) => listCredentials(tx, dormantMs(config), filter))),
    'credential.show': ({ fingerprint }) => read((tx) => showCredential(tx, config, fingerprint)),
    'credential.stale': async () => {
      const { warnDays, dayMs } = config.credentials;
      return fitting('credentials', await read((tx) => staleCredentials(tx, dormantMs(config), warnDays * dayMs)));
    },
    'credential.plan': async (params) => {
      const { credentials, ...sums } = await read((tx) => planFor(tx, config, params));
      return { ...sums, ...fitting('credentials', credentials) };
    },
    'rotation.list': async () => fitting('rotations', await read((tx) => listRotations(tx, null))),
    'rotation.show': async (params) => {
      const { rotation, items } = await read((tx) => showRotation(tx, params));
      return { rotation, ...fitting('items', items) };
    },
    'window.list': async ({ account }) => fitting('windows', await read((tx) => listWindows(tx, account ?? null, false))),
    'report.exceptions': async () => fitting('exceptions', await read((tx) => listWindows(tx, null, true))),
    'file.list': async ({ customer, folder, limit }) =>
      fitting('files', await read((tx) => listFiles(tx, customer, folder ?? null, limit ?? rowsMax))),
    'file.receipt': ({ version, customer, path }) =>
      read(async (tx) => {
        if ((version === undefined) === (customer === undefined || path === undefined))
          throw new CofferdamError('invalid', 'name a version, or a customer and a path');
        const row =
          version === undefined ? await findReceiptByPath(tx, customer ?? '', path ?? '') : await findReceiptByVersion(tx, version);
        if (row === undefined) throw new CofferdamError('not-found', 'there is no receipt for this file');
        const publicKey = await findReceiptKey(tx, parseReceipt(row.receipt).keyId);
        if (publicKey === undefined) throw new CofferdamError('corrupt', 'the key of this receipt is not known');
        return { receipt: row.receipt, publicKey };
      }),
    'budget.show': async ({ scope }) => fitting('budgets', await read((tx) => showBudgets(tx, scope))),
    'budget.history': (params) => read((tx) => budgetHistory(tx, params)),
    exposure: async ({ credential }) => {
      const { customers, ...facts } = await read((tx) => exposureOf(tx, credential, dormantMs(config)));
      return { ...facts, ...fitting('customers', customers) };
    },
    'hold.list': async () => fitting('holds', await read((tx) => listHolds(tx))),
    'alert.list': async ({ limit }) => fitting('alerts', await read((tx) => listAlerts(tx, limit ?? rowsMax))),
    'report.key-exchange': async () => fitting('accounts', await read((tx) => listKeyExchangeUse(tx))),
    'session.list': async ({ all, limit }) => fitting('sessions', await read((tx) => listSessions(tx, all ?? false, limit ?? rowsMax))),
  };
  const changes = Object.fromEntries(
    Object.entries(operatorToAdmin)
      .filter(([, row]) => row.changes)
      .map(([operation]) => [
        operation,
        async (params: unknown, caller: OperatorCaller): Promise<unknown> => commands.send((await caller.operator()).id, operation, params),
      ]),
  );
  return { ...reads, ...changes } as Handlers<OperatorToAdmin, OperatorCaller>;
}

export type StatusResult = Result<OperatorToAdmin, 'status'>;
