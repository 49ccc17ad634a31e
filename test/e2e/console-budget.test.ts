// A bank whose names are used up, for example by a thief, can still see and close what is open at its console.
import { test } from 'tap';
import { wideBudgets } from '../support/bank.ts';
import { sshConnection } from '../support/ssh.ts';
import { startWorld } from '../support/world.ts';

test('a person whose names are used up can still see and close what is open', async (t) => {
  const few = { hour: 2, day: 1000, week: 1000 };
  const budgets = { ...wideBudgets, account: { ...wideBudgets.account, list: { names: few } } };
  const world = await startWorld(t, { env: { COFFERDAM_BUDGETS: JSON.stringify(budgets) } });
  const acme = await sshConnection(world, {
    account: 'acme',
    keyFile: world.keyFile('acme'),
    code: await world.code('acme'),
  });
  t.teardown(() => acme.close());
  const isOpen = async (): Promise<boolean> =>
    (
      await world.cofferctlJson<{ windows: readonly { account: string; isOpenNow: boolean }[] }>(['window', 'list'])
    ).windows.some((one) => one.account === 'acme-batch' && one.isOpenNow);
  t.equal((await acme.say('unlock acme-batch --for 2h')).code, 0, 'one name');
  t.ok(await isOpen());
  await acme.say('receipt deposit/nothing');
  for (const line of ['receipt deposit/nothing', 'unlock acme-batch --for 3h']) {
    const refused = await acme.say(line);
    t.match(
      [refused.code, refused.out + refused.err],
      [1, /hourly limit of 2 names/],
      `${line}: what tells of files or opens waits`,
    );
  }
  for (const line of ['whoami', 'windows', 'keys'])
    t.equal((await acme.say(line)).code, 0, `${line}: what looks at its own access does not`);
  const wrong = await acme.say(`keys revoke SHA256:${'x'.repeat(43)}`);
  t.notMatch(wrong.out + wrong.err, /limit/);
  t.equal((await acme.say('lock acme-batch')).code, 0, 'nor what narrows it');
  t.notOk(await isOpen(), 'the window is closed');
  const entries = await world.cofferctl(['ledger', 'search', '--kind', 'console.used', '--json']);
  t.equal((entries.out.match(/over-limit/g) ?? []).length, 2, 'each refusal is an entry too');
});
