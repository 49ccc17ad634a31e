// Each rule by which an indicator occurs in an entry, beside entries that must not match. test/admin/incident-archives
// tests the same against the database.
import { test } from 'tap';
import { type Indicator, indicatorTypes } from '../../../server/domain/incident/indicators.ts';
import { matcherOf } from '../../../server/domain/incident/matching.ts';
import { type ArchivedEntry, parseArchiveLine } from '../../../server/domain/ledger/archive-line.ts';
import { archivedEntry } from '../../support/archived-entry.ts';

const print = (name: string): string => `SHA256:${name.padEnd(43, '0')}`;
const digest = 'ab'.repeat(32);
const account = '6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11';
const nothing = archivedEntry({});
const accounts = new Map([['pickup', account]]);
const occurs = (indicator: Indicator, entry: Partial<ArchivedEntry>): boolean =>
  matcherOf([indicator], accounts)(archivedEntry(entry)).length === 1;

test('a fingerprint matches as first or second proof, once', async (t) => {
  const indicator = { type: 'fingerprint', value: print('key') } as const;
  t.ok(occurs(indicator, { credential: print('key') }));
  t.ok(occurs(indicator, { alsoCredential: print('key') }));
  t.ok(occurs(indicator, { credential: print('key'), alsoCredential: print('key') }));
  t.ok(occurs(indicator, { credential: print('other'), alsoCredential: print('key') }));
  t.notOk(occurs(indicator, { credential: print('key2'), alsoCredential: print('KEY') }));
  t.notOk(occurs(indicator, { client: print('key'), publicText: JSON.stringify({ sha256: print('key') }) }));
  t.notOk(occurs(indicator, {}));
});

