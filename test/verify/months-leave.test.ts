// Months leave the database. Between two runs, that does not matter to a run that reads what is new. In the middle of a
// run, that run begins anew, once.
import { test } from 'tap';
import { positionOf, prove } from '../../server/verify/library.ts';
import { recordLinesSince } from '../../server/verify/record-lines.ts';
import { readState } from '../../server/verify/state-file.ts';
import { customers, due, standingWorld } from '../support/standing-world.ts';

const [acme] = customers;

test('a month that leaves between two runs: the next run reads the statement about it, and the next full run its archive', async (t) => {
  const { write, old, run, archiveMonths, auditor, settings, count } = await standingWorld(t);
  await old(5, 900);
  await write(acme, 10);
  t.match(await run(), { verdict: 'good', run: 'full', entries: 910 });
  await archiveMonths();
  t.equal(await count('ledger_sealed s where s.number <= 900'), 0, 'it has left');
  const state = readState(settings.state ?? '');
  const base = typeof state === 'string' ? state : prove((state.value as { known: unknown }).known, settings.keys);
  if (typeof base === 'string') throw new Error(base);
  let lines = '';
  for await (const text of recordLinesSince(auditor, positionOf(base))) lines += text;
  t.notMatch(lines, /file\.published/, 'nothing of the month is read');
  t.match(lines, /ledger\.archived/);
  t.match(await run(), { verdict: 'good', run: 'since', entries: 3 }, 'a statement in each of three trees');
  await write(acme, 4);
  t.match(await run(), { verdict: 'good', run: 'since', entries: 4 }, 'trees go on from where they were');
  t.match(await run(due), { verdict: 'good', run: 'full', entries: 917 }, 'with the entries of the archive');
  t.match(
    await run({ ...due, archive: null }),
    { verdict: 'incomplete', run: 'full' },
    'which without it is not everything',
  );
  t.match(await run(), { verdict: 'good', run: 'full', why: /ended incomplete/ });
  t.end();
});

test('a month that leaves in the middle of a run: the run begins anew, and is good', async (t) => {
  const { write, old, run, archiveMonths, count } = await standingWorld(t);
  await old(5, 90);
  await write(acme, 10);
  let looks = 0;
  const verdict = await run({}, async () => {
    looks += 1;
    if (looks === 1) await archiveMonths();
  });
  t.equal(looks, 2, 'it was begun anew');
  t.match(verdict, { verdict: 'good', entries: 103 }, 'the second run has the archive that the first one did not know');
  t.equal(await count('ledger_verdict'), 1, 'it is one run, and told once');
  t.match(await run(), { verdict: 'good', run: 'since' });
  t.end();
});

test('a month that leaves in each of two attempts: nothing was verified, and the verdict says so', async (t) => {
  const { write, old, run, archiveMonths, count } = await standingWorld(t);
  await old(8, 30);
  await old(5, 60);
  await write(acme, 10);
  let looks = 0;
  const verdict = await run({}, async () => {
    looks += 1;
    await archiveMonths(looks === 1 ? 7 : 2);
  });
  t.equal(looks, 2, 'twice, and no more');
  t.match(verdict, {
    verdict: 'failed',
    run: 'full',
    text: /a month of the record left the database during each of two runs/,
  });
  t.equal(await count("ledger_verdict where verdict = 'failed'"), 1, 'the gateway was told');
  t.match(await run(), { verdict: 'good', run: 'full' }, 'the next one is undisturbed');
  t.end();
});
