// Owns: the operators' commands about versions and holds, each inside its command's own transaction and on the record.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { requireAccount } from '../accounts/account-commands.ts';
import { deleteDone } from '../catalogue/done-queries.ts';
import type { Doing } from '../commands/doing.ts';
import { findCustomer } from '../customers/customer-queries.ts';
import { requireFolder } from '../folders/named-folder.ts';
import { record } from '../ledger/entries/record.ts';
import { withdrawVersion } from '../versions/version-queries.ts';
import {
  type HeldVersion,
  insertHold,
  liftHold,
  lockVersion,
  releaseVersion,
  whatIsInTheWay,
} from './retention-queries.ts';

async function requireVersion(tx: Transaction, id: string): Promise<HeldVersion> {
  const found = await lockVersion(tx, id);
  if (found === undefined) throw new CofferdamError('not-found', 'there is no such version: see `cofferctl file list`');
  return found;
}

export const retentionUseCases = {
  'file.withdraw': async ({ version, reason }: Params<OperatorToAdmin, 'file.withdraw'>, { tx, operator }: Doing) => {
    const found = await requireVersion(tx, version);
    const gone = await withdrawVersion(tx, found.version, 'operator');
    if (gone.length === 0) throw new CofferdamError('conflict', `the version is ${found.state}, not published`);
    for (const one of gone)
      await record(tx, {
        kind: 'file.withdrawn',
        customer: found.customer,
        observer: 'warden',
        version: one,
        public: { why: 'operator' },
        sensitive: { operator, reason },
      });
    return {};
  },

  'file.reopen': async (
    { version, account: name, reason }: Params<OperatorToAdmin, 'file.reopen'>,
    { tx, operator }: Doing,
  ) => {
    const found = await requireVersion(tx, version);
    const account = await requireAccount(tx, name, 'to-narrow');
    if (!(await deleteDone(tx, { account: account.id, version: found.version })))
      throw new CofferdamError(
        'conflict',
        `account ${name} is not done with this version: see \`cofferctl file list\``,
      );
    await record(tx, {
      kind: 'file.reopened',
      customer: found.customer,
      account: account.id,
      observer: 'warden',
      version,
      sensitive: { operator, reason },
    });
    return {};
  },

  'file.release': async (
    { version, days, reason }: Params<OperatorToAdmin, 'file.release'>,
    { tx, operator }: Doing,
  ) => {
    const found = await requireVersion(tx, version);
    if (found.state === 'destroyed')
      throw new CofferdamError('conflict', 'the key of this version was destroyed; nobody can read it again');
    if (found.state !== 'withdrawn')
      throw new CofferdamError('conflict', `the version is ${found.state}, not withdrawn`);
    if (!found.isNewest)
      throw new CofferdamError('conflict', 'a newer version of this file is published; withdraw that first');
    const inTheWay = await whatIsInTheWay(tx, found.version);
    if (inTheWay === 'directory-gone')
      throw new CofferdamError(
        'conflict',
        'its directory was removed, so nobody could reach it: the account has to send the file again',
      );
    if (inTheWay === 'name-taken')
      throw new CofferdamError(
        'conflict',
        'a directory has its name now: the account has to remove that first, or send the file again',
      );
    const until = await releaseVersion(tx, found.version, days);
    await record(tx, {
      kind: 'file.released',
      customer: found.customer,
      observer: 'warden',
      version,
      public: { until: until.toISOString() },
      sensitive: { operator, reason },
    });
    return { until: until.toISOString() };
  },

  'hold.place': async (
    { customer, folder, version, reason }: Params<OperatorToAdmin, 'hold.place'>,
    { tx, operator }: Doing,
  ) => {
    if (folder !== undefined && version !== undefined)
      throw new CofferdamError('invalid', 'name a folder or a version, not both');
    const owner = await findCustomer(tx, customer, 'to-narrow');
    if (owner === undefined) throw new CofferdamError('not-found', `there is no customer named ${customer}`);
    const inFolder = folder === undefined ? null : (await requireFolder(tx, customer, folder, 'to-narrow')).id;
    const found = version === undefined ? null : await requireVersion(tx, version);
    if (found !== null && found.customer !== owner.id)
      throw new CofferdamError('not-found', `customer ${customer} has no such version`);
    if (found?.state === 'destroyed')
      throw new CofferdamError('conflict', 'the key of this version is already destroyed');
    const hold = await insertHold(tx, {
      customer: owner.id,
      folder: inFolder,
      version: found?.version ?? null,
      reason,
      by: operator,
    });
    await record(tx, {
      kind: 'hold.placed',
      customer: owner.id,
      observer: 'warden',
      public: { hold, folder: folder ?? null, version: version ?? null },
      sensitive: { operator, reason },
    });
    return { hold };
  },

  'hold.lift': async ({ hold, reason }: Params<OperatorToAdmin, 'hold.lift'>, { tx, operator }: Doing) => {
    const customer = await liftHold(tx, hold, operator);
    if (customer === undefined) throw new CofferdamError('not-found', 'there is no such hold, or it was lifted before');
    await record(tx, {
      kind: 'hold.lifted',
      customer,
      observer: 'warden',
      public: { hold },
      sensitive: { operator, reason },
    });
    return {};
  },
};
