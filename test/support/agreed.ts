// Owns: what two operators agreed on, for tests without a gateway: changes as rows, with both signatures, applied.
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import type { Transaction } from '../../server/postgres/database.ts';
import { documentHash, type Proposal, publicKeyFingerprint, signDocument } from '../../server/rpc/change-document.ts';
import { insertAccount, type NewAccount } from '../../server/warden/accounts/account-queries.ts';
import { insertChange, markApplied } from '../../server/warden/changes/change-queries.ts';
import { insertOperator, insertOperatorKey } from '../../server/warden/operators/operator-queries.ts';
import { installationId } from '../../server/warden/seals/seal-queries.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import type { SealBench } from './seal-bench.ts';

type Officer = { readonly name: string; readonly id: string; readonly privateKey: KeyObject; readonly key: string };
type Wish = { readonly operation: string; readonly params: Readonly<Record<string, unknown>> };

export type Agreed = {
  /** Applied in this transaction: rows may name it. */
  change(tx: Transaction, wish: Wish): Promise<string>;
  /** Runs `work` and seals what it declared, by such a change. */
  doing<T>(wish: Wish, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** An account as two operators make one. */
  account(account: NewAccount): Promise<void>;
};

async function makeOfficer(tx: Transaction, name: string): Promise<Officer> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const key = publicKeyFingerprint(spki);
  const id = await insertOperator(tx, name, 'security-officer');
  if (id === undefined || !(await insertOperatorKey(tx, id, key, spki))) throw new Error(`${name} exists already`);
  return { name, id, privateKey, key };
}

/** Two security officers of this installation, and what they sign. */
export async function twoOfficers(warden: SealBench['warden']): Promise<Agreed> {
  const [alice, bob] = await warden.database.withSystem((tx) =>
    sealing(tx, warden, { maker: 'bootstrap', change: () => null }, async () => [
      await makeOfficer(tx, 'agreed-alice'),
      await makeOfficer(tx, 'agreed-bob'),
    ]),
  );
  if (alice === undefined || bob === undefined) throw new Error('two officers');
  const change: Agreed['change'] = async (tx, { operation, params }) => {
    const { id: installation } = await installationId(tx);
    const id = randomUUID();
    const proposal: Proposal = {
      type: 'cofferdam change/1',
      installation,
      change: id,
      operation,
      params: { ...params },
      reason: 'a test',
      proposer: alice.name,
      key: alice.key,
      proposedAt: new Date().toISOString(),
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    };
    const { document, signature } = signDocument(proposal, alice.privateKey);
    const hash = documentHash(document);
    const bytes = Buffer.from(signature, 'base64');
    const { expiresAt, reason } = proposal;
    await insertChange(tx, {
      id,
      document,
      hash,
      operation,
      proposer: alice.id,
      proposerKey: alice.key,
      signature: bytes,
      expiresAt,
      reason,
    });
    const approval = signDocument(
      {
        type: 'cofferdam approval/1',
        installation,
        change: id,
        hash,
        approver: bob.name,
        key: bob.key,
        approvedAt: proposal.proposedAt,
      },
      bob.privateKey,
    );
    await markApplied(
      tx,
      id,
      bob.id,
      { document: approval.document, key: bob.key, signature: Buffer.from(approval.signature, 'base64') },
      null,
    );
    return id;
  };
  const doing: Agreed['doing'] = (wish, work) =>
    warden.database.withSystem(async (tx) => {
      const id = await change(tx, wish);
      return sealing(tx, warden, { maker: 'operator', change: () => id }, () => work(tx));
    });
  return {
    change,
    doing,
    account: ({ name, kind, plane, ...rest }) =>
      doing({ operation: 'account.create', params: { name, kind, plane } }, async (tx) => {
        if (!(await insertAccount(tx, { name, kind, plane, ...rest }))) throw new Error(`${name} exists already`);
      }),
  };
}
