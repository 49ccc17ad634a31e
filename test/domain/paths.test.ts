// Paths of SFTP: how they are resolved, which names there may be, and their limits.
import { test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import {
  formatPath,
  isValidAccountName,
  isValidName,
  maxNameBytes,
  maxPathBytes,
  maxPathDepth,
  parsePath,
} from '../../server/domain/paths.ts';

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

test('relative paths begin where a session starts, and absolute ones at the root', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['', '/acme/deposit'],
    ['.', '/acme/deposit'],
    ['./', '/acme/deposit'],
    ['pay.xml', '/acme/deposit/pay.xml'],
    ['..', '/acme'],
    ['../collect/a', '/acme/collect/a'],
    ['../../..', '/'],
    ['/', '/'],
    ['/.', '/'],
    ['//a', '/a'],
    ['/globex', '/globex'],
  ];
  const start = Object.freeze(['acme', 'deposit']);
  for (const [given, expected] of cases)
    t.equal(formatPath(parsePath(Buffer.from(given), start)), expected, JSON.stringify(given));
  t.throws(() => parsePath(Buffer.from('a/'.repeat(maxPathDepth - 1)), start), CofferdamError, 'no deeper than others');
});

test('whatever is no name is refused', async (t) => {
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

test('account names consist of a small set of bytes', async (t) => {
  for (const name of ['a', 'acme-2', '0.x_y', 'a'.repeat(64)]) t.ok(isValidAccountName(name), name);
  for (const name of ['', '-a', '.a', 'A', 'a b', 'a\n', 'a\0', 'ä', 'a/b', 'a'.repeat(65), 'a\u0000b'])
    t.notOk(isValidAccountName(name), JSON.stringify(name));
});

test('the limits, to the byte and to the level', async (t) => {
  t.same([maxNameBytes, maxPathBytes, maxPathDepth], [255, 4096, 32]);
  const levels = (count: number): Buffer => Buffer.from('/a'.repeat(count));
  t.equal(parsePath(levels(32)).length, 32);
  t.throws(() => parsePath(levels(33)), { code: 'invalid', message: 'the path has more than 32 levels' });
  t.same(parsePath(Buffer.concat([Buffer.alloc(4095, '/'), Buffer.from('a')])), ['a'], 'as long as a path may be');
  t.throws(() => parsePath(Buffer.concat([Buffer.alloc(4096, '/'), Buffer.from('a')])), {
    code: 'invalid',
    message: 'the path is longer than 4096 bytes',
  });
  t.ok(isValidName(`${'ö'.repeat(127)}x`));
  t.notOk(isValidName('x'.repeat(256)));
});

test('every single code unit: controls and the slash are in no name, all others may be', async (t) => {
  for (let unit = 0; unit < 0x180; unit += 1) {
    const isControl = unit < 0x20 || (unit >= 0x7f && unit <= 0x9f);
    const isName = !isControl && unit !== 0x2f;
    for (const name of [`${String.fromCharCode(unit)}b`, `a${String.fromCharCode(unit)}`])
      if (isValidName(name) !== isName) t.fail(`0x${unit.toString(16)}`);
  }
  for (const name of ['', '.', '..', 'a\ud800', '\udc00a']) t.notOk(isValidName(name), JSON.stringify(name));
  for (const name of ['...', '.a', 'a.', '\ufeffa', '🏦']) t.ok(isValidName(name), JSON.stringify(name));
  t.throws(() => parsePath(Buffer.from([0x61, 0xff])), { message: 'the path is not UTF-8' });
  t.throws(() => parsePath(Buffer.from('a\0')), { message: 'a name in the path has a control character' });
  t.throws(() => parsePath(Buffer.from('ö'.repeat(128))), {
    message: 'a name in the path is longer than 255 bytes of UTF-8',
  });
  t.same(parsePath(Buffer.from('\ufeffa')), ['\ufeffa'], 'a mark at the front is a part of the name');
});
