// Owns: the life cycle of a change: proposed with one operator's signature, then applied with another operator's
// signature over its hash, or rejected (decision 0016).
// Must never: apply anything but the text that was signed, or believe the admin process about who signed.
import { CofferdamError } from '../../domain/errors.ts';
import type { EntryKind } from '../../domain/ledger/entry-kinds.ts';
import type { Transaction } from '../../postgres/database.ts';
import {
  type Approval,
  documentHash,
  isSignedBy,
  type Proposal,
  parseApproval,
  parseProposal,
} from '../../rpc/change-document.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import { mayCall, type OperatorToAdmin, operatorToAdmin } from '../../rpc/operators/table.ts';
import { requireForm } from '../../rpc/wrong-form.ts';
import type { AlertKind } from '../alerts/alert-kinds.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Apply, ChangeUseCases, Doing } from '../commands/doing.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { record } from '../ledger/entries/record.ts';
import { type BreakGlass, lockBreakGlass, openBreakGlass } from '../operators/break-glass-queries.ts';
import { isVerifiedKey } from '../seals/genuine.ts';
import { installationId } from '../seals/seal-queries.ts';
import { factsOfRow, type VerifiedRows, verifiedRows } from '../seals/seals.ts';
import { type FoundKey, findKey } from '../seals/signature-queries.ts';
import { insertChange, lockChange, markApplied, markRejected } from './change-queries.ts';

type Operation = keyof OperatorToAdmin;

/** Returns whether the key and the operator that a query found are the same as in their verified rows. */
function isTheVerified(found: FoundKey, fingerprint: string, rows: VerifiedRows): boolean {
  const operator = factsOfRow<{ name: string; role: string; state: string }>(rows, {
    kind: 'operator',
    id: found.operatorId,
  });
  return (
    isVerifiedKey(found, fingerprint, rows) &&
    operator?.name === found.name &&
    operator.role === found.role &&
    operator.state === found.state
  );
}

/** Returns the key of an active operator that is sealed and has not ended. Throws `denied` otherwise. */
async function requireSigner(tx: Transaction, keys: KeyRing, fingerprint: string, who: string): Promise<FoundKey> {
  const found = await findKey(tx, fingerprint);
  if (found === undefined || found.isEnded || found.state !== 'active')
    throw new CofferdamError('denied', `the key of ${who} belongs to no active operator`);
  const rows = [
    { kind: 'operator-key', id: fingerprint },
    { kind: 'operator', id: found.operatorId },
  ] as const;
  const { broken, rows: verified } = await verifiedRows(tx, keys, rows);
  // The rows that `findKey` returned came from another statement. The key and the operator must equal the verified
  // rows.
  if (broken !== undefined || !isTheVerified(found, fingerprint, verified))
    throw new CofferdamError('denied', `the entry of ${who} among the operators is not what the warden wrote`);
  return found;
}

function requireOperation(name: string): Operation {
  const operation = Object.hasOwn(operatorToAdmin, name) ? (name as Operation) : undefined;
  if (operation === undefined || operatorToAdmin[operation].second === 'never')
    throw new CofferdamError('invalid', `${name} is not an operation that a second operator approves`);
  return operation;
}

const requireRole = (signer: FoundKey, operation: Operation): void => {
  const { role } = operatorToAdmin[operation];
  if (!mayCall(signer.role, role))
    throw new CofferdamError('denied', `${operation} needs the role ${role}; ${signer.name} is ${signer.role}`);
};

/**
 * Requires that the proposer is an active operator with the necessary role now, and that the signature over this text
 * is the proposer's. Throws `denied` or `invalid` otherwise.
 */
async function requireProposer(
  tx: Transaction,
  keys: KeyRing,
  proposal: Proposal,
  document: string,
  signature: Buffer,
): Promise<FoundKey> {
  const proposer = await requireSigner(tx, keys, proposal.key, proposal.proposer);
  if (proposer.name !== proposal.proposer || !isSignedBy(document, signature, proposer.publicKey))
    throw new CofferdamError('denied', `the signature is not one by ${proposal.proposer} over this text`);
  if (proposal.installation !== (await installationId(tx)).id)
    throw new CofferdamError('invalid', 'this was signed for another installation');
  requireRole(proposer, requireOperation(proposal.operation));
  return proposer;
}

