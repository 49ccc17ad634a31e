// The life of credentials, through the real command line and the real clients: each refusal with its allowed twin.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'tap';
import { connect } from '../../admin-cli/connection/client.ts';
import { makeKey, type SshRun, sftpLines } from '../support/ssh.ts';
import { sshLogin } from '../support/ssh-login.ts';
import { startWorld, type World } from '../support/world.ts';

type Credential = {
  readonly fingerprint: string;
  readonly state: string;
  readonly account: string;
  readonly lastUsedFrom: string | null;
};
const batch = (world: World, account = 'acme-batch'): SshRun => ({ account, keyFile: world.keyFile(account) });

type Asserts = {
  equal(found: unknown, wanted: unknown, message: string): boolean;
  match(found: unknown, wanted: RegExp, message: string): boolean;
};

function tools(t: Asserts, world: World) {
  const ok = async (...args: readonly string[]): Promise<string> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, 0, `cofferctl ${args.slice(0, 3).join(' ')}: ${done.err}`);
    return done.out;
  };
  const refused = async (code: number, words: RegExp, ...args: readonly string[]): Promise<void> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, code, `cofferctl ${args.slice(0, 3).join(' ')} is refused`);
    t.match(done.err, words, 'in words');
  };
  /** Without --execute. */
  const planned = async (...args: readonly string[]): Promise<string> => {
    const done = await world.cofferctlAlone(args);
    t.equal(done.code, 0, `cofferctl ${args.slice(0, 3).join(' ')}: ${done.err}`);
    return done.out;
  };
  const credentials = async (account: string): Promise<readonly Credential[]> =>
    (await world.cofferctlJson<{ credentials: readonly Credential[] }>(['credential', 'list', '--account', account]))
      .credentials;
  const opens = async (run: SshRun): Promise<boolean> => (await sftpLines(world, run, ['pwd'])).code === 0;
  return { ok, planned, refused, credentials, opens };
}

test('passwords: a person logs in with the code, a machine with its key and from its networks', async (t) => {
  const world = await startWorld(t);
  const { credentials, ok, planned, refused, opens } = tools(t, world);
  const file = join(world.directory, 'secret');
  await refused(2, /terminal only/, 'password', 'issue', 'globex');
  await ok('password', 'issue', 'globex', '--out', file);
  t.equal(statSync(file).mode & 0o777, 0o600);
  const password = readFileSync(file, 'utf8').trim();
  const wrong = `${password.slice(0, -4)}aaaa`;
  t.ok(await opens({ account: 'globex', password, code: await world.code('globex') }), 'password, then code');
  t.notOk(await opens({ account: 'globex', password, code: '000000' }), 'not with a wrong code');
  t.notOk(
    await opens({ account: 'globex', password: wrong, code: await world.code('globex') }),
    'not with a wrong password',
  );
  t.notOk(await opens({ account: 'acme', password, code: await world.code('acme') }), "nor with somebody else's");
  t.notOk(
    await opens({ account: 'globex', keyFile: world.keyFile('globex'), password, methods: 'publickey,password' }),
    'key and password are not enough for a person',
  );

  await ok('window', 'close', 'acme-batch');
  await refused(5, /needs source networks/, 'password', 'issue', 'acme-batch', '--out', `${file}-2`);
  t.throws(() => statSync(`${file}-2`), 'and leaves no file');
  await ok('account', 'set', 'acme-batch', '--networks', '127.0.0.0/30', '--reason', 'test');
  await ok('password', 'issue', 'acme-batch', '--out', `${file}-2`);
  const second = readFileSync(`${file}-2`, 'utf8').trim();
  // One that is never noted as used becomes dormant, and locks a machine out that uses it every day.
  const usedFrom = async (): Promise<readonly (string | null)[]> =>
    (await credentials('acme-batch')).filter((one) => one.state === 'active').map((one) => one.lastUsedFrom);
  t.same(await usedFrom(), [null, null], 'neither was used so far');
  t.ok(await opens({ ...batch(world), password: second, from: '127.0.0.2' }), 'key, then password');
  t.same(await usedFrom(), ['127.0.0.2', '127.0.0.2'], 'each of the two is noted as used');
  t.ok(await opens({ ...batch(world), password: second, methods: 'password,publickey' }), 'or the other way round');
  t.same(await usedFrom(), ['127.0.0.1', '127.0.0.1']);
  t.notOk(await opens(batch(world)), 'the key alone opens nothing');
  t.notOk(await opens({ account: 'acme-batch', password: second }), 'nor does the password alone');
  t.notOk(await opens({ ...batch(world), password: second, from: '127.0.0.9' }), 'nor both from elsewhere');
  await refused(
    5,
    /revoke the password first/,
    'account',
    'set',
    'acme-batch',
    '--networks',
    'any',
    '--reason',
    'test',
  );
  const name = `password:${second.slice(0, 8)}`;
  t.match(await ok('credential', 'show', name), /credential\.added/);
  t.match(await planned('credential', 'revoke', '--credential', name, '--reason', 'test'), /Nothing was done/);
  t.ok(await opens({ ...batch(world), password: second }), 'a plan does nothing');
  t.match(
    await ok('credential', 'revoke', '--credential', name, '--reason', 'test', '--execute'),
    /1 credentials revoked/,
  );
  t.notOk(await opens({ ...batch(world), password: second }), 'a revoked password opens nothing');

  await ok('customer', 'policy', 'globex', '--allow', 'key+code', '--reason', 'their rule');
  t.notOk(
    await opens({ account: 'globex', password, code: await world.code('globex') }),
    'a stricter customer: no passwords',
  );
  t.notOk(await opens(batch(world, 'globex-batch')), 'and no windows');
  await ok('customer', 'policy', 'globex', '--allow', 'all', '--reason', 'test');
  t.ok(await opens(batch(world, 'globex-batch')), 'all that the gateway has, and no more');
  await refused(
    2,
    /wrong form|parameters|Invalid/,
    'customer',
    'policy',
    'globex',
    '--allow',
    'nothing-at-all',
    '--reason',
    'x',
  );
  t.notMatch(world.log, new RegExp(`${password}|${second}`), 'no password is in a log');
});

