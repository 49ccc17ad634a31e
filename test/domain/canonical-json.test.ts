// Canonical JSON, over which operators sign, and which operations count as wider.
import { test } from 'tap';
import { canonicalJson, parseCanonicalJson } from '../../server/domain/canonical-json.ts';
import { areNetworksWider, isBoundWider, isChoiceWider } from '../../server/domain/widening.ts';

test('one text for one value (RFC 8785)', (t) => {
  // RFC 8785 section 3.2.3: names are sorted by UTF-16 code units. Section 3.2.2.2: the short escapes.
  const odd = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew Letter Dalet With Dagesh',
    '1': 'One',
    '\ud83d\ude00': 'Emoji',
    '\u0080': 'Control',
    '\u00f6': 'o',
  };
  t.equal(
    canonicalJson(odd),
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"o","\u20ac":"Euro Sign","\ud83d\ude00":"Emoji","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  );
  t.equal(
    canonicalJson({ b: [1, null, true, 'a"\\\n'], a: { y: -5, x: undefined } }),
    '{"a":{"y":-5},"b":[1,null,true,"a\\"\\\\\\n"]}',
  );
  t.equal(canonicalJson(JSON.parse('{"z":1,"a":2}')), canonicalJson(JSON.parse('{"a":2,"z":1}')));
  for (const value of [1.5, Number.NaN, 2 ** 53, -0, '\ud800', undefined, () => 1, 1n, new Date(), new Map()])
    t.throws(() => canonicalJson(value), String(typeof value));
  for (const text of [
    '{"b":1,"a":2}',
    '{ "a":1}',
    '{"a":1}\n',
    '{"a":1.0}',
    '{"a":1e3}',
    '{"a":"\\u0041"}',
    '{"a":1,"a":1}',
    'x',
    '',
  ])
    t.throws(() => parseCanonicalJson(text), { code: 'invalid' }, text);
  t.same(parseCanonicalJson('{"a":[1,{"b":null}]}'), { a: [1, { b: null }] });
  t.same(parseCanonicalJson('{"__proto__":1}'), JSON.parse('{"__proto__":1}'), 'a name like any other');
  t.end();
});

test('what counts as wider: the line between changes by one operator and by two', (t) => {
  const networks: readonly (readonly [readonly string[], readonly string[], boolean])[] = [
    [[], [], false],
    [[], ['10.0.0.0/8'], false],
    [['10.0.0.0/8'], [], true],
    [['10.0.0.0/8'], ['10.1.0.0/16'], false],
    [['10.1.0.0/16'], ['10.0.0.0/8'], true],
    [['10.0.0.0/8'], ['11.0.0.1'], true],
    [['10.0.0.0/8', '192.0.2.7'], ['192.0.2.7', '10.255.255.255'], false],
    [['10.0.0.0/9'], ['10.128.0.0/9'], true],
    [['2001:db8::/32'], ['2001:db8:1::/48'], false],
    [['2001:db8::/32'], ['2001:db9::/48'], true],
    [['2001:db8::/32'], ['10.0.0.1'], true],
    [['0.0.0.0/0'], ['::/0'], true],
    [['10.0.0.0/8'], ['not a network'], true],
  ];
  for (const [before, after, wider] of networks)
    t.equal(areNetworksWider(before, after), wider, `${before} to ${after}`);
  for (const [before, after, wider] of [
    [null, null, false],
    [null, ['a'], false],
    [['a'], null, true],
    [['a', 'b'], ['b'], false],
    [['a'], ['a', 'b'], true],
    [['a'], ['b'], true],
  ] as const)
    t.equal(isChoiceWider(before, after), wider, `${before} to ${after}`);
  for (const [before, after, wider] of [
    [null, null, false],
    [null, 5, false],
    [5, null, true],
    [5, 5, false],
    [5, 4, false],
    [5, 6, true],
  ] as const)
    t.equal(isBoundWider(before, after), wider, `${before} to ${after}`);
  t.end();
});
