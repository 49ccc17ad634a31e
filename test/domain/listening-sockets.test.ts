// Reading the tables of listening sockets of Linux.
import { test } from 'tap';
import { parseNetSockets, parseUnixSockets } from '../../server/domain/listening-sockets.ts';

const heading4 = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const heading6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const row4 = (address: string, state = '0A', rest = ' 1000        0 4242 1 0000000000000000 100 0 0 10 0'): string =>
  `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 ${rest}`;
const row6 = (address: string): string =>
  `   1: ${address} 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 99 1 0000000000000000 100 0 0 10 0`;

test('IPv4: words in the byte order of the machine, ports as numbers', async (t) => {
  const cases = [
    ['0100007F:1F90', 'LE', '127.0.0.1', 8080],
    ['7F000001:1F90', 'BE', '127.0.0.1', 8080],
    ['00000000:0016', 'LE', '0.0.0.0', 22],
    ['00000000:0016', 'BE', '0.0.0.0', 22],
    ['020200C0:FFFF', 'LE', '192.0.2.2', 65_535],
    ['C0000202:0001', 'BE', '192.0.2.2', 1],
    ['FFFFFFFF:0000', 'LE', '255.255.255.255', 0],
  ] as const;
  for (const [hex, order, address, port] of cases) {
    const [one] = parseNetSockets(`${heading4}\n${row4(hex)}\n`, order);
    t.match(one, { address, port, state: 'listening', uid: 1000, inode: 4242 }, `${hex} ${order}`);
  }
});

test('IPv6: four words; an IPv4-mapped address is an IPv4 address', async (t) => {
  const cases = [
    ['00000000000000000000000000000000:0016', 'LE', '::'],
    ['00000000000000000000000001000000:0016', 'LE', '::1'],
    ['00000000000000000000000000000001:0016', 'BE', '::1'],
    ['B80D0120000000000000000002000000:0016', 'LE', '2001:db8::2'],
    ['20010DB8000000000000000000000002:0016', 'BE', '2001:db8::2'],
    ['0000000000000000FFFF00000100007F:0016', 'LE', '127.0.0.1'],
    ['00000000000000000000FFFF7F000001:0016', 'BE', '127.0.0.1'],
    ['0000000000000000FFFF000000000000:0016', 'LE', '0.0.0.0'],
    ['000080FE00000000FF00FCFE01000000:0016', 'LE', 'fe80::fefc:ff:0:1'],
  ] as const;
  for (const [hex, order, address] of cases) {
    const [one] = parseNetSockets(`${heading6}\n${row6(hex)}\n`, order);
    t.match(one, { address, port: 22, uid: 107, inode: 99 }, `${hex} ${order}`);
  }
});

test('states and empty tables; no line is skipped silently', async (t) => {
  const states = ['01', '02', '03', '04', '05', '06', '08', '09', '0B', '0C'];
  for (const state of states)
    t.equal(parseNetSockets(`${heading4}\n${row4('0100007F:1F90', state)}`, 'LE')[0]?.state, 'other', state);
  t.equal(
    parseNetSockets(`${heading4}\n${row4('0100007F:1F90', '07')}`, 'LE')[0]?.state,
    'closed',
    'UDP without a peer',
  );
  t.same(parseNetSockets(`${heading4}\n`, 'LE'), []);
  t.equal(parseNetSockets(`${heading4}\n${row4('0100007F:1F90')}\n${row4('0100007F:1F91')}\n`, 'LE').length, 2);
  t.match(
    parseNetSockets(`${heading4}\n${row4('0100007F:1F90', '0A', '    0        0 7')}`, 'LE')[0],
    { uid: 0, inode: 7 },
    'short lines',
  );
  for (const odd of [
    '',
    'no heading',
    `${heading4}\nnonsense`,
    `${heading4}\n${row4('0100007F')}`,
    `${heading4}\n${row4('0100007:1F90')}`,
    `${heading4}\n${row4('01000070100007F:1F90')}`,
    `${heading4}\n${row4('0100007F:1F90').slice(0, 60)}`,
    `${heading4}\n${row4('0100007g:1F90')}`,
  ])
    t.throws(() => parseNetSockets(odd, 'LE'), RangeError, odd.slice(-40));
});

test('unix sockets: those with a name, and whether they listen', async (t) => {
  const heading = 'Num       RefCount Protocol Flags    Type St Inode Path';
  const text = [
    heading,
    '0000000000000000: 00000002 00000000 00010000 0001 01 111 /run/a b/admin.sock',
    '0000000000000000: 00000003 00000000 00000000 0001 03 112 /run/a b/admin.sock',
    'ffff8881: 00000002 00000000 00010000 0001 01   113 @abstract',
    '0000000000000000: 00000003 00000000 00000000 0001 03 114',
    '0000000000000000: 00000002 00000000 0000FFFF 0001 01 115 /run/other flags.sock',
    '',
  ].join('\n');
  t.same(parseUnixSockets(text), [
    { path: '/run/a b/admin.sock', isListening: true, inode: 111 },
    { path: '/run/a b/admin.sock', isListening: false, inode: 112 },
    { path: '@abstract', isListening: true, inode: 113 },
    { path: '/run/other flags.sock', isListening: false, inode: 115 },
  ]);
  t.same(parseUnixSockets(`${heading}\n`), []);
  t.throws(() => parseUnixSockets('x'), RangeError);
  t.throws(() => parseUnixSockets(`${heading}\nwhat is this`), RangeError);
});

test('what is said of an unknown line quotes its first 80 characters', (t) => {
  const odd = `odd ${'x'.repeat(80)}`;
  t.throws(() => parseNetSockets(`${heading4}\n${odd}`, 'LE'), {
    message: /^an unknown line in \/proc\/net: odd x{76}$/,
  });
  const heading = 'Num       RefCount Protocol Flags    Type St Inode Path';
  t.throws(() => parseUnixSockets(`${heading}\n${odd}`), {
    message: /^an unknown line in \/proc\/net\/unix: odd x{76}$/,
  });
  t.end();
});
