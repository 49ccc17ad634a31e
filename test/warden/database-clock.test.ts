// The database's clock compared with our own: one jump, and a drift in small steps, since the start or the era.
import { test } from 'tap';
import { DatabaseClock } from '../../server/warden/ledger/clock.ts';
import type { Look } from '../../server/warden/ledger/seal-queries.ts';

const day = Date.UTC(2026, 10, 29);
const readings = (clock: DatabaseClock) => {
  let own = 1000;
  let database = day;
  return (ownMs: number, databaseMs: number, era = 1) => {
    own += ownMs;
    database += databaseMs;
    return clock.jump({ now: database, era } as Look, own, own + 5);
  };
};

test('a jump is found at once, a drift when it has gone as far; an honest clock drifts a little forever', (t) => {
  let read = readings(new DatabaseClock(30_000));
  t.equal(read(0, 0), undefined);
  t.equal(read(250, 250 + 29_000), undefined);
  t.match(read(250, 250 + 31_000), { why: 'clock', text: /jumped by 31 s/ });

  read = readings(new DatabaseClock(30_000));
  let found: unknown;
  let steps = 0;
  for (; found === undefined && steps < 100; steps += 1) found = read(1000, 10_000);
  t.match(found, { why: 'clock', text: /^the database's clock went away by (2[7-9]|3[0-9]) s in \d s: / });
  t.ok(steps <= 6, `nine seconds more in each: ${steps}`);
  found = undefined;
  read = readings(new DatabaseClock(30_000));
  for (steps = 0; found === undefined && steps < 100; steps += 1) found = read(1000, 100);
  t.match(found, { why: 'clock', text: /went away by -3\d s/ });

  read = readings(new DatabaseClock(30_000));
  for (let i = 0; i < 100_000; i += 1)
    if (read(1000, 1000.5) !== undefined) t.fail('twin: half a per mille, a day long');
  t.equal(read(1000, 1000), undefined);
  t.end();
});

test('two operators who examined the clock begin anew with it', (t) => {
  const clock = new DatabaseClock(30_000);
  const read = readings(clock);
  t.equal(read(0, 0), undefined);
  for (let i = 0; i < 3; i += 1) t.equal(read(1000, 9_000), undefined);
  t.equal(read(1000, 90_000, 2), undefined, 'an era');
  for (let i = 0; i < 3; i += 1) t.equal(read(1000, 9_000, 2), undefined);
  clock.forget();
  t.equal(read(1000, 90_000, 2), undefined, 'a freeze that was released');
  t.end();
});
