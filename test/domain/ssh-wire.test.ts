// The data types of the SSH protocol (RFC 4251 section 5): each is read to its last byte, and never beyond the end.
import { test } from 'tap';
import { bytesOfBase64, concatBytes, WireReader, wireString } from '../../server/domain/ssh-wire.ts';

const reader = (...bytes: readonly number[]): WireReader => new WireReader(Uint8Array.from(bytes));
const tooShort = { code: 'invalid', message: 'the value ends before its last byte' };
const leftOver = { code: 'invalid', message: 'unexpected bytes at the end' };

test('values are read one after the other', (t) => {
  const all = reader(
    0,
    1,
    2,
    255,
    1,
    2,
    3,
    4,
    0,
    0,
    0,
    2,
    7,
    8,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    2,
    0x68,
    0xe9,
    255,
    255,
    255,
    255,
  );
  t.same([all.bool(), all.bool(), all.bool(), all.bool()], [false, true, true, true], 'every byte but zero is true');
  t.equal(all.uint32(), 0x01020304);
  t.same([...all.string()], [7, 8]);
  t.same([...all.string()], [], 'an empty string');
  t.equal(all.text(), 'h\u00e9', 'each byte is one character');
  t.throws(() => all.end(), leftOver);
  t.equal(all.uint32(), 0xffffffff);
  all.end();
  t.end();
});

test('what is shorter than it says is refused', (t) => {
  t.throws(() => reader().bool(), tooShort);
  for (const bytes of [[], [0], [0, 0, 0]]) t.throws(() => reader(...bytes).uint32(), tooShort);
  for (const bytes of [
    [0, 0, 0, 1],
    [0, 0, 0, 3, 1, 2],
    [255, 255, 255, 255, 1],
    [0, 0, 1],
  ])
    for (const method of ['string', 'text'] as const)
      t.throws(() => reader(...bytes)[method](), tooShort, bytes.join());
  const second = reader(0, 0, 0, 1, 9, 0, 0, 0, 2, 9);
  t.same([...second.string()], [9]);
  t.throws(() => second.string(), tooShort, 'what was read before does not count');
  t.end();
});

test('a reader of a part of a buffer reads that part', (t) => {
  const part = new WireReader(Uint8Array.of(9, 9, 0, 0, 0, 1, 5, 9, 9).subarray(2, 7));
  t.same([...part.string()], [5]);
  part.end();
  t.throws(() => part.bool(), tooShort);
  t.end();
});

test('a string is written as its length and its bytes', (t) => {
  t.same([...wireString('')], [0, 0, 0, 0]);
  t.same([...wireString('h\u00e9')], [0, 0, 0, 3, 0x68, 0xc3, 0xa9], 'a text as UTF-8');
  t.same([...wireString(Uint8Array.of(0, 255))], [0, 0, 0, 2, 0, 255]);
  t.same([...wireString(new Uint8Array(258)).subarray(0, 5)], [0, 0, 1, 2, 0]);
  t.end();
});

test('base64 has padding and no other character', (t) => {
  const good: readonly (readonly [string, readonly number[]])[] = [
    ['', []],
    ['AP8A', [0, 255, 0]],
    ['+/8=', [251, 255]],
    ['/w==', [255]],
    ['AAAAAAAB', [0, 0, 0, 0, 0, 1]],
  ];
  for (const [text, bytes] of good) t.same([...bytesOfBase64(text)], bytes, text);
  for (const text of [
    'A',
    'AA',
    'AAA',
    'AAAAA',
    'AA=',
    'A===',
    '====',
    '=AAA',
    'AA=A',
    'AAA\n',
    'AAA ',
    '-_8=',
    'AA==AAAA',
    'AAA\u00e9',
  ])
    t.throws(() => bytesOfBase64(text), { code: 'invalid', message: 'this is not base64' }, JSON.stringify(text));
  t.end();
});

test('parts are joined in their order', (t) => {
  t.same([...concatBytes([])], []);
  t.same(
    [...concatBytes([Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3), Uint8Array.of(4, 5)])],
    [1, 2, 3, 4, 5],
  );
  t.end();
});
