// Rights on folders and rules of folders, as operators set them: a new bank that our own side may read, folders with
// rules of their own, and what open sessions may do afterwards.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { sshLogin } from '../support/ssh-login.ts';
import { startWorld } from '../support/world.ts';

const reason = ['--reason', 'test'];
type Shown = {
  readonly rights: readonly { readonly customer: string; readonly folder: string; readonly verbs: readonly string[] }[];
};

test('rights are given and taken by customer and folder', async (t) => {
  const world = await startWorld(t);
  const place = (name: string): string => join(world.directory, name);
  const ok = async (...args: readonly string[]): Promise<string> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, 0, `${args.join(' ')}: ${done.err}`);
    return done.out;
  };
  const set = (give: string): ReturnType<typeof world.cofferctl> =>
    world.cofferctl(['account', 'set', 'processor', '--give', give, ...reason]);
  const verbsOf = async (customer: string): Promise<Readonly<Record<string, readonly string[]>>> => {
    const { rights } = await world.cofferctlJson<Shown>(['account', 'show', 'processor']);
    return Object.fromEntries(rights.filter((one) => one.customer === customer).map((one) => [one.folder, one.verbs]));
  };
  const reads = async (customer: string): Promise<boolean> =>
    (await world.sftp('processor', [`ls ${customer}/deposit`])).code === 0;

  await ok('customer', 'create', 'northbank', ...reason);
  t.same(await verbsOf('northbank'), {}, 'a new customer is nobody elses');
  t.notOk(await reads('northbank'), 'our own side cannot read it');

  const plan = await world.cofferctlAlone([
    'account',
    'set',
    'processor',
    '--give',
    'northbank/deposit:list',
    ...reason,
  ]);
  t.match(plan.out, /account\.rights-changed[\s\S]*would widen what processor may do in northbank\/deposit/);
  t.match(plan.out, /needs a second operator/);
  const alone = ['account', 'set', 'processor', '--give', 'northbank/deposit:list', ...reason, '--execute'];
  t.match((await world.cofferctlAlone(alone)).out, /^proposed as change/, 'one operator alone proposes');

  const { port } = world.demo.internal;
  const privateKey = readFileSync(world.keyFile('processor'), 'utf8');
  const login = await sshLogin({ port, username: 'processor', privateKey, answer: () => '', keepOpen: true });
  t.equal((await set('northbank/deposit:list')).code, 0);
  await login.closed;
  t.pass('an open session, which carries the rights of before, ends');
  t.same(await verbsOf('northbank'), { deposit: ['list'] });
  t.ok(await reads('northbank'), 'it lists now');
  t.same((await verbsOf('acme')).deposit, ['list', 'read'], 'what it may do elsewhere stays');
  t.equal((await set('northbank')).code, 0);
  t.same(await verbsOf('northbank'), { collect: ['list', 'write', 'remove'], deposit: ['list', 'read'] });
  t.match(
    (await world.cofferctl(['account', 'show', 'processor'])).out,
    /northbank +collect +collect +list, write, remove/,
  );

  const refusals: readonly (readonly [string, RegExp])[] = [
    ['northbank', /exactly these rights already/],
    [
      'northbank/deposit:write',
      /cannot have write in northbank\/deposit: an internal account may have list, read, done in a deposit folder/,
    ],
    ['nobody', /no customer named nobody/],
    ['northbank/nothing', /no folder nothing/],
    ['/northbank', /--give takes parts such as/],
  ];
  for (const [rights, why] of refusals) {
    const refused = await set(rights);
    t.not(refused.code, 0, rights);
    t.match(refused.err, why);
  }
  const foreign = await world.cofferctl(['account', 'set', 'acme-batch', '--give', 'globex/collect', ...reason]);
  t.match([foreign.code, foreign.err], [2, /account of another customer/], 'a bank never reaches another');

  const narrowed = await world.cofferctlAlone([
    'account',
    'set',
    'processor',
    '--take',
    'northbank/collect:write,northbank/deposit',
    ...reason,
    '--execute',
  ]);
  t.match([narrowed.code, narrowed.out], [0, /account changed/], 'one operator alone takes away');
  t.same(await verbsOf('northbank'), { collect: ['list', 'remove'] });
  t.notOk(await reads('northbank'), 'a folder of which everything was taken away is not there');
  t.notMatch(
    (await world.cofferctl(['report', 'access', '--account', 'processor', '--customer', 'northbank'])).out,
    /deposit/,
  );
  t.equal((await set('northbank/deposit')).code, 0, 'and is given again');
  t.ok(await reads('northbank'));

  writeFileSync(place('a.xml'), 'a');
  t.equal((await world.sftp('acme', [`put ${place('a.xml')} deposit/a.xml`])).code, 0);
  t.equal((await world.cofferctl(['account', 'set', 'acme', '--take', 'acme/deposit:write', ...reason])).code, 0);
  t.not((await world.sftp('acme', [`put ${place('a.xml')} deposit/b.xml`])).code, 0, "a bank's own account, narrowed");
  t.equal((await world.cofferctl(['account', 'set', 'acme', '--give', 'acme/deposit', ...reason])).code, 0);
  t.equal((await world.sftp('acme', [`put ${place('a.xml')} deposit/b.xml`])).code, 0, 'and as before');
  t.match(await ok('ledger', 'verify'), /good/i);
});

