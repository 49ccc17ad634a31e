// What the database finds in a month, the archive of that month finds too, for every type of indicator, hits and near
// misses.
import { randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { type ArchivedHits, huntArchives, requireArchives } from '../../admin-cli/incident/archive-hunt.ts';
import { united } from '../../admin-cli/incident/hunt-hits.ts';
import { completeFrom, notices, requireSame, spanOf } from '../../admin-cli/incident/hunt-span.ts';
import type { Indicator, ListedIndicator } from '../../server/domain/incident/indicators.ts';
import { type Archiving, archiving, monthsAgo } from '../support/archived-months.ts';
import { digest } from '../support/history.ts';
import { type IncidentWorld, incidentWorld, print } from '../support/incident-world.ts';
import { addAccount } from '../support/rows.ts';

const listed = (indicators: readonly Indicator[]): readonly ListedIndicator[] =>
  indicators.map((one, i) => ({ ...one, line: i + 1, note: null }));

type Answer = readonly (ArchivedHits | null)[];

async function ofDatabase({ scopes }: IncidentWorld, indicators: readonly Indicator[]): Promise<Answer> {
  const { found } = await scopes.hunt(indicators);
  return indicators.map((_, i) => {
    const one = found.find((hit) => hit.index === i);
    if (one === undefined) return null;
    const { index: _index, ...hits } = one;
    return hits;
  });
}

async function ofArchives({ client, directory }: Archiving, indicators: readonly Indicator[]): Promise<Answer> {
  const { offline } = await spanOf(client);
  requireArchives(directory, offline);
  const { hits } = await huntArchives(
    client,
    { directory, archives: offline, indicators: listed(indicators) },
    () => {},
  );
  return indicators.map((_, i) => hits.get(i) ?? null);
}

/** Numbers that are the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const certificate = 'cd'.repeat(32);
const sources = [
  ...['192.0.2.7', '192.0.2.8', '192.0.20.7', '10.0.0.0', '10.255.255.255', '11.0.0.0', '255.255.255.255', '0.0.0.0'],
  ...[
    '2001:db8::',
    '2001:db8::7',
    '2001:db8:0:1::',
    '2001:db8:0:1::7',
    '2001:db9::',
    '::',
    '::1',
    '::1.2.3.4',
    '::ffff:192.0.2.7',
  ],
];
const clients = ['SSH-2.0-rclone/v1.65', 'SSH-2.0-Go', 'SSH-2.0-OpenSSH_9.6 É', 'ssh-2.0-RCLONE', 'SSH-2.0-100%_"\\'];
const prints = [print('key'), print('key2'), 'password:abcdefgh', 'password:abcdefgi'];
const kinds = [
  'session.opened',
  'session.ended',
  'login.refused',
  'login.strangers',
  'download.opened',
  'account.changed',
  'operator.asked',
];

const indicators: readonly Indicator[] = [
  ...[...prints, print('nobody'), 'password:aaaaaaaa'].map((value) => ({ type: 'fingerprint', value }) as const),
  ...[...sources, '192.0.2.77', '2001:db8::99', '2001:db8:0:1::99', '2001:db8:0:2::', '::102:304', '1.2.3.4'].map(
    (value) => ({ type: 'address', value }) as const,
  ),
  ...[
    ...[
      '192.0.2.0/24',
      '192.0.2.8/31',
      '192.0.2.10/31',
      '10.0.0.0/8',
      '10.1.2.3/8',
      '0.0.0.0/0',
      '192.0.2.7/32',
      '192.0.2.7',
    ],
    ...[
      '2001:db8::/32',
      '2001:db8::/64',
      '2001:db8::/96',
      '2001:db8::1:0:0/96',
      '2001:db8::7/127',
      '2001:db8:0:1::/65',
      '2001:db8::9',
      '::/0',
    ],
    ...['2001:db8::/31', '2001:db8:0:1::/48', '::/96', '172.16.0.0/12', 'fe80::/10'],
  ].map((value) => ({ type: 'network', value }) as const),
  ...['RCLONE', 'ssh-2.0', 'go', 'É', 'é', '%', '_', '"\\', '100%', 'rclone_', 'SSH-2.0-Go', 'SSH-2.0-Go '].map(
    (value) => ({ type: 'client', value }) as const,
  ),
  ...[digest('file'), digest('file2'), digest('other'), certificate, 'ef'.repeat(32)].map(
    (value) => ({ type: 'sha256', value }) as const,
  ),
  ...['pickup', 'pickup-2', 'bank-batch', 'bank-2-batch', 'pick', 'nobody'].map(
    (value) => ({ type: 'account', value }) as const,
  ),
];

/** Entries of every kind, from small sets of values, so that most indicators have hits and occur together. */
async function fill(
  { history, accounts, customers }: IncidentWorld,
  count: number,
  seed: number,
  timeOf: (i: number) => Date,
): Promise<void> {
  const random = numbers(seed);
  const maybe = <T>(list: readonly T[], share = 2): T | undefined =>
    random(share) === 0 ? undefined : list[random(list.length)];
  const ids = [...Object.values(accounts), randomUUID()];
  const sessions = Array.from({ length: 12 }, () => randomUUID());
  for (let i = 0; i < count; i += 1) {
    const operator = maybe(['alice', 'alice, approved by bob']);
    const [credential, also, source, client] = [maybe(prints), maybe(prints, 3), maybe(sources, 6), maybe(clients)];
    await history.add({
      kind: maybe(kinds, 50) ?? 'login.strangers',
      at: timeOf(i),
      account: maybe(ids) ?? null,
      customer: maybe([...Object.values(customers), randomUUID()]) ?? null,
      session: maybe(sessions) ?? null,
      public: { sha256: maybe([digest('file'), digest('file2'), certificate, null]), path: '/"sha256": "\u00e9\\' },
      sensitive: {
        certificate: maybe([
          { fingerprint: certificate },
          { fingerprint: null },
          {},
          null,
          [certificate],
          { fingerprint: { a: 1 } },
        ]),
        fingerprint: maybe([certificate, digest('other'), null]),
      },
      ...(credential === undefined ? {} : { credential }),
      ...(also === undefined ? {} : { also }),
      ...(source === undefined ? {} : { source }),
      ...(client === undefined ? {} : { client }),
      ...(operator === undefined ? {} : { operator }),
    });
  }
}

function compare(t: Test, found: Answer, wanted: Answer, what: string): void {
  for (const [i, { type, value }] of indicators.entries())
    t.strictSame(found[i], wanted[i], `${what}: ${type} ${value}`);
}

test('the archives find what the database found in the same months', async (t) => {
  const world = await incidentWorld(t);
  const kept = archiving(t, world);
  // Two months, and more accounts of one indicator than are shown.
  await fill(world, 400, 1, (i) => monthsAgo(i < 200 ? 5 : 4, 7 * i));
  for (let i = 0; i < 25; i += 1) {
    const account = await addAccount(world.sql, { customer: null, name: `many-${i}` });
    await world.history.add({ kind: 'login.refused', at: monthsAgo(4, i), account, source: '172.16.0.1' });
  }
  const wanted = await ofDatabase(world, indicators);
  t.ok(
    wanted.filter((one) => one !== null).length > 40 && wanted.filter((one) => one === null).length > 8,
    'hits and misses',
  );
  for (const type of new Set(indicators.map((one) => one.type))) {
    const ofType = wanted.filter((_, i) => indicators[i]?.type === type);
    t.ok(ofType.some((one) => one !== null) && ofType.some((one) => one === null), `${type}: both`);
  }
  t.equal(wanted[indicators.findIndex((one) => one.value === '172.16.0.0/12')]?.more, true);
  t.equal((await world.scopes.hunt(indicators.slice(0, 1))).completeFrom, null);

  await kept.archive();
  compare(
    t,
    await ofDatabase(world, indicators),
    indicators.map(() => null),
    'they have left the database',
  );
  compare(t, await ofArchives(kept, indicators), wanted, 'in the archives');
  const span = await spanOf(kept.client);
  const { completeFrom: online } = await world.scopes.hunt(indicators.slice(0, 1));
  t.same(
    span.offline.map((one) => one.month),
    [5, 4].map((months) => monthsAgo(months).toISOString().slice(0, 7)),
  );
  t.equal(online, monthsAgo(3).toISOString(), 'even when nothing newer was sealed');
  t.equal(completeFrom(span, online, false), monthsAgo(3).toISOString());
  t.equal(completeFrom(span, online, true), null);
  t.match(notices(span, completeFrom(span, online, false)), [
    /^NOT COMPLETE: .* --archive DIR .* 2 files, ledger-.*gz to ledger-.*gz\.$/,
  ]);
  t.same(notices(span, null), []);
});

test('hits in the database are added to those in the archives', async (t) => {
  const world = await incidentWorld(t);
  const kept = archiving(t, world);
  await fill(world, 150, 2, (i) => monthsAgo(3, 11 * i));
  await fill(world, 150, 3, (i) => monthsAgo(0, i % 2));
  const wanted = await ofDatabase(world, indicators);
  await kept.archive();
  const [database, archived] = [await ofDatabase(world, indicators), await ofArchives(kept, indicators)];
  t.ok(
    database.some((one, i) => one !== null && archived[i] !== null),
    'some stand in both',
  );
  compare(
    t,
    database.map((one, i) => united(one, archived[i] ?? null)),
    wanted,
    'in both',
  );
});

test('a month that is still in the database beside its archive is not counted twice', async (t) => {
  const world = await incidentWorld(t);
  const kept = archiving(t, world);
  const one = [{ type: 'address', value: '192.0.2.7' }] as const;
  await world.history.add({ kind: 'login.refused', at: monthsAgo(3, 1), source: '192.0.2.7' });
  await world.history.add({ kind: 'login.refused', at: monthsAgo(3, 2), source: '192.0.2.7' });
  await world.sql.query("insert into ledger_forward (name, number, sent) values ('siem', 0, 0)");
  await kept.archive(60, ['siem']);
  t.match(await world.scopes.archives(), [{ isOnline: true, deletedAt: null, entries: 2 }]);
  const before = await spanOf(kept.client);
  t.same(before.offline, []);
  t.same([(await ofDatabase(world, one))[0]?.hits, await ofArchives(kept, one)], [2, [null]]);
  await requireSame(kept.client, before);
  await world.sql.query('update ledger_forward set number = 2, sent = 2');
  await kept.archive(60, ['siem']);
  await t.rejects(requireSame(kept.client, before), { code: 'conflict' }, 'it left between two questions');
  t.same([await ofDatabase(world, one), (await ofArchives(kept, one))[0]?.hits], [[null], 2]);

  // An entry of that time that is sealed later makes the table again: what is in the table is not in the archive.
  await world.sql.query('select ledger_month($1)', [monthsAgo(3)]);
  await world.sql.query(
    "insert into ledger_sealed (number, tree, position, salt, leaf, id, at, kind, observer, public, sensitive, source) values (9, '00000000-0000-0000-0000-000000000000', 9, sha256('s'), sha256('l'), 9, $1, 'login.refused', 'warden', '{}', '{}', '192.0.2.7')",
    [monthsAgo(3, 3)],
  );
  t.match(await world.scopes.archives(), [{ isOnline: false }]);
  const span = await spanOf(kept.client);
  const { completeFrom: online } = await world.scopes.hunt(one);
  t.equal(completeFrom(span, online, false), monthsAgo(2).toISOString(), 'its table alone is not complete');
  t.same([(await ofDatabase(world, one))[0]?.hits, (await ofArchives(kept, one))[0]?.hits], [1, 2]);
});

test('an archive whose retention has ended is reported, and not required', async (t) => {
  const world = await incidentWorld(t);
  const kept = archiving(t, world);
  for (const months of [5, 3])
    await world.history.add({ kind: 'login.refused', at: monthsAgo(months, 1), source: '192.0.2.7' });
  await kept.archive(4);
  const span = await spanOf(kept.client);
  const [gone, there] = [5, 3].map((months) => monthsAgo(months).toISOString().slice(0, 7));
  t.same([span.ended.map((one) => one.month), span.offline.map((one) => one.month)], [[gone], [there]]);
  t.match((await ofArchives(kept, [{ type: 'address', value: '192.0.2.7' }]))[0], { hits: 1 });
  t.same(notices(span, null), [`The month ${gone} cannot be looked at: their retention has ended.`]);
  await kept.archive(2);
  const last = await spanOf(kept.client);
  t.same([last.ended.length, last.offline.length, completeFrom(last, monthsAgo(2).toISOString(), false)], [2, 0, null]);
  t.match(notices(last, null), [`2 months, ${gone} to ${there}, cannot be looked at: their retention has ended.`]);
});

test('a month that left is known by the sealed record, whatever the rows about archives say', async (t) => {
  const world = await incidentWorld(t);
  const kept = archiving(t, world);
  const one: readonly Indicator[] = [{ type: 'address', value: '192.0.2.7' }];
  for (const months of [4, 3])
    await world.history.add({ kind: 'login.refused', at: monthsAgo(months, 1), source: '192.0.2.7' });
  await kept.archive();
  const before = [await spanOf(kept.client), (await world.scopes.hunt(one)).completeFrom] as const;
  t.equal(before[0].offline.length, 2, 'twin: two months have left');
  t.match((await ofArchives(kept, one))[0], { hits: 2 });
  await world.sql.query('set session_replication_role = replica');
  const newest = monthsAgo(3).toISOString().slice(0, 10);
  await world.sql.query(
    `with gone as (delete from ledger_archive where month = $1 returning entries) update ledger_archive set entries = ledger_archive.entries + gone.entries from gone where month < $1`,
    [newest],
  );
  await world.sql.query('set session_replication_role = origin');
  t.same(
    [await spanOf(kept.client), (await world.scopes.hunt(one)).completeFrom],
    before,
    'a month that nobody has on a list is asked for',
  );
  t.match((await ofArchives(kept, one))[0], { hits: 2 });
});

test('a record that begins late, without an archive of its beginning, is not complete whatever is given', async (t) => {
  const world = await incidentWorld(t);
  const kept = archiving(t, world);
  for (const months of [4, 0])
    await world.history.add({ kind: 'login.refused', at: monthsAgo(months, 1), source: '192.0.2.7' });
  const table = `ledger_sealed_${monthsAgo(4).toISOString().slice(0, 7).replace('-', '')}`;
  await world.sql.query(`drop table ${table}`);
  const span = await spanOf(kept.client);
  const { completeFrom: online } = await world.scopes.hunt([{ type: 'account', value: 'nobody' }]);
  const from = completeFrom(span, online, true);
  t.equal(from, monthsAgo(0).toISOString());
  t.match(notices(span, from), [
    /^NOT COMPLETE: .* the gateway knows no archive of it\. See cofferctl ledger verify\.$/,
  ]);
});
