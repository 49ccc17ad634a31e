// Which entries can be sealed: whatever a verifier would later find bad is refused before, with the reason, and nothing
// else is.
import { test } from 'tap';
import { commonTree, headsTree, type PlacedEntry } from '../../../server/domain/ledger/leaf.ts';
import {
  aheadDays,
  archiveDeletedKind,
  archivedKind,
  archivedStatementOf,
  deletedArchiveOf,
  oldestDays,
  sealingFault,
} from '../../../server/domain/ledger/sealable.ts';

const acme = '11111111-1111-4111-8111-111111111111';
const other = '22222222-2222-4222-8222-222222222222';
const dayMicros = 86_400_000_000;
const now = Date.parse('2026-11-29T08:00:00Z') * 1000;
const entry: PlacedEntry = {
  tree: acme,
  position: 5,
  number: 77,
  at: now,
  kind: 'extent.granted',
  observer: 'warden',
  customer: acme,
  account: null,
  session: null,
  node: null,
  plane: null,
  handle: null,
  version: null,
  extent: null,
  bytes: null,
  publicText: '{}',
  credential: null,
  alsoCredential: null,
  source: null,
  sourcePort: null,
  client: null,
  operator: null,
  sensitiveText: '{}',
};
const fault = (changed: Partial<PlacedEntry>, headAt = now): string | undefined =>
  sealingFault({ ...entry, ...changed }, headAt);

test('an entry stands in the tree of its customer, or in the common tree', (t) => {
  t.equal(fault({}), undefined);
  t.equal(fault({ customer: null, tree: commonTree }), undefined);
  t.equal(fault({ tree: other }), 'it stands in the tree of another customer');
  t.equal(fault({ tree: commonTree }), 'it stands in the tree of another customer');
  t.equal(fault({ customer: null }), 'it stands in the tree of another customer');
  const ofHeads = 'its customer has the name of the heads log';
  t.equal(fault({ customer: headsTree, tree: headsTree }), ofHeads);
  t.equal(fault({ customer: headsTree }), ofHeads);
  t.equal(fault({ customer: null, tree: headsTree }), ofHeads);
  t.equal(fault({ customer: commonTree, tree: commonTree }), 'its customer has the name of the common tree');
  t.equal(fault({ customer: commonTree }), 'its customer has the name of the common tree');
  t.end();
});

test('every number in an entry is exact', (t) => {
  const inexact = 'a number in it is not exact';
  for (const name of ['position', 'number', 'at', 'extent', 'bytes', 'sourcePort'] as const)
    for (const value of [1.5, 2 ** 53, Number.NaN]) t.equal(fault({ [name]: value }), inexact, `${name}: ${value}`);
  for (const name of ['extent', 'bytes', 'sourcePort'] as const)
    for (const value of [0, -5, Number.MAX_SAFE_INTEGER])
      t.equal(fault({ [name]: value }), undefined, `${name}: ${value}`);
  t.end();
});

test('every id in an entry is a UUID in lower case', (t) => {
  const none = 'an id in it is none';
  for (const name of ['account', 'session', 'handle', 'version'] as const) {
    t.equal(fault({ [name]: other }), undefined, name);
    for (const value of [
      '',
      'x',
      `${other}0`,
      `0${other}`,
      'AAAAAAAA-0000-4000-8000-000000000000',
      other.replaceAll('-', ''),
    ])
      t.equal(fault({ [name]: value }), none, `${name}: ${value}`);
    t.equal(fault({ [name]: 7 as unknown as string }), none, `${name}: a number`);
  }
  t.equal(fault({ customer: 'x', tree: 'x' }), none);
  t.equal(fault({ customer: null, tree: commonTree, account: 'x' }), none);
  t.end();
});

test('both texts are objects', (t) => {
  for (const text of ['', '[1]', '"x"', 'null', '7', ' {}']) {
    t.equal(fault({ publicText: text }), 'its fields are not an object', `public: ${text}`);
    t.equal(fault({ sensitiveText: text }), 'its fields are not an object', `sensitive: ${text}`);
  }
  t.end();
});

test('the time of an entry is near the time of its head', (t) => {
  t.same([oldestDays, aheadDays], [27, 60]);
  t.equal(fault({ at: now - 27 * dayMicros }), undefined, 'the oldest');
  t.equal(
    fault({ at: now - 27 * dayMicros - 1000 }),
    'its time, 2026-11-02T07:59:59.999Z, is more than 27 days before now: its month may be in an archive',
  );
  t.type(fault({ at: now - 27 * dayMicros - 1 }), 'string', 'one microsecond more');
  t.equal(fault({ at: now + 60 * dayMicros }), undefined, 'the youngest');
  t.equal(
    fault({ at: now + 60 * dayMicros + 1000 }),
    'its time, 2027-01-28T08:00:00.001Z, is more than 60 days after now',
  );
  t.type(fault({ at: now + 60 * dayMicros + 1 }), 'string', 'one microsecond more');
  t.match(fault({ at: Number.MAX_SAFE_INTEGER }), /^its time, 2255-06-05T23:47:34\.740Z, /, 'the last exact one');
  t.match(fault({ at: Number.MIN_SAFE_INTEGER }), /^its time, 1684-07-28T00:12:25\.260Z, /, 'the first exact one');
  t.end();
});

