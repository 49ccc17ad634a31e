// The door: bounds in all and per source, random early drop, penalties that grow and end.
import { test } from 'tap';
import { Admission, type Place } from '../../server/edge/accept/admission.ts';

const limits = {
  connectionsMax: 40,
  unauthenticatedConnectionsMax: 20,
  unauthenticatedPerSourceMax: 5,
  unauthenticatedDropFromPercent: 50,
  penaltyLongestMs: 600_000,
};
const place = (given: Place | string): Place => {
  if (typeof given === 'string') throw new Error(given);
  return given;
};

test('bounds', (t) => {
  const door = new Admission(
    limits,
    [],
    () => 0,
    () => 0.999_999,
  );
  for (let i = 0; i < 5; i += 1) t.type(door.enter('192.0.2.1'), 'object');
  t.equal(door.enter('192.0.2.1'), 'source-full');
  t.equal(door.enter('::ffff:192.0.2.1'), 'source-full', 'mapped is no other source');
  const places = Array.from({ length: 15 }, (_, i) => place(door.enter(`198.51.100.${i}`)));
  t.equal(door.enter('203.0.113.1'), 'strangers-full');
  for (const one of places) door.known(one);
  t.equal(door.strangers, 5, 'who logged in is no stranger');
  const more = Array.from({ length: 15 }, (_, i) => place(door.enter(`198.51.101.${i}`)));
  for (const one of more) door.known(one);
  for (let i = 0; i < 5; i += 1) door.known(place(door.enter(`198.51.102.${i}`)));
  t.equal(door.enter('203.0.113.1'), 'all-full');
  for (const one of [...places, ...more]) door.leave(one);
  t.type(door.enter('203.0.113.1'), 'object', 'places come free');
  const twice = place(door.enter('203.0.113.2'));
  door.known(twice);
  door.known(twice);
  door.leave(twice);
  t.equal(door.strangers, 6, 'counted once');
  t.end();
});

test('an IPv6 /64 is one source', (t) => {
  const door = new Admission(
    limits,
    [],
    () => 0,
    () => 0.999,
  );
  for (let i = 0; i < 5; i += 1) door.enter(`2001:db8::${i + 1}`);
  t.equal(door.enter('2001:db8::99'), 'source-full');
  t.type(door.enter('2001:db8:0:1::1'), 'object');
  t.end();
});

test('random early drop grows evenly to the bound', (t) => {
  let chance = 0;
  const door = new Admission(
    { ...limits, unauthenticatedPerSourceMax: 1000 },
    [],
    () => 0,
    () => chance,
  );
  const dropped: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    chance = 0;
    if (door.enter('192.0.2.1') !== 'early-drop') continue;
    dropped.push(i);
    chance = 0.999_999;
    t.type(door.enter('192.0.2.1'), 'object');
  }
  t.equal(dropped[0], 10, 'nothing below the start');
  t.equal(dropped.length, 10, 'from there on the unlucky');
  t.end();
});

test('penalties', (t) => {
  let now = 0;
  const door = new Admission(
    limits,
    ['192.0.2.0/24', '::1'],
    () => now,
    () => 0.999,
  );
  const thief = '198.51.100.7';
  for (let i = 0; i < 3; i += 1) door.punish(thief, 'login-refused');
  t.type(door.enter(thief), 'object', 'three mistyped codes are no attack');
  door.punish(thief, 'login-refused');
  t.equal(door.enter(thief), 'penalty');
  t.type(door.enter('198.51.100.8'), 'object', 'others are served');
  now = 5001;
  t.type(door.enter(thief), 'object', 'it ends by itself');
  for (let i = 0; i < 1000; i += 1) door.punish(thief, 'protocol-error');
  now += limits.penaltyLongestMs - 15_001;
  t.equal(door.enter(thief), 'penalty');
  now += 2;
  t.type(door.enter(thief), 'object', 'and is never longer than the longest');
  for (let i = 0; i < 1000; i += 1) door.punish('192.0.2.5', 'grace-exceeded');
  t.type(door.enter('192.0.2.5'), 'object', 'an exempt source has none');
  for (let i = 0; i < 70_000; i += 1) door.punish(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 'no-login');
  t.ok(door.penalised <= 65_537, 'the memory of sources is bounded');
  now += 10 * limits.penaltyLongestMs;
  door.sweep();
  t.equal(door.penalised, 0);
  t.end();
});
