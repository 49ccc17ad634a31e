// What a written entry must say. It is read from the text of its row, and compared with what was sent and with the
// clock.
import { test } from 'tap';
import { Births } from '../../server/domain/ledger/births.ts';
import {
  entryColumns,
  faultOf as faultOfWritten,
  idOfEntry,
  microsOf,
  parseEntry,
  textOfHashed,
  textOfWritten,
  type WrittenEntry,
} from '../../server/domain/ledger/written.ts';

const faultOf = (content: string, what: typeof sent): string | undefined => faultOfWritten(parseEntry(content), what);
const customer = '0a5f1a2e-0000-4000-8000-000000000001';
const sent = {
  ...{
    kind: 'session.opened',
    observer: 'warden',
    customer_id: customer.toUpperCase(),
    extent: null,
    bytes: 12,
    public: '{"b":[1,2],"a":"x, \\"y\\""}',
  },
  ...{ source: '2001:DB8::1', source_port: 22, client: 'a "quoted" \\ (client), x', sensitive: '{}' },
};
const row =
  `(7,"2026-11-29 08:00:00.5+00",session.opened,warden,${customer},,,,,,,,12,"{""a"": ""x, \\\\""y\\\\"""", ""b"": [1, 2]}",,,2001:db8::1,22,` +
  `"a ""quoted"" \\\\ (client), x",,{})`;

test('an entry that came back as it was sent, and every way in which it can differ', (t) => {
  t.equal(faultOf(row, sent), undefined);
  t.match(parseEntry(row), {
    id: '7',
    client: sent.client,
    account_id: null,
    sensitive: '{}',
    public: '{"a": "x, \\"y\\"", "b": [1, 2]}',
  });
  const other = (from: string, to: string): string | undefined => faultOf(row.replace(from, to), sent);
  t.equal(other('session.opened', 'session.ended'), 'came back with another kind than was sent');
  t.equal(other(customer, ''), 'came back with another customer_id than was sent');
  t.equal(other(customer, customer.replace(/1$/, '2')), 'came back with another customer_id than was sent');
  t.equal(other('[1, 2]', '[1, 3]'), 'came back with another public than was sent');
  t.equal(other('[1, 2]', '[1, 2], ""c"": 1'), 'came back with another public than was sent');
  t.equal(other('2001:db8::1', '2001:db8::/64'), 'came back with another source than was sent');
  t.equal(other('2001:db8::1', ''), 'came back with another source than was sent');
  t.equal(other(',12,', ',13,'), 'came back with another bytes than was sent');
  t.equal(other(',,,,,,,,12', ',,,,,,,5,12'), 'came back with another extent than was sent');
  t.equal(other('"a ""quoted', '"b ""quoted'), 'came back with another client than was sent');
  t.equal(other(',{})', ',"{""x"": 1}")'), 'came back with another sensitive than was sent');
  t.match(other('(7,', '(1000000000000001,'), /the number 1000000000000001, which is not possible/);
  t.match(other('(7,', '(-1,'), /the number -1, which is not possible/);
  t.match(other('(7,', '(0,'), /not possible/);
  t.match(other('"2026-11-29 08:00:00.5+00"', 'infinity'), /the time infinity, which is not possible/);
  t.match(other('"2026-11-29 08:00:00.5+00"', ''), /the time null, which is not possible/);
  t.ok(
    (other('(7,', `(${'9'.repeat(100_000)},`) ?? '').length < 200,
    'a sentence quotes a bounded part of what the database says',
  );
  t.ok((other('"2026-11-29 08:00:00.5+00"', 'x'.repeat(100_000)) ?? '').length < 200);
  for (const odd of ['', '(7)', `${row})`, row.slice(0, -1), row.replace(',12,', ',"12,')])
    t.equal(faultOf(odd, sent), 'came back in a form that no entry has', odd);
  t.end();
});

test('the text of an entry is the same when read from its row and when hashed by a sealer', (t) => {
  t.equal(microsOf('2026-11-29 08:00:00.000001+00'), Date.UTC(2026, 10, 29, 8) * 1000 + 1);
  t.equal(microsOf('2026-11-29 08:00:00+01'), undefined);
  const hashed = {
    ...{
      id: 7,
      at: Date.UTC(2026, 10, 29, 8) * 1000 + 500_000,
      kind: 'session.opened',
      observer: 'warden',
      customer,
      account: null,
    },
    ...{ session: null, node: null, plane: null, handle: null, version: null, extent: null, bytes: 12 },
    ...{
      publicText: '{"a": "x, \\"y\\"", "b": [1, 2]}',
      credential: null,
      alsoCredential: null,
      source: '2001:db8::1',
      sourcePort: 22,
    },
    ...{ client: sent.client, operator: null, sensitiveText: '{}' },
  };
  const written = parseEntry(row);
  t.equal(written && textOfWritten(written), textOfHashed(hashed));
  t.not(written && textOfWritten(written), textOfHashed({ ...hashed, at: hashed.at + 1 }));
  t.end();
});

