// Owns: the operators of a development installation, whose keys are below the runtime directory: they are made like any
// other operators and act for the set-up.
// Must never: run in production, where only operators hold their keys.
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, runtimePaths } from '../config/config.ts';
import { CofferdamError, toCofferdamError } from '../domain/errors.ts';
import { filePart } from '../domain/path-parts.ts';
import { Database } from '../postgres/database.ts';
import { roleUrl } from '../postgres/role-url.ts';
import { documentHash, publicKeyFingerprint, signDocument } from '../rpc/change-document.ts';
import { askBootstrap } from '../rpc/operators/bootstrap.ts';
import { operatorToAdmin } from '../rpc/operators/table.ts';
import { CommandQueue } from './calls/command-queue.ts';
import { findOperatorByName } from './calls/operator-queries.ts';
import { adminSlots } from './calls/shares.ts';
import { installationId } from './gateway/gateway-queries.ts';
import { ledgerStatus } from './ledger/status-queries.ts';

type DevelopmentOperator = { readonly name: string; readonly role: string; readonly publicKey: string };
export type Send = (operation: string, params: Record<string, unknown>) => Promise<unknown>;

const changeLifeMs = 60 * 60_000;

/** Makes the first two operators, as `cofferctl bootstrap` does. Does nothing when an earlier start has made them. */
async function bootstrap(socket: string, operators: readonly DevelopmentOperator[]): Promise<void> {
  const first = operators.slice(0, 2).map(({ name, publicKey }) => ({ name, publicKey }));
  try {
    await askBootstrap(socket, { operators: first });
  } catch (error) {
    if (toCofferdamError(error).code !== 'conflict') throw error;
  }
}

/**
 * Runs `work` with a function that sends commands as alice, and as bob too where a second operator is needed; both keys
 * are below the runtime directory. While the record is frozen it does nothing: an earlier start has done the set-up,
 * and two operators must decide what happens next.
 */
export async function withDevelopmentOperators(config: Config, work: (send: Send) => Promise<void>): Promise<void> {
  if (config.mode !== 'development') throw new CofferdamError('bug', 'the keys of operators are their own');
  const database = new Database({
    url: roleUrl(config, 'admin'),
    applicationName: 'cofferdam set-up',
    connectionsMax: 2,
  });
  const commands = new CommandQueue(database, adminSlots(config.shares.admin));
  try {
    if ((await database.withSystem((tx) => ledgerStatus(tx, []))).freeze !== null) return;
    await commands.start();
    const installation = await database.withSystem(installationId);
    const identityOf = async (name: string) => {
      const operator = await database.withSystem((tx) => findOperatorByName(tx, name));
      if (operator === undefined)
        throw new CofferdamError('configuration', `the operator ${name}, who sets up this installation, is missing`);
      const key = createPrivateKey(readFileSync(join(runtimePaths(config).operators, filePart(name), 'key.pem')));
      return { id: operator.id, name, key };
    };
    const [proposer, approver] = [await identityOf('alice'), await identityOf('bob')];
    const send: Send = async (operation, params) => {
      const row = Object.hasOwn(operatorToAdmin, operation)
        ? operatorToAdmin[operation as keyof typeof operatorToAdmin]
        : undefined;
      if (row?.second !== 'always') return commands.send(proposer.id, operation, params);
      // The plan finds out whether the thing exists already, before anything is proposed.
      await commands.send(proposer.id, 'plan', { operation, params });
      const now = Date.now();
      const change = randomUUID();
      const proposal = signDocument(
        {
          type: 'cofferdam change/1',
          installation,
          change,
          operation,
          params,
          reason: 'set-up',
          proposer: proposer.name,
          key: fingerprintOf(proposer.key),
          proposedAt: new Date(now).toISOString(),
          expiresAt: new Date(now + changeLifeMs).toISOString(),
        },
        proposer.key,
      );
      await commands.send(proposer.id, 'change.propose', proposal);
      const approval = signDocument(
        {
          type: 'cofferdam approval/1',
          installation,
          change,
          hash: documentHash(proposal.document),
          approver: approver.name,
          key: fingerprintOf(approver.key),
          approvedAt: new Date(now).toISOString(),
        },
        approver.key,
      );
      const { result } = (await commands.send(approver.id, 'change.approve', approval)) as { result: unknown };
      return result;
    };
    await work(send);
  } finally {
    await commands.stop();
    await database.close();
  }
}

const fingerprintOf = (key: KeyObject): string =>
  publicKeyFingerprint(createPublicKey(key).export({ type: 'spki', format: 'der' }));

/** Makes those of these operators that do not exist. Idempotent. */
export async function makeOperators(config: Config, operators: readonly DevelopmentOperator[]): Promise<void> {
  await bootstrap(runtimePaths(config).bootstrapSocket, operators);
  await withDevelopmentOperators(config, async (send) => {
    for (const { name, role, publicKey } of operators.slice(2))
      try {
        await send('operator.create', { name, role, publicKey, reason: 'set-up' });
      } catch (error) {
        if (toCofferdamError(error).code !== 'conflict') throw error;
      }
  });
}