test('an address matches itself, and a network the addresses within it', async (t) => {
  const at = (value: string, source: string, kind = 'session.opened'): boolean =>
    occurs({ type: value.includes('/') ? 'network' : 'address', value }, { source, kind });
  t.ok(at('192.0.2.7', '192.0.2.7'));
  t.notOk(at('192.0.2.7', '192.0.2.77'));
  t.notOk(at('192.0.2.7', '::ffff:192.0.2.7'), 'the record keeps such a one as IPv6');
  t.ok(at('2001:db8::7', '2001:db8:0::7'), 'by bytes, not by spelling');
  t.ok(at('::102:304', '::1.2.3.4'));
  t.notOk(at('1.2.3.4', '::1.2.3.4'));
  t.ok(occurs({ type: 'network', value: '192.0.2.7' }, { source: '192.0.2.7' }), 'a network of one address');
  for (const [network, first, last, before, behind] of [
    ['192.0.2.0/24', '192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
    ['192.0.2.9/30', '192.0.2.8', '192.0.2.11', '192.0.2.7', '192.0.2.12'],
    ['10.0.0.0/7', '10.0.0.0', '11.255.255.255', '9.255.255.255', '12.0.0.0'],
    ['2001:db8::/32', '2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db7:ffff::', '2001:db9::'],
    ['2001:db8::40/122', '2001:db8::40', '2001:db8::7f', '2001:db8::3f', '2001:db8::80'],
  ] as const) {
    t.ok(at(network, first) && at(network, last), network);
    t.notOk(at(network, before), `${network} ${before}`);
    t.notOk(at(network, behind), `${network} ${behind}`);
  }
  t.ok(at('0.0.0.0/0', '255.255.255.255'));
  t.notOk(at('0.0.0.0/0', '::'), 'the other family');
  t.notOk(at('::/0', '0.0.0.0'));
  t.ok(at('::/0', '::ffff:1.2.3.4'));
  t.notOk(occurs({ type: 'network', value: '0.0.0.0/0' }, {}));
});

test('logins with unknown names from IPv6 are matched by network', async (t) => {
  const at = (value: string, source: string, kind = 'login.strangers'): boolean =>
    occurs({ type: value.includes('/') ? 'network' : 'address', value }, { source, kind });
  t.ok(at('2001:db8::99', '2001:db8::'));
  t.ok(at('2001:db8::', '2001:db8::'), 'once, when the address is the network');
  t.notOk(at('2001:db8::99', '2001:db8::', 'login.refused'), 'others are kept by address');
  t.notOk(at('2001:db8:0:1::', '2001:db8::'));
  t.notOk(at('2001:db8::99', '2001:db8::98'));
  t.ok(at('2001:db8::/96', '2001:db8::'));
  t.ok(at('2001:db8::8000:0:0:0/65', '2001:db8::'), 'one half of what is kept');
  t.ok(at('2001:db8::1:0:0/96', '2001:db8::'), 'a network within what is kept');
  t.notOk(at('2001:db8::1:0:0/96', '2001:db8::', 'login.partial'));
  t.ok(at('2001:db8::/32', '2001:db8:1::'));
  t.ok(at('2001:db8:0:1::/48', '2001:db8:0:1::'), 'once, when a wide network is written with bits behind its length');
  t.notOk(at('192.0.2.7', '192.0.2.0'), 'those of IPv4 are kept by address');
  t.notOk(at('192.0.2.4/30', '192.0.2.0'));
});

test('a client matches by any part of its identification, regardless of case in A to Z', async (t) => {
  const at = (value: string, client: string): boolean => occurs({ type: 'client', value }, { client });
  t.ok(at('RCLONE', 'SSH-2.0-rclone/v1.65'));
  t.ok(at('rclone', 'SSH-2.0-RCLONE'));
  t.ok(at('SSH-2.0-rclone', 'SSH-2.0-rclone'));
  t.notOk(at('rclone_', 'SSH-2.0-rclone'));
  t.notOk(at('%', 'SSH-2.0-rclone'));
  t.notOk(at('r.lone', 'SSH-2.0-rclone'));
  t.notOk(at('É', 'é'), 'letters beyond A to Z as they are');
  t.notOk(at('\u212a', 'k'), 'nor one that becomes an A to Z');
  t.notOk(occurs({ type: 'client', value: 'x' }, {}));
});

test('hashes match files, and keys of operators', async (t) => {
  const indicator = { type: 'sha256', value: digest } as const;
  const at = (given: object, sensitive: object = {}, operator: string | null = null): boolean =>
    occurs(indicator, { publicText: JSON.stringify(given), sensitiveText: JSON.stringify(sensitive), operator });
  t.ok(at({ sha256: digest }));
  t.notOk(at({ sha256: 'cd'.repeat(32) }));
  t.notOk(at({ sha256: null, path: digest }), 'only by its field');
  t.notOk(at({ before: { sha256: digest } }), 'of the entry itself');
  t.notOk(at({ path: `/"sha256": "${digest}"` }));
  t.ok(at({}, { certificate: { fingerprint: digest } }, 'alice'));
  t.ok(at({}, { fingerprint: digest }, 'alice'));
  t.ok(at({}, { certificate: {}, fingerprint: digest }, 'alice'));
  t.ok(at({}, { certificate: null, fingerprint: digest }, 'alice'));
  t.notOk(
    at({}, { certificate: { fingerprint: 'other' }, fingerprint: digest }, 'alice'),
    'the certificate goes first',
  );
  t.notOk(at({}, { fingerprint: digest }), 'without an operator it is no key of one');
  t.notOk(at({}, { sha256: digest }, 'alice'));
  t.notOk(at({}, { certificate: [digest] }, 'alice'));
  t.ok(at({ sha256: digest }, { fingerprint: digest }, 'alice'), 'once, when it stands twice');
  t.ok(at({ sha256: 'cd'.repeat(32) }, { fingerprint: digest }, 'alice'));
  t.throws(() => occurs(indicator, { publicText: '{"sha256"' }), { code: 'corrupt' });
});

test('an account matches by how its sessions began, and by what was done to it', async (t) => {
  const indicator = { type: 'account', value: 'pickup' } as const;
  const session = '11111111-1111-4111-8111-111111111111';
  t.ok(occurs(indicator, { account }));
  t.ok(occurs(indicator, { account, session, kind: 'session.opened' }));
  t.notOk(occurs(indicator, { account, session, kind: 'download.opened' }));
  t.notOk(occurs(indicator, { account: session }));
  t.notOk(occurs(indicator, {}));
  t.notOk(occurs({ type: 'account', value: 'pick' }, { account }), 'nobody of this name');
});

test('many indicators at once: each is named by its position in the list', async (t) => {
  const list: readonly Indicator[] = [
    { type: 'address', value: '192.0.2.7' },
    { type: 'client', value: 'go' },
    { type: 'network', value: '192.0.2.0/24' },
    { type: 'fingerprint', value: print('key') },
    { type: 'client', value: 'go' },
    { type: 'account', value: 'pickup' },
    { type: 'sha256', value: digest },
    { type: 'fingerprint', value: print('other') },
  ];
  t.same(new Set(list.map((one) => one.type)), new Set(indicatorTypes), 'every type');
  const match = matcherOf(list, accounts);
  const entry = {
    ...nothing,
    source: '192.0.2.7',
    client: 'SSH-2.0-Go',
    credential: print('key'),
    account,
    publicText: JSON.stringify({ sha256: digest }),
  };
  t.same([...match(entry)].sort(), [0, 1, 2, 3, 4, 5, 6]);
  t.same([...match(entry)].sort(), [0, 1, 2, 3, 4, 5, 6], 'and again, from memory');
  t.same(match(nothing), []);
  t.same(matcherOf([], new Map())(entry), []);
});

test('a line of an archive is matched like its entry; lines that are none are refused', async (t) => {
  const fields: readonly unknown[] = [
    ...[
      'tree',
      0,
      7,
      1000,
      'session.opened',
      'edge',
      'customer',
      'account',
      'session',
      'node',
      'partner',
      null,
      null,
      null,
      null,
      '{}',
    ],
    ...['credential', 'also', '192.0.2.1', 22, 'client', 'operator', '{"a": 1}', 'salt', 'leaf'],
  ];
  const line = (given: readonly unknown[]): string => JSON.stringify({ entry: given });
  t.same(parseArchiveLine(line(fields)), {
    number: 7,
    at: 1000,
    kind: 'session.opened',
    customer: 'customer',
    account: 'account',
    session: 'session',
    publicText: '{}',
    credential: 'credential',
    alsoCredential: 'also',
    source: '192.0.2.1',
    client: 'client',
    operator: 'operator',
    sensitiveText: '{"a": 1}',
  });
  for (const bad of [
    '',
    '{',
    'null',
    '[]',
    '{"head":[]}',
    line(fields.slice(1)),
    line([...fields, null]),
    `${line(fields)}x`,
  ])
    t.equal(parseArchiveLine(bad), undefined, bad);
  for (const place of [2, 3, 4, 6, 7, 8, 15, 16, 17, 18, 20, 21, 22])
    t.equal(parseArchiveLine(line(fields.with(place, true))), undefined, `field ${place} is of another kind`);
  for (const place of [2, 3, 4, 15, 22])
    t.equal(parseArchiveLine(line(fields.with(place, null))), undefined, `field ${place} is missing`);
});

test('a value may occur more than once; one occurrence is counted once', (t) => {
  const list: readonly Indicator[] = [
    { type: 'fingerprint', value: print('key') },
    { type: 'fingerprint', value: print('key') },
    { type: 'fingerprint', value: print('key') },
    { type: 'network', value: '2001:db8::1:0/112' },
    { type: 'address', value: '2001:db8::2:1' },
    { type: 'address', value: '2001:db8::2:2' },
  ];
  const match = matcherOf(list, accounts);
  t.same(match(archivedEntry({ credential: print('key') })), [0, 1, 2]);
  const strangers = archivedEntry({ kind: 'login.strangers', source: '2001:db8::' });
  t.same(match(strangers), [3, 4, 5], 'each of them may have been among the strangers of the network');
  t.same(match(archivedEntry({ source: 'no address', kind: 'login.strangers' })), []);
  t.same(match(archivedEntry({ source: 'no address' })), []);
  t.end();
});

test('a network of exactly 64 bits is found once among logins with unknown names', (t) => {
  const match = matcherOf([{ type: 'network', value: '2001:db8:0:1::5/64' }], accounts);
  t.same(match(archivedEntry({ kind: 'login.strangers', source: '2001:db8:0:1::' })), [0]);
  t.end();
});

test('texts that are JSON, but no object, match nothing', (t) => {
  const match = matcherOf([{ type: 'sha256', value: digest }], accounts);
  const at = (publicText: string, sensitiveText = '{}', operator: string | null = 'alice'): readonly number[] =>
    match(archivedEntry({ publicText, sensitiveText, operator }));
  for (const text of ['"sha256"', '["sha256"]', `{"sha256":{"sha256":"${digest}"}}`]) t.same(at(text), [], text);
  for (const text of ['"fingerprint"', '["fingerprint"]', '{"certificate":"fingerprint"}', '{"fingerprint":null}'])
    t.same(at('{}', text), [], text);
  t.same(at('{}', `{"certificate":{"fingerprint":null},"fingerprint":"${digest}"}`), [0]);
  t.same(at(`{"sha256":"${digest}"}`, `{"fingerprint":"${digest}"}`), [0], 'one digest of two is told once');
  t.end();
});

test('a text is read only when it can have what is looked for', (t) => {
  const broken = archivedEntry({ publicText: '{"sha256"', sensitiveText: '{"fingerprint"', operator: 'alice' });
  t.same(matcherOf([{ type: 'client', value: 'x' }], accounts)(broken), [], 'when no digest is looked for');
  const match = matcherOf([{ type: 'sha256', value: digest }], accounts);
  t.throws(() => match(broken), { code: 'corrupt', message: 'a text of an entry is not JSON' });
  t.throws(() => match({ ...broken, publicText: '{}' }), { code: 'corrupt' });
  t.same(match({ ...broken, publicText: '{"path"', operator: null }), []);
  t.same(match({ ...broken, publicText: '{"path"', sensitiveText: '{"reason"' }), []);
  t.end();
});

test('what an entry does not say is nobody', (t) => {
  for (const value of ['null', 'undefined', ''])
    for (const type of indicatorTypes)
      t.same(
        matcherOf([{ type, value: value || 'none' }], new Map([[value || 'none', 'null']]))(nothing),
        [],
        `${type} ${value}`,
      );
  t.end();
});
