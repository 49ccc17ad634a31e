// Owns: verifying that an applied change is genuine: both signatures, by keys that the warden sealed.
// Must never: remember a change as genuine under anything less than a digest of its whole content.
import { createHash } from 'node:crypto';
import { toCofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import {
  documentHash,
  isSignedBy,
  type Proposal,
  parseApproval,
  parseProposal,
  publicKeyFingerprint,
} from '../../rpc/change-document.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { factsOfRow, firstBroken, type VerifiedRows, verifiedRows } from './seals.ts';
import { type AppliedChange, findApplied, findKey } from './signature-queries.ts';

/**
 * The changes that were verified, by digest, with their proposals. When the map is full, the oldest entry is removed.
 */
const genuine = new Map<string, Proposal>();
const genuineMax = 20_000;

const digestOf = (change: AppliedChange): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        change.id,
        change.document,
        change.proposerKey,
        change.proposerSignature,
        change.approval,
        change.approverKey,
        change.approverSignature,
        change.breakGlass,
      ]),
    )
    .digest('base64');

/**
 * Returns whether a key that was found equals its verified row and its own fingerprint. `isEnded` is not compared when
 * it is undefined.
 */
export function isVerifiedKey(
  found: { readonly operatorId: string; readonly publicKey: Buffer; readonly isEnded: boolean | undefined },
  fingerprint: string,
  rows: VerifiedRows,
): boolean {
  const key = factsOfRow<{ operator_id: string; public_key: string; ended_at: number | null }>(rows, {
    kind: 'operator-key',
    id: fingerprint,
  });
  return (
    key !== undefined &&
    publicKeyFingerprint(found.publicKey) === fingerprint &&
    key.public_key === found.publicKey.toString('hex') &&
    key.operator_id === found.operatorId &&
    (found.isEnded === undefined || found.isEnded === (key.ended_at !== null))
  );
}

/**
 * Returns the bytes and the operator of a key whose row carries the warden's seal, otherwise undefined. Ended keys
 * count, because signatures made before the end stay valid.
 */
async function sealedKey(
  tx: Transaction,
  keys: KeyRing,
  fingerprint: string,
  within: readonly string[],
): Promise<{ readonly operator: string; readonly spki: Buffer } | undefined> {
  const found = await findKey(tx, fingerprint);
  if (found === undefined) return undefined;
  const { broken, rows } = await verifiedRows(tx, keys, [{ kind: 'operator-key', id: fingerprint }], within);
  if (broken !== undefined || !isVerifiedKey({ ...found, isEnded: undefined }, fingerprint, rows)) return undefined;
  return { operator: found.operatorId, spki: found.publicKey };
}

async function verifyApplied(
  tx: Transaction,
  keys: KeyRing,
  change: AppliedChange,
  within: readonly string[],
): Promise<boolean> {
  const proposal = parseProposal(change.document);
  const proposer = await sealedKey(tx, keys, change.proposerKey, within);
  if (
    proposer === undefined ||
    proposal.change !== change.id ||
    proposal.key !== change.proposerKey ||
    !isSignedBy(change.document, Buffer.from(change.proposerSignature, 'base64'), proposer.spki)
  )
    return false;
  // A prepared emergency replaces the approval: its row is sealed, and a change by two operators made it.
  if (change.breakGlass !== null)
    return (
      proposal.breakGlass === change.breakGlass &&
      (await firstBroken(tx, keys, [{ kind: 'break-glass', id: change.breakGlass }], within)) === undefined
    );
  if (change.approval === null || change.approverKey === null || change.approverSignature === null) return false;
  const approval = parseApproval(change.approval);
  const approver = await sealedKey(tx, keys, change.approverKey, within);
  return (
    approver !== undefined &&
    approver.operator !== proposer.operator &&
    change.approverKey !== change.proposerKey &&
    approval.change === change.id &&
    approval.hash === documentHash(change.document) &&
    approval.installation === proposal.installation &&
    approval.key === change.approverKey &&
    isSignedBy(change.approval, Buffer.from(change.approverSignature, 'base64'), approver.spki)
  );
}

async function proposalOf(
  tx: Transaction,
  keys: KeyRing,
  change: AppliedChange,
  within: readonly string[],
): Promise<Proposal | undefined> {
  if (within.includes(change.id)) return undefined;
  const digest = digestOf(change);
  const known = genuine.get(digest);
  if (known !== undefined) return known;
  let isGood: boolean;
  try {
    isGood = await verifyApplied(tx, keys, change, [...within, change.id]);
  } catch (error) {
    // An unavailable database says nothing about the change.
    if (toCofferdamError(error).code === 'unavailable') throw error;
    isGood = false;
  }
  if (!isGood) return undefined;
  if (genuine.size >= genuineMax) genuine.delete(genuine.keys().next().value ?? '');
  const proposal = parseProposal(change.document);
  genuine.set(digest, proposal);
  return proposal;
}

/**
 * Returns the proposals, by id, of those of the named changes that were applied and whose signatures verify now.
 * `within` names the changes whose verification is under way.
 */
export async function genuineAmong(
  tx: Transaction,
  keys: KeyRing,
  ids: readonly string[],
  within: readonly string[],
): Promise<ReadonlyMap<string, Proposal>> {
  const good = new Map<string, Proposal>();
  if (ids.length === 0) return good;
  for (const change of await findApplied(tx, ids)) {
    const proposal = await proposalOf(tx, keys, change, within);
    if (proposal !== undefined) good.set(change.id, proposal);
  }
  return good;
}
