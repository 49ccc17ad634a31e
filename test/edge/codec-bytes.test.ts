// Every reply byte by byte, and every field of ATTRS by itself, written down once more from
// draft-ietf-secsh-filexfer-02; the reply with limits is from OpenSSH's PROTOCOL, section 4.8.
import { test } from 'tap';
import {
  attributesPacket,
  dataHeader,
  FieldReader,
  handlePacket,
  limitsPacket,
  namePacket,
  okPacket,
  readAttributes,
  statusPacket,
  type,
  versionPacket,
} from '../../server/edge/sftp/codec.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');
/** The expected bytes are written with blanks between the fields, to be readable; this removes the blanks. */
const plain = (text: string): string => text.replace(/\s/g, '');
const file = { kind: 'file', size: 0x1_0203_0405, permissions: 0o640, modifiedAt: 0x66778899 } as const;
const fileAttributes = '0000000f 0000000102030405 00000000 00000000 000081a0 66778899 66778899';
const directoryAttributes = '0000000f 0000000000000000 00000000 00000000 000041e8 00000001 00000001';

test('packet types (section 3)', (t) => {
  t.same(type, {
    init: 1,
    version: 2,
    open: 3,
    close: 4,
    read: 5,
    write: 6,
    lstat: 7,
    fstat: 8,
    setstat: 9,
    fsetstat: 10,
    opendir: 11,
    readdir: 12,
    remove: 13,
    mkdir: 14,
    rmdir: 15,
    realpath: 16,
    stat: 17,
    rename: 18,
    readlink: 19,
    symlink: 20,
    extended: 200,
    status: 101,
    handle: 102,
    data: 103,
    name: 104,
    attrs: 105,
    extendedReply: 201,
  });
  t.end();
});

test('every byte of every reply is written, and is the expected one', (t) => {
  // Memory with arbitrary content: every byte of a reply must be written, or the reply would leak what was there
  // before.
  const { allocUnsafe } = Buffer;
  Buffer.allocUnsafe = (bytes) => allocUnsafe(bytes).fill(0xee);
  t.teardown(() => {
    Buffer.allocUnsafe = allocUnsafe;
  });
  const known: readonly (readonly [Buffer, string])[] = [
    [statusPacket(0x01020304, 4, 'nö'), '00000016 65 01020304 00000004 00000003 6ec3b6 00000002 656e'],
    [okPacket(7), '00000013 65 00000007 00000000 00000000 00000002 656e'],
    [handlePacket(7, Buffer.from('abcd')), '0000000d 66 00000007 00000004 61626364'],
    [dataHeader(7, 0x010203), '0001020c 67 00000007 00010203'],
    [attributesPacket(7, file), `00000025 69 00000007 ${fileAttributes}`],
    [
      attributesPacket(7, { kind: 'directory', size: 0, permissions: 0o750, modifiedAt: 1 }),
      `00000025 69 00000007 ${directoryAttributes}`,
    ],
    [namePacket(7, []), '00000009 68 00000007 00000000'],
    [
      namePacket(7, [
        { name: 'ä', longName: 'long', attributes: file },
        { name: 'b', longName: '', attributes: null },
      ]),
      `00000044 68 00000007 00000002 00000002 c3a4 00000004 6c6f6e67 ${fileAttributes} 00000001 62 00000000 00000000`,
    ],
    [versionPacket([]), '00000005 02 00000003'],
    [versionPacket([['a@b', '1']]), '00000011 02 00000003 00000003 614062 00000001 31'],
    [
      limitsPacket(7, { packet: 1, read: 2, write: 3, handles: 4 }),
      '00000025 c9 00000007 0000000000000001 0000000000000002 0000000000000003 0000000000000004',
    ],
  ];
  for (const [bytes, wanted] of known) t.equal(hex(bytes), plain(wanted), wanted);
  t.end();
});

test('fields are read from their positions', (t) => {
  const bytes = Buffer.from(plain('ff 01020304 0000000000000005 00000002 6162 99'), 'hex');
  const fields = new FieldReader(bytes, 1);
  t.equal(fields.bytes, bytes.length);
  t.equal(fields.uint32(), 0x01020304);
  t.equal(fields.position, 5);
  t.equal(fields.uint64(), 5);
  t.equal(fields.string().toString(), 'ab');
  t.equal(fields.position, bytes.length - 1);
  t.throws(() => fields.uint32(), { code: 'malformed', message: 'packet is too short' });
  t.equal(fields.position, bytes.length - 1, 'what is not there was not taken');
  t.equal(
    new FieldReader(Buffer.from([9, 0, 0, 0, 0])).uint32(),
    0x0900_0000,
    'from the beginning, when nobody says where',
  );
  t.equal(new FieldReader(Buffer.alloc(4)).string().length, 0, 'a text of nothing');
  const most = Buffer.from('001fffffffffffff', 'hex');
  t.equal(new FieldReader(most).uint64(), Number.MAX_SAFE_INTEGER, 'the largest that is exact');
  t.equal(new FieldReader(Buffer.from('001ffffffffffffe', 'hex')).uint64(), Number.MAX_SAFE_INTEGER - 1);
  t.equal(
    new FieldReader(Buffer.from('0020000000000000', 'hex')).uint64(),
    Number.MAX_SAFE_INTEGER,
    'a larger number is read as the largest that is exact',
  );
  t.end();
});

test('attributes that were sent, each alone and all together (section 5)', (t) => {
  const known: readonly (readonly [string, object, number])[] = [
    ['00000000', {}, 4],
    ['00000001 0000000000000007', { size: 7 }, 12],
    ['00000002 00000001 00000002', {}, 12],
    ['00000004 000001a4', { permissions: 0o644 }, 8],
    ['00000008 00000001 00000002', { modifiedAt: 2 }, 12],
    [
      '0000000f 0000000000000007 00000001 00000002 000001a4 00000003 00000004',
      { size: 7, permissions: 0o644, modifiedAt: 4 },
      32,
    ],
    ['80000000 00000001', {}, 4],
  ];
  for (const [text, wanted, end] of known) {
    const fields = new FieldReader(Buffer.from(plain(text), 'hex'));
    t.same(readAttributes(fields), wanted, text);
    t.equal(fields.position, end);
  }
  t.end();
});
