// Two processes with one state: one run at a time, and what one found bad asks every other one for a full run.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { Memory } from '../../server/verify/memory.ts';
import { temporaryDirectory } from '../support/database.ts';

const known = {
  note: '',
  head: { position: 1, at: 1, number: 1, secret: '' },
  log: '',
  trees: [],
  secrets: [],
  roots: [],
  witnesses: [],
};

const settingsIn = (directory: string) => ({
  keys: ['k'],
  witnesses: ['w'],
  state: join(directory, 'state.json'),
  fullEveryHours: 24,
  everyMinutes: 10,
});

test('a run by hand that was bad is not forgotten by the one that watches, until a later full run is good', (t) => {
  const settings = settingsIn(temporaryDirectory(t));
  const now = Date.now();
  const watches = new Memory(settings);
  t.equal(watches.good(now, true, known), null);
  const byHand = new Memory(settings);
  t.equal(byHand.whyFull(now + 1000), undefined, 'twin: it continues from the state');
  const run = byHand.begin();
  byHand.notGood('the run of now ended bad', now + 2000);
  run.end();

  watches.begin().end();
  t.match(watches.whyFull(now + 3000), 'ended bad', 'what the file says is known when a run begins');
  watches.good(now + 3000, false, known);
  t.match(new Memory(settings).whyFull(now + 4000), 'ended bad', 'a run of what is new withdraws nothing');
  watches.good(now + 1000, true, known);
  t.match(new Memory(settings).whyFull(now + 4000), 'ended bad', 'nor does a full one that began before');
  watches.good(now + 5000, true, known);
  t.equal(new Memory(settings).whyFull(now + 6000), undefined, 'twin: a later full one does');
  t.end();
});

test('one run at a time goes on with a state', (t) => {
  const settings = settingsIn(temporaryDirectory(t));
  const [one, other] = [new Memory(settings), new Memory(settings)];
  const run = one.begin();
  t.throws(() => other.begin(), {
    code: 'conflict',
    message: /another run with the state .* is under way \(process \d+\): wait for its end/,
  });
  run.end();
  t.doesNotThrow(() => other.begin().end(), 'twin: when it has ended');
  t.notOk(existsSync(`${settings.state}.lock`));
  const { pid } = spawnSync('/bin/true');
  for (const [text, why] of [
    [`${pid} 12345\n`, 'a process that is gone'],
    [`${process.pid} 1\n`, 'a number that was given again'],
    ['torn', 'half a line'],
  ] as const) {
    writeFileSync(`${settings.state}.lock`, text);
    t.doesNotThrow(() => other.begin().end(), `the lock of ${why} is taken over`);
  }
  const alone = { ...settings, state: null };
  t.doesNotThrow(
    () => [new Memory(alone).begin(), new Memory(alone).begin()],
    'without a file there is nothing to share',
  );
  t.end();
});
