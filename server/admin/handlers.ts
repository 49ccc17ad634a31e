// Owns: the handlers of what operators may read. Every operation that changes something is sent to the warden as a command.
import type { Config } from '../config/config.ts';
import { CofferdamError } from '../domain/errors.ts';
import { parseReceipt } from '../domain/receipt.ts';
import type { Claim } from '../domain/share.ts';
import type { Database, Transaction } from '../postgres/database.ts';
import type { Handlers, Params, Result } from '../rpc/operation.ts';
import { type OperatorOperation, type OperatorRole, type OperatorToAdmin, operatorToAdmin } from '../rpc/operator-admin.ts';
import { listAccess, unknownName } from './access-queries.ts';
import { accessRow } from './access-report.ts';
import { listAlerts, listHolds } from './budget-queries.ts';
import { budgetHistory, exposureOf, showBudgets } from './budget-reports.ts';
import { findSigned, installationId, listBreakGlasses, listChanges, listChangesDone, listOperators } from './change-queries.ts';
import type { CommandLine } from './command-line.ts';
import { listCredentials, listRotations, listWindows, staleCredentials } from './credential-queries.ts';
import { dormantMs, planFor, showCredential, showRotation } from './credential-reports.ts';
import { examine } from './doctor/doctor.ts';
import { silentNodes } from './doctor/nodes.ts';
import { fitting } from './fitting.ts';
import { findNames } from './incident/archive-queries.ts';
import type { Scopes } from './incident/scopes.ts';
import { searchLedger, showEntry, tailLedger } from './ledger/reading.ts';
import { ledgerStatus } from './ledger/status-queries.ts';
import type { Verifications } from './ledger/verification.ts';
import { listSessionsOfNode } from './node-queries.ts';
import type { Operator } from './operator-queries.ts';
import {
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
  listReceiptKeys,
  listSessions,
  totals,
} from './report-queries.ts';
import { claimOfOperator } from './shares.ts';

/** The operator behind a call, who is looked up again for every call, and the certificate that is recorded with it. */
export type OperatorCaller = {
  readonly operator: () => Promise<Operator>;
  /** The SHA-256 of the certificate's public key (SPKI) and its serial number, in lower-case hexadecimal. */
  readonly certificate: { readonly fingerprint: string; readonly serial: string };
  /** The person whose places the calls take. Rejects when this person has too many connections. */
  readonly claim: Promise<Claim>;
  /** Returns whether the client is gone, so that nobody waits for an answer. */
  readonly isGone: () => boolean;
};
type Reads = {
  readonly [K in OperatorOperation as OperatorToAdmin[K]['changes'] extends true ? never : K]: Handlers<OperatorToAdmin, OperatorCaller>[K];
};

const rowsMax = 500;
/** A warden that takes longer than this counts as not answering. */
const pingPatienceMs = 20_000;
/** Throws `not-found` for a name that does not exist. An empty review of it would otherwise be taken for the truth. */
async function requireNamed(tx: Transaction, params: Params<OperatorToAdmin, 'report.access'>): Promise<void> {
  const unknown = await unknownName(tx, params);
  if (unknown !== undefined) throw new CofferdamError('not-found', `there is no ${unknown} named ${params[unknown]}`);
}

type Said = Result<OperatorToAdmin, 'ledger.status'>['verified'];
const saidOf = (said: Said): Result<OperatorToAdmin, 'status'>['record']['verified'] =>
  said === null ? null : { at: said.at, verdict: said.verdict, run: said.run };

