import { test } from 'tap';
import { evaluate, type Proof } from '../../server/domain/authentication-policy.ts';

const proofs: readonly Proof[] = ['public-key', 'totp', 'activation-window', 'password', 'certificate', 'security-key'];

/** Written apart from the table: what the design says in words. */
function oracle(kind: 'person' | 'machine', given: ReadonlySet<Proof>): boolean {
  const hasKey = given.has('public-key');
  return kind === 'person' ? hasKey && given.has('totp') : hasKey && (given.has('totp') || given.has('activation-window'));
}

test('every set of proofs, for every kind: accepted exactly when the design says so', async (t) => {
  let accepted = 0;
  for (const kind of ['person', 'machine'] as const)
    for (let bits = 0; bits < 1 << proofs.length; bits += 1) {
      const given = new Set(proofs.filter((_, i) => (bits >> i) & 1));
      const decision = evaluate(kind, given, true);
      if ((decision.outcome === 'accepted') !== oracle(kind, given)) t.fail(`${kind} with ${[...given]}: ${decision.outcome}`);
      if (decision.outcome === 'accepted') accepted += 1;
      if (given.size <= 1 && decision.outcome === 'accepted') t.fail('one factor opened a session');
      if (!given.has('public-key') && decision.outcome !== 'refused') t.fail('something counted before the key');
      if (evaluate(kind, given, false).outcome !== 'refused') t.fail('an ineligible account got further');
    }
  t.equal(accepted, 16 + 24, 'as many sets as the design allows');
});

test('after the key, both kinds are asked for the code', async (t) => {
  for (const kind of ['person', 'machine'] as const)
    t.same(evaluate(kind, new Set<Proof>(['public-key']), true), { outcome: 'partial', methods: ['keyboard-interactive'] });
});
