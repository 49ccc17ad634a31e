// Months leave the database between two runs, which is nothing to a run that reads what is new; and in the middle of one, which is begun anew, once.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'tap';
import { bounded } from '../../server/domain/bounded.ts';
import { placeOf, prove } from '../../server/verify/library.ts';
import { recordLinesSince } from '../../server/verify/record-lines.ts';
import { readState } from '../../server/verify/state-file.ts';
import { customers, due, standingWorld } from '../support/standing-world.ts';

const [acme] = customers;

test('a month that leaves between two runs: the next reads what states it, the next full one its archive', async (t) => {
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
  for await (const text of recordLinesSince(auditor, placeOf(base))) lines += text;
  t.notMatch(lines, /file\.published/, 'nothing of the month is read');
  t.match(lines, /ledger\.archived/);
  t.match(await run(), { verdict: 'good', run: 'since', entries: 3 }, 'a statement in each of three trees');
  await write(acme, 4);
  t.match(await run(), { verdict: 'good', run: 'since', entries: 4 }, 'trees go on from where they were');
  t.match(await run(due), { verdict: 'good', run: 'full', entries: 917 }, 'with the entries of the archive');
  t.match(await run({ ...due, archive: null }), { verdict: 'incomplete', run: 'full' }, 'which without it is not everything');
  t.match(await run(), { verdict: 'good', run: 'full', why: /ended incomplete/ });
  t.end();
});

/** A place in the directory of archives at which whoever verifies waits; the work is done while it does. */
async function meet(directory: string, name: string, work: () => Promise<void>): Promise<void> {
  const path = join(directory, name);
  // Its other end opens it when it takes the hashes of the archives, behind the list of them.
  const pipe = await bounded(60_000, 'the verifier at its archives', open(path, 'w'));
  await work();
  rmSync(path);
  await pipe.close();
}

const makePipe = (directory: string, name: string): void => {
  if (spawnSync('mkfifo', [join(directory, name)]).status !== 0) throw new Error('mkfifo failed');
};

test('a month that leaves in the middle of a run: it is begun anew, and good', async (t) => {
  const { write, old, run, archiveMonths, settings, count } = await standingWorld(t);
  const archives = settings.archive ?? '';
  await old(5, 90);
  await write(acme, 10);
  makePipe(archives, 'ledger-2020-01.jsonl');
  const verdict = run();
  await meet(archives, 'ledger-2020-01.jsonl', () => archiveMonths());
  t.match(await verdict, { verdict: 'good', entries: 103 }, 'the second run has the archive that the first one did not know');
  t.equal(await count('ledger_verdict'), 1, 'it is one run, and told once');
  t.match(await run(), { verdict: 'good', run: 'since' });
  t.end();
});

test('a month that leaves in each of two runs: nothing was verified, and that is said', async (t) => {
  const { write, old, run, archiveMonths, settings, count } = await standingWorld(t);
  const archives = settings.archive ?? '';
  await old(8, 30);
  await old(5, 60);
  await write(acme, 10);
  makePipe(archives, 'ledger-2020-01.jsonl');
  const verdict = run();
  await meet(archives, 'ledger-2020-01.jsonl', async () => {
    await archiveMonths(7);
    makePipe(archives, 'ledger-2020-02.jsonl');
  });
  await meet(archives, 'ledger-2020-02.jsonl', () => archiveMonths());
  t.match(await verdict, { verdict: 'failed', run: 'full', text: /a month of the record left the database during each of two runs/ });
  t.equal(await count("ledger_verdict where verdict = 'failed'"), 1, 'the gateway was told');
  t.match(await run(), { verdict: 'good', run: 'full' }, 'the next one is undisturbed');
  t.end();
});
