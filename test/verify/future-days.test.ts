// A file of a witness for a day that has not come does not take the place of today's file: it is a finding, and what
// was read of today's file is compared all the same.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { parseVerifierKey, readWitness } from '../../verifier/index.js';
import { customers, standingWorld } from '../support/standing-world.ts';
import { makeRecord, makeSigner, startMs, witnessText } from '../verifier/make-record.ts';

const dayAfter = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

test('files of days that have not come are a finding, in a full run and in one of what is new', async (t) => {
  const world = await standingWorld(t);
  await world.write(customers[0], 40);
  const future = ['9999-12-30', '9999-12-31'].map((day) => world.fileIn(1, day));
  for (const file of future) writeFileSync(file, '');
  const text = /second: it has a file of 9999-12-30, more than a day ahead of this machine's clock/;
  t.match(await world.run(), { verdict: 'bad', run: 'full', findings: 2, text });
  for (const file of future) rmSync(file);
  t.match(await world.run(), { verdict: 'good', run: 'full' }, 'the twin');
  for (const file of future) writeFileSync(file, '');
  await world.write(customers[0], 10);
  t.match(await world.run(), { verdict: 'bad', run: 'since', text });
});

test('a file of tomorrow is allowed, because clocks differ, and does not hide that today’s was emptied', async (t) => {
  const world = await standingWorld(t);
  await world.write(customers[0], 40);
  writeFileSync(world.fileIn(1, dayAfter(1)), '');
  t.match(await world.run(), { verdict: 'good', run: 'full' });
  await world.write(customers[0], 10);
  const today = world.fileIn(1, dayAfter(0));
  const content = readFileSync(today);
  writeFileSync(today, '');
  t.match(await world.run(), { verdict: 'bad', text: /shorter, or its earlier content changed/ });
  writeFileSync(today, content);
  t.match(await world.run(), { verdict: 'good', run: 'full' }, 'the twin');
});

test('the days that stay open are chosen by date', async (t) => {
  const signer = makeSigner();
  const place = t.testdir();
  for (const day of ['2026-11-22', '2026-11-23', '2026-11-24', '2026-11-25', '9999-12-30', '9999-12-31'])
    writeFileSync(
      join(place, `checkpoints-${day}.jsonl`),
      day === '2026-11-24' ? witnessText(makeRecord(signer).notes) : '',
    );
  const keys = [parseVerifierKey(signer.verifierKey)];
  const openAt = async (now: number) =>
    (await readWitness([place], keys, { now })).places[0]?.files.map(({ day }) => day);
  t.same(await openAt(startMs), ['2026-11-24', '2026-11-25']);
  t.same(await openAt(startMs - 86_400_000), ['2026-11-23', '2026-11-24']);
  const findings = async (now: number) =>
    (await readWitness([place], keys, { now })).findings.list.map(({ what }) => what);
  t.same(await findings(startMs), ['from the future', 'from the future']);
  t.same(await findings(startMs - 86_400_000), ['from the future', 'from the future', 'from the future']);
});
