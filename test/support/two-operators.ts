// Owns: two operators as real rows with seals, who propose, approve and reject changes with keys of their own, without
// a running warden.
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { documentHash, type Proposal, publicKeyFingerprint, signDocument } from '../../server/rpc/change-document.ts';
import { approveChange, proposeChange, rejectChange } from '../../server/warden/changes/changes.ts';
import type { Apply, Doing } from '../../server/warden/commands/doing.ts';
import { insertBreakGlass } from '../../server/warden/operators/break-glass-queries.ts';
import { insertOperator, insertOperatorKey } from '../../server/warden/operators/operator-queries.ts';
import { genuineAmong } from '../../server/warden/seals/genuine.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import type { Teardown } from './database.ts';
import { startSealBench } from './seal-bench.ts';

export const hourMs = 3_600_000;

export type Key = { readonly privateKey: KeyObject; readonly spki: Buffer; readonly fingerprint: string };
export type Person = { readonly name: string; readonly id: string; readonly keys: readonly [Key, Key] };

function makeOperatorKey(): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { privateKey, spki, fingerprint: publicKeyFingerprint(spki) };
}

/** `carryOut` does what an approved change says; without it a change is only noted in `applied`. */
export async function startTwoOperators(t: Teardown, carryOut?: (doing: Doing) => Apply) {
  const { sql, warden } = await startSealBench(t);
  const { database, keys } = warden;
  const people = await database.withSystem((tx) =>
    sealing(tx, warden, { maker: 'bootstrap', change: () => null }, async () => {
      const made: Person[] = [];
      for (const name of ['alice', 'bob']) {
        const id = await insertOperator(tx, name, 'security-officer');
        if (id === undefined) throw new Error('an operator of this name is there');
        const person: Person = { name, id, keys: [makeOperatorKey(), makeOperatorKey()] };
        for (const key of person.keys) await insertOperatorKey(tx, id, key.fingerprint, key.spki);
        made.push(person);
      }
      return made;
    }),
  );
  const [alice, bob] = people as [Person, Person];
  const [installation] = await sql.query<{ id: string }>('select id from installation');
  const applied: string[] = [];
  const note: Apply = async (operation) => {
    applied.push(operation);
    return {};
  };
  const as = <T>(person: Person, work: (doing: Doing) => Promise<T>): Promise<T> =>
    database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'operator', change: () => null }, () =>
        work({ tx, warden, operator: person.name, operatorId: person.id } as unknown as Doing),
      ),
    );
  const propose = async (livesMs: number, more: Partial<Proposal> = {}): Promise<Proposal> => {
    const now = Date.now();
    const proposal: Proposal = {
      type: 'cofferdam change/1',
      installation: installation?.id ?? '',
      change: randomUUID(),
      operation: 'account.expire',
      params: { name: 'acme-batch', inDays: null, reason: 'a test' },
      reason: 'a test',
      proposer: alice.name,
      key: alice.keys[0].fingerprint,
      proposedAt: new Date(now).toISOString(),
      expiresAt: new Date(now + livesMs).toISOString(),
      ...more,
    };
    await as(alice, (doing) =>
      proposeChange(signDocument(proposal, alice.keys[0].privateKey), doing, carryOut?.(doing) ?? note),
    );
    return proposal;
  };
  const approval = (proposal: Proposal, person: Person, key: Key) => {
    const [row] = [signDocument(proposal, alice.keys[0].privateKey)];
    return signDocument(
      {
        type: 'cofferdam approval/1',
        installation: proposal.installation,
        change: proposal.change,
        hash: documentHash(row?.document ?? ''),
        approver: person.name,
        key: key.fingerprint,
        approvedAt: new Date().toISOString(),
      },
      key.privateKey,
    );
  };
  const approve = (proposal: Proposal, person: Person, key: Key = person.keys[0]): Promise<unknown> =>
    as(person, (doing) => approveChange(approval(proposal, person, key), doing, carryOut?.(doing) ?? note));
  const reject = (change: string, person: Person): Promise<unknown> =>
    as(person, (doing) => rejectChange({ change, reason: 'a test' }, doing));
  const stateOf = async (proposal: Proposal): Promise<unknown> =>
    (await sql.query<{ state: string }>('select state from change where id = $1', [proposal.change]))[0]?.state;
  /** An emergency of alice, prepared by two: by a change that both signed. */
  const prepare = async (operations: readonly string[]): Promise<string> => {
    const proposal = await propose(hourMs);
    await approve(proposal, bob);
    const glass = { operator: alice.id, operations, hours: 1, reason: 'a test', validDays: 1 };
    return database.withSystem((tx) =>
      sealing(
        tx,
        warden,
        { maker: 'bootstrap', change: () => proposal.change },
        async () => (await insertBreakGlass(tx, glass)).id,
      ),
    );
  };
  const isGenuine = async (proposal: Proposal): Promise<boolean> =>
    (await database.withSystem((tx) => genuineAmong(tx, keys, [proposal.change], []))).has(proposal.change);
  return { sql, warden, alice, bob, applied, propose, approval, approve, reject, prepare, stateOf, isGenuine };
}