test('the time of an entry is that of the clock, and no other entry has its number', (t) => {
  let now = 1000;
  const births = new Births({
    digestOf: (text) => text,
    now: () => now,
    entriesMax: 10,
    unsureMs: 100,
    clockJumpMs: 30_000,
  });
  const at = (seconds: string, id = 7): WrittenEntry => {
    const written = parseEntry(row.replace('08:00:00.5', seconds).replace('(7,', `(${id},`));
    if (written === undefined) throw new Error('no entry');
    return written;
  };
  const draft = births.begin();
  t.equal(draft.faultOf(at('23:00:00'), now), undefined, 'nothing is known of the clock yet');
  births.heard({ database: Date.UTC(2026, 10, 29, 8), from: 990, to: 1000 });
  now += 60_000;
  t.equal(draft.faultOf(at('08:01:00'), now), undefined);
  t.equal(draft.faultOf(at('08:01:29.9'), now), undefined);
  t.match(
    draft.faultOf(at('08:01:31'), now),
    /the time 2026-11-29 08:01:31\+00, which the database's clock does not show/,
  );
  t.equal(draft.faultOf(at('08:00:30.1'), now), undefined);
  t.match(draft.faultOf(at('08:00:29'), now), /does not show/);
  t.equal(draft.faultOf(at('08:00:29'), now - 5000), undefined, 'a statement that was long under way');
  births.heard(undefined);
  t.equal(draft.faultOf(at('23:00:00'), now), undefined, 'while the record is frozen');
  draft.add(at('08:00:00'));
  draft.end('committed');
  t.equal(births.begin().faultOf(at('08:00:00'), now), undefined, 'nor is a number judged then');
  births.heard({ database: Date.UTC(2026, 10, 29, 8), from: now, to: now });
  t.match(births.begin().faultOf(at('08:00:00'), now), /the number 7, which another entry has/);
  t.equal(births.begin().faultOf(at('08:00:00', 8), now), undefined);

  const refused = births.begin();
  refused.refuse('file.published', 'did not come back');
  t.throws(() => refused.requireWritten(), { code: 'unavailable' });
  t.doesNotThrow(() => births.begin().requireWritten());
  t.same(births.refusedUntil(now - 1), [], 'the clock is judged first');
  t.same(births.refusedUntil(now), [{ kind: 'file.published', fault: 'did not come back', at: now }]);
  births.forget(1);
  t.same(births.refusedUntil(now), [], 'given up with a release');
  t.end();
});

test('the text of a row has the columns of an entry in their order', (t) => {
  t.same(
    entryColumns.join(' '),
    'id at kind observer customer_id account_id session_id node plane handle_id version_id ' +
      'extent bytes public credential also_credential source source_port client operator sensitive',
  );
  const values = ['7', '"2026-11-29 08:00:00+00"', ...Array.from({ length: 19 }, (_, i) => `v${i}`)];
  const entry = parseEntry(`(${values.join()})`);
  t.same(Object.values(entry ?? {}), ['7', '2026-11-29 08:00:00+00', ...values.slice(2)]);
  t.end();
});

test('texts that are no row of an entry are not parsed', (t) => {
  const values = Array.from({ length: 21 }, (_, i) => `v${i}`);
  const of = (changed: readonly string[]): string => `(${changed.join()})`;
  t.ok(parseEntry(of(values)), 'the twin');
  t.equal(parseEntry(of(values.with(20, '""')))?.sensitive, '', 'an empty text is quoted');
  t.equal(parseEntry(of(values.with(3, '"a\\\\b""c"')))?.observer, 'a\\b"c');
  t.equal(parseEntry(of(values.with(20, '"ends with \\\\"')))?.sensitive, 'ends with \\');
  for (const [why, text] of [
    ['a value too few', of(values.slice(1))],
    ['a value too many', of([...values, 'x'])],
    ['a parenthesis in front is missing', of(values).slice(1)],
    ['something else in front', `x${of(values).slice(1)}`],
    ['a quote that does not end', of(values.with(20, '"x'))],
    ['a quote that does not end in the middle', of(values.with(5, '"x'))],
    ['something behind a quoted value', of(values.with(5, '"x"y'))],
    ['something behind the last value', of(values.with(20, '"x"y'))],
    ['a quote within', of(values.with(5, 'x"y'))],
    ['a backslash within', of(values.with(5, 'x\\y'))],
    ['nothing', ''],
    ['no values', '()'],
  ] as const)
    t.equal(parseEntry(text), undefined, why);
  t.end();
});

