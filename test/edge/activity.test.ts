// Which sessions a renewal of the lease names when there are more of them than it may name.
import { test } from 'tap';
import { Activity } from '../../server/edge/activity.ts';
import { activeMax } from '../../server/rpc/edge-words.ts';

test('when more sessions are active than one report may name, those that were reported longest ago come first', (t) => {
  const clock = { at: performance.now() - 1, idleLifeMs: 0 };
  const connections = new Set(
    Array.from({ length: activeMax + 2 }, (_, i) => ({ session: { id: String(i) }, activity: { ...clock } })),
  );
  const activity = new Activity(connections);
  const first = activity.due();
  t.equal(first.active.length, activeMax);
  first.told();
  const told = new Set(first.active.map((one) => one.session));
  // All of them do something again.
  for (const { activity: one } of connections) one.at = performance.now();
  const second = activity.due();
  t.equal(second.active.length, activeMax);
  t.same(
    second.active.slice(0, 2).filter((one) => told.has(one.session)),
    [],
    'the two that had no place in the first report',
  );
  t.end();
});
