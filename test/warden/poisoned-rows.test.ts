// One row that fails does not stop the others: for every regular pass, one row is made to fail beside one that does
// not.
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Test, test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { type CredentialId, idOf, type ObjectId, type SessionId } from '../../server/domain/ids.ts';
import { objectPath } from '../../server/extents/directory-store.ts';
import { Database } from '../../server/postgres/database.ts';
import { AlertLog } from '../../server/warden/alerts/sinks/log-sink.ts';
import { recordStrangers } from '../../server/warden/authentication/login-record.ts';
import { watchMissing } from '../../server/warden/budgets/create-budgets.ts';
import type { Warden } from '../../server/warden/context/context.ts';
import { sweepCredentials } from '../../server/warden/credentials/credential-sweeps.ts';
import { remind } from '../../server/warden/operators/emergencies.ts';
import { passOverRows, type RowPassName, rowPasses } from '../../server/warden/passes/row-passes.ts';
import { regularPasses } from '../../server/warden/regular-passes.ts';
import { applyRetention } from '../../server/warden/retention/retention.ts';
import { alarmSilent } from '../../server/warden/self-test/self-test.ts';
import { OutlivedUploads } from '../../server/warden/sessions/outlived-uploads.ts';
import { endWhatRelies } from '../../server/warden/sessions/seal-sweeps.ts';
import { SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { collect, publish } from '../../server/warden/transfers/sweeps.ts';
import { Bank, type Reader } from '../support/bank.ts';
import { Shelf, type ShelfWarden } from '../support/shelf.ts';

type Scene = {
  readonly shelf: Shelf;
  readonly bank: Bank;
  readonly sessions: (warden: ShelfWarden) => SessionRegistry;
};
/** `key`: as the pass calls it. */
type Row = { readonly key: string; readonly isDone: () => Promise<boolean> };
type Poison = {
  readonly table: string;
  readonly when: 'insert' | 'update' | 'delete';
  readonly what: (key: string) => string;
};
type Case = {
  readonly poison: Poison;
  readonly make: (scene: Scene) => Promise<Row>;
  readonly run: (warden: ShelfWarden, scene: Scene, keys: readonly string[]) => Promise<unknown>;
};

/** Two logins from one address with unknown names would be one row. */
let lastStranger = 0;

const ofVersion = (when: 'update'): Poison => ({ table: 'version', when, what: (key) => `old.id = '${key}'` });
const versionIn = async ({ shelf }: Scene, before: string, after: string, more = 'id = id'): Promise<Row> => {
  const one = await shelf.add(2);
  await shelf.become(one, before);
  await shelf.sql.query(`update version set ${more} where id = $1`, [one.version]);
  return { key: one.version, isDone: async () => (await shelf.state(one.version)) === after };
};
const exists = async (scene: Scene, text: string, ...values: readonly unknown[]): Promise<boolean> =>
  (await scene.shelf.sql.query(`select 1 ${text}`, values)).length > 0;
const reader = async (scene: Scene, change: string): Promise<Reader> => {
  const one = await scene.bank.addReader();
  await scene.shelf.sql.query(
    `update ${change}`.replaceAll('$session', `'${one.session}'`).replaceAll('$credential', `'${one.credential}'`),
  );
  return one;
};
const sessionEnded = (scene: Scene, session: SessionId) => () =>
  exists(scene, "from session where id = $1 and state = 'ended'", session);
const credentialIs = (scene: Scene, credential: CredentialId, what: string) => () =>
  exists(scene, `from credential where id = $1 and ${what}`, credential);
const ofAlert: Poison = {
  table: 'alert',
  when: 'insert',
  what: (key) => `new.subject = '${key}' and new.kind <> 'pass.row-failed'`,
};
const alarmed = (scene: Scene, key: string): Row => ({
  key,
  isDone: () => exists(scene, "from alert where subject = $1 and kind <> 'pass.row-failed'", key),
});
const sweepKeys = (warden: ShelfWarden, scene: Scene): Promise<void> =>
  sweepCredentials(warden as unknown as Warden, scene.sessions(warden));
const sweepSessions = async (warden: ShelfWarden, scene: Scene): Promise<void> => {
  const sessions = scene.sessions(warden);
  await sessions.sweep();
};
const releaseUploads = (warden: ShelfWarden): Promise<void> => new OutlivedUploads().pass(warden);

const cases: Readonly<Record<RowPassName, Case>> = {
  publication: {
    poison: ofVersion('update'),
    make: (scene) => versionIn(scene, 'settling', 'published', "publish_at = now() - interval '1 minute'"),
    run: publish,
  },
  expiry: {
    poison: ofVersion('update'),
    make: async (scene) => {
      const row = await versionIn(scene, 'partial', 'discarded', 'upload_id = null');
      await scene.shelf.sql.query("update version set let_go_at = now() - interval '1 year' where id = $1", [row.key]);
      return row;
    },
    run: collect,
  },
  waiting: {
    poison: ofAlert,
    make: async (scene) => {
      const { key } = await versionIn(scene, 'settling', 'settling', "waits_since = now() - interval '1 year'");
      return alarmed(scene, key);
    },
    run: collect,
  },
  collection: {
    poison: { table: 'extent', when: 'delete', what: (key) => `old.content_id = '${key}'` },
    make: async (scene) => {
      const one = await scene.shelf.add(2);
      await scene.shelf.become(one, 'discarded');
      return { key: one.version, isDone: async () => !(await scene.shelf.has(one.object)) };
    },
    run: collect,
  },
  deletion: {
    poison: { table: 'doomed_object', when: 'delete', what: (key) => `old.object_id = '${key}'` },
    make: async (scene) => {
      const key = randomBytes(16).toString('hex');
      await scene.shelf.sql.query('insert into doomed_object (object_id) values ($1)', [key]);
      return { key, isDone: async () => !(await exists(scene, 'from doomed_object where object_id = $1', key)) };
    },
    run: collect,
  },
  window: {
    poison: ofVersion('update'),
    make: async (scene) => {
      const { key } = await versionIn(scene, 'published', 'withdrawn');
      // Its retention is over together with its window: it may already be destroyed.
      return { key, isDone: async () => (await scene.shelf.state(key)) !== 'published' };
    },
    run: applyRetention,
  },
  retention: {
    poison: ofVersion('update'),
    make: (scene) => versionIn(scene, 'withdrawn', 'destroyed'),
    run: applyRetention,
  },
  extents: {
    poison: { table: 'doomed_content', when: 'delete', what: (key) => `old.content_id = '${key}'` },
    make: async ({ shelf }) => {
      const one = await shelf.add(2);
      await shelf.become(one, 'destroyed');
      await shelf.sql.query("update content set wrapped_key = '', destroyed_at = now() where id = $1", [one.content]);
      await shelf.sql.query('insert into doomed_content (content_id) values ($1)', [one.content]);
      return { key: one.content, isDone: async () => !(await shelf.has(one.object)) };
    },
    run: applyRetention,
  },
  'session-end': {
    poison: { table: 'session', when: 'update', what: (key) => `old.id = '${key}' and new.state = 'ended'` },
    make: async (scene) => {
      const { session } = await reader(
        scene,
        "session set started_at = now() - interval '2 hours', expires_at = now() - interval '1 minute' where id = $session",
      );
      return { key: session, isDone: sessionEnded(scene, session) };
    },
    run: sweepSessions,
  },
  'upload-release': {
    poison: ofVersion('update'),
    make: async (scene) => {
      const { session } = await reader(
        scene,
        "session set state = 'ended', ended_at = now() - interval '1 hour', end_reason = 'x' where id = $session",
      );
      const row = await versionIn(scene, 'partial', 'partial', `session_id = '${session}'`);
      return { key: row.key, isDone: () => exists(scene, 'from version where id = $1 and upload_id is null', row.key) };
    },
    run: releaseUploads,
  },
  'credential-retirement': {
    poison: { table: 'credential', when: 'update', what: (key) => `old.id = '${key}'` },
    make: async (scene) => {
      const { credential } = await reader(
        scene,
        "credential set state = 'retiring', valid_from = now() - interval '2 hours', expires_at = now() - interval '1 minute' where id = $credential",
      );
      return { key: credential, isDone: credentialIs(scene, credential, "state = 'revoked'") };
    },
    run: sweepKeys,
  },
  'credential-end': {
    poison: { table: 'session', when: 'update', what: (key) => `old.credential_id = '${key}'` },
    make: async (scene) => {
      const { credential, session } = await reader(scene, "credential set state = 'suspended' where id = $credential");
      return { key: credential, isDone: sessionEnded(scene, session) };
    },
    run: sweepKeys,
  },
  'credential-warning': {
    poison: { table: 'credential', when: 'update', what: (key) => `old.id = '${key}'` },
    make: async (scene) => {
      const { credential } = await reader(
        scene,
        "credential set expires_at = now() + interval '1 hour' where id = $credential",
      );
      return { key: credential, isDone: credentialIs(scene, credential, 'warned_at is not null') };
    },
    run: sweepKeys,
  },
  strangers: {
    poison: { table: 'ledger_fresh', when: 'insert', what: (key) => `new.source = '${key.split('/').at(-2)}'` },
    make: async (scene) => {
      lastStranger += 1;
      const source = `198.51.100.${lastStranger}`;
      await scene.shelf.sql.query(
        "insert into stranger_login (minute, node, source, client) values ('2026-01-01', 'n', $1, 'x') on conflict do nothing",
        [source],
      );
      const [row] = await scene.shelf.sql.query<{ key: string }>(
        "select extract(epoch from minute)::bigint || '/' || node || '/' || source as key from stranger_login where source = $1",
        [source],
      );
      return {
        key: row?.key ?? '',
        isDone: async () => !(await exists(scene, 'from stranger_login where source = $1', source)),
      };
    },
    run: recordStrangers,
  },
  alerts: {
    poison: { table: 'alert', when: 'update', what: (key) => `old.id = '${key}'` },
    make: async (scene) => {
      const [row] = await scene.shelf.sql.query<{ id: string }>(
        "insert into alert (kind, severity, subject, hour, text, facts, next_command) values ('x', 'notice', gen_random_uuid(), now(), 'x', '{}', 'x') returning id",
      );
      const key = row?.id ?? '';
      return { key, isDone: () => exists(scene, 'from alert where id = $1 and logged_at is not null', key) };
    },
    run: ({ database, log }) => new AlertLog(log).pass(database),
  },
  'silent-nodes': {
    poison: ofAlert,
    make: async (scene) => {
      const key = `n-${randomBytes(4).toString('hex')}`;
      await scene.shelf.sql.query(
        "insert into node (name, plane, last_seen_at, start_id) values ($1, 'partner', now() + interval '1 hour', gen_random_uuid())",
        [key],
      );
      return alarmed(scene, key);
    },
    run: (warden) => alarmSilent(warden, 1000),
  },
  'broken-seals': {
    poison: {
      table: 'alert',
      when: 'insert',
      what: (key) => `new.kind = 'row.broken-seal' and new.subject like '%${key.split('/')[1]}%'`,
    },
    make: async (scene) => {
      const { account, session } = await scene.bank.addReader();
      return { key: `account/${account}`, isDone: sessionEnded(scene, session) };
    },
    run: async (warden, scene, keys) => {
      for (const key of keys)
        await endWhatRelies(warden, scene.sessions(warden), { kind: 'account', id: key.split('/')[1] ?? '' });
    },
  },
  'missing-budgets': {
    poison: ofAlert,
    make: async (scene) => {
      const { account } = await scene.bank.addReader();
      await scene.shelf.sql.query('delete from budget where account_id = $1 and direction = $2', [account, 'list']);
      return alarmed(scene, `${account}/${scene.bank.id}/list`);
    },
    run: watchMissing,
  },
  emergencies: {
    poison: ofAlert,
    make: async (scene) => {
      const [operator, key] = [randomUUID(), randomUUID()];
      await scene.shelf.sql.query("insert into operator (id, name, role) values ($1, $2, 'security-officer')", [
        operator,
        `o-${operator.slice(0, 8)}`,
      ]);
      await scene.shelf.sql.query(
        "insert into break_glass (id, operator_id, operations, hours, reason, valid_until, opened_at, closes_at) values ($1, $2, '{x}', 1, 'x', now() + interval '1 day', now(), now())",
        [key, operator],
      );
      return alarmed(scene, key);
    },
    run: remind,
  },
};

async function scene(t: Test): Promise<Scene> {
  const shelf = await Shelf.create(t);
  const bank = await Bank.create({ sql: shelf.sql, warden: shelf.warden.database }, 'globex', 1000);
  const registries = new Map<ShelfWarden, SessionRegistry>();
  return {
    shelf,
    bank,
    sessions: (warden) => {
      const known =
        registries.get(warden) ??
        new SessionRegistry(
          shelf.config,
          warden.database,
          undefined as never,
          { terminate: () => {} } as never,
          warden.log,
        );
      registries.set(warden, known);
      return known;
    },
  };
}

/** From now on this fails for that row, for whoever does it, as for a row of which nobody thought. */
async function poison({ shelf }: Scene, { table, when, what }: Poison, key: string): Promise<void> {
  await shelf.sql.query(
    "create or replace function poisoned() returns trigger language plpgsql as $$ begin raise exception 'poisoned' using errcode = 'check_violation'; end $$",
  );
  await shelf.sql.query(
    `create trigger poison before ${when} on ${table} for each row when (${what(key)}) execute function poisoned()`,
  );
}

test('in each pass, one row that fails stops no other', async (t) => {
  const all = await scene(t);
  const { shelf } = all;
  for (const [name, { poison: of, make, run }] of Object.entries(cases) as readonly (readonly [RowPassName, Case])[])
    await t.test(name, async (t) => {
      const [bad, good] = [await make(all), await make(all)];
      const poisonKey =
        of.table === 'extent'
          ? ((
              await shelf.sql.query<{ content_id: string }>('select content_id from version where id = $1', [bad.key])
            )[0]?.content_id ?? '')
          : bad.key;
      await poison(all, of, poisonKey);
      const alerts = () =>
        shelf.sql.query<{ count: number; text: string; severity: string }>(
          "select count, text, severity from alert where kind = 'pass.row-failed' and subject = $1",
          [`${name}/${bad.key}`],
        );
      await run(shelf.warden, all, [bad.key, good.key]);
      t.same([await bad.isDone(), await good.isDone()], [false, true], 'the other one is done');
      t.match(await alerts(), [{ count: 1, severity: 'critical', text: /failed \(poisoned\)/ }], 'it is named');
      const third = await make(all);
      await run(shelf.warden, all, [bad.key, third.key]);
      t.same([await bad.isDone(), await third.isDone()], [false, true]);
      t.match(await alerts(), [{ count: 1 }], 'it is left alone for a while');
      await shelf.sql.query(`drop trigger poison on ${of.table}`);
      const another = await shelf.another(t);
      await run(another, all, [bad.key]);
      t.ok(await bad.isDone(), 'a warden that starts tries it again');
    });
  t.same(Object.keys(cases).sort(), Object.keys(rowPasses).sort());
});

test('an object that cannot be deleted stays on the list, and the others are deleted', async (t) => {
  const { shelf } = await scene(t);
  const { objects } = shelf.warden.paths;
  const [stuck, free] = [0, 1].map(() => idOf<ObjectId>(randomBytes(16).toString('hex'))) as [ObjectId, ObjectId];
  for (const object of [stuck, free]) {
    mkdirSync(dirname(objectPath(objects, object)), { recursive: true });
    await shelf.sql.query('insert into doomed_object (object_id) values ($1)', [object]);
  }
  mkdirSync(objectPath(objects, stuck));
  writeFileSync(objectPath(objects, free), 'x');
  await collect(shelf.warden);
  const left = (): Promise<readonly unknown[]> => shelf.sql.query('select object_id from doomed_object');
  t.same(await left(), [{ object_id: stuck }]);
  rmSync(objectPath(objects, stuck), { recursive: true });
  await collect(await shelf.another(t));
  t.same(await left(), []);
});

test('a reason for which all rows of a pass fail is reported once, and each of the rows is left alone', async (t) => {
  const { shelf } = await scene(t);
  const tried = new Map<string, number>();
  let works = 0;
  const due = Array.from({ length: 2100 }, (_, i) => i.toString(16).padStart(32, '0'));
  const pass = (reason: (key: string) => string) =>
    passOverRows(shelf.warden, 'deletion', {
      find: async (_tx, limit) => due.slice(0, limit),
      work: async (_tx, keys) => {
        works += 1;
        const [key = ''] = keys;
        if (keys.length === 1) tried.set(key, (tried.get(key) ?? 0) + 1);
        throw new CofferdamError('bug', 'an object cannot be deleted', { cause: new Error(reason(key)) });
      },
    });
  const alerts = () =>
    shelf.sql.query<{ count: number; text: string; facts: unknown }>(
      "select count, text, facts from alert where kind = 'pass.row-failed'",
    );
  const { rowsMax } = rowPasses.deletion;
  for (let i = 1; i <= 4; i += 1) {
    await pass((key) => `EIO: i/o error, unlink '/objects/${key}'`);
    t.equal(tried.size, i * rowsMax, 'the next ones, and none of those before');
  }
  t.match(
    await alerts(),
    [{ count: 2000, text: /500 rows failed for one reason \(EIO/, facts: { count: 500 } }],
    'one alert of one cause',
  );
  const before = works;
  await pass(() => 'EIO');
  t.equal(works, before, 'so many are left alone: the pass rests with them');
  t.same([...new Set(tried.values())], [1], 'and none was tried twice');
});

test('different reasons in one pass are reported separately, up to a number', async (t) => {
  const { shelf } = await scene(t);
  const reasons = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const due = reasons.flatMap((reason) => [1, 2, 3, 4].map((n) => `${reason}-${n}`));
  let isDone = false;
  await passOverRows(shelf.warden, 'deletion', {
    find: async () => [...due, 'good'],
    work: async (_tx, keys) => {
      if (keys.length > 1 || keys[0] !== 'good') throw new Error(`no ${keys[0]?.split('-')[0]}`);
      isDone = true;
    },
  });
  t.ok(isDone, 'the one that can be done is');
  t.match(await shelf.sql.query("select subject, count from alert where kind = 'pass.row-failed' order by subject"), [
    ...reasons.slice(0, 5).map((reason) => ({ subject: `deletion: no ${reason}`, count: 4 })),
    { subject: 'deletion: several reasons', count: 8 },
  ]);
});

test('rows about which nobody could be told have their turn again, and are reported then', async (t) => {
  const { shelf } = await scene(t);
  const due = ['a', 'b'].flatMap((reason) => [1, 2, 3, 4].map((n) => `${reason}-${n}`));
  const pass = (): Promise<void> =>
    passOverRows(shelf.warden, 'deletion', {
      find: async () => due,
      work: async (_tx, keys) => {
        throw new Error(`no ${keys[0]?.split('-')[0]}`);
      },
    });
  const told = () => shelf.sql.query("select subject from alert where kind = 'pass.row-failed' order by subject");
  await shelf.sql.query(
    "create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$",
  );
  await shelf.sql.query(
    "create trigger refuse before insert on alert for each row when (new.subject like '%no a') execute function refuse()",
  );
  await t.rejects(pass(), 'the pass says that it could not be told');
  t.same(await told(), [{ subject: 'deletion: no b' }], 'each cause by itself');
  await shelf.sql.query('drop trigger refuse on alert');
  await pass();
  t.same(await told(), [{ subject: 'deletion: no a' }, { subject: 'deletion: no b' }]);
});

test('a fault of the connection is no fault of a row: nothing is set aside', async (t) => {
  const { shelf } = await scene(t);
  const one = await shelf.add(1);
  await shelf.become(one, 'settling');
  const gone = new Database({
    url: shelf.sql.wardenUrl.replace(/@([^/:]*)(:\d+)?\//, '@127.0.0.1:1/'),
    applicationName: 'test',
    connectionsMax: 1,
  });
  t.teardown(() => gone.close());
  await t.rejects(publish({ ...shelf.warden, database: gone }), { code: 'unavailable' });
  t.same(await shelf.sql.query('select 1 from alert'), []);
  await publish(shelf.warden);
  t.equal(await shelf.state(one.version), 'published', 'the twin');
});

test('a fault of the connection while each row has its own turn is no fault of that row either: it is due again', async (t) => {
  const { shelf } = await scene(t);
  const done: string[] = [];
  let isAway = true;
  const pass = (): Promise<void> =>
    passOverRows(shelf.warden, 'deletion', {
      find: async () => ['a bad one', 'behind a lock', 'good'].filter((key) => !done.includes(key)),
      work: async (_tx, keys) => {
        if (keys.includes('a bad one')) throw new Error('cannot be deleted');
        if (keys.includes('behind a lock') && isAway)
          throw new CofferdamError('unavailable', 'another operation is changing the same data');
        done.push(...keys);
      },
    });
  const told = () => shelf.sql.query("select subject from alert where kind = 'pass.row-failed'");
  await t.rejects(pass(), { code: 'unavailable' }, 'the pass ends with it');
  t.same([done, await told()], [[], [{ subject: 'deletion/a bad one' }]], 'the twin: a fault of the row is told');
  isAway = false;
  await pass();
  t.same([done, await told()], [['behind a lock', 'good'], [{ subject: 'deletion/a bad one' }]]);
});

const unitsOf = (ms: number): string =>
  ms < 1000 ? `${ms} ms` : ms < 3_600_000 ? `${ms / 1000} s` : `${ms / 3_600_000} h`;

test('ARCHITECTURE.md has the list of the passes, line by line', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'ARCHITECTURE.md'), 'utf8');
  const [, section = ''] = /## Passes over rows\n([\s\S]*?)\n## /.exec(text) ?? [];
  t.same(
    section.split('\n').filter((line) => line.startsWith('| `')),
    regularPasses
      .filter(({ rows }) => rows.length > 0)
      .map(({ rows, every, restsInDoubt }) => {
        const often = typeof every === 'number' ? unitsOf(every) : `\`${every}\``;
        const names = rows.map((name) => `\`${name}\``).join(', ');
        return `| ${names} | ${often} | ${rows.map((name) => rowPasses[name].rowsMax).join(', ')} | ${restsInDoubt ? 'yes' : 'no'} |`;
      }),
  );
  t.same(
    regularPasses.flatMap(({ rows }) => rows).sort(),
    Object.keys(rowPasses).sort(),
    'each pass over rows has its turn, and only one',
  );
});
