// Owns: two banks, four accounts and what they did, for tests of `incident scope`: each rule beside something that must
// not match.

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ScopeLimits, Scopes, scopeLimits } from '../../server/admin/incident/scopes.ts';
import { defaultShares } from '../../server/config/shares.ts';
import type { AccountId, CustomerId, FolderId, Verb } from '../../server/domain/ids.ts';
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
import { addAccount, addCustomer, addCustomerKey, addFolder, addRight } from './rows.ts';

export const print = (name: string): string => `SHA256:${name.padEnd(43, '0')}`;
const start = new Date('2026-03-10T08:00:00.000Z');
/** This many minutes after the beginning. */
export const after = (minutes: number): Date => new Date(start.getTime() + minutes * 60_000);

export type IncidentWorld = {
  readonly sql: TestDatabase;
  readonly history: History;
  readonly scopes: Scopes;
  readonly directory: string;
  readonly customers: { readonly a: CustomerId; readonly b: CustomerId };
  readonly folders: { readonly a: FolderId; readonly aDeposit: FolderId; readonly b: FolderId };
  readonly accounts: {
    readonly thief: AccountId;
    readonly namesake: AccountId;
    readonly partner: AccountId;
    readonly stranger: AccountId;
  };
  newSession(account: string, node: string): Who;
};

export async function incidentWorld(
  t: Teardown,
  limits: Partial<ScopeLimits> = {},
  answersEach = 3,
): Promise<IncidentWorld> {
  const sql = await createTestDatabase(t);
  const customers = {
    a: await addCustomer(sql, { name: 'bank' }),
    b: await addCustomer(sql, { name: 'bank-2' }),
  };
  for (const customer of Object.values(customers)) await addCustomerKey(sql, { customer });
  const folders = {
    a: await addFolder(sql, { customer: customers.a, direction: 'collect' }),
    aDeposit: await addFolder(sql, { customer: customers.a }),
    b: await addFolder(sql, { customer: customers.b, direction: 'collect' }),
  };
  const accounts = {
    thief: await addAccount(sql, { customer: null, name: 'pickup' }),
    namesake: await addAccount(sql, { customer: null, name: 'pickup-2' }),
    partner: await addAccount(sql, { customer: customers.a, name: 'bank-batch' }),
    stranger: await addAccount(sql, { customer: customers.b, name: 'bank-2-batch' }),
  };
  const right = (account: AccountId, customer: CustomerId, folder: FolderId, ...verbs: readonly Verb[]) =>
    addRight(sql, { account, customer, folder, verbs });
  await right(accounts.thief, customers.a, folders.a, 'list', 'read');
  await right(accounts.thief, customers.a, folders.aDeposit, 'list');
  await right(accounts.namesake, customers.b, folders.b, 'list', 'read');
  await right(accounts.partner, customers.a, folders.aDeposit, 'list', 'write');
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
