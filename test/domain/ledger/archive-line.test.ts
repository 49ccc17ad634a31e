// One line of an archive: every field at its place, and no line of another shape taken for an entry.
import { test } from 'tap';
import { parseArchiveLine } from '../../../server/domain/ledger/archive-line.ts';

/** In the order of docs/reference/ledger-format.md. */
const whole: Readonly<Record<string, unknown>> = {
  tree: 'the tree',
  position: 5,
  number: 77,
  at: 1_795_939_200_000_001,
  kind: 'session.opened',
  observer: 'warden',
  customer: 'the customer',
  account: 'the account',
  session: 'the session',
  node: 'the node',
  plane: 'partner',
  handle: 'the handle',
  version: 'the version',
  extent: 3,
  bytes: 4096,
  publicText: '{"proofs": []}',
  credential: 'the credential',
  alsoCredential: 'the other credential',
  source: '192.0.2.7',
  sourcePort: 4022,
  client: 'SSH-2.0-x',
  operator: 'alice',
  sensitiveText: '{"window": "night"}',
  salt: 'the salt',
  leaf: 'the leaf',
};
const line = (changed: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({ entry: Object.values({ ...whole, ...changed }) });

test('a line gives the fields that questions about an incident need', (t) => {
  t.same(parseArchiveLine(line()), {
    number: 77,
    at: 1_795_939_200_000_001,
    kind: 'session.opened',
    customer: 'the customer',
    account: 'the account',
    session: 'the session',
    publicText: '{"proofs": []}',
    credential: 'the credential',
    alsoCredential: 'the other credential',
    source: '192.0.2.7',
    client: 'SSH-2.0-x',
    operator: 'alice',
    sensitiveText: '{"window": "night"}',
  });
  t.end();
});

test('what may be absent is absent, and nothing else is', (t) => {
  for (const name of [
    'customer',
    'account',
    'session',
    'credential',
    'alsoCredential',
    'source',
    'client',
    'operator',
  ] as const) {
    t.match(parseArchiveLine(line({ [name]: null })), { number: 77, [name]: null }, name);
    t.equal(parseArchiveLine(line({ [name]: 7 })), undefined, `${name} is a number`);
    t.equal(parseArchiveLine(line({ [name]: {} })), undefined, `${name} is an object`);
  }
  for (const name of ['number', 'at'] as const)
    for (const value of [null, '7', 1.5, 2 ** 53])
      t.equal(parseArchiveLine(line({ [name]: value })), undefined, `${name}: ${value}`);
  for (const name of ['kind', 'publicText', 'sensitiveText'] as const)
    for (const value of [null, 7, {}])
      t.equal(parseArchiveLine(line({ [name]: value })), undefined, `${name}: ${value}`);
  t.end();
});

test('lines that are no entry are refused', (t) => {
  const values = Object.values(whole);
  for (const text of [
    '',
    '{',
    'null',
    '7',
    '"entry"',
    '[]',
    '{}',
    '{"leaf":[]}',
    '{"entry":null}',
    '{"entry":{}}',
    '{"entry":"x"}',
    JSON.stringify({ entry: { ...values, length: values.length } }),
    JSON.stringify({ entry: values.slice(0, -1) }),
    JSON.stringify({ entry: [...values, 'more'] }),
    JSON.stringify({ block: values }),
    JSON.stringify(values),
  ])
    t.equal(parseArchiveLine(text), undefined, text.slice(0, 20));
  t.end();
});
