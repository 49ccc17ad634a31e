// Budgets of a running gateway: what a client is told of a cap, what an operator sees and changes, consequences, a full
// disk.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { refusal, SftpClient } from '../support/sftp-client.ts';
import { startWorld, type World } from '../support/world.ts';

const MiB = 1024 ** 2;
const caps = (value: number): object => ({ hour: value, day: value, week: value });

async function client(world: World, name: string): Promise<SftpClient> {
  const { plane, totpSecret } = world.account(name);
  return SftpClient.connect({
    port: (plane === 'internal' ? world.demo.internal : world.demo.partner).port,
    username: name,
    privateKey: readFileSync(world.keyFile(name), 'utf8'),
    ...(totpSecret === null ? {} : { code: await world.code(name) }),
  });
}

function put(world: World, name: string, bytes: number): string {
  const path = join(world.directory, name);
  writeFileSync(path, randomBytes(bytes));
  return path;
}

type Alerts = {
  readonly alerts: readonly { kind: string; text: string; nextCommand: string; severity: string; count: number }[];
};
type Keys = { readonly credentials: readonly { account: string; fingerprint: string; state: string }[] };
const fingerprintOf = async (world: World, account: string): Promise<string> =>
  (await world.cofferctlJson<Keys>(['credential', 'list', '--account', account])).credentials[0]?.fingerprint ?? '';

