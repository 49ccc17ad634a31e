// Limits of one connection, each tested without a connection: its identification, its key exchanges, and the proofs
// that it may ask for.
import { test } from 'tap';
import { concatBytes, wireString } from '../../server/domain/ssh-wire.ts';
import { announcement, GlobalRequests } from '../../server/edge/transport/global-requests.ts';
import { Identification, RateGate } from '../../server/edge/transport/guard.ts';
import { RekeyPolicy } from '../../server/edge/transport/rekey.ts';

test('an identification has up to 255 bytes before its end, however they arrive', (t) => {
  const line = (bytes: number): Buffer => Buffer.concat([Buffer.alloc(bytes, 'x'), Buffer.from('\n')]);
  t.ok(new Identification().take(line(255))?.equals(line(255)));
  t.throws(() => new Identification().take(line(256)), /identification too long/, 'a byte more, with its end');
  t.throws(() => new Identification().take(Buffer.alloc(256, 'x')), /identification too long/, 'and without');
  const slow = new Identification();
  for (let i = 0; i < 255; i += 1) if (slow.take(Buffer.from('x')) !== undefined) t.fail(`byte ${i}`);
  t.ok(
    slow.take(Buffer.from('\nrest'))?.equals(Buffer.concat([line(255), Buffer.from('rest')])),
    'byte by byte, and handed on as one',
  );
  t.equal(slow.take(Buffer.alloc(1000, 'x'))?.length, 1000, 'afterwards everything is handed on');
  const late = new Identification();
  late.take(Buffer.alloc(255, 'x'));
  t.throws(() => late.take(Buffer.from('x')), /identification too long/);
  t.end();
});

test('a gate lets a number pass within a period, and as many again when the period is over', async (t) => {
  const hour = new RateGate(2, 3_600_000);
  t.same([hour.pass(), hour.pass(), hour.pass()], [true, true, false]);
  const moment = new RateGate(1, 1);
  moment.pass();
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(moment.pass(), true);
});

test('when new keys are due, and when a key exchange has taken too long', async (t) => {
  const hourMs = 3_600_000;
  let maySign = true;
  const policy = new RekeyPolicy({ rekeyBytes: 1000, rekeyMs: hourMs, keyExchangeMs: hourMs }, () => maySign);
  t.same([policy.isDue(999), policy.isDue(1000)], [false, true]);
  maySign = false;
  t.equal(policy.isDue(1000), false, 'not while nobody signs');
  maySign = true;
  policy.started();
  t.equal(policy.isDue(1000), false, 'not while one runs');
  t.equal(policy.isOverdue(), false, 'it has an hour');
  policy.done(1000);
  t.same([policy.isDue(1999), policy.isDue(2000)], [false, true], 'counted from the last one');
  const short = new RekeyPolicy({ rekeyBytes: 1000, rekeyMs: 10, keyExchangeMs: 10 }, () => true);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(short.isDue(0), true, 'by time');
  t.equal(short.isOverdue(), false, 'what was not begun');
  short.started();
  await new Promise((resolve) => setTimeout(resolve, 20));
  short.started();
  t.equal(short.isOverdue(), true, 'however often it is said that it began');
  short.done(0);
  t.equal(short.isOverdue(), false);
});

const longLimits = { rekeyBytes: 2 ** 40, rekeyMs: 3_600_000, keyExchangeMs: 3_600_000 };
const MiB = 2 ** 20;

test('a client may begin key exchanges: in answer to ours, after a quarter of a MiB, and ten more a minute', (t) => {
  const policy = new RekeyPolicy(longLimits, () => true);
  const round = (bytes: number): boolean => {
    const waitMs = policy.clientWaitMs(bytes);
    policy.done(bytes);
    return waitMs !== undefined;
  };
  t.same(
    Array.from({ length: 11 }, () => round(0)),
    [...Array.from({ length: 10 }, () => true), false],
  );
  t.equal(round(MiB / 4), true, 'after a quarter of a MiB');
  t.equal(round(MiB / 2 - 1), false, 'a byte less');
  policy.started();
  t.equal(policy.clientWaitMs(2 * MiB), 0, 'in answer to ours, at once');
  t.equal(policy.clientWaitMs(2 * MiB), undefined, 'and not twice for one exchange');
  t.end();
});

