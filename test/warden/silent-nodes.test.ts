// T-20: a node that serves and does not report on its controls: the warden's alert and the operators' view mean the
// same nodes.
import { test } from 'tap';
import { silentNodes } from '../../server/admin/doctor/nodes.ts';
import { listControls, listNodes } from '../../server/admin/node/node-queries.ts';
import type { Config } from '../../server/config/config.ts';
import { Database } from '../../server/postgres/database.ts';
import { alarmSilent, quietMsOf } from '../../server/warden/self-test/self-test.ts';
import { Shelf } from '../support/shelf.ts';

/** Three rounds and a minute are six minutes. */
const config = { limits: { selfTestEveryMs: 100_000 } } as unknown as Config;
const hour = "now() - interval '1 hour'";
const lately = "now() - interval '1 minute'";
const longAgo = "now() - interval '10 minutes'";

type Standing = {
  readonly started: string;
  readonly reports?: readonly string[];
  readonly seen?: string;
  readonly drains?: 'this run' | 'another run';
  readonly isSilent: boolean;
};
const standings: Readonly<Record<string, Standing>> = {
  reports: { started: hour, reports: [lately], isSilent: false },
  'reports-one-of-three': { started: hour, reports: [longAgo, lately, longAgo], isSilent: false },
  'reported-once': { started: hour, reports: [longAgo, longAgo], isSilent: true },
  'never-reported': { started: hour, isSilent: true },
  'at-the-bound': {
    started: "now() - interval '6 minutes 5 seconds'",
    reports: ["now() - interval '6 minutes 5 seconds'"],
    isSilent: true,
  },
  'before-the-bound': { started: hour, reports: ["now() - interval '5 minutes'"], isSilent: false },
  new: { started: lately, isSilent: false },
  // What it reported before it went away is old; it gets as much time as a new node.
  'came-back': { started: lately, reports: [longAgo], isSilent: false },
  'of-an-earlier-version': { started: 'null', isSilent: true },
  drains: { started: hour, drains: 'this run', isSilent: false },
  'drained-before': { started: hour, drains: 'another run', isSilent: true },
  away: { started: hour, seen: "now() - interval '1 minute'", isSilent: false },
};

test('a silent node that serves is named by the alarm, status and doctor; one that just came, drains or is away is not', async (t) => {
  const shelf = await Shelf.create(t);
  const { sql, warden } = shelf;
  for (const [name, { started, reports = [], seen = "now() + interval '1 hour'", drains }] of Object.entries(
    standings,
  )) {
    await sql.query(
      `insert into node (name, plane, start_id, started_at, last_seen_at) values ($1, 'partner', gen_random_uuid(), ${started}, ${seen})`,
      [name],
    );
    if (drains !== undefined)
      await sql.query(
        `update node set drain_until = now() + interval '1 hour', drain_ordered_at = now(), drain_reason = 'x', drain_ordered_by = 'x',
           drain_start_id = ${drains === 'this run' ? 'start_id' : 'gen_random_uuid()'} where name = $1`,
        [name],
      );
    for (const [i, at] of reports.entries())
      await sql.query(
        `insert into self_test (node, "check", bites, text, at, since) values ($1, $2, true, 'x', ${at}, ${at})`,
        [name, `check ${i}`],
      );
  }
  const expected = Object.keys(standings)
    .filter((name) => standings[name]?.isSilent === true)
    .sort();
  await alarmSilent(warden, quietMsOf(config));
  const alarms = await sql.query<{ subject: string }>("select subject from alert where kind = 'self-test.silent'");
  t.same(alarms.map((one) => one.subject).sort(), expected, 'the alarm');
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => admin.close());
  const shown = await admin.withSystem(async (tx) =>
    silentNodes(config.limits, await listNodes(tx), await listControls(tx), new Date()),
  );
  t.same([...shown].sort(), expected, 'status and doctor');
});