test('the state of an account: lock, end, networks, read-only; open sessions follow it', async (t) => {
  const world = await startWorld(t);
  const { ok, refused, opens } = tools(t, world);
  const privateKey = readFileSync(world.keyFile('acme-batch'), 'utf8');
  const open = () =>
    sshLogin({ port: world.demo.partner.port, username: 'acme-batch', privateKey, answer: () => '', keepOpen: true });
  const first = await open();
  t.match(await ok('account', 'lock', 'acme-batch', '--reason', 'test'), /1 sessions ended/);
  await first.closed;
  t.notOk(await opens(batch(world)), 'locked');
  await refused(5, /locked already/, 'account', 'lock', 'acme-batch', '--reason', 'test');
  await ok('account', 'unlock', 'acme-batch', '--reason', 'test');
  t.ok(await opens(batch(world)), 'unlocked');
  await ok('account', 'expire', 'acme-batch', '--days', '0', '--reason', 'test');
  t.notOk(await opens(batch(world)), 'expired');
  await ok('account', 'expire', 'acme-batch', '--days', 'never', '--reason', 'test');
  t.ok(await opens(batch(world)));
  await ok('account', 'set', 'acme-batch', '--networks', '192.0.2.0/24,127.0.0.5', '--reason', 'test');
  t.notOk(await opens(batch(world)), 'from elsewhere');
  t.ok(await opens({ ...batch(world), from: '127.0.0.5' }), 'from its network');
  await ok('account', 'set', 'acme-batch', '--networks', 'any', '--read-only', 'yes', '--reason', 'test');
  const local = join(world.directory, 'x');
  writeFileSync(local, 'x');
  t.not((await sftpLines(world, batch(world), [`put ${local} deposit/x`])).code, 0, 'read-only');
  await ok('account', 'set', 'acme-batch', '--read-only', 'no', '--reason', 'test');
  t.equal((await sftpLines(world, batch(world), [`put ${local} deposit/x`])).code, 0);

  const narrow = makeKey(world, 'narrow');
  await ok('key', 'add', 'acme-batch', '--file', `${narrow.file}.pub`, '--read-only', 'yes', '--networks', '127.0.0.6');
  const withNarrow = { account: 'acme-batch', keyFile: narrow.file };
  t.notOk(await opens(withNarrow), "a key's own networks");
  t.not(
    (await sftpLines(world, { ...withNarrow, from: '127.0.0.6' }, [`put ${local} deposit/y`])).code,
    0,
    'and its own read-only hold',
  );
  t.ok(await opens({ ...withNarrow, from: '127.0.0.6' }));
  await refused(5, /is or was registered/, 'key', 'add', 'globex-batch', '--file', `${narrow.file}.pub`);

  await ok('window', 'close', 'acme-batch');
  t.notOk(await opens(batch(world)));
  await refused(
    2,
    /days and times/,
    'window',
    'open',
    'acme-batch',
    '--standing',
    'always',
    '--name',
    'n',
    '--days',
    '5',
    '--reason',
    'x',
  );
  await refused(
    2,
    /no time zone/,
    'window',
    'open',
    'acme-batch',
    '--standing',
    'mo 01:00-02:00 Nowhere/Land',
    '--name',
    'n',
    '--days',
    '5',
    '--reason',
    'x',
  );
  await refused(
    2,
    /wrong form|parameters|Invalid|at most/,
    'window',
    'open',
    'acme-batch',
    '--standing',
    'mo 01:00-02:00',
    '--name',
    'n',
    '--days',
    '91',
    '--reason',
    'x',
  );
  const now = new Date();
  const hour = (offset: number): string => `${String((now.getUTCHours() + offset + 24) % 24).padStart(2, '0')}:00`;
  await ok(
    'window',
    'open',
    'acme-batch',
    '--standing',
    `mo-su ${hour(2)}-${hour(4)}`,
    '--name',
    'later',
    '--days',
    '30',
    '--reason',
    'test',
  );
  t.notOk(await opens(batch(world)), 'a standing window that is not open now');
  await ok(
    'window',
    'open',
    'acme-batch',
    '--standing',
    `mo-su ${hour(-1)}-${hour(2)} UTC`,
    '--name',
    'nightly',
    '--days',
    '30',
    '--reason',
    'no store for a code',
  );
  const inWindow = await open();
  t.ok(inWindow.isOpen, 'one that is');
  t.match(await ok('report', 'exceptions'), /acme-batch +later[\s\S]*acme-batch +nightly/);
  t.match(
    await ok('window', 'close', 'acme-batch', '--name', 'nightly'),
    /1 open windows of acme-batch closed; 1 sessions ended/,
  );
  await inWindow.closed;
  t.notOk(await opens(batch(world)));
  t.notMatch(await ok('report', 'exceptions'), /nightly/);
});

