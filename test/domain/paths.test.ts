import { test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { formatPath, isValidAccountName, isValidName, maxPathDepth, parsePath } from '../../server/domain/paths.ts';

const parse = (text: string): string => formatPath(parsePath(Buffer.from(text, 'utf8')));

test('paths resolve against the root and never above it', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['', '/'],
    ['.', '/'],
    ['/', '/'],
    ['a', '/a'],
    ['/a//b/./c/', '/a/b/c'],
    ['a/../b', '/b'],
    ['../../..', '/'],
    ['/../a', '/a'],
    ['a/..', '/'],
    ['acme-2', '/acme-2'],
    ['ö/日本', '/ö/日本'],
    ['a b', '/a b'],
    ['~', '/~'],
    ['%2e%2e/x', '/%2e%2e/x'],
    ['..\\x', '/..\\x'],
  ];
  for (const [given, expected] of cases) t.equal(parse(given), expected, JSON.stringify(given));
});

test('what is no name is refused', async (t) => {
  const bad = [
    Buffer.from('a\0b'),
    Buffer.from('a\nb'),
    Buffer.from([0x61, 0xff]),
    Buffer.from([0xc0, 0xae]),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from('a\u0085b'),
    Buffer.from('x'.repeat(256)),
    Buffer.from('a/'.repeat(maxPathDepth + 1)),
    Buffer.alloc(5000, 0x61),
  ];
  for (const bytes of bad) t.throws(() => parsePath(bytes), CofferdamError, bytes.toString('latin1').slice(0, 20));
  t.ok(isValidName('x'.repeat(255)));
  t.notOk(isValidName('ö'.repeat(128)), 'bytes count, not letters');
  t.ok(isValidName('...'));
});

test('account names are bytes of a small set', async (t) => {
  for (const name of ['a', 'acme-2', '0.x_y', 'a'.repeat(64)]) t.ok(isValidAccountName(name), name);
  for (const name of ['', '-a', '.a', 'A', 'a b', 'a\n', 'a\0', 'ä', 'a/b', 'a'.repeat(65), 'a\u0000b'])
    t.notOk(isValidAccountName(name), JSON.stringify(name));
});