test('instants and numbers of entries are read exactly, or not at all', (t) => {
  t.equal(microsOf('2026-11-29 08:00:00.5+00'), Date.UTC(2026, 10, 29, 8) * 1000 + 500_000);
  for (const text of [
    '',
    'infinity',
    '2026-13-29 08:00:00+00',
    '2026-11-29 08:00:00.1234567+00',
    '0001-01-01 00:00:00+00 BC',
  ])
    t.equal(microsOf(text), undefined, text);
  const id = (text: string | null): number | undefined => idOfEntry({ ...(parseEntry(row) as WrittenEntry), id: text });
  t.same(['1', '999999999999999', '1000000000000000', '0', '01', '-1', '1.5', '', null].map(id), [
    1,
    999_999_999_999_999,
    ...Array(7).fill(undefined),
  ]);
  t.end();
});

test('JSON is compared by what it says, and nothing takes the place of anything else', (t) => {
  const compare = (mine: string, theirs: string): boolean => {
    const quoted = `"${theirs.replaceAll('"', '""')}"`;
    return faultOf(row.replace(/"\{""a"".*?\}"/, quoted), { ...sent, public: mine }) === undefined;
  };
  t.ok(compare('{"a":1,"b":[null,true]}', '{"b": [null, true], "a": 1}'));
  for (const [mine, theirs] of [
    ['{"a":1}', '{"a": "1"}'],
    ['{"a":null}', '{"a": {}}'],
    ['{"a":{}}', '{"a": null}'],
    ['{"a":[]}', '{"a": {}}'],
    ['{"a":{}}', '{"a": []}'],
    ['{"a":1}', '{"b": 1}'],
    ['{"a":{}}', '{"a": 1}'],
    ['{"a":1}', '{"a": {}}'],
    ['{"a":[1]}', '{"a": [1, 2]}'],
    ['{"toString":{}}', '{"a": {}}'],
    ['{"__proto__":{}}', '{"a": {}}'],
    ['{"a":1}', '{"a": 1'],
    ['null', '{}'],
  ] as const)
    t.notOk(compare(mine, theirs), `${mine} ${theirs}`);
  const without = { ...sent, public: undefined } as unknown as typeof sent;
  t.equal(faultOf(row.replace(/"\{""a"".*?\}"/, '{}'), without), undefined, 'what was left out is an empty object');
  t.equal(
    faultOf(row.replace(',{})', ',)'), sent),
    'came back with another sensitive than was sent',
    'and not nothing',
  );
  t.equal(faultOf(row.replace('session.opened', 'SESSION.OPENED'), { ...sent, kind: 'SESSION.OPENED' }), undefined);
  t.equal(
    faultOf(row.replace('session.opened', 'session.opened'), { ...sent, kind: 'SESSION.OPENED' }),
    'came back with another kind than was sent',
    'only ids have one case',
  );
  t.equal(
    faultOf(row.replace('2001:db8::1', 'elsewhere'), { ...sent, source: 'nowhere' }),
    'came back with another source than was sent',
    'what is no address is never the same',
  );
  t.end();
});

test('both objects of an entry are compared by what they say, and nothing is not a word', (t) => {
  const hidden = { ...sent, sensitive: '{"b":1,"a":2}' };
  t.equal(faultOf(row.replace(',{})', ',"{""a"": 2, ""b"": 1}")'), hidden), undefined);
  t.equal(
    faultOf(row.replace(',{})', ',"{""a"": 2, ""b"": 2}")'), hidden),
    'came back with another sensitive than was sent',
  );
  for (const word of ['undefined', 'null'])
    t.equal(faultOf(row.replace(',,{})', `,${word},{})`), sent), 'came back with another operator than was sent', word);
  t.equal(faultOf(row.replace(',,,,,,,,12', ',,,,,,,null,12'), sent), 'came back with another extent than was sent');
  t.end();
});
