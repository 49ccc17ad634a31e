// Addresses have one canonical spelling, whoever writes them. Networks, and which addresses count as one source.
import { test } from 'tap';
import {
  addressBytes,
  areBound,
  canonicalAddress,
  isInNetwork,
  isLoopback,
  loopbackAddress,
  neighbourhoodOf,
  parseHostPort,
  parseNetwork,
  plainAddressBytes,
  sourceOf,
  tooWide,
} from '../../server/domain/addresses.ts';

test('an address has one canonical spelling', (t) => {
  const same: readonly (readonly [string, string])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:db8::1%eth0', '2001:db8::1'],
    ['::1', '::1'],
    ['::', '::'],
    ['1::', '1::'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::1.2.3.4', '::102:304'],
    ['100::ffff:1.2.3.4', '100::ffff:102:304'],
    ['::ff:ffff:1.2.3.4', '::ff:ffff:102:304'],
    ['1::ffff:1.2.3.4', '1::ffff:102:304'],
    ['::1:ffff:1.2.3.4', '::1:ffff:102:304'],
    ['::100:ffff:1.2.3.4', '::100:ffff:102:304'],
    ['::ff00:1.2.3.4', '::ff00:102:304'],
    ['::ff:1.2.3.4', '::ff:102:304'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['1:2:3:4:5::1.2.3.4', '1:2:3:4:5:0:102:304'],
  ];
  for (const [given, wanted] of same) t.equal(canonicalAddress(given), wanted, given);
  for (const bad of [
    '',
    'localhost',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    '1:2:3',
    '1::2::3',
    ':::',
    'g::1',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '1:2:3:4::5:6:7:8',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:1.2',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '1.2.3.4:1:2:3:4:5:6',
    '1.2.3.4::1',
  ])
    t.equal(canonicalAddress(bad), '', `"${bad}" is no address`);
  t.equal(addressBytes('::ffff:1.2.3.4')?.length, 4);
  t.end();
});

test('networks and sources', (t) => {
  const inside = (address: string, network: string): boolean => {
    const parsed = parseNetwork(network);
    if (parsed === undefined) throw new Error(network);
    return isInNetwork(address, parsed);
  };
  t.ok(inside('192.0.2.200', '192.0.2.128/25'));
  t.notOk(inside('192.0.2.127', '192.0.2.128/25'));
  t.ok(inside('::ffff:192.0.2.1', '192.0.2.1'), 'mapped or not, one address');
  t.ok(inside('10.1.2.3', '0.0.0.0/0'));
  t.ok(inside('172.31.255.255', '172.16.0.0/12'));
  t.notOk(inside('172.32.0.0', '172.16.0.0/12'));
  t.notOk(inside('10.16.0.0', '172.16.0.0/12'));
  t.notOk(inside('172.16.0.0', '10.16.0.0/12'));
  t.notOk(inside('172.15.255.255', '172.16.0.0/12'));
  t.ok(inside('192.0.2.7', '192.0.2.7/32'));
  t.notOk(inside('192.0.2.6', '192.0.2.7/32'));
  t.notOk(inside('192.0.2.6', '192.0.2.7'), 'a single address is a network of one');
  t.notOk(inside('2001:db8::6', '2001:db8::7'));
  t.ok(inside('200.1.2.3', '128.0.0.0/1'));
  t.notOk(inside('100.1.2.3', '128.0.0.0/1'));
  t.notOk(inside('2001:db8::1', '0.0.0.0/0'), 'families do not mix');
  t.ok(inside('2001:db8:1::5', '2001:db8::/32'));
  t.notOk(inside('2001:db9::5', '2001:db8::/32'));
  t.notOk(inside('nonsense', '0.0.0.0/0'));
  for (const bad of ['', '/8', '1.2.3.4/33', '::/129', 'host/8', '1.2.3.4/-1', '1.2.3.4/8/8'])
    t.equal(parseNetwork(bad), undefined, bad);
  t.equal(sourceOf('192.0.2.7'), '192.0.2.7');
  t.equal(sourceOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  t.equal(sourceOf('2001:db8:1:2::9'), '2001:db8:1:2::/64', 'a /64 is one source');
  t.not(sourceOf('2001:db8:1:3::9'), sourceOf('2001:db8:1:2::9'));
  t.equal(sourceOf('2001:db8::'), '2001:db8::/64');
  t.equal(sourceOf('2001:db8:0:ff01:2::9'), '2001:db8:0:ff01::/64', 'eight bytes, and not one more or less');
  t.equal(sourceOf('nonsense'), '');
  for (const host of ['127.0.0.9', '::1', '[::1]']) t.ok(isLoopback(host), host);
  for (const host of ['', '[]', '1127.0.0.1', '127.0.0.1.9', '::', 'localhost']) t.notOk(isLoopback(host), host);
  t.notOk(isLoopback('localhost'), 'names are no addresses');
  t.end();
});

test('the network around a source', (t) => {
  t.equal(neighbourhoodOf('192.0.2.7'), '192.0.2.0/24');
  t.equal(neighbourhoodOf('::ffff:192.0.2.7'), '192.0.2.0/24');
  t.equal(neighbourhoodOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1::/48');
  t.equal(neighbourhoodOf('2001:db8:0:ff00::1'), '2001:db8::/48', 'six bytes, and not one more');
  t.equal(neighbourhoodOf('nonsense'), 'nonsense', 'what is no address stands for itself');
  t.end();
});

test('the bytes that PostgreSQL compares', (t) => {
  t.same([...(plainAddressBytes('192.0.2.7') ?? [])], [192, 0, 2, 7]);
  t.equal(plainAddressBytes('::ffff:192.0.2.7')?.length, 16, 'a mapped address stays what it was written as');
  t.same([...(plainAddressBytes('2001:DB8::1') ?? [])], [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  t.equal(plainAddressBytes('::1%eth0'), undefined, 'PostgreSQL knows no zones');
  t.end();
});

test('literal loopback addresses, and nothing that looks like them', (t) => {
  for (const [given, wanted] of [
    ['127.0.0.1', '127.0.0.1'],
    ['127.255.0.9', '127.255.0.9'],
    ['::1', '::1'],
    ['[::1]', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
  ] as const)
    t.equal(loopbackAddress(given), wanted, given);
  for (const bad of [
    '',
    '0.0.0.0',
    '::',
    '::ffff:0.0.0.0',
    '128.0.0.1',
    '127.1',
    '127.0.0.256',
    '127.0.0.1.example',
    'localhost',
    '[127.0.0.1]',
    '::1%lo',
    '::127.0.0.1',
    '2130706433',
  ])
    t.equal(loopbackAddress(bad), undefined, bad);
  t.end();
});

test('host and port', (t) => {
  t.same(parseHostPort('127.0.0.1:1'), { host: '127.0.0.1', port: 1 });
  t.same(parseHostPort('[::1]:65535'), { host: '::1', port: 65_535 });
  t.same(parseHostPort('localhost:7022'), { host: 'localhost', port: 7022 });
  for (const bad of [
    '',
    ':1',
    '1',
    '::1:1',
    'a:0',
    'a:65536',
    'a:1 ',
    'a b:1',
    'a/b:1',
    '[::1]',
    '[::1]:',
    '[localhost]:1',
    'a:1:2',
    'a:-1',
    'a:1e3',
    'nonsense',
  ])
    t.equal(parseHostPort(bad), undefined, bad);
  t.end();
});

test('source networks bind a login to where it comes from when there are any and each of them is narrow', (t) => {
  const lists: readonly (readonly [readonly string[], boolean])[] = [
    [[], false],
    [['0.0.0.0/0'], false],
    [['192.0.0.0/15'], false],
    [['192.0.0.0/16'], true],
    [['192.0.2.7'], true],
    [['192.0.2.7', '10.0.0.0/8'], false],
    [['::/0'], false],
    [['2001:db8::/31'], false],
    [['2001:db8::/32'], true],
    [['127.0.0.0/8'], true],
    [['127.0.0.0/7'], false],
    [['nonsense'], false],
  ];
  for (const [networks, isBound] of lists) t.equal(areBound(networks), isBound, networks.join());
  t.same(tooWide(['192.0.2.7', '10.0.0.0/8', '::/0']), ['10.0.0.0/8', '::/0']);
  t.end();
});
