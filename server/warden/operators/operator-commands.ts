// Owns: the commands on operators and on prepared emergencies, each inside its command's own transaction and on the
// record.
// Must never: leave fewer than two operators who can approve each other's changes, except by a suspension.
import { CofferdamError } from '../../domain/errors.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import type { Transaction } from '../../postgres/database.ts';
import { parseOperatorKey, publicKeyFingerprint } from '../../rpc/change-document.ts';
import type { Params } from '../../rpc/operation.ts';
import { type OperatorToAdmin, operatorToAdmin } from '../../rpc/operators/table.ts';
import type { AlertKind } from '../alerts/alert-kinds.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Doing } from '../commands/doing.ts';
import { record } from '../ledger/entries/record.ts';
import type { Purpose } from '../seals/declared.ts';
import type { RowName } from '../seals/seal-queries.ts';
import { firstBroken } from '../seals/seals.ts';
import { endBreakGlass, insertBreakGlass, lockBreakGlass, reviewBreakGlass } from './break-glass-queries.ts';
import {
  endOperatorKey,
  findOperator,
  insertOperator,
  insertOperatorKey,
  type OperatorRow,
  setOperator,
} from './operator-queries.ts';

type P<K extends keyof OperatorToAdmin> = Params<OperatorToAdmin, K>;

async function requireOperator(tx: Transaction, name: string, purpose: Purpose): Promise<OperatorRow> {
  const found = await findOperator(tx, name, purpose);
  if (found === undefined)
    throw new CofferdamError('not-found', `there is no operator named ${name}: see \`cofferctl operator list\``);
  return found;
}

/**
 * Returns whether a row is not what the warden wrote. That something is over already is believed only of a row that is.
 */
const isAltered = async ({ tx, warden }: Doing, row: RowName): Promise<boolean> =>
  (await firstBroken(tx, warden.keys, [row])) !== undefined;

/**
 * Returns a public key as DER bytes and its fingerprint. Throws `invalid` when the key is not of a kind that may sign.
 */
export function keyOf(base64: string): { readonly spki: Buffer; readonly fingerprint: string } {
  const spki = Buffer.from(base64, 'base64');
  parseOperatorKey(spki);
  return { spki, fingerprint: publicKeyFingerprint(spki) };
}

/** Writes the entry and an alert to all operators, because every operator has to know when operators change. */
async function tellOperators(
  { tx, operator: by }: Doing,
  kind: AlertKind & EntryKind,
  name: string,
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  await record(tx, { kind, observer: 'warden', sensitive: { operator: name, ...facts, by } });
  await insertAlert(tx, {
    kind,
    severity: 'warning',
    subject: `${name}/${JSON.stringify(facts)}`.slice(0, 400),
    text: `${kind} ${name}, by ${by}`,
    facts: { operator: name, ...facts, by },
    nextCommand: 'cofferctl operator list',
  });
}

/**
 * Returns whether an operation may never be part of an emergency: those on operators, emergencies, changes, holds and
 * the record.
 */
const neverAlone = (operation: string): boolean => /^(?:operator|break-glass|change|hold|ledger)\./.test(operation);

