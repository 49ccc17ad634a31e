// Owns: two banks, four accounts and what they did, for tests of `incident scope`: each rule beside something that must
// not match.

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ScopeLimits, Scopes, scopeLimits } from '../../server/admin/incident/scopes.ts';
import { defaultShares } from '../../server/config/shares.ts';
import type { Selection } from '../../server/domain/incident/selection.ts';
import { others } from '../../server/domain/share.ts';
import {
  type IncidentPart,
  type IncidentRow,
  type IncidentSummary,
  incidentParts,
} from '../../server/rpc/operators/incident.ts';
import { createTestDatabase, type Teardown, type TestDatabase } from './database.ts';
import { History, type Who } from './history.ts';

export const print = (name: string): string => `SHA256:${name.padEnd(43, '0')}`;
const start = new Date('2026-03-10T08:00:00.000Z');
/** This many minutes after the beginning. */
export const after = (minutes: number): Date => new Date(start.getTime() + minutes * 60_000);

export type IncidentWorld = {
  readonly sql: TestDatabase;
  readonly history: History;
  readonly scopes: Scopes;
  readonly directory: string;
  readonly customers: { readonly a: string; readonly b: string };
  readonly folders: { readonly a: string; readonly aDeposit: string; readonly b: string };
  readonly accounts: {
    readonly thief: string;
    readonly namesake: string;
    readonly partner: string;
    readonly stranger: string;
  };
  newSession(account: string, node: string): Who;
};

export async function incidentWorld(
  t: Teardown,
  limits: Partial<ScopeLimits> = {},
  answersEach = 3,
): Promise<IncidentWorld> {
  const sql = await createTestDatabase(t);
  const customers = { a: randomUUID(), b: randomUUID() };
  const folders = { a: randomUUID(), aDeposit: randomUUID(), b: randomUUID() };
  for (const [id, name] of [
    [customers.a, 'bank'],
    [customers.b, 'bank-2'],
  ]) {
    await sql.query('insert into customer (id, name) values ($1, $2)', [id, name]);
    await sql.query("insert into customer_key values ($1, $2, '', 'k')", [randomUUID(), id]);
  }
  for (const [id, customer, direction] of [
    [folders.a, customers.a, 'collect'],
    [folders.aDeposit, customers.a, 'deposit'],
    [folders.b, customers.b, 'collect'],
  ])
    await sql.query('insert into folder (id, customer_id, name, direction) values ($1, $2, $3, $3)', [
      id,
      customer,
      direction,
    ]);
  const accounts = { thief: randomUUID(), namesake: randomUUID(), partner: randomUUID(), stranger: randomUUID() };
  for (const [id, name, customer] of [
    [accounts.thief, 'pickup', null],
    [accounts.namesake, 'pickup-2', null],
    [accounts.partner, 'bank-batch', customers.a],
    [accounts.stranger, 'bank-2-batch', customers.b],
  ])
    await sql.query(
      "insert into account (id, name, customer_id, kind, plane) values ($1, $2, $3, 'machine', case when $3::uuid is null then 'internal' else 'partner' end)",
      [id, name, customer],
    );
  const right = (account: string, customer: string, folder: string, verbs: string): Promise<unknown> =>
    sql.query('insert into folder_right (account_id, customer_id, folder_id, verbs) values ($1, $2, $3, $4)', [
      account,
      customer,
      folder,
      verbs,
    ]);
  await right(accounts.thief, customers.a, folders.a, '{list,read}');
  await right(accounts.thief, customers.a, folders.aDeposit, '{list}');
  await right(accounts.namesake, customers.b, folders.b, '{list,read}');
  await right(accounts.partner, customers.a, folders.aDeposit, '{list,write}');
  await sql.query("insert into node (name, plane) select n, 'internal' from unnest($1::text[]) n", [
    ['edge-1', 'edge-10', 'edge-2'],
  ]);
  await sql.query(
    "insert into operator (id, name, role) select gen_random_uuid(), n, 'operator' from unnest($1::text[]) n",
    [['mallory', 'mallory-2', 'bob']],
  );
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-scopes-'));
  const scopes = new Scopes(
    { url: sql.adminUrl, directory },
    { ...scopeLimits, ...limits },
    {
      ...defaultShares.admin,
      answers: { ...defaultShares.admin.answers, each: answersEach },
    },
  );
  t.teardown(async () => {
    await scopes.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    sql,
    history: new History(sql),
    scopes,
    directory,
    customers,
    folders,
    accounts,
    newSession: (account, node) => ({ session: randomUUID(), account, node }),
  };
}

export type Found = { readonly scope: string; readonly summary: IncidentSummary } & {
  readonly [P in IncidentPart]: readonly IncidentRow<P>[];
};

/** Every part to its end, with each row checked against its schema. */
export async function find(scopes: Scopes, selection: Selection, unread = true, operator = 'alice'): Promise<Found> {
  const scope = scopes.start({ holder: operator, group: others }, { selection, unread });
  const now = await scopes.progress(operator, { scope, waitMs: 20_000 });
  if (now.state !== 'done') throw new Error(now.state === 'failed' ? `${now.code}: ${now.text}` : 'not done in time');
  const parts: Record<string, unknown> = {};
  for (const part of Object.keys(incidentParts) as IncidentPart[]) {
    const rows: unknown[] = [];
    for (let offset: number | null = 0; offset !== null; ) {
      const page = scopes.page(operator, { scope, part, offset });
      rows.push(...page.rows.map((row) => incidentParts[part].parse(row)));
      offset = page.next;
    }
    if (rows.length !== (now.rows[part] ?? 0)) throw new Error(`${part}: ${rows.length} rows, ${now.rows[part]} said`);
    parts[part] = rows;
  }
  return { scope, summary: now.summary, ...parts } as Found;
}

export const paths = (found: Found): readonly string[] => found.files.map((row) => row.path ?? '').sort();

/** One session and one file that its client read completely: the least that can be found. */
export async function visit(
  world: IncidentWorld,
  who: Who,
  minutes: number,
  name: string,
  how: {
    readonly credential: string;
    readonly also?: string;
    readonly source: string;
    readonly client: string;
    readonly lasts?: number;
  },
): Promise<void> {
  const { history, customers, folders } = world;
  const version = await history.version(customers.b, folders.b, name, {
    account: world.accounts.stranger,
    published: after(-600),
  });
  await history.open(who, after(minutes), how);
  await history.read(
    who,
    after(minutes + 1),
    { customer: customers.b, version, path: `/${name}` },
    { extents: [0], closed: { by: 'client', sent: 100 } },
  );
  await history.end(who, after(minutes + (how.lasts ?? 10)));
}
