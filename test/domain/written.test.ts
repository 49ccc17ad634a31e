// Owns: what a written entry must say: read from the text of its row, compared with what was sent, and with the clock.
import { test } from 'tap';
import { Births } from '../../server/domain/ledger/births.ts';
import {
  faultOf as faultOfWritten,
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

test('an entry that came back as it was sent, and each way in which it did not', (t) => {
  t.equal(faultOf(row, sent), undefined);
  t.match(parseEntry(row), { id: '7', client: sent.client, account_id: null, sensitive: '{}', public: '{"a": "x, \\"y\\"", "b": [1, 2]}' });
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
  for (const odd of ['', '(7)', `${row})`, row.slice(0, -1), row.replace(',12,', ',"12,')])
    t.equal(faultOf(odd, sent), 'came back in a form that no entry has', odd);
  t.end();
});

test('the same text of an entry, read from its row and hashed by a sealer', (t) => {
  t.equal(microsOf('2026-11-29 08:00:00.000001+00'), Date.UTC(2026, 10, 29, 8) * 1000 + 1);
  t.equal(microsOf('2026-11-29 08:00:00+01'), undefined);
  const hashed = {
    ...{ id: 7, at: Date.UTC(2026, 10, 29, 8) * 1000 + 500_000, kind: 'session.opened', observer: 'warden', customer, account: null },
    ...{ session: null, node: null, plane: null, handle: null, version: null, extent: null, bytes: 12 },
    ...{ publicText: '{"a": "x, \\"y\\"", "b": [1, 2]}', credential: null, alsoCredential: null, source: '2001:db8::1', sourcePort: 22 },
    ...{ client: sent.client, operator: null, sensitiveText: '{}' },
  };
  const written = parseEntry(row);
  t.equal(written && textOfWritten(written), textOfHashed(hashed));
  t.not(written && textOfWritten(written), textOfHashed({ ...hashed, at: hashed.at + 1 }));
  t.end();
});

test("the time of an entry is that of the clock, and its number is nobody else's", (t) => {
  let now = 1000;
  const births = new Births({ digestOf: (text) => text, now: () => now, entriesMax: 10, unsureMs: 100, clockJumpMs: 30_000 });
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
  t.match(draft.faultOf(at('08:01:31'), now), /the time 2026-11-29 08:01:31\+00, which the database's clock does not show/);
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
