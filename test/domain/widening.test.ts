// Whether a new value allows more than the one before, which then needs two operators.
import { test } from 'tap';
import { areNetworksWider, isBoundWider, isChoiceWider } from '../../server/domain/widening.ts';

test('one network is within another when it has no address that the other has not', (t) => {
  const within: readonly (readonly [string, string])[] = [
    ['192.0.2.0/24', '192.0.2.0/24'],
    ['192.0.2.0/24', '192.0.2.128/25'],
    ['192.0.2.0/24', '192.0.2.255'],
    ['192.0.2.7', '192.0.2.7/32'],
    ['10.0.0.0/8', '10.255.0.0/16'],
    ['10.128.0.0/9', '10.192.0.0/10'],
    ['172.16.0.0/12', '172.31.255.255'],
    ['0.0.0.0/0', '203.0.113.9'],
    ['2001:db8::/32', '2001:db8:ffff::/48'],
    ['2001:db8:0:ff00::/57', '2001:db8:0:ff7f::1'],
    ['2001:db8::1', '2001:db8::1/128'],
    ['::/0', '2001:db8::1'],
  ];
  for (const [outer, inner] of within)
    t.equal(areNetworksWider([outer], [inner]), false, `${inner} is within ${outer}`);
  const beyond: readonly (readonly [string, string])[] = [
    ['192.0.2.0/24', '192.0.2.0/23'],
    ['192.0.2.0/24', '192.0.3.0/24'],
    ['192.0.2.0/24', '193.0.2.0/24'],
    ['192.0.2.6', '192.0.2.7'],
    ['192.0.2.7', '192.0.2.6'],
    ['10.128.0.0/9', '10.0.0.0/9'],
    ['10.128.0.0/9', '10.64.0.0/10'],
    ['172.16.0.0/12', '172.32.0.0/12'],
    ['172.16.0.0/12', '172.15.255.255'],
    ['0.0.0.0/1', '0.0.0.0/0'],
    ['2001:db8::/32', '2001:db9::/32'],
    ['2001:db8:0:ff00::/57', '2001:db8:0:ff80::1'],
    ['2001:db8::1', '2001:db8::2'],
    // The other kind of addresses, with the same first bytes.
    ['10.0.0.0/8', 'a00::/16'],
    ['a00::/16', '10.0.0.0/24'],
    ['::/0', '10.0.0.0/8'],
    ['0.0.0.0/0', '2001:db8::/32'],
  ];
  for (const [outer, inner] of beyond)
    t.equal(areNetworksWider([outer], [inner]), true, `${inner} is not within ${outer}`);
  t.end();
});

test('a list of networks is wider when one of it is within none of the list before', (t) => {
  const [a, b, inA] = ['192.0.2.0/24', '198.51.100.0/24', '192.0.2.64/26'];
  const cases: readonly (readonly [string, readonly string[], readonly string[], boolean])[] = [
    ['the same', [a, b], [b, a], false],
    ['one fewer', [a, b], [b], false],
    ['a narrower one', [a, b], [b, inA], false],
    ['one more', [a], [a, b], true],
    ['every address, when there were networks', [a], [], true],
    ['a network, when every address was allowed', [], [a], false],
    ['every address, as before', [], [], false],
    ['a text that is no network', [a], ['nonsense'], true],
    ['the same text that is no network', ['nonsense'], ['nonsense'], true],
    ['a text that is no network beside one', ['nonsense', a], [inA], false],
    ['a network, when there was none', ['nonsense'], [a], true],
  ];
  for (const [what, before, after, isWider] of cases) t.equal(areNetworksWider(before, after), isWider, what);
  t.end();
});

test('a choice is wider when it allows something that was not allowed; null allows everything', (t) => {
  const cases: readonly (readonly [readonly string[] | null, readonly string[] | null, boolean])[] = [
    [null, null, false],
    [null, ['a'], false],
    [['a'], null, true],
    [[], null, true],
    [['a'], ['a'], false],
    [['a', 'b'], ['b'], false],
    [['a', 'b'], [], false],
    [['a'], ['a', 'b'], true],
    [[], ['a'], true],
  ];
  for (const [before, after, isWider] of cases)
    t.equal(isChoiceWider(before, after), isWider, JSON.stringify([before, after]));
  t.end();
});

test('a bound is wider when it is higher, or is none', (t) => {
  const cases: readonly (readonly [number | null, number | null, boolean])[] = [
    [null, null, false],
    [null, 5, false],
    [5, null, true],
    [0, null, true],
    [5, 4, false],
    [5, 5, false],
    [5, 6, true],
    [0, 1, true],
  ];
  for (const [before, after, isWider] of cases)
    t.equal(isBoundWider(before, after), isWider, JSON.stringify([before, after]));
  t.end();
});