test('a client that asks for keys again and again waits for each: ten at once, then one for each 64 MiB or each three seconds', (t) => {
  const policy = new RekeyPolicy(longLimits, () => true);
  let bytes = 0;
  const after = (more: number): number => {
    bytes += more;
    const waitMs = policy.clientWaitMs(bytes) ?? Number.NaN;
    policy.done(bytes);
    return waitMs;
  };
  t.same(
    Array.from({ length: 10 }, () => after(MiB)),
    Array.from({ length: 10 }, () => 0),
  );
  const waitMs = after(MiB);
  t.ok(waitMs > 1000 && waitMs <= 3000, `${waitMs} ms`);
  const [first, second] = [after(64 * MiB), after(64 * MiB)];
  t.ok(second <= first, 'who has sent so much owes nothing more for it');
  t.equal(after(1024 * MiB), 0, 'an honest client, with the limit that they all have, never waits');
  t.same(
    [after(2 ** 16 * MiB), ...Array.from({ length: 9 }, () => after(MiB))],
    Array.from({ length: 10 }, () => 0),
    'ten at once again',
  );
  t.ok(after(MiB) > 0, 'and no more than ten, however much was transferred before');
  t.end();
});

test('time that a client waits because of us is not counted as its delay', async (t) => {
  const policy = new RekeyPolicy({ ...longLimits, keyExchangeMs: 10 }, () => true);
  let waitMs: number | undefined = 0;
  for (let bytes = MiB; waitMs === 0; bytes += MiB) {
    waitMs = policy.clientWaitMs(bytes);
    if (waitMs === 0) policy.done(bytes);
  }
  t.ok((waitMs ?? 0) > 0);
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.equal(policy.isOverdue(), false);
  t.equal(policy.isDue(2 ** 41), false, 'nor do we ask meanwhile');
  t.end();
});

const hosts = ['aaaa', 'bbbb'].map((text) => Buffer.from(text).toString('base64'));
const request = (name: string, wantsReply: number, ...blobs: readonly string[]): Buffer =>
  Buffer.from(
    concatBytes([
      Uint8Array.of(80),
      wireString(name),
      Uint8Array.of(wantsReply),
      ...blobs.map((one) => wireString(Buffer.from(one, 'base64'))),
    ]),
  );

function globalRequests(prove: (keys: readonly string[]) => Promise<readonly string[]> = async (keys) => keys) {
  const seen = { sent: [] as string[], refused: [] as (string | undefined)[], proved: [] as (readonly string[])[] };
  const hex = (parts: readonly Uint8Array[]): string => Buffer.concat(parts as Uint8Array[]).toString('hex');
  const requests = new GlobalRequests({
    send: (parts) => seen.sent.push(hex(parts)),
    refuse: (answer) => seen.refused.push(answer && hex(answer)),
    prove: (keys) => {
      seen.proved.push(keys);
      return prove(keys);
    },
  });
  return { requests, seen };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('host keys are announced, and proved once for each connection', async (t) => {
  const name = 'hostkeys-prove-00@openssh.com';
  t.equal(
    Buffer.concat(announcement(hosts) as Uint8Array[]).toString('latin1'),
    '\x50\0\0\0\x17hostkeys-00@openssh.com\0\0\0\0\x04aaaa\0\0\0\x04bbbb',
  );
  const { requests, seen } = globalRequests();
  requests.take(request(name, 1, ...hosts));
  await turn();
  t.same(seen, { sent: ['51000000046161616100000004' + '62626262'], refused: [], proved: [hosts] });
  requests.take(request(name, 1, ...hosts));
  await turn();
  t.same(seen.refused, ['52'], 'a second time is refused');
  t.equal(seen.proved.length, 1, 'and costs nobody a signature');

  const failing = globalRequests(() => Promise.reject(new Error('away')));
  failing.requests.take(request(name, 1, ...hosts));
  await turn();
  t.same(failing.seen.sent, ['52'], 'what cannot be proved is told');
});

test('every other global request is refused, and answered when it wants an answer', (t) => {
  const { requests, seen } = globalRequests();
  requests.take(request('tcpip-forward', 1));
  requests.take(request('keepalive@openssh.com', 0));
  requests.take(request('hostkeys-prove-00@openssh.com', 1));
  t.same(seen, { sent: [], refused: ['52', undefined, '52'], proved: [] });
  const many = (count: number): Buffer =>
    request('hostkeys-prove-00@openssh.com', 1, ...Array.from({ length: count }, () => hosts[0] ?? ''));
  t.doesNotThrow(() => globalRequests().requests.take(many(16)));
  t.throws(() => globalRequests().requests.take(many(17)), /too many host keys/);
  t.end();
});