test('a cap refuses with words for people and codes for programs, and with an alert; the operator sees and changes it', async (t) => {
  const world = await startWorld(t, {
    env: {
      COFFERDAM_BUDGETS: JSON.stringify({
        account: { out: { bytes: { hour: 3 * MiB, day: 8 * MiB, week: 20 * MiB } } },
      }),
    },
  });
  const mib = put(world, 'mib', MiB);
  /** Size and available space, in KiB, as `df` prints them. */
  const df = async (name: string, path: string): Promise<readonly number[]> => {
    const { out } = await world.sftp(name, [`df ${path}`]);
    const [size = 0, , available = 0] = (/^\s*(\d+)\s+(\d+)\s+(\d+)\s+\d+\s+\d+%/m.exec(out) ?? [out])
      .slice(1)
      .map(Number);
    return [size, available];
  };
  const whole = await df('acme-batch', 'deposit');
  t.ok((whole[0] ?? 0) >= MiB, `df tells a bank its cap: ${whole}`);
  t.same(whole[0], whole[1], 'of which all is left');
  t.equal((await world.sftp('acme-batch', [`put ${mib} deposit/df`])).code, 0);
  t.same(await df('acme-batch', 'deposit'), [whole[0], (whole[0] ?? 0) - 1024], 'and after a MiB a MiB less');
  t.match(await df('acme-batch', 'collect'), [whole[0], 0], 'nothing where it only reads');
  t.not((await world.sftp('acme-batch', ['df nowhere'])).code, 0, 'and no answer about what is not there');
  const delivered = await world.sftp(
    'processor',
    Array.from({ length: 10 }, (_, i) => `put ${mib} acme/collect/f${i}`),
  );
  t.equal(delivered.code, 0, delivered.err);
  const fetch = async (name: string, count: number): Promise<readonly (string | null)[]> => {
    const sftp = await client(world, name);
    const results: (string | null)[] = [];
    for (let i = 0; i < count; i += 1)
      results.push(
        await refusal(
          (async () => {
            const handle = await sftp.open(`collect/f${i}`);
            for (let at = 0; at < MiB; at += 262_144)
              if ((await sftp.read(handle, at, 262_144)).length !== 262_144) throw new Error('short');
            await sftp.close(handle);
          })(),
        ),
      );
    sftp.end();
    return results;
  };
  const person = await fetch('acme', 5);
  t.same(person.slice(0, 3), [null, null, null], 'three files of a MiB fit');
  t.match(
    person[3],
    /^hourly limit of 3 MiB reached; more at \d{4}-\d\d-\d\d \d\d:\d\d UTC \[COFFERDAM-BUDGET-HOUR-BYTES-OUT\]$/,
    'the fourth is refused in words',
  );
  const machine = await fetch('acme-batch', 4);
  t.same(machine.slice(0, 3), [null, null, null], 'the machine has a budget of its own');
  t.match(
    machine[3],
    /^COFFERDAM-BUDGET-HOUR-BYTES-OUT: hourly limit of 3 MiB reached; more at \d{4}-\d\d-\d\d \d\d:\d\d UTC$/,
    'and reads a code',
  );
  t.same(
    (await fetch('acme', 3)).filter((one) => one !== null),
    [],
    'what was paid for can be read again',
  );
  const again = await world.sftp('acme-batch', [`get collect/f9 ${join(world.directory, 'none')}`]);
  t.equal(again.code, 1, "OpenSSH's client fails too");
  t.match(
    again.err,
    /^COFFERDAM-BUDGET-HOUR-BYTES-OUT: hourly limit of 3 MiB reached; more at \d{4}-\d\d-\d\d \d\d:\d\d UTC$/m,
    'and shows why, which it learns beside the status',
  );

  const { alerts } = await world.cofferctlJson<Alerts>(['alert', 'list']);
  t.match(alerts[0], {
    kind: 'budget.refused',
    severity: 'warning',
    nextCommand: /^cofferctl budget show --account acme(-batch)?$/,
  });
  t.ok(
    alerts.some((one) =>
      /^acme-batch \(customer acme\) met the hour cap of 3 MiB out of its account acme-batch: refused$/.test(one.text),
    ),
    'the facts are in it',
  );
  t.ok(await world.logged(/COFFERDAM|budget\.refused/), 'the log sink wrote it');
  t.match((await world.cofferctl(['alert', 'list'])).out, /next: cofferctl budget show/);

  const shown = await world.cofferctl(['budget', 'show', '--account', 'acme-batch']);
  t.match(shown.out, /out\s+hour\s+█{20} 100 % {2}3 MiB of 3 MiB/, shown.out);
  t.match(shown.out, /rate 512 MiB\/s; sessions 0 of 16/);
  const history = await world.cofferctl(['budget', 'history', '--account', 'acme-batch', '--window', 'hour']);
  t.match(history.out, /^acme-batch on acme: 3 MiB out of 3 MiB in the last hour/, history.out);
  t.match(history.out, /3 MiB ┤╌{60} cap\n[\s\S]*█[\s\S]*└─{60}/);
  t.match(
    (await world.cofferctl(['budget', 'show'])).out,
    /gateway gateway[\s\S]*plane partner plane[\s\S]*customer acme/,
  );
  type Exposure = {
    readonly customers: readonly { files: number; bytes: number; room: readonly { window: string; bytes: number }[] }[];
  };
  const fingerprint = await fingerprintOf(world, 'acme-batch');
  const exposed = await world.cofferctlJson<Exposure>(['exposure', '--credential', fingerprint]);
  t.match(exposed.customers[0], { files: 10, bytes: 10 * MiB, paidBytes: 3 * MiB });
  t.same(
    exposed.customers[0]?.room.map((one) => one.bytes),
    [0, 5 * MiB, 17 * MiB],
    'nothing more this hour, 5 MiB today',
  );
  t.match(
    (await world.cofferctl(['exposure', '--credential', fingerprint])).out,
    /acme\s+10\s+10 MiB\s+3 MiB in 10 files\s+8 MiB in 10 files/,
  );

  const tighten = await world.cofferctl([
    'budget',
    'tighten',
    '--account',
    'acme',
    '--bytes-hour',
    '4MiB',
    '--reason',
    'x',
    '--operator',
    'carol',
  ]);
  t.match([tighten.code, tighten.err], [4, /would widen bytes per hour/], 'tightening does not widen');
  const widen = await world.cofferctl([
    'budget',
    'set',
    '--account',
    'acme-batch',
    '--bytes-hour',
    '5MiB',
    '--headroom',
    '40',
    '--reason',
    'month end',
  ]);
  t.match([widen.code, widen.out], [0, /changed 1\nwidened \["bytes per hour","headroom"\]/], widen.err);
  t.same(
    (await fetch('acme-batch', 6)).map((one) => one === null),
    [true, true, true, true, true, false],
    'five fit now',
  );
  const released = await world.cofferctl([
    'budget',
    'release',
    '--account',
    'acme-batch',
    '--hours',
    '2',
    '--reason',
    'statement run',
  ]);
  t.match([released.code, released.out], [0, /headroom of 40 % is released until/], released.err);
  t.same(
    (await fetch('acme-batch', 8)).map((one) => one === null),
    [true, true, true, true, true, true, true, false],
    'seven fit now',
  );
  const twice = await world.cofferctl(['budget', 'release', '--account', 'acme-batch', '--reason', 'again']);
  t.match([twice.code, twice.err], [5, /released before/], 'once');
  const loud = (await world.cofferctlJson<Alerts>(['alert', 'list'])).alerts.find(
    (one) => one.kind === 'budget.headroom-released',
  );
  t.match(loud, {
    severity: 'critical',
    text: /alice released 40 % headroom of account acme-batch until .*: statement run/,
  });
  for (const wrong of [
    ['budget', 'show', '--account', 'nobody'],
    ['budget', 'show', '--account', 'acme', '--gateway'],
    ['budget', 'set', '--reason', 'x', '--bytes-day', '1'],
    ['budget', 'set', '--customer', 'acme', '--reason', 'x'],
    ['budget', 'set', '--customer', 'acme', '--bytes-day', '12 parsec', '--reason', 'x'],
    ['budget', 'set', '--customer', 'acme', '--ceiling', '200', '--reason', 'x'],
    ['budget', 'history', '--account', 'processor'],
    ['exposure', '--credential', 'SHA256:nothing'],
  ]) {
    const done = await world.cofferctl(wrong);
    t.match([done.code, done.err.length > 20], [/^[23]$/, true], `${wrong.join(' ')}: ${done.err.trim()}`);
  }
});