/** Stores a change with its proposer's signature. A change that names a prepared emergency is applied at once. */
export async function proposeChange(
  { document, signature: text }: Params<OperatorToAdmin, 'change.propose'>,
  doing: Doing,
  apply: Apply,
): Promise<Result<OperatorToAdmin, 'change.propose'>> {
  const { tx, warden } = doing;
  const proposal = parseProposal(document);
  const signature = Buffer.from(text, 'base64');
  const proposer = await requireProposer(tx, warden.keys, proposal, document, signature);
  if (proposer.name !== doing.operator)
    throw new CofferdamError('denied', 'a change is proposed by the one who signed it');
  const { params } = operatorToAdmin[requireOperation(proposal.operation)];
  requireForm(params, proposal.params);
  const hash = documentHash(document);
  const expiresAt = await insertChange(tx, {
    id: proposal.change,
    document,
    hash,
    operation: proposal.operation,
    proposer: proposer.operatorId,
    proposerKey: proposal.key,
    signature,
    expiresAt: proposal.expiresAt,
    reason: proposal.reason,
  });
  if (expiresAt === 'used') throw new CofferdamError('conflict', 'this change was proposed before');
  if (expiresAt === 'late')
    throw new CofferdamError('invalid', 'a change ends within 24 hours from now; are the clocks right?');
  await record(tx, {
    kind: 'change.proposed',
    observer: 'warden',
    sensitive: {
      change: proposal.change,
      operation: proposal.operation,
      hash,
      by: proposer.name,
      reason: proposal.reason,
    },
  });
  const applied =
    proposal.breakGlass === undefined ? null : await applyAlone(proposal, proposal.breakGlass, proposer, doing, apply);
  return { change: proposal.change, hash, expiresAt: expiresAt.toISOString(), applied };
}

/**
 * Applies a change without approval, in an emergency that two operators had prepared: at once, with a critical alert,
 * and to be reviewed later.
 */
async function applyAlone(
  proposal: Proposal,
  id: string,
  proposer: FoundKey,
  doing: Doing,
  apply: Apply,
): Promise<Record<string, unknown>> {
  const { tx, warden } = doing;
  const glass = await requireGlass(tx, warden.keys, id, proposer, proposal.operation);
  if (glass.state === 'prepared') {
    const until = await openBreakGlass(tx, id, glass.hours);
    await tell(
      doing,
      'break-glass.opened',
      glass,
      `${proposer.name} opened a prepared emergency until ${until.toISOString()}: ${glass.operations.join(', ')}; ${proposal.reason}`,
    );
  }
  await tell(doing, 'break-glass.used', glass, `${proposer.name} did ${proposal.operation} alone: ${proposal.reason}`, {
    change: proposal.change,
  });
  await markApplied(tx, proposal.change, null, null, id);
  const by = { operator: `${proposer.name} (break-glass)`, role: proposer.role };
  return (await apply(proposal.operation, proposal.params, by, { change: proposal.change })) as Record<string, unknown>;
}

type GlassFacts = {
  readonly operator_id: string;
  readonly operations: readonly string[];
  readonly hours: number;
  /** Instants in microseconds since 1970. */
  readonly valid_until: number;
  readonly opened_at: number | null;
  readonly closes_at: number | null;
  readonly ended_at: number | null;
};
/** The database's clock decides when an emergency is over. The clock of this process may differ by so much. */
const clocksMs = 60_000;

/**
 * Returns whether an emergency that a query found is the same as in its verified row. One that is over opens nothing,
 * so its instants are not compared.
 */
function isTheVerifiedGlass(found: BreakGlass, facts: GlassFacts | undefined): boolean {
  if (facts === undefined || facts.operator_id !== found.operatorId || facts.hours !== found.hours) return false;
  if (facts.operations.join() !== found.operations.join()) return false;
  if (found.state === 'over') return true;
  const until = found.state === 'open' ? facts.closes_at : facts.valid_until;
  return (
    facts.ended_at === null &&
    (found.state === 'open') === (facts.opened_at !== null) &&
    (until ?? 0) / 1000 > Date.now() - clocksMs
  );
}

async function requireGlass(
  tx: Transaction,
  keys: KeyRing,
  id: string,
  proposer: FoundKey,
  operation: string,
): Promise<BreakGlass> {
  const glass = await lockBreakGlass(tx, id);
  if (glass === undefined || glass.operatorId !== proposer.operatorId)
    throw new CofferdamError(
      'not-found',
      'no emergency of this id was prepared for you: see `cofferctl break-glass list`',
    );
  const row = { kind: 'break-glass', id } as const;
  const { broken, rows } = await verifiedRows(tx, keys, [row]);
  if (broken !== undefined || !isTheVerifiedGlass(glass, factsOfRow<GlassFacts>(rows, row)))
    throw new CofferdamError('denied', 'this emergency is not what two operators prepared');
  if (glass.state === 'over')
    throw new CofferdamError('conflict', 'this emergency is over: two operators prepare another one');
  if (!glass.operations.includes(operation))
    throw new CofferdamError('denied', `${operation} is not among what was prepared: ${glass.operations.join(', ')}`);
  return glass;
}

