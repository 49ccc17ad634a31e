// Bounded waits end in time, end too late, or fail as what they waited for fails. No timer is left behind.
import { test } from 'tap';
import { bounded, closedMs, happens } from '../../server/domain/bounded.ts';

const never = new Promise<never>(() => undefined);
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

test('a bounded wait gives the value or the failure of what it waits for, or fails in time', async (t) => {
  t.equal(closedMs, 5000);
  const before = timers();
  t.equal(await bounded(60_000, 'a value', Promise.resolve('here')), 'here');
  await t.rejects(bounded(60_000, 'a failure', Promise.reject(new Error('its own'))), { message: 'its own' });
  await t.rejects(bounded(1, 'the end of a process', never), {
    code: 'unavailable',
    message: 'waited 1 ms for the end of a process',
  });
  t.equal(timers(), before, 'no timer is left');
});

test('happens says whether something happens in time', async (t) => {
  const before = timers();
  t.equal(await happens(60_000, Promise.resolve()), true);
  t.equal(await happens(60_000, Promise.resolve(false)), true, 'it happened, whatever it gave');
  t.equal(await happens(1, never), false);
  await t.rejects(happens(60_000, Promise.reject(new Error('its own'))), { message: 'its own' });
  t.equal(timers(), before, 'no timer is left');
});
