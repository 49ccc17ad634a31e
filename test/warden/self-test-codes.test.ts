// The codes of the self-test: with one that could expire on the way, a working control would look broken.
import { test } from 'tap';
import { codeAt, lastingStep, matchingSteps, newSeed, stepAt, stepEndsInMs } from '../../server/warden/factors/totp.ts';

test('a code of the self-test is unused, and right for 30 seconds more', async (t) => {
  const seed = newSeed();
  const start = 1_764_201_600;
  let given = 0;
  for (let second = 0; second < 60; second += 1) {
    const now = start + second;
    const current = stepAt(now);
    for (let spent = 0; spent < 8; spent += 1) {
      const used = [-1, 0, 1].filter((_, bit) => (spent >> bit) % 2 === 1).map((distance) => current + distance);
      const step = lastingStep(used, now);
      if (step === undefined) {
        t.ok(used.includes(current) && used.includes(current + 1), 'none is given only when those that last are spent');
        t.equal(lastingStep(used, now + stepEndsInMs(now) / 1000), current + 2, 'and there is one at the next step');
        continue;
      }
      given += 1;
      if (used.includes(step) || !matchingSteps(seed, codeAt(seed, step), now + 30).includes(step))
        t.fail(`${second} s, spent ${used.map((one) => one - current)}: ${step - current}`);
    }
  }
  t.equal(given, 60 * 6);
});