test('rotation: both keys are good, the move is recorded, it is undone, it is finished; bulk revocation', async (t) => {
  const world = await startWorld(t);
  const { ok, planned, refused, credentials, opens } = tools(t, world);
  const accounts = ['acme-batch', 'acme-2-batch', 'globex-batch'] as const;
  const next = Object.fromEntries(accounts.map((name) => [name, makeKey(world, `new-${name}`)])) as Record<
    string,
    ReturnType<typeof makeKey>
  >;
  const withNew = (name: string): SshRun => ({ account: name, keyFile: next[name]?.file ?? '' });
  const keys = join(world.directory, 'keys.txt');
  writeFileSync(
    keys,
    `# new keys\n${accounts
      .slice(0, 2)
      .map((name) => `${name} ${next[name]?.publicLine}`)
      .join('\n')}\n`,
  );
  const future = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  const choice = ['--account', 'acme-batch'];
  await refused(2, /name whom it concerns/, 'credential', 'rotate');
  const plan = await planned('credential', 'rotate', '--stale-before', future, '--keys', keys);
  t.match(plan, /would be retired 14 days from now/);
  t.match(plan, /no new key is given for [^\n]*globex-batch/);
  t.match(plan, /Nothing was done/);
  t.match(await ok('rotation', 'list'), /no rotations/);

  const done = await world.cofferctl([
    'credential',
    'rotate',
    ...choice,
    '--keys',
    keys,
    '--overlap',
    '7',
    '--reason',
    'test',
    '--execute',
  ]);
  t.match(
    done.out,
    /1 old keys retire after the overlap, 0 new keys registered\nnew keys wait for a second operator[\s\S]*staged 1\nrefused .*this account has no key in this rotation[^}]*acme-2-batch/,
  );
  const id = /^rotation ([0-9a-f-]{36}):/m.exec(done.out)?.[1] ?? '';
  const resumed = await world.cofferctl(['credential', 'rotate', '--resume', id, '--keys', keys, '--execute']);
  t.match(resumed.out, /0 old keys retire after the overlap[\s\S]*staged 0\n/, 'once more changes nothing');
  t.ok(await opens(batch(world)), 'the old key is good');
  t.match(await ok('rotation', 'show', id), /not moved/);
  const counted = await world.cofferctlJson<{ keys: number }>(['credential', 'rotate', '--resume', id, '--execute']);
  t.equal(counted.keys, 1, 'a resumed run says how many keys the rotation has');
  for (const [option, value] of [
    ['customer', 'acme'],
    ['stale-before', '2026-01-01'],
    ['overlap', '3'],
  ] as const) {
    const both = await world.cofferctl(['credential', 'rotate', '--resume', id, `--${option}`, value, '--execute']);
    t.equal(both.code, 2, `--resume with --${option} is refused`);
    t.match(both.err, `leave out --${option}`, 'and says which option is of no use');
  }
  t.ok(await opens(withNew('acme-batch')), 'so is the new one');
  t.match(await ok('rotation', 'show', id), /moved \d{4}-/, 'whose first use is the move');
  t.same(
    (await credentials('acme-batch')).map((one) => one.state),
    ['retiring', 'active'],
  );
  t.match(await ok('rotation', 'undo', id, '--reason', 'test'), /restored 1/);
  t.same(
    (await credentials('acme-batch')).map((one) => one.state),
    ['active', 'active'],
    'undone: both stay',
  );
  await refused(5, /was undone/, 'rotation', 'finish', id, '--now', '--reason', 'test');

  // The second key is refused when the first one is already written: everything that was planned is undone, and then
  // carried out.
  const mixed = join(world.directory, 'mixed.txt');
  const taken = readFileSync(`${world.keyFile('globex')}.pub`, 'utf8').trim();
  writeFileSync(mixed, `acme-2-batch ${next['acme-2-batch']?.publicLine}\nacme-2 ${taken}\n`);
  const again = await world.cofferctlJson<{ rotation: string }>([
    'credential',
    'rotate',
    '--customer',
    'acme-2',
    '--keys',
    mixed,
    '--reason',
    'test',
    '--execute',
  ]);
  t.same(
    (await credentials('acme-2-batch')).map((one) => one.state),
    ['retiring', 'active'],
    'one new key, and the old one',
  );
  await delay(1000);
  t.match(
    await ok('status'),
    /everything serves/,
    'nobody misses an entry of a plan, and no row is one that the warden did not write',
  );
  await refused(5, /nobody who moved/, 'rotation', 'finish', again.rotation, '--now', '--reason', 'test');
  t.ok(await opens(withNew('acme-2-batch')));
  const held = await sshLogin({
    port: world.demo.partner.port,
    username: 'acme-2-batch',
    privateKey: readFileSync(world.keyFile('acme-2-batch'), 'utf8'),
    answer: () => '',
    keepOpen: true,
  });
  t.ok(held.isOpen);
  t.match(
    await ok('rotation', 'finish', again.rotation, '--now', '--reason', 'test'),
    /1 old keys retired, 1 sessions ended/,
  );
  await held.closed;
  t.notOk(await opens(batch(world, 'acme-2-batch')), 'the old key has retired');
  t.ok(await opens(withNew('acme-2-batch')));
  t.match(await ok('rotation', 'show', again.rotation, '--laggards'), /acme-2 /, 'the person has not moved');
  t.match(await ok('credential', 'list', '--account', 'acme-2'), /retiring/);

  const operator = await connect({
    directory: join(world.directory, 'operators', 'alice'),
    socket: join(world.directory, 'run', 'admin', 'admin.sock'),
  });
  const begun = await operator.call('rotation.start', {
    selection: { account: 'globex' },
    overlapDays: 3,
    reason: 'interrupted at once',
  });
  operator.close();
  t.match(await ok('credential', 'list', '--account', 'globex'), / active /, 'planned, and nothing has happened');
  t.match(
    await ok('credential', 'rotate', '--resume', begun.rotation, '--execute'),
    /1 old keys retire after the overlap/,
    'an interrupted run goes on',
  );
  const [old] = await credentials('globex');
  await ok('key', 'suspend', old?.fingerprint ?? '', '--reason', 'test');
  await ok('key', 'resume', old?.fingerprint ?? '', '--reason', 'test');
  t.equal((await credentials('globex'))[0]?.state, 'retiring', 'suspended and resumed, it still retires');
  await ok('rotation', 'undo', begun.rotation, '--reason', 'test');
  t.equal((await credentials('globex'))[0]?.state, 'active');

  const usedFrom = (await credentials('globex-batch'))[0];
  t.equal(usedFrom?.lastUsedFrom, null, 'never used');
  t.ok(await opens({ ...batch(world, 'globex-batch'), from: '127.0.0.7' }));
  t.equal((await credentials('globex-batch'))[0]?.lastUsedFrom, '127.0.0.7');
  const emergency = ['credential', 'revoke', '--used-from', '127.0.0.7/32', '--reason', 'stolen'];
  const shown = await planned(...emergency);
  t.match(shown, /1 credentials of 1 accounts would be revoked/);
  t.match(shown, /1 accounts would be left without any usable credential/);
  t.match(await ok(...emergency, '--execute'), /1 credentials revoked/);
  t.notOk(await opens(batch(world, 'globex-batch')));
  await refused(3, /no credential matches/, ...emergency, '--execute');
  const first = (await credentials('acme-batch'))[0]?.fingerprint ?? '';
  t.match(await ok('key', 'retire', first, '--now', '--reason', 'test'), /sessions ended/);
  t.notOk(await opens(batch(world)));
  await refused(5, /is or was registered/, 'key', 'add', 'acme-batch', '--file', `${world.keyFile('acme-batch')}.pub`);
  t.match(await ok('credential', 'show', first), /ended +\d{4}-.* by alice: test/);
  t.ok(await opens(withNew('acme-batch')));
  t.match(await ok('customer', 'show', 'acme'), /acme-batch/);
});