test('counts are counts, and kinds that are not known here have any fields', (t) => {
  t.equal(fault({ kind: 'folder.listed', publicText: '{"names": 3}' }), undefined);
  t.equal(fault({ kind: 'folder.listed', publicText: '{"names": -1}' }), 'folder.listed: its field names is no count');
  t.equal(fault({ kind: 'kind.of-tomorrow', publicText: '{"names": -1}' }), undefined);
  t.end();
});

const shown = { month: '2026-09', first: 1, last: 4, entries: 2 };
const hidden = { file: 'ledger-2026-09.jsonl.gz', sha256: '0a'.repeat(32), total: 2 };
/** As the database spells JSON. */
const spelled = (fields: object): string => JSON.stringify(fields).replaceAll(':', ': ').replaceAll(',', ', ');
const stated = (
  changed: { readonly shown?: object; readonly hidden?: object } = {},
  rest: Partial<PlacedEntry> = {},
): PlacedEntry => ({
  ...entry,
  kind: archivedKind,
  publicText: spelled({ ...shown, ...changed.shown }),
  sensitiveText: spelled({ ...hidden, ...changed.hidden }),
  ...rest,
});

test('a statement about an archive says which entries are in which file', (t) => {
  t.equal(archivedKind, 'ledger.archived');
  const read = archivedStatementOf(stated());
  t.same(read, { ...shown, ...hidden });
  const possible: readonly Parameters<typeof stated>[0][] = [
    { shown: { first: 0 } },
    { shown: { first: 4, entries: 1 } },
    { shown: { entries: 4 }, hidden: { total: 4 } },
    { hidden: { total: 1_000_000 } },
    { shown: { last: 4, first: 3, entries: 2 } },
  ];
  for (const one of possible)
    t.same(
      archivedStatementOf(stated(one)),
      { ...shown, ...hidden, ...one?.shown, ...one?.hidden },
      spelled(one ?? {}),
    );
  const wrong: readonly (readonly [string, Parameters<typeof stated>[0]])[] = [
    ['a field too many that is shown', { shown: { more: 1 } }],
    ['a field too many that is hidden', { hidden: { more: 1 } }],
    ['a field that is missing', { shown: { entries: undefined } }],
    ['a hidden field that is missing', { hidden: { total: undefined } }],
    ['another name of the file', { hidden: { file: 'ledger-2026-08.jsonl.gz' } }],
    ['a month that is no text', { shown: { month: 9 }, hidden: { file: 'ledger-9.jsonl.gz' } }],
    ['a month in a list', { shown: { month: ['2026-09'] } }],
    ['a digest that is no text', { hidden: { sha256: 7 } }],
    ['a digest in a list', { hidden: { sha256: [hidden.sha256] } }],
    ['a digest that is too short', { hidden: { sha256: 'a'.repeat(63) } }],
    ['a digest that is too long', { hidden: { sha256: 'a'.repeat(65) } }],
    ['a digest in upper case', { hidden: { sha256: 'A'.repeat(64) } }],
    ['a first position before the first', { shown: { first: -1 } }],
    ['a first position that is a text', { shown: { first: '1' } }],
    ['a last position that is no whole number', { shown: { last: 3.5 } }],
    ['a negative last position', { shown: { first: 0, last: -1, entries: 0 } }],
    ['a number of entries that is a text', { shown: { entries: '2' } }],
    ['a total that is a text', { hidden: { total: '2' } }],
    ['a total that is not exact', { hidden: { total: 2 ** 53 } }],
    ['the last before the first', { shown: { first: 4, last: 3, entries: 1 } }],
    ['the last far before the first', { shown: { first: 4, last: 1 } }],
    ['the entry itself', { shown: { last: 5 } }],
    ['no entry', { shown: { entries: 0 } }],
    ['more entries than positions', { shown: { entries: 5 }, hidden: { total: 9 } }],
    ['more entries than the file has', { shown: { entries: 3 } }],
  ];
  for (const [why, one] of wrong) t.equal(archivedStatementOf(stated(one)), undefined, why);
  for (const month of ['2026-00', '2026-13', '1969-12', '2200-01', '2026-9', '26-09', 'x2026-09'])
    t.equal(
      archivedStatementOf(stated({ shown: { month }, hidden: { file: `ledger-${month}.jsonl.gz` } })),
      undefined,
      month,
    );
  t.end();
});

