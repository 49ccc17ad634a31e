// What a release gives up and which freeze it ends: what it names, of the era that it names, and nothing else.
import { test } from 'tap';
import type { Vouched } from '../../server/warden/ledger/comparison.ts';
import { becameBy, ends, type Names, namesOf } from '../../server/warden/ledger/releases.ts';
import type { Freeze } from '../../server/warden/ledger/seal-queries.ts';

const lastMs = 60_000;
const base: Names = {
  freeze: 'f',
  why: 'behind',
  witnessedEra: 3,
  witnessedSize: 100,
  witnessedRoot: 'r',
  witnessedAt: '2026-05-01T10:00:00.000Z',
  heads: 98,
  era: 3,
};
const vouched = (given: Partial<Vouched> = {}): Vouched => ({
  by: 'x',
  era: 3,
  size: 100,
  root: 'r',
  time: '2026-05-01T10:00:30.000Z',
  ...given,
});

test('what releases made of a checkpoint: kept, given up, or not named by any', (t) => {
  const became = (release: Partial<Names>, of: Partial<Vouched>) =>
    becameBy([{ ...base, ...release }], vouched(of), 300, lastMs);
  t.equal(becameBy([], vouched(), 300, lastMs), 'nobody');
  t.equal(became({}, { size: 98 }), 'kept');
  t.equal(became({}, { size: 100 }), 'given-up');
  t.equal(became({}, { size: 102 }), 'unnamed', 'a machine that was down knows of the last moment');
  t.equal(
    became({}, { size: 102, time: '2026-05-01T10:01:00.001Z' }),
    'nobody',
    'later than a gateway would have served',
  );
  t.equal(became({}, { size: 102, era: 2 }), 'nobody', 'of another era');
  t.equal(became({ witnessedAt: '' }, { size: 102 }), 'nobody');
  t.equal(became({ why: 'clock' }, { size: 98 }), 'kept', 'twin: a clock keeps what is there');
  t.equal(became({ why: 'clock' }, { size: 100 }), 'nobody', 'a clock gives up nothing, whatever its release names');
  t.equal(became({ why: 'clock' }, { size: 102 }), 'nobody');
  const diverged = { why: 'diverged', heads: 200 };
  t.equal(became(diverged, { size: 50 }), 'given-up', 'twin: it need not match');
  t.equal(became(diverged, { size: 150 }), 'kept');
  // The checkpoint of an earlier era that a release names is larger than all that its own era has.
  const earlier = { ...diverged, witnessedEra: 1, witnessedSize: 1_000_000 };
  t.equal(became(earlier, { size: 150 }), 'kept', 'nothing of the era that it ended is given up with it');
  t.equal(became(earlier, { size: 150, era: 1 }), 'given-up', 'twin: what it names');
  t.equal(became(earlier, { size: 150, era: 2 }), 'kept');
  // A release that names a smaller loss than there was: two operators have to see the whole loss.
  const small = { ...base, heads: 99 };
  const whole = { ...base, era: 4, heads: 50 };
  const after =
    (heads: number, ...releases: readonly Names[]) =>
    (size: number) =>
      becameBy(releases, vouched({ size }), heads, lastMs);
  t.same([80, 100].map(after(50, small)), ['less', 'less'], 'more is gone than it says');
  t.same([80, 99, 100].map(after(99, small)), ['kept', 'kept', 'given-up'], 'twin: as much as it says');
  t.same(
    [50, 80, 100].map(after(50, small, whole)),
    ['kept', 'given-up', 'given-up'],
    'and the one that names the whole loss gives it up',
  );
  t.same([80, 100].map(after(49, small, whole)), ['less', 'less']);
  t.end();
});

test('a release ends the freeze that it names, and no other', (t) => {
  const { freeze: id, why: _why, ...facts } = base;
  const freeze = (why: Freeze['why'], more: object = {}): Freeze => ({
    id: String(id),
    why,
    text: 'x',
    facts: { ...facts, ...more },
  });
  const missed = { entry: 7, missed: 2 };
  const cases: readonly (readonly [boolean, string, Freeze, Partial<Names> | undefined])[] = [
    [true, 'what was found', freeze('diverged', missed), { why: 'diverged' }],
    [false, 'nothing', freeze('diverged', missed), undefined],
    [false, 'another reason', freeze('diverged', missed), { why: 'clock' }],
    [false, 'another freeze, entries are missed', freeze('diverged', missed), { why: 'diverged', freeze: 'g' }],
    [true, 'the same found by another warden', freeze('diverged'), { why: 'diverged', freeze: 'g' }],
    [false, 'other heads', freeze('diverged', missed), { why: 'diverged', heads: 99 }],
    [false, 'another checkpoint', freeze('diverged'), { why: 'diverged', witnessedRoot: 's' }],
    [false, 'an earlier era', freeze('behind'), { era: 2 }],
    [true, 'a later era', freeze('behind'), { era: 4 }],
    [true, 'two wardens know different sizes', freeze('behind', { witnessedSize: 102 }), { freeze: 'g' }],
    [true, 'two wardens saw one clock', freeze('clock'), { why: 'clock', freeze: 'g', heads: 97 }],
  ];
  for (const [isEnd, what, found, release] of cases)
    t.equal(ends(release && { ...base, ...release }, found), isEnd, what);
  t.equal(namesOf(freeze('clock', { heads: 'x' })), undefined, 'a row that nobody can release');
  t.end();
});
