// Between full runs only what is new is read, continued from what was proved. Whatever does not fit is reported, and
// the next run reads everything.
import { copyFileSync, rmSync, statSync } from 'node:fs';
import { test } from 'tap';
import { ledgerStatus } from '../../server/admin/ledger/status-queries.ts';
import { positionOf, prove } from '../../server/verify/library.ts';
import { recordLines, recordLinesSince } from '../../server/verify/record-lines.ts';
import { readState } from '../../server/verify/state-file.ts';
import { recordVerdicts } from '../../server/warden/ledger/verdicts.ts';
import { customers, due, standingWorld } from '../support/standing-world.ts';

const [acme, bank] = customers;
type World = Awaited<ReturnType<typeof standingWorld>>;

async function kindsOf(lines: AsyncIterable<string>): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for await (const text of lines)
    for (const line of text.split('\n').filter((one) => one !== '')) {
      const kind = Object.keys(JSON.parse(line) as object)[0] ?? '';
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
  return counts;
}

function baseIn(world: World) {
  const state = readState(world.settings.state ?? '');
  if (typeof state === 'string') throw new Error(state);
  const base = prove((state.value as { known: unknown }).known, world.settings.keys);
  if (typeof base === 'string') throw new Error(base);
  return base;
}

test('a run between full runs reads the new rows, and reports what it did not read', async (t) => {
  const world = await standingWorld(t);
  const { auditor, sql, write, seal } = world;
  await write(acme, 600);
  await write(null, 30);
  const full = await world.run();
  t.match(full, {
    verdict: 'good',
    run: 'full',
    entries: 630,
    since: null,
    notRead: null,
    text: /every entry was read and verifies \(full run: there is no state yet/,
  });
  t.equal(statSync(world.settings.state ?? '').mode & 0o777, 0o600, 'the state is for its owner only');

  t.match(await world.run(), { verdict: 'good', run: 'since', entries: 0, full: { entry: 630 } }, 'nothing is new');
  await write(acme, 5);
  const place = positionOf(baseIn(world));
  t.same(
    await kindsOf(recordLinesSince(auditor, place)),
    { head: 2, entry: 5 },
    'one head more than is new, and the entries that are',
  );
  t.same(await kindsOf(recordLines(auditor)), { head: 3, block: 2, entry: 635 }, 'where a full run reads all of it');
  const next = await world.run();
  t.match(next, {
    verdict: 'good',
    run: 'since',
    why: null,
    entries: 5,
    heads: 3,
    since: { head: 1, entry: 630 },
    full: { entry: 630 },
  });
  t.match(
    next.text,
    /what was sealed after head 1 was read and verifies; entries up to 630 were read by the full run of \d{4}-/,
  );

  await write(bank, 300);
  await seal({ isEpochAsked: true });
  await write(acme, 200);
  t.same(
    await kindsOf(recordLinesSince(auditor, positionOf(baseIn(world)))),
    { head: 4, block: 2, entry: 500 },
    'a tree that is new, an epoch, a block of each',
  );
  t.match(await world.run(), {
    verdict: 'good',
    run: 'since',
    entries: 500,
    since: { entry: 635 },
    text: /those up to 635 by the runs between/,
  });
  const grown = readState(world.settings.state ?? '') as { value: { known: unknown } };
  t.match(
    await world.run(due),
    { verdict: 'good', run: 'full', entries: 1135, why: /the last full run was at/ },
    'when it is due',
  );
  t.same(
    (readState(world.settings.state ?? '') as typeof grown).value.known,
    grown.value.known,
    'which knows the very same',
  );

  await recordVerdicts(world.warden, { any: 24, full: 26 });
  t.match(
    await sql.query("select sensitive from ledger where kind = 'ledger.verified' order by number nulls last, at"),
    {
      length: 5,
      2: { sensitive: { run: 'since', sinceHead: 1, sinceEntry: 630, fullAt: full.since ?? String } },
    },
  );
  t.end();
});

test('a change among the new rows is found at once; among the old rows by the next full run', async (t) => {
  const world = await standingWorld(t);
  const { tamper, write } = world;
  await write(acme, 20);
  t.match(await world.run(), { verdict: 'good', run: 'full' });
  await write(acme, 6);
  await tamper('update ledger_sealed set bytes = 4711 where number = 23');
  t.match(await world.run(), {
    verdict: 'bad',
    run: 'since',
    text: /position 22 \(entry number 23\): the entry was changed/,
  });
  t.match(await world.run(), { verdict: 'bad', run: 'full', why: /ended bad/ }, 'the next one reads everything');
  await tamper('update ledger_sealed set bytes = 1003 where number = 23');
  t.match(await world.run(), { verdict: 'good', run: 'full', why: /ended bad/, entries: 26 }, 'until one is good');
  t.match(await world.run(), { verdict: 'good', run: 'since', entries: 0 });

  await tamper('update ledger_sealed set bytes = 4711 where number = 7');
  await write(acme, 2);
  t.match(
    await world.run(),
    { verdict: 'good', run: 'since', entries: 2, text: /entries up to 26 were read by the full run/ },
    'it does not look there, and says so',
  );
  t.match(
    await world.run(due),
    { verdict: 'bad', run: 'full', text: /position 6 \(entry number 7\): the entry was changed/ },
    'the next full one does',
  );
  t.end();
});

test('a row that nobody sealed, beyond the end of a tree that did not grow, is found', async (t) => {
  const world = await standingWorld(t);
  await world.write(acme, 20);
  await world.write(bank, 20);
  t.match(await world.run(), { verdict: 'good' });
  await world.tamper('update ledger_sealed set position = 20 where number = 21');
  t.match(await world.run(), {
    verdict: 'bad',
    run: 'since',
    text: /position 20 .*inserted: the heads know 20 entries/,
  });
  t.end();
});

test('runs of what is new satisfy one alarm and not the other; the last run and the last full run are kept apart', async (t) => {
  const { sql, warden, write, run, auditor } = await standingWorld(t);
  await write(acme, 20);
  await run();
  await write(acme, 2);
  await run();
  t.match(await auditor.withSystem((tx) => ledgerStatus(tx, [])), {
    verified: { verdict: 'good', run: 'since', entries: 2, since: { head: 0, entry: 20 } },
    fullyVerified: { verdict: 'good', run: 'full', entries: 20, since: null },
    standingBad: null,
  });
  await sql.query("update ledger_verdict set at = at - interval '27 hours' where run = 'full'");
  await recordVerdicts(warden, { any: 24, full: 28 });
  t.same(await sql.query('select text from alert'), [], 'twin: where more is allowed');
  await recordVerdicts(warden, { any: 24, full: 26 });
  t.match(await sql.query('select kind, subject, text from alert'), [
    {
      kind: 'ledger.not-verified',
      subject: 'whole ledger',
      text: /nobody has verified the whole record, .* for 27 h; 26 h are allowed/,
    },
  ]);
  await sql.query("update ledger_verdict set at = at - interval '25 hours' where run = 'since'");
  await recordVerdicts(warden, { any: 24, full: 26 });
  t.match(await sql.query("select text from alert where subject = 'ledger'"), [
    { text: /nobody has verified the record for 25 h/ },
  ]);
  t.end();
});

test('a database that was set back, or continued from an earlier state, is bad and named, whoever set back its witnesses', async (t) => {
  const world = await standingWorld(t);
  const { tamper, write, fileIn } = world;
  const day = new Date().toISOString().slice(0, 10);
  await write(acme, 20);
  for (const witness of [0, 1]) copyFileSync(fileIn(witness, day), `${fileIn(witness, day)}.before`);
  await write(acme, 5);
  await write(bank, 5);
  t.match(await world.run(), { verdict: 'good', run: 'full', heads: 3 });
  await tamper("update ledger_head set at = at + interval '1 second' where position = 2");
  t.match(await world.run(), {
    verdict: 'bad',
    run: 'since',
    text: /head 2 is not the one that was verified before .*the database was set back and went on/,
  });
  await tamper("update ledger_head set at = at - interval '1 second' where position = 2");
  t.match(await world.run(), { verdict: 'good', run: 'full' });

  await tamper(
    'delete from ledger_head where position > 0',
    'delete from ledger_sealed where number > 20',
    `delete from ledger_tree where tree = '${bank}'`,
    "update ledger_tree set size = 1 where tree = 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
    'update ledger_state set number = 20',
  );
  t.match(await world.run(), {
    verdict: 'bad',
    run: 'since',
    text: /the database was set back: it does not hold head 2/,
  });
  t.match(await world.run(), { verdict: 'bad', run: 'full', text: /the database is behind the witness/ });
  for (const witness of [0, 1]) copyFileSync(`${fileIn(witness, day)}.before`, fileIn(witness, day));
  t.match(
    await world.run(),
    { verdict: 'bad', run: 'full', text: /was there when this verifier read it last/ },
    'with its witnesses',
  );
  for (const witness of [0, 1]) rmSync(`${fileIn(witness, day)}.before`);
  rmSync(world.settings.state ?? '');
  t.match(
    await world.run(),
    { verdict: 'good', run: 'full', heads: 1 },
    'which whoever knows nothing of before cannot see',
  );
  t.end();
});
