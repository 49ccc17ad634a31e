// Owns: a change as its signed text says it, with the signature verified here.
// Must never: show anything as signed that was not in the document whose signature was verified.
import { CofferdamError } from '../../server/domain/errors.ts';
import { documentHash, isSignedBy, parseProposal, publicKeyFingerprint } from '../../server/rpc/change-document.ts';
import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import type { Client } from '../connection/client.ts';
import { fields } from '../terminal/fields.ts';
import { plain, when } from '../terminal/output.ts';

type Shown = { readonly signed: Result<OperatorToAdmin, 'change.show'>; readonly hash: string; readonly text: string };

/**
 * Fetches a change and returns its text. Everything in the text comes from the document that was signed; the state
 * comes from the gateway.
 */
export async function fetchAndShow(client: Client, id: string): Promise<Shown> {
  const signed = await client.call('change.show', { change: id });
  const hash = documentHash(signed.document);
  const proposal = parseProposal(signed.document);
  const spki = Buffer.from(signed.proposerPublicKey, 'base64');
  if (
    proposal.change !== id ||
    publicKeyFingerprint(spki) !== proposal.key ||
    !isSignedBy(signed.document, Buffer.from(signed.proposerSignature, 'base64'), spki)
  )
    throw new CofferdamError(
      'corrupt',
      'the signature under this change does not verify: approve nothing, and look at the gateway',
    );
  const lines = [
    ['change', proposal.change],
    ['operation', proposal.operation],
    ...fields(proposal.params),
    ...(proposal.reason === '' || proposal.params.reason === proposal.reason ? [] : [['reason', proposal.reason]]),
    [
      'proposed by',
      `${proposal.proposer}, ${when(proposal.proposedAt)}, with key ${proposal.key.slice(0, 16)}… (signature verified)`,
    ],
    ['good until', when(proposal.expiresAt)],
    ...(proposal.breakGlass === undefined ? [] : [['break-glass', proposal.breakGlass]]),
    ['hash', hash],
    [
      'state',
      `${signed.change.state}${signed.change.decidedBy === null ? '' : ` by ${signed.change.decidedBy}, ${when(signed.change.decidedAt)}`}`,
    ],
  ];
  return {
    signed,
    hash,
    text: `${lines.map(([name, value]) => `${(name ?? '').padEnd(18)} ${plain(value ?? '')}`).join('\n')}\n`,
  };
}
