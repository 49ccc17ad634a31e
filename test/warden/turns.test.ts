// What is measured of the regular passes: how often, how long, and the slowest turn of the last minute or two.
import { test } from 'tap';
import { Turns } from '../../server/warden/passes/turns.ts';

const measured = (turns: Turns): Readonly<Record<string, number>> =>
  Object.fromEntries(turns.metrics.map(({ name, value, labels }) => [`${labels?.pass} ${name}`, value]));

test('a turn is counted with its time, also one that fails', async (t) => {
  let now = 0;
  const turns = new Turns(() => now);
  const take = (ms: number) => async () => {
    now += ms;
    return ms;
  };
  t.equal(await turns.timed('one', take(300)), 300, 'and its answer is passed on');
  await turns.timed('one', take(200));
  await t.rejects(
    turns.timed('other', async () => {
      now += 50;
      throw new Error('it fails');
    }),
    { message: 'it fails' },
  );
  t.same(measured(turns), {
    'one warden_pass_turns_total': 2,
    'one warden_pass_seconds_total': 0.5,
    'one warden_pass_slowest_seconds': 0.3,
    'other warden_pass_turns_total': 1,
    'other warden_pass_seconds_total': 0.05,
    'other warden_pass_slowest_seconds': 0.05,
  });
});

test('the slowest turn is forgotten after the minute that follows it', async (t) => {
  let now = 0;
  const turns = new Turns(() => now);
  const turn = (ms: number): Promise<void> =>
    turns.timed('one', async () => {
      now += ms;
    });
  const slowest = (): number | undefined => measured(turns)['one warden_pass_slowest_seconds'];
  await turn(900);
  await turn(10);
  t.equal(slowest(), 0.9);
  now = 61_000;
  t.equal(slowest(), 0.9, 'in the minute after it');
  await turn(20);
  t.equal(slowest(), 0.9);
  now = 121_000;
  t.equal(slowest(), 0.02, 'then only what came later counts');
  now = 600_000;
  t.equal(slowest(), 0, 'and nothing, when there was no turn for long');
});