test('a folder is made with rules of its own, and its rules change', async (t) => {
  const world = await startWorld(t);
  const place = (name: string): string => join(world.directory, name);
  const sftp = async (account: string, ...commands: readonly string[]): Promise<number> =>
    (await world.sftp(account, commands)).code ?? 1;
  const delivered = async (path: string): Promise<boolean> =>
    (await sftp('processor', `get ${path} ${place('got')}`)) === 0;
  const folder = (...args: readonly string[]): ReturnType<typeof world.cofferctl> =>
    world.cofferctl(['folder', ...args, ...reason]);

  const alone = ['folder', 'create', 'acme', 'pain001', '--direction', 'deposit', ...reason, '--execute'];
  t.match((await world.cofferctlAlone(alone)).out, /^proposed as change/, 'a folder takes two operators');
  const made = await folder(
    'create',
    'acme',
    'pain001',
    '--direction',
    'deposit',
    '--publish',
    'on-marker',
    '--marker',
    '.ok',
  );
  t.match([made.code, made.out], [0, /^publish on-marker$/m], made.err);
  t.match(made.out, /^marker \.ok$/m);
  t.match(made.out, /accounts \["acme","acme-batch"\]/, 'it says who may use it');
  t.match((await folder('create', 'acme', 'pain001', '--direction', 'deposit')).err, /already has a folder pain001/);
  t.match((await folder('create', 'acme', 'a/b', '--direction', 'deposit')).err, /a folder has a name/);
  t.match(
    (await folder('create', 'acme', 'x', '--direction', 'deposit', '--publish', 'on-marker', '--marker', '.tmp')).err,
    /ending of temporary names/,
  );

  writeFileSync(place('pay.xml'), 'pay');
  writeFileSync(place('empty'), '');
  t.equal(await sftp('acme', `put ${place('pay.xml')} pain001/pay.xml`), 0, 'the bank uses its new folder');
  t.not(await sftp('processor', 'ls acme/pain001'), 0, 'our own side was given nothing by itself');
  t.equal((await world.cofferctl(['account', 'set', 'processor', '--give', 'acme/pain001', ...reason])).code, 0);
  t.notOk(await delivered('acme/pain001/pay.xml'), 'not delivered without its marker');
  t.equal(await sftp('acme', `put ${place('empty')} pain001/pay.xml.ok`), 0);
  t.ok(await delivered('acme/pain001/pay.xml'), 'delivered by its marker');
  t.notOk(await delivered('acme/pain001/pay.xml.ok'), 'the marker is no file');

  t.equal(await sftp('acme', `put ${place('pay.xml')} pain001/left.xml`), 0, 'one more, without a marker');
  const set = await folder('set', 'acme', 'pain001', '--publish', 'on-rename', '--settle-seconds', '3600');
  t.match([set.code, set.out], [0, /publish on-rename/], set.err);
  t.match(set.out, /^settling 1$/m, 'what waited for its marker settles, and the answer says so');
  t.equal(await sftp('acme', `put ${place('pay.xml')} pain001/two.tmp`, 'rename pain001/two.tmp pain001/two.xml'), 0);
  t.ok(await delivered('acme/pain001/two.xml'), 'a rename delivers');
  t.equal(await sftp('acme', `put ${place('pay.xml')} pain001/three.xml`), 0);
  t.notOk(await delivered('acme/pain001/three.xml'), 'the twin: a plain name settles for an hour');

  t.not(await sftp('acme', `put ${place('empty')} pain001/two.xml`), 0, 'a delivered name is not replaced');
  const wider = await world.cofferctlAlone(['folder', 'set', 'acme', 'pain001', '--replace', 'yes', ...reason]);
  t.match(wider.out, /would widen what may be replaced in pain001/);
  t.equal((await folder('set', 'acme', 'pain001', '--replace', 'yes')).code, 0);
  t.equal(await sftp('acme', `put ${place('empty')} pain001/two.xml`), 0, 'the twin: now it is');
  const narrower = [
    'folder',
    'set',
    'acme',
    'pain001',
    '--replace',
    'no',
    '--settle-seconds',
    '7200',
    ...reason,
    '--execute',
  ];
  t.equal((await world.cofferctlAlone(narrower)).code, 0, 'one operator alone narrows');
  t.match((await folder('set', 'acme', 'pain001')).err, /name what is to be set/);
  t.match(
    (await folder('set', 'acme', 'pain001', '--publish', 'never')).err,
    /--publish is on-close, on-rename, on-marker/,
  );
  t.match(
    (await world.cofferctl(['customer', 'show', 'acme'])).out,
    /pain001 +deposit +on-rename +7200 s/,
    'what is set is shown',
  );
  const verified = await world.cofferctl(['ledger', 'verify']);
  t.equal(verified.code, 0, verified.out + verified.err);
});
