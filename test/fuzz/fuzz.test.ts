// A short run of changed bytes for every parser: no crash, no stall, no leak, no defect in a log.
import { test } from 'tap';
import { roundsMin, runFuzz } from './run-fuzz.ts';
import { untriedCalls } from './targets.ts';

test('identification, key exchange, authentication, channels, SFTP, and the frames of a compromised edge', async (t) => {
  t.same(untriedCalls, [], 'every operation an edge may call is among them');
  await runFuzz(t, 5, 20_261_124, ({ name, rounds, stallMs, grownMiB, faults }) => {
    t.comment(`${name}: ${rounds} rounds, longest wait ${stallMs} ms, ${grownMiB} MiB more`);
    t.ok(rounds > roundsMin, `${name} was fuzzed`);
    t.same(faults, [], `${name}: no fault`);
  });
});
