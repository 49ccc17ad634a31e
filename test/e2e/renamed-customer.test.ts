// A bank is given another name while it works: what moves, what ends, and what keeps the old name (decision 54).
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { sshLogin } from '../support/ssh-login.ts';
import { startWorld } from '../support/world.ts';

test('a bank that was renamed works on under its new name, and its past keeps the old one', async (t) => {
  const world = await startWorld(t);
  const place = (name: string): string => join(world.directory, name);
  const bytes = randomBytes(5000);
  writeFileSync(place('deposit.xml'), bytes);
  t.equal((await world.sftp('acme', [`put ${place('deposit.xml')} deposit/deposit.xml`])).code, 0);
  t.equal((await world.sftp('processor', [`get acme/deposit/deposit.xml ${place('before')}`])).code, 0, 'delivered');
  const { customers } = await world.cofferctlJson<{ customers: readonly { id: string; name: string }[] }>([
    'customer',
    'list',
  ]);
  const id = customers.find((one) => one.name === 'acme')?.id ?? '';
  const logins = await Promise.all(
    (['partner', 'internal'] as const).map((plane) => {
      const username = plane === 'partner' ? 'acme-batch' : 'processor';
      const privateKey = readFileSync(world.keyFile(username), 'utf8');
      return sshLogin({ port: world.demo[plane].port, username, privateKey, answer: () => '', keepOpen: true });
    }),
  );
  t.same(
    logins.map((one) => one.isOpen),
    [true, true],
  );

  const to = ['--to', 'acme-ag', '--reason', 'merger'];
  const plan = await world.cofferctlAlone(['customer', 'rename', 'acme', ...to]);
  t.match(
    plan.out,
    /customer\.renamed .*"name":"acme-ag".*"was":"acme".*"internalAccounts":\["processor"\]/,
    'what the plan says',
  );
  t.match(plan.out, /2 open sessions would end\nit needs a second operator/);
  t.match(
    (await world.cofferctlAlone(['customer', 'rename', 'acme', ...to, '--execute'])).out,
    /^proposed as change/,
    'one operator proposes',
  );
  const refused = await world.cofferctl(['customer', 'rename', 'acme', '--to', 'globex', '--reason', 'x']);
  t.match([refused.code, refused.err], [5, /there is already a customer named globex/]);
  const wrong = await world.cofferctl(['customer', 'rename', 'acme', '--to', 'Acme AG', '--reason', 'x']);
  t.match([wrong.code, wrong.err], [2, /names are \[a-z0-9\]/]);
  t.match(
    (await world.cofferctlJson<{ result?: object }>(['customer', 'rename', 'acme', ...to])) as object,
    { sessionsEnded: 2, internalAccounts: ['processor'] },
    'the twin, by two',
  );
  await Promise.all(logins.map((one) => one.closed));

  t.not(
    (await world.sftp('processor', [`get acme/deposit/deposit.xml ${place('gone')}`])).code,
    0,
    'the former path leads nowhere',
  );
  t.equal((await world.sftp('processor', [`get acme-ag/deposit/deposit.xml ${place('after')}`])).code, 0);
  t.same(readFileSync(place('after')), bytes, 'the same file under the new name');
  t.equal((await world.sftp('acme', ['ls deposit'])).code, 0, 'the accounts of the bank keep their names');

  for (const verb of [
    ['customer', 'show', 'acme'],
    ['account', 'list', '--customer', 'acme'],
    ['credential', 'list', '--customer', 'acme'],
    ['report', 'access', '--customer', 'acme'],
    ['file', 'list', 'acme'],
    ['file', 'receipt', '--customer', 'acme', '--path', '/deposit/deposit.xml'],
    ['customer', 'suspend', 'acme', '--reason', 'x'],
  ])
    t.match(
      (await world.cofferctl(verb)).err,
      /no customer named acme: it was renamed, and is acme-ag now/,
      `${verb.join(' ')}: no empty answer`,
    );
  t.match((await world.cofferctl(['account', 'list', '--customer', 'nobody'])).err, /no customer named nobody/);
  t.match((await world.cofferctl(['customer', 'show', 'acme-ag'])).out, /^acme-ag: active, formerly acme, created/);
  const receipt = await world.cofferctl(['file', 'receipt', '--customer', 'acme-ag', '--path', '/deposit/deposit.xml']);
  t.match([receipt.code, receipt.out], [0, new RegExp(`"customer":"${id}"`)], 'a receipt of before states the id');
  type Found = { readonly entries: readonly { readonly kind: string; readonly customer: string | null }[] };
  const found = (customer: string): Promise<Found> =>
    world.cofferctlJson<Found>(['ledger', 'search', '--customer', customer]);
  const [old, now] = [await found('acme'), await found('acme-ag')];
  t.ok(old.entries.some((one) => one.kind === 'upload.closed' && one.customer === 'acme-ag'));
  t.ok(now.entries.length >= old.entries.length && old.entries.length > 3, 'the record is asked by either name');
  t.match((await world.cofferctl(['ledger', 'search', '--customer', 'nobody'])).err, /no customer named nobody/);

  const taken = await world.cofferctl(['customer', 'create', 'acme', '--reason', 'x']);
  t.match(
    [taken.code, taken.err],
    [5, /acme was the name of the customer that is acme-ag now/],
    'the name is given to nobody else',
  );

  const pack = await world.cofferctl([
    'incident',
    'pack',
    '--account',
    'processor',
    '--aware',
    '1m',
    '--out',
    place('pack'),
  ]);
  t.equal(pack.code, 0, pack.err);
  t.ok(readdirSync(place('pack')).includes(`acme-ag_${id}`));
  const notice = readFileSync(join(place('pack'), `acme-ag_${id}`, 'notice.md'), 'utf8');
  t.match(notice, new RegExp(`acme-ag has the id ${id}[\\s\\S]*Until \\d{4}-.* its name in our gateway was acme\\.`));
  t.notMatch(notice, /the catalogue's alone/, 'both names are proved by the record');

  await world.stop();
  await world.start();
  const { customers: again } = await world.cofferctlJson<{ customers: readonly { name: string }[] }>([
    'customer',
    'list',
  ]);
  t.same(
    again.map((one) => one.name),
    ['acme-2', 'acme-ag', 'globex'],
    'the demo world starts again and makes no second bank of the former name',
  );
});
