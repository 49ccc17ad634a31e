// What a session may not do: two restrictions together are never wider than either, and an end counts to the
// millisecond.
import { test } from 'tap';
import { narrowed, permits, type Restrictions, unrestricted } from '../../server/domain/restrictions.ts';

const at = { plane: 'partner', source: '192.0.2.7', now: 1000 } as const;
const made = (facts: Partial<Restrictions>): Restrictions => ({ ...unrestricted, ...facts });

test('two restrictions together permit what both permit', (t) => {
  t.same(unrestricted, { networks: [], planes: ['partner', 'internal'], readOnly: false, until: null });
  const a = made({ networks: [['192.0.2.0/24']], planes: ['partner'], readOnly: true, until: 5 });
  const b = made({ networks: [['198.51.100.0/24', '203.0.113.0/24']], until: 7 });
  const both = {
    networks: [['192.0.2.0/24'], ['198.51.100.0/24', '203.0.113.0/24']],
    planes: ['partner'],
    readOnly: true,
    until: 5,
  };
  t.same(narrowed(a, b), both);
  t.same(narrowed(b, a), { ...both, networks: [...both.networks].reverse() });
  t.same(narrowed(a, unrestricted), a);
  t.same(narrowed(unrestricted, a), a);
  t.same(narrowed(made({ planes: ['partner'] }), made({ planes: ['internal'] })).planes, [], 'nowhere');
  t.equal(narrowed(unrestricted, unrestricted).until, null);
  t.end();
});

test('a restriction permits by plane, network and time', (t) => {
  const cases: readonly (readonly [Partial<Restrictions>, boolean])[] = [
    [{}, true],
    [{ planes: ['internal'] }, false],
    [{ planes: [] }, false],
    [{ networks: [['192.0.2.0/24']] }, true],
    [{ networks: [['198.51.100.0/24', '192.0.2.7']] }, true],
    [{ networks: [['192.0.2.0/24'], ['198.51.100.0/24']] }, false],
    [{ networks: [[]] }, false],
    [{ networks: [['nonsense']] }, false],
    [{ networks: [['nonsense', '192.0.2.7']] }, true],
    [{ until: 1001 }, true],
    [{ until: 1000 }, false],
    [{ until: 999 }, false],
  ];
  for (const [facts, isPermitted] of cases) t.equal(permits(made(facts), at), isPermitted, JSON.stringify(facts));
  t.equal(permits(unrestricted, { ...at, plane: 'internal' }), true);
  t.end();
});