test('a statement is spelled as the database spells it', (t) => {
  const plain = stated();
  const odd: readonly (readonly [string, Partial<PlacedEntry>])[] = [
    ['a field twice', { publicText: plain.publicText.replace('"first": 1', '"first": 0, "first": 1') }],
    ['a fraction', { publicText: plain.publicText.replace('"first": 1', '"first": 1.0') }],
    ['an exponent', { sensitiveText: plain.sensitiveText.replace('"total": 2', '"total": 2e0') }],
    ['no JSON', { publicText: '{' }],
    ['hidden fields that are no JSON', { sensitiveText: '{' }],
    ['a list', { publicText: '[1, 2, 3, 4]' }],
    ['null', { sensitiveText: 'null' }],
    ['a number', { publicText: '7' }],
    ['a text', { publicText: '"four"' }],
  ];
  for (const [why, one] of odd) t.equal(archivedStatementOf({ ...plain, ...one }), undefined, why);
  t.end();
});

test('a month may be stated when it has been over for a month', (t) => {
  const said = (month: string, headAt: string): string | undefined => {
    const at = Date.parse(headAt) * 1000;
    return sealingFault(stated({ shown: { month }, hidden: { file: `ledger-${month}.jsonl.gz` } }, { at }), at);
  };
  t.equal(said('2026-09', '2026-11-01T00:00:00.000Z'), undefined);
  t.equal(
    said('2026-09', '2026-10-31T23:59:59.999Z'),
    'it states that entries of 2026-09 are in an archive, and that month may not leave yet',
  );
  t.equal(said('2025-12', '2026-02-01T00:00:00.000Z'), undefined, 'across the end of a year');
  t.type(said('2025-12', '2026-01-31T23:59:59.999Z'), 'string');
  t.equal(said('2025-11', '2026-01-01T00:00:00.000Z'), undefined);
  t.type(said('2025-11', '2025-12-31T23:59:59.999Z'), 'string');
  const fault = 'it states that entries are in an archive, and not which, or not rightly';
  t.equal(sealingFault(stated({ shown: { entries: 0 } }), now), fault);
  t.equal(
    sealingFault(stated({ shown: { entries: 0 } }, { kind: 'kind.of-tomorrow' }), now),
    undefined,
    'only this kind states it',
  );
  t.type(sealingFault(stated({}, { at: 0 }), now), 'string', 'what holds for every entry holds for a statement');
  t.end();
});

test('the end of an archive says which month and which file, in the common tree', (t) => {
  t.equal(archiveDeletedKind, 'ledger.archive-deleted');
  const file = { month: '2016-09', file: 'ledger-2016-09.jsonl.gz' };
  const deleted = (fields: object, rest: Partial<PlacedEntry> = {}): string | undefined =>
    sealingFault(
      { ...entry, kind: archiveDeletedKind, customer: null, tree: commonTree, sensitiveText: spelled(fields), ...rest },
      now,
    );
  t.equal(deleted(file), undefined);
  const fault = 'it states that an archive is deleted, and not which, or not rightly';
  t.equal(deleted(file, { customer: acme, tree: acme }), fault, 'the tree of a customer');
  const wrong: readonly object[] = [
    {},
    { file: file.file },
    { month: file.month },
    { ...file, month: '2016-10' },
    { month: '2016-13', file: 'ledger-2016-13.jsonl.gz' },
    { month: 2016, file: 'ledger-2016.jsonl.gz' },
    { ...file, month: [file.month] },
  ];
  for (const one of wrong) t.equal(deleted(one), fault, spelled(one));
  t.equal(deleted({}, { sensitiveText: '{"month": ' }), fault, 'no JSON');
  t.same(deletedArchiveOf({ sensitiveText: spelled({ ...file, by: 'the clock' }) }), file, 'and nothing else of it');
  t.end();
});

test('both texts together fit into a line that a verifier reads', (t) => {
  const tooLong = 'it is too long to be read again';
  const most = 15 * 1024 * 1024;
  // In a line each text has two quotes around it, and four more are within this one.
  const ofLength = (bytes: number): string => `{"a":"${'x'.repeat(bytes - 14)}"}`;
  t.equal(Buffer.byteLength(JSON.stringify(ofLength(100))), 100);
  t.equal(fault({ publicText: ofLength(most - 4) }), undefined, 'as long as it may be, beside an empty object');
  t.equal(fault({ publicText: ofLength(most - 3) }), tooLong);
  t.equal(fault({ sensitiveText: ofLength(most - 3) }), tooLong);
  t.equal(fault({ publicText: ofLength(most / 2), sensitiveText: ofLength(most / 2) }), undefined);
  t.equal(fault({ publicText: ofLength(most / 2), sensitiveText: ofLength(most / 2 + 1) }), tooLong);
  // A control character takes six bytes, so that far fewer characters are too long.
  const control = (length: number): string => `{${'\u0001'.repeat(length)}`;
  t.equal(fault({ publicText: control(most / 6 - 2), kind: 'a.b' }), undefined);
  t.equal(fault({ publicText: control(most / 6 - 1), kind: 'a.b' }), tooLong);
  t.end();
});
