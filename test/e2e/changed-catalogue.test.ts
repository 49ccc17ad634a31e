// Something that decides was changed in the database: the warden says so while it runs, in its log and by an alert, and
// does not start with this database.
import { test } from 'tap';
import { asOwner } from '../support/as-owner.ts';
import { startWorld } from '../support/world.ts';

test('a column whose default was changed is named while the warden runs, and keeps it from starting', async (t) => {
  const world = await startWorld(t, { limits: { sealCheckEveryMs: 500 } });
  const owner = await asOwner(t, world);
  const findings = async () =>
    (
      await world.cofferctlJson<{ findings: readonly { check: string; verdict: string; text: string }[] }>(['doctor'])
    ).findings.filter((one) => one.check === 'database catalogue');
  t.match(await findings(), [{ verdict: 'ok' }], 'twin: nothing was changed');
  t.notMatch(world.log, /not what the migrations made/);

  const from = world.log.length;
  await owner('alter table account alter read_only set default true');
  t.ok(
    await world.logged(/not what the migrations made of it: column public\.account\.read_only is another one/, from),
    'the log says which',
  );
  t.match(await findings(), [
    { verdict: 'fault', text: /^column public\.account\.read_only is another one: .*default true/ },
  ]);
  let alerts: readonly { kind: string }[] = [];
  for (const end = Date.now() + 20_000; !alerts.some((one) => one.kind === 'database.changed') && Date.now() < end; )
    ({ alerts } = await world.cofferctlJson<{ alerts: readonly { kind: string }[] }>(['alert', 'list']));
  t.match(
    alerts.find((one) => one.kind === 'database.changed'),
    { severity: 'critical', text: /account\.read_only/ },
  );

  const before = world.log.length;
  world.kill('warden');
  t.ok(await world.logged(/could not be started again/, before), 'a start refuses');
  t.match(
    world.log.slice(before),
    /the database is not what the migrations made of it: column public\.account\.read_only/,
  );
  t.notMatch(world.log.slice(before), /warden serves/);
  const after = world.log.length;
  await owner('alter table account alter read_only set default false');
  t.ok(await world.logged(/warden serves/, after), 'twin: restored, it starts');
});