export const operatorUseCases = {
  'operator.create': async ({ name, role, publicKey, reason }: P<'operator.create'>, doing: Doing) => {
    const { spki, fingerprint } = keyOf(publicKey);
    const id = await insertOperator(doing.tx, name, role);
    if (id === undefined) throw new CofferdamError('conflict', `there is already an operator named ${name}`);
    if (!(await insertOperatorKey(doing.tx, id, fingerprint, spki)))
      throw new CofferdamError(
        'conflict',
        'this key belongs, or belonged, to an operator: every operator makes a key of their own',
      );
    await tellOperators(doing, 'operator.created', name, { role, fingerprint, reason });
    return { name, fingerprint };
  },

  'operator.set-role': async ({ name, role, reason }: P<'operator.set-role'>, doing: Doing) => {
    const found = await requireOperator(doing.tx, name, 'to-rely');
    if (found.role === role) throw new CofferdamError('conflict', `${name} is ${role} already`);
    await setOperator(doing.tx, found.id, role, found.state === 'active' ? 'active' : 'suspended');
    await tellOperators(doing, 'operator.role-set', name, { before: found.role, after: role, reason });
    return {};
  },

  'operator.add-key': async ({ name, publicKey, reason }: P<'operator.add-key'>, doing: Doing) => {
    const found = await requireOperator(doing.tx, name, 'to-rely');
    const { spki, fingerprint } = keyOf(publicKey);
    if (!(await insertOperatorKey(doing.tx, found.id, fingerprint, spki)))
      throw new CofferdamError('conflict', 'this key belongs, or belonged, to an operator: every key is used once');
    await tellOperators(doing, 'operator.key-added', name, { fingerprint, reason });
    return { fingerprint };
  },

  'operator.end-key': async ({ name, fingerprint, reason }: P<'operator.end-key'>, doing: Doing) => {
    const found = await requireOperator(doing.tx, name, 'to-narrow');
    const isKeyAltered = await isAltered(doing, { kind: 'operator-key', id: fingerprint });
    if (!(await endOperatorKey(doing.tx, found.id, fingerprint, isKeyAltered)))
      throw new CofferdamError('not-found', `${name} has no such key in use`);
    await tellOperators(doing, 'operator.key-ended', name, { fingerprint, reason });
    return {};
  },

  'operator.suspend': async ({ name, reason }: P<'operator.suspend'>, doing: Doing) => {
    const found = await requireOperator(doing.tx, name, 'to-narrow');
    if (found.state === 'suspended' && !(await isAltered(doing, { kind: 'operator', id: found.id })))
      throw new CofferdamError('conflict', `${name} is suspended already`);
    await setOperator(doing.tx, found.id, found.role, 'suspended', 'to-narrow');
    await tellOperators(doing, 'operator.suspended', name, { reason });
    return {};
  },

  'operator.resume': async ({ name, reason }: P<'operator.resume'>, doing: Doing) => {
    const found = await requireOperator(doing.tx, name, 'to-rely');
    if (found.state === 'active') throw new CofferdamError('conflict', `${name} is not suspended`);
    await setOperator(doing.tx, found.id, found.role, 'active');
    await tellOperators(doing, 'operator.resumed', name, { reason });
    return {};
  },

  'break-glass.prepare': async (
    { operator: name, operations, hours, validDays, reason }: P<'break-glass.prepare'>,
    doing: Doing,
  ) => {
    const found = await requireOperator(doing.tx, name, 'to-rely');
    if (found.state !== 'active') throw new CofferdamError('conflict', `${name} is suspended`);
    for (const one of operations) {
      const row = Object.hasOwn(operatorToAdmin, one) ? operatorToAdmin[one as keyof OperatorToAdmin] : undefined;
      if (row === undefined || row.second === 'never')
        throw new CofferdamError('invalid', `${one} is not an operation that needs a second operator`);
      if (neverAlone(one)) throw new CofferdamError('denied', `${one} is never done alone`);
    }
    const made = await insertBreakGlass(doing.tx, {
      operator: found.id,
      operations: [...new Set(operations)].sort(),
      hours,
      reason,
      validDays,
    });
    await tellOperators(doing, 'break-glass.prepared', name, {
      breakGlass: made.id,
      operations,
      hours,
      until: made.validUntil.toISOString(),
      reason,
    });
    return { breakGlass: made.id, validUntil: made.validUntil.toISOString() };
  },

  'break-glass.end': async ({ breakGlass, reason }: P<'break-glass.end'>, doing: Doing) => {
    const glass = await lockBreakGlass(doing.tx, breakGlass);
    if (glass === undefined)
      throw new CofferdamError('not-found', 'there is no such emergency: see `cofferctl break-glass list`');
    if (glass.state === 'over' && !(await isAltered(doing, { kind: 'break-glass', id: breakGlass })))
      throw new CofferdamError('conflict', 'this emergency is over already');
    await endBreakGlass(doing.tx, breakGlass);
    await tellOperators(doing, 'break-glass.ended', glass.operator, { breakGlass, reason });
    return {};
  },

  'break-glass.review': async ({ breakGlass, finding }: P<'break-glass.review'>, doing: Doing) => {
    const glass = await lockBreakGlass(doing.tx, breakGlass);
    if (glass === undefined)
      throw new CofferdamError('not-found', 'there is no such emergency: see `cofferctl break-glass list`');
    if (!glass.isUsed) throw new CofferdamError('conflict', 'this emergency was not used: there is nothing to review');
    if (glass.state === 'open')
      throw new CofferdamError('conflict', 'this emergency is still open: end it first (cofferctl break-glass end)');
    if (glass.isReviewed) throw new CofferdamError('conflict', 'this emergency was reviewed before');
    await reviewBreakGlass(doing.tx, breakGlass, finding);
    await tellOperators(doing, 'break-glass.reviewed', glass.operator, { breakGlass, finding });
    return {};
  },
};
