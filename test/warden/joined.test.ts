// Work that notifications ask for: however often they ask, one run happens at a time, and one more for all who asked
// meanwhile.
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { joined } from '../../server/warden/passes/every.ts';

test('a thousand requests during a run cause one more run', async (t) => {
  // The pause between runs keeps no process alive.
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(alive));
  const gate = new EventEmitter();
  const failures: unknown[] = [];
  let runs = 0;
  let atOnce = 0;
  let most = 0;
  const line = joined(
    async () => {
      runs += 1;
      atOnce += 1;
      most = Math.max(most, atOnce);
      gate.emit('began');
      await once(gate, 'go');
      atOnce -= 1;
      if (runs === 2) throw new Error('away');
    },
    1,
    (error) => failures.push(error),
  );
  line.wake();
  t.equal(runs, 1, 'the first at once');
  for (let i = 0; i < 1000; i += 1) line.wake();
  const second = once(gate, 'began');
  gate.emit('go');
  await second;
  for (let i = 0; i < 1000; i += 1) line.wake();
  const third = once(gate, 'began');
  gate.emit('go');
  await third;
  t.same(
    failures.map((one) => (one as Error).message),
    ['away'],
    'a run that failed is said, and the next one comes all the same',
  );
  line.wake();
  const stopped = line.stop();
  gate.emit('go');
  await stopped;
  await sleep(50);
  line.wake();
  t.same([runs, most, atOnce], [3, 1, 0], 'never two at once, and none after the end');
});
