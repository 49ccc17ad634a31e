// The time limits of an operator's command and their order. The database has two of them, too.
import { test } from 'tap';
import { commandLife, commandsKept, mayBegin, passingOperations } from '../../server/domain/command-life.ts';

test('the time limits of a command', (t) => {
  t.same(commandLife, { beginMs: 15_000, endMs: 45_000, answerMs: 50_000 });
  t.ok(
    commandLife.beginMs < commandLife.endMs && commandLife.endMs < commandLife.answerMs,
    'who asks waits until nothing can happen any more',
  );
  t.same(commandsKept, { passingMs: 86_400_000, each: 10_000, bytes: 67_108_864 });
  t.same(passingOperations, [
    'plan',
    'warden.ping',
    'change.propose',
    'change.approve',
    'change.reject',
    'demo.set-factor',
  ]);
  t.end();
});

test('a command begins until its last millisecond, and up to a second ahead of a clock that was set back', (t) => {
  t.same([-1001, -1000, 0, 15_000, 15_001].map(mayBegin), [false, true, true, true, false]);
  t.equal(mayBegin(Number.NaN), false, 'an age that is no number is too old');
  t.end();
});
