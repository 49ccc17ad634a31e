// Which sets of proofs open a session, for every set that can be given.
import { test } from 'tap';
import {
  evaluate,
  firstMethods,
  type PolicyFacts,
  type Proof,
  policyRows,
  setsWith,
  transferRowNames,
} from '../../server/domain/authentication-policy.ts';

const verified: readonly Proof[] = ['public-key', 'password', 'totp', 'activation-window'];

function* subsets<T>(of: readonly T[]): Generator<readonly T[]> {
  for (let bits = 0; bits < 2 ** of.length; bits += 1) yield of.filter((_, i) => (bits >> i) & 1);
}

test('what the access review calls a way to log in is what a login accepts, and nothing else', async (t) => {
  let compared = 0;
  const different: string[] = [];
  for (const kind of ['person', 'machine'] as const)
    for (const hasNetworks of [false, true])
      for (const allowed of [null, ...subsets(transferRowNames)])
        for (const proofs of subsets(verified)) {
          const given = new Set(proofs);
          const isWindowOpen = given.delete('activation-window');
          const facts = { kind, allowed, hasNetworks, isWindowOpen };
          const decision = evaluate(facts, given);
          const opens = decision.outcome === 'accepted' && decision.purpose === 'transfer';
          const reviewed = (['public-key', 'password'] as const)
            .filter((type) => given.has(type))
            .some((type) =>
              setsWith(type, { ...facts, isWindowOpen: false }).some((row) =>
                row.proofs.every((proof) => proofs.includes(proof)),
              ),
            );
          compared += 1;
          if (opens !== reviewed) different.push(JSON.stringify({ facts, proofs }));
        }
  t.same(different, []);
  t.ok(compared > 4000, `${compared} cases`);
});

test('the table of proofs is the one that is documented', (t) => {
  const rows = policyRows.map((row) =>
    [row.name, row.kinds.join(), row.proofs.join(), row.purpose, 'needsNetworks' in row].join(' '),
  );
  t.same(rows, [
    'key+code person,machine public-key,totp transfer false',
    'password+code person password,totp transfer false',
    'security-key person security-key transfer false',
    'key+certificate machine public-key,certificate transfer false',
    'key+password machine public-key,password transfer true',
    'key+window machine public-key,activation-window transfer false',
    'key+ticket person,machine public-key,ticket enrolment false',
    'password+ticket person password,ticket enrolment false',
  ]);
  t.same(transferRowNames, [
    'key+code',
    'password+code',
    'security-key',
    'key+certificate',
    'key+password',
    'key+window',
  ]);
  t.same(firstMethods, ['publickey', 'password']);
  t.end();
});

const person: PolicyFacts = { kind: 'person', allowed: null, hasNetworks: false, isWindowOpen: false };
const machine: PolicyFacts = { kind: 'machine', allowed: null, hasNetworks: true, isWindowOpen: false };

test('every set of proofs that can be given, and how the policy answers it', (t) => {
  const answer = (facts: PolicyFacts | null, ...given: readonly Proof[]): string => {
    const decision = evaluate(facts, new Set(given));
    if (decision.outcome === 'accepted') return `${decision.row} ${decision.purpose}`;
    return decision.outcome === 'partial' ? decision.methods.join() : decision.outcome;
  };
  t.equal(answer(person), 'refused', 'nothing given');
  t.equal(answer(person, 'public-key'), 'keyboard-interactive', 'no word of a certificate, which nothing verifies');
  t.equal(answer(person, 'password'), 'keyboard-interactive');
  t.equal(answer(person, 'public-key', 'password'), 'keyboard-interactive', 'two proofs of which no row is made');
  t.equal(answer(person, 'totp'), 'publickey,password');
  t.equal(answer(person, 'ticket'), 'publickey,password');
  t.equal(answer(person, 'public-key', 'totp'), 'key+code transfer');
  t.equal(answer(person, 'password', 'totp'), 'password+code transfer');
  t.equal(answer(person, 'public-key', 'ticket'), 'key+ticket enrolment');
  t.equal(answer(person, 'password', 'ticket'), 'password+ticket enrolment');
  t.equal(answer(machine, 'public-key'), 'keyboard-interactive,password');
  t.equal(
    answer({ ...machine, hasNetworks: false }, 'public-key'),
    'keyboard-interactive',
    'a password counts at bound networks only',
  );
  t.equal(answer(machine, 'public-key', 'password'), 'key+password transfer');
  t.equal(answer({ ...machine, hasNetworks: false }, 'public-key', 'password'), 'keyboard-interactive');
  t.equal(answer({ ...machine, isWindowOpen: true }, 'public-key'), 'key+window transfer');
  t.equal(answer({ ...machine, isWindowOpen: true }), 'refused', 'an open window alone is nothing');
  t.equal(answer({ ...person, isWindowOpen: true }, 'public-key'), 'keyboard-interactive', 'windows are for machines');
  t.equal(answer(machine, 'password', 'totp'), 'publickey', 'a password with a code is for people');
  t.equal(answer(null, 'public-key', 'totp'), 'refused', 'nothing may suffice');
  t.equal(answer({ ...person, allowed: [] }, 'public-key', 'totp'), 'refused');
  t.equal(answer({ ...person, allowed: ['key+code'] }, 'password', 'totp'), 'publickey');
  t.equal(
    answer({ ...person, allowed: ['key+code'] }, 'public-key', 'ticket'),
    'key+ticket enrolment',
    'enrolment follows the row of the code',
  );
  t.equal(answer({ ...person, allowed: ['key+code'] }, 'password', 'ticket'), 'publickey', 'and no other row');
  t.equal(answer({ ...machine, allowed: ['key+window'] }, 'public-key', 'ticket'), 'refused');
  t.equal(answer({ ...machine, allowed: ['key+code'] }, 'public-key', 'password'), 'keyboard-interactive');
  t.end();
});

test('the rows of the policy by which a credential may open a session', (t) => {
  const names = (proof: 'public-key' | 'password', facts: PolicyFacts): string =>
    setsWith(proof, facts)
      .map((row) => row.name)
      .join();
  t.equal(names('public-key', person), 'key+code');
  t.equal(names('password', person), 'password+code');
  t.equal(names('public-key', machine), 'key+code,key+password,key+window', 'not the certificate: nothing verifies it');
  t.equal(names('public-key', { ...machine, hasNetworks: false }), 'key+code,key+window');
  t.equal(names('password', machine), 'key+password');
  t.equal(names('password', { ...machine, allowed: ['key+code'] }), '');
  t.end();
});