test('what is stored, listed and opened has caps, too; a consequence ends or suspends, but never the only key', async (t) => {
  const world = await startWorld(t, {
    env: {
      COFFERDAM_BUDGETS: JSON.stringify({
        account: { in: { bytes: caps(3 * MiB), files: caps(4) }, list: { names: caps(30) }, sessions: 2 },
      }),
    },
  });
  const mib = put(world, 'mib', MiB);
  const first = await world.sftp('acme-batch', [
    `put ${mib} deposit/a`,
    `put ${mib} deposit/b`,
    `put ${mib} deposit/c`,
  ]);
  t.equal(first.code, 0, first.err);
  const fourth = await world.sftp('acme-batch', [`put ${mib} deposit/d`]);
  t.equal(fourth.code, 1, 'no more bytes');
  const sftp = await client(world, 'acme-batch');
  t.match(
    await refusal(sftp.open('deposit/e', 'w')),
    /^COFFERDAM-BUDGET-WEEK-FILES-IN: weekly limit of /,
    'no more files: refused before it starts',
  );
  const files = await world.cofferctlJson<{ files: readonly { path: string; state: string }[] }>([
    'file',
    'list',
    'acme',
  ]);
  t.same(
    files.files
      .filter((one) => one.state === 'published')
      .map((one) => one.path)
      .sort(),
    ['/deposit/a', '/deposit/b', '/deposit/c'],
    'what was acknowledged is there, what was refused is not',
  );

  const lists: (string | null)[] = [];
  for (let i = 0; i < 9; i += 1) lists.push(await refusal(sftp.list('deposit')));
  t.same(
    lists.filter((one) => one !== null),
    [],
    'the same names are paid for once',
  );
  const tried: (string | null)[] = [];
  for (let i = 0; i < 30; i += 1) tried.push(await refusal(sftp.open(`collect/absent-${i}`, 'r')));
  t.match(tried[0], /no such file/, 'tried while there were names left');
  t.match(tried.at(-1), /^COFFERDAM-BUDGET-WEEK-NAMES-LIST: weekly limit of /);
  t.equal(await refusal(sftp.list('deposit')), null, 'what was paid for is still told');

  const second = await client(world, 'acme-batch');
  t.match(
    await refusal(client(world, 'acme-batch')),
    /too many sessions|closed|ECONNRESET/,
    'a third session is refused',
  );
  second.end();
  await second.closed;
  const free = async (): Promise<boolean> =>
    (await world.cofferctlJson<{ sessions: readonly unknown[] }>(['session', 'list'])).sessions.length < 2;
  for (let i = 0; i < 50 && !(await free()); i += 1) await new Promise((resolve) => setTimeout(resolve, 100));
  const third = await client(world, 'acme-batch');
  t.pass('and let in when there is room');
  third.end();
  sftp.end();

  const spared = await world.cofferctl([
    'budget',
    'tighten',
    '--account',
    'globex-batch',
    '--bytes-day',
    '1',
    '--consequence',
    'suspend',
    '--reason',
    'test',
  ]);
  t.equal(spared.code, 0, spared.err);
  t.equal((await world.sftp('processor', [`put ${mib} globex/collect/f`])).code, 0);
  const taker = await client(world, 'globex-batch');
  const handle = await taker.open('collect/f');
  t.match(await refusal(taker.read(handle, 0, 1000)), /^COFFERDAM-BUDGET-(DAY|WEEK)-BYTES-OUT: /);
  await taker.closed;
  const keys = async (account: string): Promise<string | undefined> =>
    (await world.cofferctlJson<Keys>(['credential', 'list', '--account', account])).credentials[0]?.state;
  t.equal(await keys('globex-batch'), 'suspended', 'globex has another key: this one is suspended, its sessions ended');
  t.not((await world.sftp('globex-batch', ['ls'])).code, 0, 'and no longer opens anything');
  await world.cofferctl([
    'budget',
    'tighten',
    '--account',
    'globex',
    '--bytes-day',
    '1',
    '--consequence',
    'suspend',
    '--reason',
    'test',
  ]);
  const person = await client(world, 'globex');
  const theirs = await person.open('collect/f');
  t.match(
    await refusal(person.read(theirs, 0, 1000)),
    /^daily limit of 1 B reached; this file is larger than the limit allows \[COFFERDAM-BUDGET-DAY-BYTES-OUT\]$/,
  );
  await person.closed;
  t.equal(await keys('globex'), 'active', 'the only usable key of a customer is never suspended by itself');
  t.match(
    (await world.cofferctlJson<Alerts>(['alert', 'list'])).alerts.map((one) => one.text).join('\n'),
    /only credential of this customer and stays usable: suspend it yourself if that is needed/,
    'somebody is asked to decide',
  );
  const fingerprint = await fingerprintOf(world, 'globex-batch');
  const resumed = await world.cofferctl(['key', 'resume', fingerprint, '--reason', 'seen with the bank']);
  t.equal(resumed.code, 0, resumed.err);
  t.equal((await world.sftp('globex-batch', ['ls'])).code, 0, 'an operator lets it in again');
});

test('without free space an upload is refused before it starts, and the reason is told', async (t) => {
  const world = await startWorld(t, { limits: { freeSpaceFloorBytes: 2 ** 50 } });
  const sftp = await client(world, 'acme-batch');
  t.match(await refusal(sftp.open('deposit/x', 'w')), /no space for new files at the moment; nothing was stored/);
  t.match((await world.cofferctl(['doctor'])).out, /fault\s+disk: \d+ GiB free for the store: uploads are refused/);
  sftp.end();
});
