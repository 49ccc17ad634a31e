// Owns: what operators do to credentials and second factors, each inside its command's own transaction and on the
// record.
// Must never: act on more than the selection that was named.

import { randomUUID } from 'node:crypto';
import { hourMs } from '../../config/credential-ages.ts';
import { areBound, boundBitsMin } from '../../domain/addresses.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type CredentialId, idOf } from '../../domain/ids.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { Selection } from '../../rpc/operators/credential.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { requireAccount } from '../accounts/account-commands.ts';
import { suspendCredential } from '../budgets/consequence-queries.ts';
import { createBudgets } from '../budgets/create-budgets.ts';
import type { Doing } from '../commands/doing.ts';
import type { Warden } from '../context/context.ts';
import { endFactor, endTickets, factorName, hasFactorRow, insertTicket } from '../factors/factor-queries.ts';
import { record } from '../ledger/entries/record.ts';
import { declareFound, declareRelied } from '../seals/declared.ts';
import { generationsOf } from '../seals/generations.ts';
import { installationId } from '../seals/seal-queries.ts';
import { firstBroken } from '../seals/seals.ts';
import { lockForWithdrawal } from '../sessions/withdrawal-queries.ts';
import {
  confirmCredential,
  type FoundCredential,
  findCredentials,
  insertCredential,
  resumeCredential,
  retireCredential,
  selectCredentials,
  wakeCredential,
} from './credential-queries.ts';
import {
  type Acting,
  addKey,
  endUnproved,
  fingerprintOfLine,
  recordCredential,
  requireCredential,
  revoke,
  tellContact,
} from './credentials.ts';
import { requireProof } from './key-proofs.ts';
import { hashPassword } from './passwords.ts';
import {
  countPlanned,
  findUnfinished,
  findUnreplaced,
  insertItem,
  insertRotation,
  isStaged,
  lockRotation,
  openItems,
  type Rotation,
  undoRotation,
} from './rotation-queries.ts';

type P<K extends keyof OperatorToAdmin> = Params<OperatorToAdmin, K>;

const acting = (doing: Doing): Acting => ({
  tx: doing.tx,
  warden: doing.warden,
  by: doing.operator,
  endSessions: doing.endSessions,
});

/**
 * How many credentials of a selection the command itself checks for alterations; the regular pass checks the others.
 */
const checkedMax = 20;

async function chosen(doing: Doing, selection: Selection): Promise<readonly FoundCredential[]> {
  const found = await selectCredentials(doing.tx, selection);
  if (found.length === 0)
    throw new CofferdamError('not-found', 'no credential matches: see `cofferctl credential list`');
  for (const one of found.slice(0, checkedMax)) {
    await declareFound(doing.tx, 'to-narrow', { kind: 'credential', id: one.id }, { account_id: one.account });
    await declareFound(doing.tx, 'to-narrow', { kind: 'account', id: one.account }, { name: one.accountName });
  }
  return found;
}

async function requireRotation(doing: Doing, id: string): Promise<Rotation> {
  const rotation = await lockRotation(doing.tx, id);
  if (rotation === undefined)
    throw new CofferdamError('not-found', 'there is no such rotation: see `cofferctl rotation list`');
  if (rotation.isUndone) throw new CofferdamError('conflict', 'this rotation was undone');
  return rotation;
}

/** Returns the selection in words, as rows of rotations have it. */
const textOf = (selection: Selection): string =>
  Object.entries(selection)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

