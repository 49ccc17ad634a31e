// Which connections an edge accepts: limits in all and for each source, random early drop, penalties that grow and end.
import { test } from 'tap';
import { Admission, type ConnectionPlace } from '../../server/edge/accept/admission.ts';

const limits = {
  connectionsMax: 40,
  unauthenticatedConnectionsMax: 20,
  unauthenticatedPerSourceMax: 5,
  unauthenticatedDropFromPercent: 50,
  penaltyLongestMs: 600_000,
  unprovedPlaceMs: 30_000,
};
const place = (given: ConnectionPlace | string): ConnectionPlace => {
  if (typeof given === 'string') throw new Error(given);
  return given;
};

test('the limits on connections', (t) => {
  const door = new Admission(
    limits,
    [],
    () => 0,
    () => 0.999_999,
  );
  for (let i = 0; i < 5; i += 1) t.type(door.enter('192.0.2.1'), 'object');
  t.equal(door.enter('192.0.2.1'), 'source-full');
  t.equal(door.enter('::ffff:192.0.2.1'), 'source-full', 'mapped is no other source');
  const places = Array.from({ length: 15 }, (_, i) => place(door.enter(`198.51.${i}.1`)));
  t.equal(door.enter('192.0.2.2'), 'strangers-full', 'full for whoever comes from where most come from');
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

test('when the edge is full, networks with many connections make room for others, the oldest of the busiest network first', (t) => {
  const door = new Admission(
    limits,
    [],
    () => 0,
    () => 0.999_999,
  );
  const gone: string[] = [];
  const come = (address: string): ConnectionPlace => {
    const one = place(door.enter(address));
    one.onEvicted = () => gone.push(address);
    return one;
  };
  // Four addresses of one network hold all places.
  const held = [1, 2, 3, 4].flatMap((host) => [1, 2, 3, 4, 5].map(() => come(`198.51.100.${host}`)));
  t.equal(door.strangers, 20);
  for (let i = 0; i < 9; i += 1) come(`203.0.${i}.1`);
  t.same(gone, [
    '198.51.100.1',
    '198.51.100.1',
    '198.51.100.1',
    '198.51.100.1',
    '198.51.100.1',
    ...Array(4).fill('198.51.100.2'),
  ]);
  t.equal(door.strangers, 20, 'never more than there may be');
  t.equal(door.evicted, 9);
  t.equal(door.enter('198.51.100.9'), 'strangers-full', 'nobody makes room for the flood, from whichever address');
  for (const one of held) door.leave(one);
  t.equal(door.strangers, 9, 'who was sent away is not counted twice');
  for (let i = 0; i < 11; i += 1) come(`203.1.${i}.1`);
  t.equal(door.enter('203.2.0.1'), 'strangers-full', 'among equals nobody is sent away');
  t.equal(gone.length, 9);
  t.end();
});

test('an IPv6 /48 is one network', (t) => {
  const door = new Admission(
    limits,
    [],
    () => 0,
    () => 0.999_999,
  );
  for (let i = 0; i < 20; i += 1) place(door.enter(`2001:db8:1:${i + 1}::1`));
  t.equal(door.enter('2001:db8:1:99::1'), 'strangers-full');
  t.type(door.enter('2001:db8:2:1::1'), 'object', 'its neighbours are not it');
  t.end();
});

test('places are reserved for sources from which somebody logged in lately', (t) => {
  let now = 0;
  const door = new Admission(
    limits,
    [],
    () => now,
    () => 0,
  );
  const bank = '192.0.2.7';
  const login = place(door.enter(bank));
  door.known(login);
  door.leave(login);
  // There are as many connections without a login as places, each from its own network: none is closed, and all
  // newcomers without a known source are dropped early.
  for (let i = 0; door.strangers < 10; i += 1) door.enter(`10.${i}.0.1`);
  t.equal(door.enter('10.1.0.2'), 'early-drop');
  const all = [door.enter(bank)];
  while (door.strangers < 20 && all.length < 5) all.push(door.enter(bank));
  t.ok(
    all.every((one) => typeof one !== 'string'),
    'no chance decides about it',
  );
  const late = new Admission(
    limits,
    [],
    () => now,
    () => 0.999_999,
  );
  late.known(place(late.enter(bank)));
  for (let i = 0; i < 20; i += 1) place(late.enter(`10.${i}.0.1`));
  t.equal(late.enter('10.99.0.1'), 'strangers-full');
  for (let i = 0; i < 5; i += 1) t.type(late.enter(bank), 'object', 'a quarter as many again, for it');
  t.equal(late.enter(bank), 'source-full', 'and its own bound stays');
  now += 24 * 3_600_000 + 1;
  t.equal(late.enter('192.0.2.8'), 'strangers-full');
  late.sweep();
  for (let i = 0; i < 40_000; i += 1)
    late.known({ source: `s${i}`, neighbourhood: 'n', since: 0, isStranger: false, onEvicted: () => {} });
  t.ok(late.knownSources <= 16_384, 'their memory is bounded');
  t.end();
});

test('a client that we turned away pays like one that comes and goes, and not at all where people log in from', (t) => {
  const door = new Admission(
    limits,
    [],
    () => 0,
    () => 0.999_999,
  );
  const [bank, stranger] = ['192.0.2.7', '192.0.2.8'];
  door.known(place(door.enter(bank)));
  for (let i = 0; i < 100; i += 1) door.punish(bank, 'turned-away');
  t.type(door.enter(bank), 'object', 'a login that we could not take is no misdeed');
  for (let i = 0; i < 15; i += 1) door.punish(stranger, 'turned-away');
  t.type(door.enter(stranger), 'object');
  door.punish(stranger, 'turned-away');
  t.equal(door.enter(stranger), 'penalty', 'nor is a flood free that goes on while it is turned away');
  door.punish(bank, 'login-refused');
  for (let i = 0; i < 3; i += 1) door.punish(bank, 'login-refused');
  t.equal(door.enter(bank), 'penalty', 'its own misdeeds count as ever');
  t.end();
});

test('four addresses that come and go without a login pay, and honest logins succeed', (t) => {
  let now = 0;
  let chance = 7;
  const door = new Admission(
    {
      ...limits,
      connectionsMax: 2000,
      unauthenticatedConnectionsMax: 200,
      unauthenticatedPerSourceMax: 50,
      unauthenticatedDropFromPercent: 30,
    },
    [],
    () => now,
    () => {
      chance = (chance * 16_807) % 2_147_483_647;
      return chance / 2_147_483_647;
    },
  );
  const open: { place: ConnectionPlace; address: string; until: number }[] = [];
  let honest = 0;
  let served = 0;
  let floodIn = 0;
  for (now = 0; now < 120_000; now += 50) {
    for (let i = open.length - 1; i >= 0; i -= 1) {
      const one = open[i];
      if (one === undefined || one.until > now) continue;
      door.leave(one.place);
      door.punish(one.address, 'no-login');
      open.splice(i, 1);
    }
    for (const address of ['198.51.100.1', '198.51.100.2', '203.0.113.1', '203.0.113.2']) {
      const entered = door.enter(address);
      if (typeof entered === 'string') continue;
      floodIn += 1;
      open.push({ place: entered, address, until: now + 4000 });
    }
    if (now % 500 !== 0) continue;
    honest += 1;
    const bank = door.enter(`192.0.2.${honest % 250}`);
    if (typeof bank === 'string') continue;
    served += 1;
    door.known(bank);
    door.leave(bank);
  }
  t.equal(served, honest, `${honest} honest logins beside ${floodIn} connections of the flood`);
  t.ok(floodIn < 1200, 'which is soon kept out');
  t.end();
});

test('random early drop grows evenly up to the limit', (t) => {
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

test('penalties grow, end, and are forgotten', (t) => {
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

test('slow strangers give way when places are scarce, and are left in peace while they are not', (t) => {
  let now = 0;
  const door = new Admission(
    limits,
    [],
    () => now,
    () => 0,
  );
  const gone: string[] = [];
  const come = (address: string): ConnectionPlace => {
    const one = place(door.enter(address));
    one.onEvicted = (by) => {
      gone.push(`${address} by ${by}`);
      door.leave(one);
    };
    return one;
  };
  // All places, each held by another network: nobody else may come.
  for (let i = 0; i < 20; i += 1) come(`10.${i}.0.1`);
  now = 29_999;
  t.equal(door.enter('192.0.2.1'), 'strangers-full', 'before their time nobody gives way');
  now = 30_000;
  come('192.0.2.1');
  t.same(gone, ['10.0.0.1 by time'], 'the oldest does');
  for (let i = 1; i < 20; i += 1) come(`192.1.${i}.9`);
  t.equal(gone.length, 20, 'one for each who comes');
  t.equal(door.strangers, 20);
  t.equal(door.enter('192.2.2.99'), 'strangers-full', 'and nobody whose time has not come');

  now = 3_600_000;
  const alone = new Admission(
    limits,
    [],
    () => now,
    () => 0,
  );
  const slow = place(alone.enter('192.0.2.1'));
  let isGone = false;
  slow.onEvicted = () => (isGone = true);
  now += 3_600_000;
  for (let i = 0; i < 8; i += 1) place(alone.enter(`10.${i}.0.1`));
  t.notOk(isGone, 'while there are places, time alone takes none away');
  t.end();
});

test('whoever proved something keeps the place, however slow', (t) => {
  let now = 0;
  const door = new Admission(
    limits,
    [],
    () => now,
    () => 0,
  );
  let isGone = false;
  const person = place(door.enter('192.0.2.1'));
  person.onEvicted = () => (isGone = true);
  door.proved(person);
  for (let i = 0; i < 19; i += 1) {
    const one = place(door.enter(`10.${i}.0.1`));
    one.onEvicted = () => door.leave(one);
  }
  now = 60_000;
  for (let i = 0; i < 19; i += 1) place(door.enter(`10.1${i + 10}.0.1`));
  t.notOk(isGone);
  t.equal(door.evicted, 19, 'those who proved nothing gave way');
  t.equal(door.enter('10.99.0.1'), 'strangers-full');
  t.end();
});

test('the places of one source are for whoever comes from there now', (t) => {
  let now = 0;
  const door = new Admission(
    limits,
    [],
    () => now,
    () => 0.999,
  );
  const other = place(door.enter('198.51.100.1'));
  other.onEvicted = () => t.fail('another source has nothing to do with it');
  for (let i = 0; i < 5; i += 1) place(door.enter('192.0.2.1'));
  t.equal(door.enter('192.0.2.1'), 'source-full');
  now = 30_000;
  for (let i = 0; i < 5; i += 1) t.type(door.enter('192.0.2.1'), 'object');
  t.equal(door.enter('192.0.2.1'), 'source-full', 'its bound stays');
  t.equal(door.strangers, 6);
  t.end();
});

test('a source is told when it is served again', (t) => {
  let now = 0;
  const door = new Admission(limits, [], () => now);
  t.equal(door.servedInSeconds('192.0.2.1'), 0);
  for (let i = 0; i < 5; i += 1) door.punish('192.0.2.1', 'login-refused');
  t.equal(door.servedInSeconds('192.0.2.1'), 10);
  now = 10_000;
  t.equal(door.servedInSeconds('192.0.2.1'), 0);
  t.type(door.enter('192.0.2.1'), 'object');
  t.end();
});
