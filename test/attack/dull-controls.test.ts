// T-20: a limit that silently stopped working. Each control is broken on purpose, and the self-test of the node notices
// it.
import { test } from 'tap';
import { asWarden } from '../support/as-warden.ts';
import { firstFound } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

type Status = {
  readonly controls: readonly { node: string; check: string; bites: boolean; text: string; at: string }[];
  readonly silentNodes: readonly string[];
};
type Alerts = { readonly alerts: readonly { kind: string; severity: string; text: string }[] };
/** The bound of the threat table. */
const noticedWithinMs = 120_000;

const statusWhere = (world: World, what: (status: Status) => boolean): Promise<Status | undefined> =>
  firstFound(
    async () => {
      const status = await world.cofferctlJson<Status>(['status']);
      return what(status) ? status : undefined;
    },
    { withinMs: noticedWithinMs, everyMs: 500 },
  );

const dull = (status: Status, check: string): boolean =>
  status.controls.some((one) => one.check === check && !one.bites);

test('every control is driven into its limit on every node; one that does not work is noticed', async (t) => {
  const world = await startWorld(t, { limits: { selfTestEveryMs: 1000 } });
  const first = await statusWhere(world, (status) => status.controls.length === 6);
  t.same(
    first?.controls.map((one) => [one.node, one.check, one.bites]),
    ['internal-1', 'partner-1'].flatMap((node) => ['cap', 'lockout', 'wrong-code'].map((check) => [node, check, true])),
    'all three bite on both nodes',
  );
  t.match((await world.cofferctl(['status'])).out, /everything serves[\s\S]*controls {3}6 tested, all work/);
  t.match((await world.cofferctl(['doctor'])).out, /ok\s+controls: 6 controls were driven into their limit and worked/);
  t.same(
    (await world.cofferctlJson<Alerts>(['alert', 'list'])).alerts.filter(
      (one) => !/^(?:operator|installation)\./.test(one.kind),
    ),
    [],
    'no alarm, not even about what it provokes',
  );
  const caps = async (): Promise<boolean> =>
    (await world.cofferctlJson<Alerts>(['alert', 'list'])).alerts.some((one) => one.kind === 'self-test.failed');
  t.notMatch((await world.cofferctl(['customer', 'list'])).out, /self-test/, 'it is no customer');

  // As a run leaves it that was ended between its two files: the large one does not exist, which says nothing about the
  // cap.
  const mended = Date.now();
  await asWarden(
    world,
    "update file set name = 'not-large' where name = 'large' and customer_id in (select id from customer where is_self_test)",
  );
  const since = ({ controls }: Status): boolean =>
    controls.filter((one) => one.check === 'cap' && Date.parse(one.at) > mended).length === 2;
  await statusWhere(world, since);
  await new Promise((resolve) => setTimeout(resolve, 5000));
  t.notOk(dull((await statusWhere(world, since)) as Status, 'cap'), 'it is put there again, and the cap still bites');
  t.notOk(await caps(), 'nor was there ever an alarm');

  const started = Date.now();
  await asWarden(
    world,
    'update budget set cap_hour_bytes = 1000000000, cap_day_bytes = 1000000000, cap_week_bytes = 1000000000 where account_id in (select id from account where is_self_test) or credential_id in (select c.id from credential c join account a on a.id = c.account_id where a.is_self_test)',
  );
  const wide = await statusWhere(world, (status) => dull(status, 'cap'));
  t.ok(
    wide !== undefined,
    `a cap that no longer refuses is noticed (after ${((Date.now() - started) / 1000).toFixed(0)} s)`,
  );
  t.match(
    wide?.controls.find((one) => one.check === 'cap' && !one.bites)?.text,
    /a file larger than the cap was released \(65536 bytes\)/,
  );
  const status = await world.cofferctl(['status']);
  t.match(
    [status.code, status.out],
    [1, /a part of the gateway is not working[\s\S]*cap of (partner|internal)-1 DOES NOT WORK/],
  );
  t.match((await world.cofferctl(['doctor'])).out, /fault\s+control cap of/);
  t.ok(
    (await world.cofferctlJson<Alerts>(['alert', 'list'])).alerts.some(
      (one) => one.kind === 'self-test.failed' && one.severity === 'critical',
    ),
    'the alarm is raised',
  );
  t.ok(await world.logged(/the control \\"cap\\" did not work/), 'and logged');

  // The second factor is no longer needed: a machine with an open window logs in with its key alone.
  await asWarden(
    world,
    "update account set kind = 'machine' where is_self_test",
    "insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason) select gen_random_uuid(), id, now(), now() + interval '1 hour', 'x', 'x' from account where is_self_test",
  );
  const open = await statusWhere(world, (now) => dull(now, 'wrong-code'));
  t.match(
    open?.controls.find((one) => one.check === 'wrong-code' && !one.bites)?.text,
    /opened without a right code/,
    'a login without a code is noticed',
  );
});

test('a lockout that never comes is noticed', async (t) => {
  const world = await startWorld(t, {
    limits: { selfTestEveryMs: 1000, loginAttemptsMax: 1000, loginGraceMs: 25_000 },
  });
  const endless = await statusWhere(world, (status) => dull(status, 'lockout'));
  t.match(
    endless?.controls.find((one) => one.check === 'lockout' && !one.bites)?.text,
    /ended after [1-9]\d wrong codes in \d+ s/,
    'more tries on one connection than any lockout allows',
  );
});
