// A sealed row that is changed for a question and put back before the next full run: what an answer rests on is proved
// in the snapshot in which it is found, or nobody is told anything by it.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { type ScopeLimits, Scopes, scopeLimits } from '../../server/admin/incident/scopes.ts';
import { defaultShares } from '../../server/config/shares.ts';
import type { Selection } from '../../server/domain/incident/selection.ts';
import { commonTree } from '../../server/domain/ledger/leaf.ts';
import { others } from '../../server/domain/share.ts';
import { witnessAll } from '../support/long-ago.ts';
import { addAccount } from '../support/rows.ts';
import { customers, due, standingWorld } from '../support/standing-world.ts';
import { project } from '../support/world.ts';

const key = `SHA256:${'x'.repeat(43)}`;
const otherKey = `SHA256:${'y'.repeat(43)}`;
const [acme, bank] = customers;
const opening = (session: string): string => `kind = 'session.opened' and session_id = '${session}'`;

type World = Awaited<ReturnType<typeof standingWorld>>;

/** A record in which one session of an internal account read of each bank, and a third session is of acme alone. */
async function theftWorld(t: Test, limits: Partial<ScopeLimits> = {}, before = async (_: World) => {}) {
  const world = await standingWorld(t);
  await before(world);
  const { sql, seal, directory, signing, witnesses } = world;
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  const account = await addAccount(sql, { customer: null, name: 'pickup' });
  const [ofAcme, ofBank, partner] = [randomUUID(), randomUUID(), randomUUID()];
  const opened = (session: string, credential: string, customer: string | null = null): Promise<unknown> =>
    sql.query(
      `insert into ledger_fresh (kind, observer, customer_id, account_id, session_id, node, plane, credential, source, client, public)
       values ('session.opened', 'warden', $4, $1, $2, 'edge-1', 'internal', $3, '192.0.2.7', 'SSH-2.0-x', '{}')`,
      [account, session, credential, customer],
    );
  const granted = (session: string, customer: string): Promise<unknown> =>
    sql.query(
      `insert into ledger_fresh (kind, observer, customer_id, account_id, session_id, node, plane, handle_id, version_id, extent, bytes, public)
       values ('extent.granted', 'warden', $4, $1, $2, 'edge-1', 'internal', $3, gen_random_uuid(), 0, 100, '{}')`,
      [account, session, randomUUID(), customer],
    );
  const read = async (session: string, customer: string): Promise<void> => {
    await opened(session, key);
    await granted(session, customer);
  };
  const ended = (session: string): Promise<unknown> =>
    sql.query(
      `insert into ledger_fresh (kind, observer, account_id, session_id, node, plane, public)
       values ('session.ended', 'warden', $1, $2, 'edge-1', 'internal', '{"reason": "client-closed"}')`,
      [account, session],
    );
  const spool = join(directory, 'spool');
  mkdirSync(spool);
  const scopes = new Scopes(
    { url: sql.adminUrl, directory: spool },
    { ...scopeLimits, ...limits },
    defaultShares.admin,
  );
  t.teardown(() => scopes.stop());
  const answer = async (selection: Selection = { credential: key }, proved = true) => {
    const scope = scopes.start({ holder: 'alice', group: others }, { selection, unread: false, proved });
    return { scope, done: await scopes.progress('alice', { scope, waitMs: 20_000 }) };
  };
  /** The whole way of a pack: a proved answer, then the slice of the bank, verified as the bank does. */
  const ask = async (selection?: Selection, proved = true) => {
    const { scope, done } = await answer(selection, proved);
    if (done.state !== 'done') return { done };
    await seal({ isEpochAsked: true });
    await witnessAll(sql);
    const lines: unknown[] = [];
    for (let offset: number | null = 0; offset !== null; ) {
      const page = await scopes.slice('alice', { scope, customerId: bank, offset });
      lines.push(...page.rows);
      offset = page.next;
    }
    const file = join(directory, 'slice.jsonl');
    writeFileSync(file, lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
    const verifier = join(project, 'verifier/ledger-verifier.mjs');
    const { status } = spawnSync(
      process.execPath,
      [verifier, 'slice', '--key', signing.signer.verifierKey, '--witness', witnesses[0] ?? '', file],
      { encoding: 'utf8' },
    );
    return { done, status, says: (lines[0] as { slice: { says: string } }).slice.says };
  };
  const alerts = () =>
    sql.query<{ severity: string; text: string; count: number }>(
      "select severity, text, count from alert where kind = 'ledger.entry-missed'",
    );
  await read(ofAcme, acme);
  await read(ofBank, bank);
  await opened(partner, otherKey, acme);
  await seal();
  await witnessAll(sql);
  return { ...world, ofAcme, ofBank, partner, granted, ended, read, answer, ask, alerts };
}

const corrupt = {
  done: { state: 'failed', code: 'corrupt', text: /Somebody changed the record: give nobody anything/ },
};

test('a row that is changed for a question and put back is found by that question', async (t) => {
  const { run, tamper, ask, alerts, ofBank } = await theftWorld(t);
  t.match(await run(due), { verdict: 'good', run: 'full' });
  const honest = await ask();
  t.match(honest, { status: 0, says: 'affected' }, 'twin: the bank is affected');
  t.match(honest.done, { summary: { proved: { entries: 5, trees: 3, archived: 0, from: null } } }, 'all is proved');
  t.same(await alerts(), []);

  await tamper(`update ledger_sealed set credential = '${otherKey}' where ${opening(ofBank)}`);
  const lied = await ask();
  t.match(lied, corrupt, 'no letter is written by it');
  t.match(lied.done, {
    text: new RegExp(`tree ${commonTree} .*entry \\d+ \\(session\\.opened\\) at position 1 is not`),
  });
  t.match(await alerts(), [
    { severity: 'critical', text: /the record is not what was signed \(tree 0000.*, entry \d+\)/ },
  ]);
  t.match(await run(), { verdict: 'good', run: 'since' }, 'the run between two full ones sees nothing of it');
  await tamper(`update ledger_sealed set credential = '${key}' where ${opening(ofBank)}`);
  t.match(await run(due), { verdict: 'good', run: 'full' }, 'nor does the full run after it was put back');
  t.match(await ask(), { status: 0, says: 'affected' }, 'the question is answered again');
});

test('whoever asks without a proof is answered, and gets no slice by that', async (t) => {
  const { answer, ask } = await theftWorld(t);
  t.match((await answer({ credential: key }, false)).done, { state: 'done', summary: { proved: null } });
  await t.rejects(ask({ credential: key }, false), { code: 'conflict', message: /was not proved/ });
});

test('each change of what the answer rests on is refused, in whichever tree it is', async (t) => {
  const { tamper, ask, ofAcme, ofBank, partner, sql } = await theftWorld(t);
  t.match(await ask(), { status: 0, says: 'affected' }, 'twin');
  const columns = 'tree, position, salt, leaf, id, at, kind, observer, account_id, session_id, public, sensitive';
  const changes: readonly (readonly [string, string])[] = [
    ['with its leaf', `credential = '${otherKey}', leaf = sha256('x') where ${opening(ofBank)}`],
    ['its session', `session_id = '${randomUUID()}' where ${opening(ofBank)}`],
    ['its time', `at = at + interval '1 second' where ${opening(ofBank)}`],
    ['its kind', `kind = 'session.refused' where ${opening(ofBank)}`],
    ['its place', `position = 2 where ${opening(ofBank)}`],
    ['a place that no head has reached', `position = 99 where ${opening(ofBank)}`],
    ['a place before the first', `position = -1 where ${opening(ofBank)}`],
    ['another tree', `tree = '${randomUUID()}' where ${opening(ofBank)}`],
    ['in a tree that no slice of the bank shows', `credential = '${key}' where ${opening(partner)}`],
  ];
  await sql.query('create table before_it as select ctid as at_ctid, * from ledger_sealed');
  const names = (
    await sql.query<{ name: string }>(
      `select attname as name from pg_attribute where attrelid = 'ledger_sealed'::regclass and attnum > 0 and attgenerated = '' and not attisdropped`,
    )
  ).map((one) => one.name);
  const list = names.join(', ');
  const putBack = (): Promise<void> =>
    tamper('delete from ledger_sealed', `insert into ledger_sealed (${list}) select ${list} from before_it`);
  for (const [what, change] of changes) {
    await tamper(`update ledger_sealed set ${change}`);
    t.match(await ask(), corrupt, what);
    await putBack();
  }
  const added = (kind: string, position: string): string =>
    `insert into ledger_sealed (number, ${columns}) select 99, tree, ${position}, salt, leaf, id, at, '${kind}', observer, account_id, session_id, public, sensitive from before_it where ${opening(ofAcme)}`;
  for (const [what, change] of [
    ['it is gone', `delete from ledger_sealed where ${opening(ofBank)}`],
    ['all are gone', 'delete from ledger_sealed'],
    ['an end that nobody sealed', added('session.ended', '3')],
    ['the same at a place that is taken', added('session.ended', 'position')],
    [
      'a leaf in its place',
      `delete from ledger_sealed where ${opening(ofBank)}; insert into ledger_leaf select tree, position, leaf from before_it where ${opening(ofBank)}`,
    ],
    [
      'the size of its tree',
      `update ledger_tree set size = 1, frontier = (select leaf from before_it where ${opening(ofAcme)}) where tree = '${commonTree}'`,
    ],
  ] as const) {
    await tamper('create table if not exists trees_before as select * from ledger_tree', change);
    const refused = await ask();
    t.match(refused, { done: { state: 'failed', code: 'corrupt' } }, what);
    await putBack();
    await tamper(
      'delete from ledger_leaf',
      'delete from ledger_tree',
      'insert into ledger_tree select * from trees_before',
      'drop table trees_before',
    );
  }
  t.match(await ask(), { status: 0, says: 'affected' }, 'twin: all is put back');
});

test('with a window the answer is proved from the epoch before what it can rest on', async (t) => {
  const world = await theftWorld(t, { sessionLifeMs: 0 });
  const { sql, seal, write, tamper, answer, ask, read, granted, ended, ofAcme, ofBank, partner } = world;
  for (const one of [ofAcme, ofBank, partner]) await ended(one);
  await write(null, 300);
  await seal({ isEpochAsked: true });
  const [epoch] = await sql.query<{ at: Date }>('select max(at) as at from ledger_head where epoch = position');
  const since = new Date((epoch?.at.getTime() ?? 0) + 1).toISOString();
  const later = randomUUID();
  await read(later, bank);
  await seal();
  await witnessAll(sql);
  const asked = (): ReturnType<typeof ask> => ask({ credential: key, since });
  // The proof begins with the block of 256 entries in which the range begins.
  const ofWindow = { state: 'done', summary: { proved: { entries: 54, from: { position: 2 } } } } as const;
  t.match(await asked(), { status: 0, says: 'affected', done: ofWindow }, 'nothing long before the window is read');

  const set = async (what: string, session: string): Promise<void> =>
    tamper(`update ledger_sealed set ${what} where ${opening(session)}`);
  await set("node = 'edge-2'", ofAcme);
  t.match((await answer({ credential: key, since })).done, ofWindow, 'what it does not rest on may be anything');
  await set("node = 'edge-1'", ofAcme);
  await set(`credential = '${otherKey}'`, later);
  t.match(await asked(), corrupt, 'twin: a row of the window');
  await set(`credential = '${key}'`, later);

  await set(`session_id = '${later}', node = 'edge-2', kind = 'session.ended'`, ofAcme);
  t.match(await asked(), corrupt, 'an older row that says to be of a session of the window');
  const back = `session_id = '${ofAcme}', node = 'edge-1', kind = 'session.opened'`;
  await tamper(`update ledger_sealed set ${back} where node = 'edge-2'`);
  t.match(await asked(), { status: 0, says: 'affected', done: ofWindow }, 'twin: it is put back');

  await granted(ofBank, bank);
  await seal();
  await witnessAll(sql);
  const reaching = { status: 0, done: { state: 'done', summary: { proved: { entries: 311, from: null } } } };
  t.match(await asked(), reaching, 'a session of the window was opened before it: all from there on is proved');
  await set("kind = 'session.refused'", ofBank);
  t.match(await asked(), corrupt, 'when its opening is not to be found, everything is proved');
});

test('what is in archives is no gap and is told, and nothing else may be absent', async (t) => {
  const { sql, tamper, answer, ofBank } = await theftWorld(t, {}, async ({ old, archiveMonths }) => {
    await old(5, 900);
    await old(4, 30);
    await archiveMonths();
  });
  const entries = 5 + 2 * 3;
  const whole = { state: 'done', summary: { proved: { archived: 930, entries } } } as const;
  const first = (await answer()).done;
  t.match(first, whole, 'two months are in archives, and each tree has a statement of each');
  t.ok(first.state === 'done' && first.summary.record.completeFrom !== null, 'the answer says from when on it is');

  await sql.query(`create table kept_aside as select ctid as at_ctid, * from ledger_sealed where ${opening(ofBank)}`);
  const away = `delete from ledger_sealed where ${opening(ofBank)}`;
  await tamper(away, 'insert into ledger_leaf select tree, position, leaf from kept_aside');
  t.match((await answer()).done, { state: 'failed', code: 'corrupt', text: /no archive of an earlier month explains/ });
  const names = await sql.query<{ list: string }>(
    `select string_agg(attname, ', ' order by attnum) as list from pg_attribute where attrelid = 'ledger_sealed'::regclass and attnum > 0 and attgenerated = '' and not attisdropped`,
  );
  const list = names[0]?.list ?? '';
  await tamper(
    `insert into ledger_sealed (${list}) select ${list} from kept_aside`,
    'delete from ledger_leaf l using kept_aside k where l.tree = k.tree and l.position = k.position',
  );
  t.match((await answer()).done, whole, 'twin: it is put back');
  await tamper(
    `update ledger_sealed set public = public || '{"entries": 301}' where kind = 'ledger.archived' and tree = '${commonTree}'`,
  );
  t.match((await answer()).done, { state: 'failed', code: 'corrupt' }, 'a statement is an entry like any other');
});
