// A hunt never says that it is complete from an earlier instant than it is, and it names what is missing.
import { test } from 'tap';
import { completeFrom, notices, requireSame, type Span } from '../../admin-cli/incident/hunt-span.ts';

const archive = (month: string, deletedAt: string | null = null) => ({
  month,
  file: `ledger-${month}.jsonl.gz`,
  sha256: '0'.repeat(64),
  entries: 1,
  isOnline: false,
  deletedAt,
});
const offline: Span = { offline: [archive('2026-11'), archive('2026-12')], ended: [] };
const ended: Span = { offline: [], ended: [archive('2026-11', '2026-12-01T00:00:00.000Z')] };
const nothing: Span = { offline: [], ended: [] };

test('a hunt is complete from the later of two instants: the end of the last month that was not read, and the beginning of the database', (t) => {
  const january = '2027-01-01T00:00:00.000Z';
  for (const [what, span, database, areRead, from] of [
    ['the month after the last archive, over the turn of the year', offline, null, false, january],
    ['the database begins later', offline, '2027-01-05T00:00:00.000Z', false, '2027-01-05T00:00:00.000Z'],
    ['the database begins earlier than the archive says', offline, '2026-12-20T00:00:00.000Z', false, january],
    ['the archives were read', offline, '2027-01-05T00:00:00.000Z', true, null],
    ['nothing exists any more before it', ended, '2026-12-01T00:00:00.000Z', false, null],
    [
      'there never was an archive: it is not known what came before',
      nothing,
      '2026-12-01T00:00:00.000Z',
      false,
      '2026-12-01T00:00:00.000Z',
    ],
    ['the database has everything', nothing, null, false, null],
  ] as const)
    t.equal(completeFrom(span, database, areRead), from, what);
  t.match(notices(offline, january), [
    /^NOT COMPLETE: the record before 2027-01-01 00:00:00Z is in archives .* 2 files, ledger-2026-11.* to ledger-2026-12/,
  ]);
  t.match(notices(nothing, january), [/^NOT COMPLETE: .* the gateway knows no archive of it/]);
  t.match(notices(ended, null), [/^The month 2026-11 cannot be looked at/]);
  t.same(notices(nothing, null), []);
  t.end();
});

test('there is no answer when a month left the database, or its archive was deleted, while the question was asked', async (t) => {
  const asked = (after: Span) =>
    ({ call: async () => ({ archives: [...after.offline, ...after.ended] }) }) as unknown as Parameters<
      typeof requireSame
    >[0];
  const both: Span = { offline: [archive('2026-12')], ended: [archive('2026-11', '2027-01-01T00:00:00.000Z')] };
  await t.resolves(requireSame(asked(both), both), 'the same months');
  const refused = { code: 'conflict', message: /was archived or deleted while the question was asked/ };
  await t.rejects(requireSame(asked(offline), both), refused, 'other months');
  await t.rejects(requireSame(asked({ ...both, offline: [] }), both), refused, 'one is in the database again');
  await t.rejects(
    requireSame(asked({ ...both, offline: [...both.offline, archive('2027-01')] }), both),
    refused,
    'one left the database',
  );
  await t.rejects(
    requireSame(asked({ ...both, ended: [...both.ended, archive('2026-10', '2027-01-01T00:00:00.000Z')] }), both),
    refused,
    'the archive of one was deleted',
  );
  await t.rejects(
    requireSame(asked({ ...both, ended: [] }), both),
    refused,
    'one that had ended is not named any more',
  );
});