export function adminHandlers(
  config: Config,
  database: Database,
  commands: CommandLine,
  scopes: Scopes,
  verifications: Verifications,
): Handlers<OperatorToAdmin, OperatorCaller> {
  const read = database.withSystem.bind(database);
  const pingMs = async (operator: Operator): Promise<number | null> => {
    const started = performance.now();
    return commands.send(operator.id, 'warden.ping', {}, pingPatienceMs).then(
      () => Math.round(performance.now() - started),
      (error: unknown) => {
        // That this person asks too much at once says nothing about the warden.
        if (error instanceof CofferdamError && error.code === 'over-limit') throw error;
        return null;
      },
    );
  };
  const reads: Reads = {
    whoami: async (_params, caller) => {
      const operator = await caller.operator();
      return { operator: operator.name, role: operator.role as OperatorRole };
    },
    installation: async () => ({ installation: await read(installationId) }),
    'operator.list': async () => fitting('operators', await read(listOperators)),
    'change.list': async ({ all, since }) =>
      fitting('changes', await read((tx) => listChanges(tx, { id: null, all: all ?? false, since: since ?? null }))),
    'change.show': ({ change }) =>
      read(async (tx) => {
        const [row] = await listChanges(tx, { id: change, all: true, since: null });
        const signed = await findSigned(tx, change);
        if (row === undefined || signed === undefined)
          throw new CofferdamError('not-found', 'there is no such change: see `cofferctl change list`');
        return { change: row, ...signed };
      }),
    'ledger.status': () => {
      const forwards = config.ledger.forwards.map((one) => one.name);
      return read((tx) => ledgerStatus(tx, forwards));
    },
    'ledger.archives': async () => ({ archives: [...(await scopes.archives())] }),
    'ledger.tail': (params) => tailLedger(database, params),
    'ledger.search': (params) => searchLedger(database, params),
    'ledger.show': ({ number }) => showEntry(database, number),
    'ledger.verify': async (wish, caller) => verifications.take(wish, await caller.claim),
    'ledger.verification': async ({ verification }) => verifications.state(verification),
    'incident.scope': async (params, caller) => ({ scope: scopes.start(claimOfOperator(await caller.operator()), params, caller.isGone) }),
    'incident.progress': async (params, caller) => scopes.progress((await caller.operator()).id, params),
    'incident.page': async (params, caller) => scopes.page((await caller.operator()).id, params),
    'incident.slice': async (params, caller) => scopes.slice((await caller.operator()).id, params),
    'incident.created-by': (params) => scopes.createdBy(params),
    'incident.hunt': async ({ indicators }) => {
      const { found, completeFrom } = await scopes.hunt(indicators);
      return { completeFrom, ...fitting('found', found) };
    },
    'incident.names': (params) => read((tx) => findNames(tx, params)),
    'break-glass.list': async () => fitting('breakGlasses', await read(listBreakGlasses)),
    'report.changes': async ({ since, after }) => {
      const rows = await read((tx) => listChangesDone(tx, since, after ?? null, rowsMax + 1));
      const { changes, more } = fitting('changes', rows.slice(0, rowsMax));
      return { changes, more: more || rows.length > rowsMax };
    },
    status: async (_params, caller) => {
      const wardenAnswersMs = await pingMs(await caller.operator());
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
        },
        controls: [...controls],
        silentNodes: silentNodes(config, nodes, controls, sums.now),
        database: { version, sizeBytes },
        counts,
      };
    },
    doctor: async (_params, caller) => {
      const answerMs = await pingMs(await caller.operator());
      return { findings: [...(await examine(config, database, answerMs))] };
    },
    'node.drain-plan': ({ node: name }) =>
      read(async (tx) => {
        const node = (await listNodes(tx)).find((one) => one.name === name);
        if (node === undefined) throw new CofferdamError('not-found', `there is no node named ${name}: see cofferctl status`);
        const { plane, alive, drainingUntil } = node;
        const sessions = fitting('sessions', await listSessionsOfNode(tx, name, rowsMax));
        return { plane, alive, drainingUntil: drainingUntil?.toISOString() ?? null, ...sessions };
      }),
    'customer.list': async ({ limit, after }) => fitting('customers', await read((tx) => listCustomers(tx, null, limit ?? rowsMax, after))),
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
          throw new CofferdamError('invalid', 'name a version, or a customer and a path: `cofferctl file list CUSTOMER` shows both');
        const row =
          version === undefined ? await findReceiptByPath(tx, customer ?? '', path ?? '') : await findReceiptByVersion(tx, version);
        if (row === undefined) throw new CofferdamError('not-found', 'there is no receipt for this file');
        const publicKey = await findReceiptKey(tx, parseReceipt(row.receipt).keyId);
        if (publicKey === undefined) throw new CofferdamError('corrupt', 'the key of this receipt is not known');
        return { receipt: row.receipt, publicKey };
      }),
    'file.receipt-keys': async () => ({ keys: [...(await read(listReceiptKeys))] }),
    'budget.show': async ({ scope }) => fitting('budgets', await read((tx) => showBudgets(tx, scope))),
    'budget.history': (params) => read((tx) => budgetHistory(tx, params)),
    exposure: async ({ credential }) => {
      const { customers, ...facts } = await read((tx) => exposureOf(tx, credential, dormantMs(config)));
      return { ...facts, ...fitting('customers', customers) };
    },
    'hold.list': async () => fitting('holds', await read((tx) => listHolds(tx))),
    'alert.list': async ({ limit }) => fitting('alerts', await read((tx) => listAlerts(tx, limit ?? rowsMax))),
    'report.access': async (params) => {
      const rows = await read(async (tx) => {
        const found = await listAccess(tx, dormantMs(config), params, rowsMax);
        if (found.length === 0 && params.after === undefined) await requireNamed(tx, params);
        return found;
      });
      const page = fitting('rows', rows.map(accessRow));
      return { ...page, more: page.more || rows.length === rowsMax };
    },
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