export const credentialUseCases = {
  'credential.revoke': async ({ selection, reason }: P<'credential.revoke'>, doing: Doing) => {
    const found = await chosen(doing, selection);
    // The budgets of all credentials are locked at once, in the order in which grants lock them.
    await lockForWithdrawal(doing.tx, { credentials: found.map((one) => one.id) });
    let sessionsEnded = 0;
    let revoked = 0;
    for (const one of found) {
      const ended = await revoke(acting(doing), one, reason);
      if (ended === false) continue;
      revoked += 1;
      sessionsEnded += ended;
    }
    return { revoked, sessionsEnded };
  },

  'credential.wake': async ({ fingerprint, reason }: P<'credential.wake'>, { tx, operator }: Doing) => {
    const found = await requireCredential(tx, fingerprint, 'to-rely');
    if (!(await wakeCredential(tx, found.id))) throw new CofferdamError('conflict', `the credential is ${found.state}`);
    await recordCredential(tx, 'credential.woken', found, { by: operator, reason });
    return {};
  },

  'key.add': async (params: P<'key.add'>, doing: Doing) => {
    const account = await requireAccount(doing.tx, params.account, 'to-rely');
    const replaces =
      params.replaces === undefined ? null : await requireCredential(doing.tx, params.replaces, 'to-rely');
    if (replaces === null && params.overlapDays !== undefined)
      throw new CofferdamError('invalid', 'an overlap needs a key that is replaced');
    const holder = { id: account.id, name: params.account, customer: account.customer };
    const isProved = params.proof !== undefined;
    if (params.proof !== undefined)
      requireProof(
        params.proof,
        params.account,
        fingerprintOfLine(params.publicKey),
        (await installationId(doing.tx)).id,
      );
    if (isProved) await endUnproved(acting(doing), holder, fingerprintOfLine(params.publicKey));
    const added = await addKey(acting(doing), {
      holder,
      isProved,
      publicKey: params.publicKey,
      lifeDays: params.expiresInDays,
      readOnly: params.readOnly,
      networks: params.networks,
      replaces,
      overlapDays: params.overlapDays,
    });
    return {
      fingerprint: added.fingerprint,
      isProved,
      expiresAt: added.expiresAt.toISOString(),
      retiresAt: added.retiresAt?.toISOString() ?? null,
    };
  },

  'key.retire': async ({ fingerprint, overlapDays, reason }: P<'key.retire'>, doing: Doing) => {
    const found = await requireCredential(doing.tx, fingerprint, 'to-narrow');
    if (overlapDays === 0) {
      const ended = await revoke(acting(doing), found, reason, true);
      if (ended === false) throw new CofferdamError('conflict', 'the credential is revoked already');
      return { retiresAt: new Date().toISOString(), sessionsEnded: ended };
    }
    const retiresAt = await retireCredential(doing.tx, found.id, overlapDays * doing.warden.ages.dayMs);
    if (retiresAt === undefined) throw new CofferdamError('conflict', `the credential is ${found.state}`);
    await recordCredential(doing.tx, 'credential.retiring', found, {
      by: doing.operator,
      reason,
      retiresAt: retiresAt.toISOString(),
    });
    return { retiresAt: retiresAt.toISOString(), sessionsEnded: 0 };
  },

  'key.confirm': async ({ fingerprint, reason }: P<'key.confirm'>, { tx, operator }: Doing) => {
    const found = await requireCredential(tx, fingerprint, 'to-rely');
    if (!(await confirmCredential(tx, found.id)))
      throw new CofferdamError('conflict', 'this key is not waiting for a confirmation');
    await recordCredential(tx, 'credential.confirmed', found, { by: operator, reason });
    return {};
  },

  'key.suspend': async ({ fingerprint, reason }: P<'key.suspend'>, { tx, operator, endSessions }: Doing) => {
    const found = await requireCredential(tx, fingerprint, 'to-narrow');
    await lockForWithdrawal(tx, { credential: found.id });
    if (found.state !== 'active' && found.state !== 'retiring')
      throw new CofferdamError('conflict', `the credential is ${found.state}`);
    await suspendCredential(tx, found.id);
    await recordCredential(tx, 'credential.suspended', found, { by: operator, reason });
    return { sessionsEnded: await endSessions({ credential: found.id }, 'the credential was suspended') };
  },

  'key.resume': async ({ fingerprint, reason }: P<'key.resume'>, { tx, operator }: Doing) => {
    const found = await requireCredential(tx, fingerprint, 'to-rely');
    if (!(await resumeCredential(tx, found.id)))
      throw new CofferdamError('conflict', `the credential is ${found.state}, not suspended`);
    await recordCredential(tx, 'credential.resumed', found, { by: operator, reason });
    return {};
  },

  'rotation.start': async ({ selection, overlapDays, reason }: P<'rotation.start'>, doing: Doing) => {
    const { tx, warden, operator } = doing;
    const found = await chosen(doing, selection);
    const rotation = randomUUID();
    const overlapMs = overlapDays * warden.ages.dayMs;
    const deadline = await insertRotation(tx, {
      id: rotation,
      selection: textOf(selection),
      reason,
      by: operator,
      overlapMs,
      hasDeadline: true,
    });
    let keys = 0;
    for (const one of found) if (await insertItem(tx, rotation, one.id)) keys += 1;
    if (keys === 0)
      throw new CofferdamError(
        'conflict',
        'nothing to rotate: no usable key matches, or all that match are in a rotation already',
      );
    await record(tx, {
      kind: 'rotation.started',
      observer: 'warden',
      sensitive: { rotation, selection, keys, overlapDays, reason, by: operator },
    });
    return { rotation, keys, deadline: deadline?.toISOString() ?? '' };
  },

  'rotation.advance': async ({ rotation: id, keys }: P<'rotation.advance'>, doing: Doing) => {
    const { tx } = doing;
    const rotation = await requireRotation(doing, id);
    if (keys.length > 0) doing.widen([keys.length === 1 ? 'a new key' : `${keys.length} new keys`]);
    const opened = await openItems(tx, id, 100);
    const refused: { account: string; why: string }[] = [];
    let staged = 0;
    for (const { account: name, publicKey } of keys) {
      try {
        const account = await requireAccount(tx, name, 'to-rely');
        if (await isStaged(tx, id, fingerprintOfLine(publicKey))) continue;
        if ((await findUnreplaced(tx, account.id, { rotation: id })) === undefined)
          throw new CofferdamError('conflict', 'this account has no key in this rotation that waits for a new one');
        await doing.savepoint(() =>
          addKey(acting(doing), {
            holder: { id: account.id, name, customer: account.customer },
            publicKey,
            isProved: false,
            replaces: null,
            rotation: id,
          }),
        );
        staged += 1;
      } catch (error) {
        if (!(error instanceof CofferdamError) || error.code === 'unavailable' || error.code === 'bug') throw error;
        refused.push({ account: name, why: error.message });
      }
    }
    const until = rotation.deadline?.toISOString() ?? '';
    for (const one of opened)
      await tellContact(
        tx,
        'rotation.begun',
        { id: one.account, name: one.accountName, customer: one.customer },
        {
          text: `${one.fingerprint} of ${one.accountName} retires on ${until} at the latest`,
          contactText: `The key ${one.fingerprint} of your account ${one.accountName} retires on ${until} at the latest. Please use its replacement before then. If you have not given us a new public key yet, send us one.`,
          next: `cofferctl rotation show ${id}`,
          facts: { rotation: id, fingerprint: one.fingerprint, until },
        },
      );
    return { remaining: await countPlanned(tx, id), opened: opened.length, staged, refused };
  },

  'rotation.finish': async ({ rotation, laggards, reason }: P<'rotation.finish'>, doing: Doing) => {
    await requireRotation(doing, rotation);
    const ids = await findUnfinished(doing.tx, rotation, laggards);
    if (ids.length === 0)
      throw new CofferdamError(
        'conflict',
        laggards
          ? 'no old key is left: see `cofferctl rotation show`'
          : 'nobody who moved has an old key left: see `cofferctl rotation show`',
      );
    return retireAll(doing, ids, reason);
  },

  'rotation.undo': async ({ rotation, reason }: P<'rotation.undo'>, doing: Doing) => {
    await requireRotation(doing, rotation);
    const restored = await undoRotation(doing.tx, rotation, doing.operator);
    await record(doing.tx, {
      kind: 'rotation.undone',
      observer: 'warden',
      sensitive: { rotation, restored, reason, by: doing.operator },
    });
    return { restored };
  },

  'password.issue': async (params: P<'password.issue'>, doing: Doing) => {
    const { tx, warden, operator } = doing;
    const account = await requireAccount(tx, params.account, 'to-rely');
    const { ages, budgets } = warden;
    if (account.kind === 'machine' && !areBound(account.networks))
      throw new CofferdamError(
        'conflict',
        `a machine's password needs source networks, of /${boundBitsMin.ipv4} or narrower (IPv6: /${boundBitsMin.ipv6}): cofferctl account set ${params.account} --networks NET,… first`,
      );
    const id = idOf<CredentialId>(randomUUID());
    const lifeDays = Math.min(params.expiresInDays ?? ages.lifeDays, ages.lifeMaxDays);
    const times = await insertCredential(tx, {
      id,
      account: account.id,
      secret: { type: 'password', hash: await hashPassword(params.digest) },
      fingerprint: params.name,
      issuedBy: operator,
      livesMs: lifeDays * ages.dayMs,
      waitsMs: 0,
      readOnly: false,
      networks: [],
      isProved: true,
    });
    if (times === undefined)
      throw new CofferdamError('conflict', 'a password with this name exists already: issue another one');
    await createBudgets(tx, { kind: 'credential', credential: id, customer: account.customer }, budgets);
    await recordCredential(
      tx,
      'credential.added',
      { id, account: account.id, customer: account.customer, fingerprint: params.name },
      {
        by: operator,
        expiresAt: times.expiresAt.toISOString(),
      },
    );
    return { expiresAt: times.expiresAt.toISOString() };
  },

  'mfa.ticket': async (
    { account: name, ticketHash, hours }: P<'mfa.ticket'>,
    { tx, operator, warden, endSessions }: Doing,
  ) => {
    const account = await requireAccount(tx, name, 'to-rely');
    if (account.hasFactor)
      throw new CofferdamError(
        'conflict',
        `account ${name} has a second factor: cofferctl mfa reset ${name} before a new one is enrolled`,
      );
    // That the account has no second factor must be what the warden wrote, and not the work of somebody else.
    if (await hasFactorRow(tx, account.id)) await declareRelied(tx, factorName(account.id), { sealed_seed: null });
    const livesMs = (hours ?? 24) * hourMs(warden.ages);
    // A session that was opened with the former ticket must not enrol a factor with this one.
    await endSessions({ enrolmentOf: account.id }, 'another ticket was issued');
    const hash = Buffer.from(ticketHash, 'hex');
    const expiresAt = await insertTicket(tx, {
      id: randomUUID(),
      account: account.id,
      hash,
      issuedBy: operator,
      livesMs,
    });
    await record(tx, {
      kind: 'ticket.issued',
      customer: account.customer,
      account: account.id,
      observer: 'warden',
      sensitive: { by: operator, expiresAt: expiresAt.toISOString() },
    });
    return { expiresAt: expiresAt.toISOString() };
  },

  'mfa.reset': async ({ account: name, reason }: P<'mfa.reset'>, { tx, operator, warden, endSessions }: Doing) => {
    const account = await requireAccount(tx, name, 'to-narrow');
    await lockForWithdrawal(tx, { account: account.id });
    // Outstanding tickets belong to the state that is being left (T-11).
    await endTickets(tx, account.id);
    if (!account.hasFactor && !(await wasFactorAltered(tx, warden, account.id)))
      throw new CofferdamError('conflict', `account ${name} has no second factor`);
    await endFactor(tx, account.id);
    await record(tx, {
      kind: 'second-factor.reset',
      customer: account.customer,
      account: account.id,
      observer: 'warden',
      sensitive: { by: operator, reason },
    });
    return { sessionsEnded: await endSessions({ account: account.id }, 'the second factor was reset') };
  },
};

/**
 * Returns whether the account had a second factor whose row is missing or is not what the warden wrote. A reset then
 * writes an empty row.
 */
async function wasFactorAltered(tx: Transaction, { keys }: Pick<Warden, 'keys'>, account: AccountId): Promise<boolean> {
  const row = factorName(account);
  return (
    (generationsOf(keys).newest(row) > 0 || (await hasFactorRow(tx, account))) &&
    (await firstBroken(tx, keys, [row])) !== undefined
  );
}

async function retireAll(
  doing: Doing,
  ids: readonly CredentialId[],
  reason: string,
): Promise<{ retired: number; sessionsEnded: number }> {
  await lockForWithdrawal(doing.tx, { credentials: ids });
  let retired = 0;
  let sessionsEnded = 0;
  for (const found of await findCredentials(doing.tx, ids)) {
    const ended = await revoke(acting(doing), found, reason, true);
    if (ended === false) continue;
    retired += 1;
    sessionsEnded += ended;
  }
  return { retired, sessionsEnded };
}
