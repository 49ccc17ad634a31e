// The PROXY protocol, versions 1 and 2: every form, every cut, and what is no header.
import { test } from 'tap';
import { parseProxyHeader } from '../../server/edge/accept/proxy-protocol.ts';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
function binary(version: number, family: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head[0] = version;
  head[1] = family;
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([signature, head, body]);
}
const v4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0xc3, 0x50, 0, 22]);
const v6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.alloc(16),
  Buffer.from([0xc3, 0x50, 0, 22]),
]);
const mapped = Buffer.concat([
  Buffer.from('00000000000000000000ffffc0000201', 'hex'),
  Buffer.alloc(16),
  Buffer.from([0xc3, 0x50, 0, 22]),
]);

test('every header is read whole or refused, however the stream is cut', (t) => {
  const good: readonly (readonly [string, Buffer, { address: string; port: number } | undefined])[] = [
    ['v1 TCP4', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 50000 22\r\n'), { address: '192.0.2.1', port: 50_000 }],
    [
      'v1 TCP6',
      Buffer.from('PROXY TCP6 2001:DB8::1 2001:db8::2 50000 22\r\n'),
      { address: '2001:db8::1', port: 50_000 },
    ],
    ['v1 TCP6 mapped', Buffer.from('PROXY TCP6 ::ffff:192.0.2.1 ::1 1 22\r\n'), { address: '192.0.2.1', port: 1 }],
    ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
    ['v1 UNKNOWN with more', Buffer.from('PROXY UNKNOWN ff ff 1 2\r\n'), undefined],
    ['v2 IPv4', binary(0x21, 0x11, v4), { address: '192.0.2.1', port: 50_000 }],
    [
      'v2 IPv4 with extras',
      binary(0x21, 0x11, Buffer.concat([v4, Buffer.alloc(40)])),
      { address: '192.0.2.1', port: 50_000 },
    ],
    [
      'v2 IPv4, the largest',
      binary(0x21, 0x11, Buffer.concat([v4, Buffer.alloc(2048 - 12)])),
      { address: '192.0.2.1', port: 50_000 },
    ],
    [
      'v1 the largest ports',
      Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 65535 65535\r\n'),
      { address: '192.0.2.1', port: 65_535 },
    ],
    ['v1 the longest line', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(107 - 16)}\r\n`), undefined],
    ['v2 IPv6', binary(0x21, 0x21, v6), { address: '2001:db8::1', port: 50_000 }],
    ['v2 IPv6 mapped', binary(0x21, 0x21, mapped), { address: '192.0.2.1', port: 50_000 }],
    ['v2 LOCAL', binary(0x20, 0, Buffer.alloc(0)), undefined],
  ];
  for (const [name, header, source] of good) {
    const whole = Buffer.concat([header, Buffer.from('SSH-2.0-x\r\n')]);
    t.same(parseProxyHeader(whole), { state: 'complete', source, bytes: header.length }, name);
    for (let cut = 0; cut < header.length; cut += 1)
      if (parseProxyHeader(header.subarray(0, cut)).state !== 'incomplete') t.fail(`${name} cut at ${cut}`);
  }
  const bad: readonly (readonly [string, Buffer])[] = [
    ['SSH', Buffer.from('SSH-2.0-x\r\n')],
    ['lower case', Buffer.from('proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n')],
    ['a family that does not fit', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['a port beyond', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n')],
    ['a leading zero', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n')],
    ['no address', Buffer.from('PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n')],
    ['a name', Buffer.from('PROXY TCP4 localhost 1.2.3.4 1 2\r\n')],
    ['an endless line', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
    ['a line of a byte too much', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(108 - 16)}\r\n`)],
    ['a long line', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(120)}\r\n`)],
    ['version 1 in binary', binary(0x11, 0x11, v4)],
    ['an unknown command', binary(0x22, 0x11, v4)],
    ['UDP', binary(0x21, 0x12, v4)],
    ['a unix socket', binary(0x21, 0x31, Buffer.alloc(216))],
    ['another port beyond', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n')],
    ['no other address', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n')],
    ['IPv4 cut short', binary(0x21, 0x11, v4.subarray(0, 8))],
    ['IPv4 with a byte missing', binary(0x21, 0x11, v4.subarray(0, 11))],
    ['IPv6 cut short', binary(0x21, 0x21, v6.subarray(0, 20))],
    ['IPv6 with a byte missing', binary(0x21, 0x21, v6.subarray(0, 35))],
    ['a body of a byte too much', binary(0x21, 0x11, Buffer.concat([v4, Buffer.alloc(2049 - 12)]))],
    ['a body of 64 KiB', binary(0x21, 0x11, Buffer.alloc(65_000))],
  ];
  for (const [name, header] of bad) t.throws(() => parseProxyHeader(header), /PROXY/, name);
  t.end();
});
