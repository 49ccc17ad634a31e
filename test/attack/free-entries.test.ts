// T-35: every repeat and every refusal of a compromised edge leaves an entry; and each entry costs somebody something.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { TakenEdge } from '../support/taken-edge.ts';
import { startWorld } from '../support/world.ts';

/** A small number of unpaid entries, so that the test is short. */
const atOnce = 200;
const perMinute = 60;
const names = 50;
const asked = 1500;
const callers = 64;

test('repeats and refusals of one session are bounded; the record has each of them, and the other plane does not wait', async (t) => {
  const world = await startWorld(t, { limits: { unpaidEntriesAtOnce: atOnce, unpaidEntriesPerMinute: perMinute } });
  const local = join(world.directory, 'statement');
  writeFileSync(local, randomBytes(100_000));
  for (const bank of ['acme', 'globex'])
    t.equal((await world.sftp('processor', [`put ${local} ${bank}/collect/statement`])).code, 0);
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  const entries = async (kind: string, download: string): Promise<number> =>
    (
      await owner.query<{ n: number }>('select count(*)::int as n from ledger where kind = $1 and handle_id = $2', [
        kind,
        download,
      ])
    ).rows[0]?.n ?? 0;

  const edge = await TakenEdge.take(t, world);
  const open = async (token: string): Promise<string> =>
    (
      (await edge.say('download.open', { token, path: ['collect', 'statement'] })) as {
        readonly result: { readonly download: string };
      }
    ).result.download;

  // The honest twin first: a client that reads the same small file again and again is answered, and pays for what no
  // longer has a place.
  const honest = await edge.login('globex-batch');
  const since = performance.now();
  for (let i = 0; i < atOnce + 40; i += 1) {
    const answer = await edge.say('download.grant', { token: honest, download: await open(honest), index: 0 });
    if (!('result' in answer)) t.fail(`reading ${i} was refused: ${answer.code}`);
  }
  const { rows } = await owner.query<{ items: string }>(
    "select b.total_items as items from budget b join account a on a.id = b.account_id where a.name = 'globex-batch' and b.rank = 2 and b.direction = 'list'",
  );
  // Openings and repeats; the bytes of the file paid for the first of each.
  const unpaid = 2 * (atOnce + 40 - 1);
  const places = atOnce + Math.ceil(((performance.now() - since) / 60_000) * perMinute);
  t.ok(Number(rows[0]?.items) <= unpaid - atOnce, `${rows[0]?.items} names: so many are free`);
  t.ok(Number(rows[0]?.items) >= unpaid - places, `${rows[0]?.items} names: the rest is paid for`);

  const tighten = [
    'budget',
    'tighten',
    '--customer',
    'acme',
    '--account',
    'acme-batch',
    '--direction',
    'list',
    '--files-hour',
    `${names}`,
  ];
  t.equal((await world.cofferctl([...tighten, '--reason', 'test', '--execute'])).code, 0);
  const token = await edge.login('acme-batch');
  const download = await open(token);
  const flood = async (index: (i: number) => number): Promise<Readonly<Record<string, number>>> => {
    const codes: Record<string, number> = {};
    let next = 0;
    await Promise.all(
      Array.from({ length: callers }, async () => {
        while (next < asked) {
          const answer = await edge.say('download.grant', { token, download, index: index(next++) });
          const code = 'result' in answer ? 'ok' : answer.code;
          codes[code] = (codes[code] ?? 0) + 1;
        }
      }),
    );
    return codes;
  };
  const began = performance.now();
  const [repeats, reading] = await Promise.all([
    flood(() => 0),
    world.sftp('processor', [`put ${local} acme/collect/other`]),
  ]);
  t.equal(reading.code, 0, `the other plane is served meanwhile: ${reading.err}`);
  const free = (): number => atOnce + Math.ceil(((performance.now() - began) / 60_000) * perMinute);
  // The bytes of one read paid for it.
  t.ok((repeats.ok ?? 0) <= 1 + free() + names, `granted: ${JSON.stringify(repeats)}`);
  t.ok((repeats.ok ?? 0) >= atOnce, 'the twin: an honest number of repeats is free');
  t.equal((repeats.ok ?? 0) + (repeats['over-limit'] ?? 0), asked, 'beyond, the cap of its names refuses');
  t.equal(
    await entries('extent.granted', download),
    repeats.ok,
    'the record has every key that was given out, and nothing else',
  );

  // There is no such extent: each refusal is an entry, too.
  const missing = await flood((i) => 1000 + i);
  t.ok((await entries('extent.refused', download)) <= free(), `refused: ${JSON.stringify(missing)}`);
  t.ok((missing['over-limit'] ?? 0) >= asked - free(), 'without an entry for each, by the same cap');
  t.match((await world.cofferctl(['alert', 'list'])).out, /acme-batch/, 'and somebody is told');
});
