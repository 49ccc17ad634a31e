import { test } from 'tap';
import { evaluate, type Proof, setsWith, transferRowNames } from '../../server/domain/authentication-policy.ts';

const verified: readonly Proof[] = ['public-key', 'password', 'totp', 'activation-window'];

function* subsets<T>(of: readonly T[]): Generator<readonly T[]> {
  for (let bits = 0; bits < 2 ** of.length; bits += 1) yield of.filter((_, i) => (bits >> i) & 1);
}

test('what a review calls a way in is what a login takes, and nothing else', async (t) => {
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
              setsWith(type, { ...facts, isWindowOpen: false }).some((row) => row.proofs.every((proof) => proofs.includes(proof))),
            );
          compared += 1;
          if (opens !== reviewed) different.push(JSON.stringify({ facts, proofs }));
        }
  t.same(different, []);
  t.ok(compared > 4000, `${compared} cases`);
});