test('age: retiring keys end, expiring ones are announced, unused ones are dormant until they are woken', async (t) => {
  // A day lasts two seconds, so that one can watch what normally takes months.
  const ages = { dayMs: 2000, lifeDays: 300, dormantDays: 4, warnDays: 3, overlapDays: 2 };
  const world = await startWorld(t, { env: { COFFERDAM_CREDENTIALS: JSON.stringify(ages) } });
  const { ok, credentials, opens } = tools(t, world);
  await ok('account', 'set', 'acme-batch', '--networks', '127.0.0.1', '--reason', 'test');
  const secret = join(world.directory, 'password');
  await ok('password', 'issue', 'acme-batch', '--out', secret);
  const password = readFileSync(secret, 'utf8').trim();
  const [first] = await credentials('acme-batch');
  await new Promise((resolve) => setTimeout(resolve, 9000));
  t.notOk(await opens({ ...batch(world), password }), 'unused for four days: dormant');
  t.match(await ok('credential', 'stale'), /acme-batch[\s\S]*dormant/);
  const name = `password:${password.slice(0, 8)}`;
  for (const one of [first?.fingerprint ?? '', name]) await ok('credential', 'wake', one, '--reason', 'test');
  t.ok(await opens({ ...batch(world), password }), 'woken');
  const next = makeKey(world, 'next');
  await ok(
    'key',
    'add',
    'acme-batch',
    '--file',
    `${next.file}.pub`,
    '--replaces',
    first?.fingerprint ?? '',
    '--days',
    '3',
  );
  t.equal(
    (await credentials('acme-batch')).find((one) => one.fingerprint === first?.fingerprint)?.state,
    'active',
    'the overlap begins with the first use',
  );
  t.ok(await opens({ account: 'acme-batch', keyFile: next.file, password }));
  t.equal((await credentials('acme-batch')).find((one) => one.fingerprint === first?.fingerprint)?.state, 'retiring');
  t.ok(await opens({ ...batch(world), password }), 'in the overlap');
  await new Promise((resolve) => setTimeout(resolve, 5500));
  t.notOk(await opens({ ...batch(world), password }), 'after it');
  t.equal((await credentials('acme-batch')).find((one) => one.fingerprint === first?.fingerprint)?.state, 'revoked');
  t.match(
    (await ok('alert', 'list')).replaceAll('\n', ' '),
    /of acme-batch ends on/,
    'and its contact was told before the new one ends',
  );
});