async function tell(
  doing: Doing,
  kind: AlertKind & EntryKind,
  glass: BreakGlass,
  text: string,
  facts: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const all = { breakGlass: glass.id, operator: glass.operator, ...facts };
  await record(doing.tx, { kind, observer: 'warden', sensitive: { ...all, text } });
  await insertAlert(doing.tx, {
    kind,
    severity: 'critical',
    subject: `${glass.id}/${JSON.stringify(facts)}`,
    text,
    facts: all,
    nextCommand: `cofferctl break-glass review ${glass.id} --finding TEXT`,
  });
}

/**
 * Verifies both signatures and applies the change in the same transaction. Throws `denied` when a signature, a person
 * or a role does not fit, and `conflict` when the change is decided or has expired.
 */
export async function approveChange(
  { document, signature: text }: Params<OperatorToAdmin, 'change.approve'>,
  doing: Doing,
  apply: Apply,
): Promise<Result<OperatorToAdmin, 'change.approve'>> {
  const { tx, warden } = doing;
  const approval = parseApproval(document);
  const signature = Buffer.from(text, 'base64');
  const approver = await requireSigner(tx, warden.keys, approval.key, approval.approver);
  if (
    approver.name !== approval.approver ||
    approver.name !== doing.operator ||
    !isSignedBy(document, signature, approver.publicKey)
  )
    throw new CofferdamError('denied', `the signature is not one by ${approval.approver} over this approval`);
  if (!mayCall(approver.role, 'security-officer'))
    throw new CofferdamError(
      'denied',
      `changes are approved by a security officer; ${approver.name} is ${approver.role}`,
    );
  const change = await lockChange(tx, approval.change);
  if (change === undefined)
    throw new CofferdamError('not-found', 'there is no such change: see `cofferctl change list`');
  if (change.state !== 'proposed') throw new CofferdamError('conflict', `this change is ${change.state}`);
  if (change.isExpired) throw new CofferdamError('conflict', 'this change has expired: it has to be proposed again');
  checkApproval(approval, change.document);
  const proposal = parseProposal(change.document);
  const proposer = await requireProposer(tx, warden.keys, proposal, change.document, change.proposerSignature);
  if (proposal.change !== change.id || proposal.key !== change.proposerKey || proposer.operatorId !== change.proposerId)
    throw new CofferdamError('denied', 'the change is not the one that was signed');
  if (approver.operatorId === proposer.operatorId || approval.key === proposal.key)
    throw new CofferdamError('denied', 'a change is approved by somebody else than the one who proposed it');
  if (proposal.breakGlass !== undefined) throw new CofferdamError('conflict', 'this was signed for an emergency');
  await markApplied(tx, change.id, approver.operatorId, { document, key: approval.key, signature }, null);
  await record(tx, {
    kind: 'change.approved',
    observer: 'warden',
    sensitive: {
      change: change.id,
      operation: proposal.operation,
      proposer: proposer.name,
      approver: approver.name,
      reason: proposal.reason,
    },
  });
  const by = { operator: `${proposer.name}, approved by ${approver.name}`, role: proposer.role };
  const result = (await apply(proposal.operation, proposal.params, by, { change: change.id })) as Record<
    string,
    unknown
  >;
  return { change: change.id, operation: proposal.operation, result };
}

function checkApproval(approval: Approval, document: string): void {
  const proposal = parseProposal(document);
  if (approval.hash !== documentHash(document) || approval.installation !== proposal.installation)
    throw new CofferdamError('denied', 'what was approved is not what was proposed');
}

/** Rejects a proposed change. Any operator who may call it can do so; no signature is needed. */
export async function rejectChange(
  { change: id, reason }: Params<OperatorToAdmin, 'change.reject'>,
  { tx, operator, operatorId }: Doing,
): Promise<Record<string, never>> {
  const change = await lockChange(tx, id);
  if (change === undefined)
    throw new CofferdamError('not-found', 'there is no such change: see `cofferctl change list`');
  if (change.state !== 'proposed') throw new CofferdamError('conflict', `this change is ${change.state}`);
  await markRejected(tx, id, operatorId, reason);
  await record(tx, { kind: 'change.rejected', observer: 'warden', sensitive: { change: id, by: operator, reason } });
  return {};
}

export const changeUseCases: ChangeUseCases = {
  'change.propose': proposeChange,
  'change.approve': approveChange,
  'change.reject': rejectChange,
};
