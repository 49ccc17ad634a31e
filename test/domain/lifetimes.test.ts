// What a role has started stops in the opposite order, whether its start fails or it is stopped later, and whatever
// cannot be stopped.
import { test } from 'tap';
import { stopsWith } from '../../server/domain/lifetimes.ts';

/** Starts three things, of which the second may fail to start or to stop. Returns what became of them. */
async function role(seen: string[], fault?: 'start' | 'stop'): Promise<{ stop(): Promise<void> }> {
  await using starting = new AsyncDisposableStack();
  const thing = (name: string, fails = false) => ({
    stop: async () => {
      await Promise.resolve();
      seen.push(name);
      if (fails) throw new Error(`${name} does not stop`);
    },
  });
  stopsWith(starting, thing('first'));
  if (fault === 'start') throw new Error('the second does not start');
  stopsWith(starting, thing('second', fault === 'stop'));
  stopsWith(starting, { stop: () => void seen.push('third') });
  const started = starting.move();
  return { stop: () => started.disposeAsync() };
}

test('a start that fails stops what was started, and a whole one nothing until it is asked to', async (t) => {
  const seen: string[] = [];
  await t.rejects(role(seen, 'start'), { message: 'the second does not start' });
  t.same(seen.splice(0), ['first']);
  const whole = await role(seen);
  t.same(seen, []);
  await whole.stop();
  t.same(seen.splice(0), ['third', 'second', 'first'], 'in the opposite order, one after the other');
  await whole.stop();
  t.same(seen, [], 'once');
});

test('what cannot be stopped keeps nothing else running', async (t) => {
  const seen: string[] = [];
  const whole = await role(seen, 'stop');
  await t.rejects(whole.stop(), { message: 'second does not stop' });
  t.same(seen, ['third', 'second', 'first']);
});
