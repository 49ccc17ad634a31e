// Owns: two banks that are alike in everything, acme and acme-2, with all that operators can act upon: accounts of each
// kind, keys, a password, a factor, a ticket, windows, sessions, handles, versions of files, holds and counters of
// guesses; and what both of them share: the processor, the nodes, the operators and their emergencies.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { type AccountId, type CredentialId, type CustomerId, idOf, type SessionId } from '../../server/domain/ids.ts';
import { createBudgets } from '../../server/warden/budgets/create-budgets.ts';
import { addKey as registerKey } from '../../server/warden/credentials/credentials.ts';
import { insertSecondFactor } from '../../server/warden/factors/factor-queries.ts';
import { newSeed } from '../../server/warden/factors/totp.ts';
import { openBreakGlass } from '../../server/warden/operators/break-glass-queries.ts';
import { sealing } from '../../server/warden/seals/seals.ts';
import { wideBudgets } from './bank.ts';
import type { Names } from './effects.ts';
import { type Key, makeKey } from './key-requests.ts';
import { addContent, addFile, addSession, addVersion } from './rows.ts';
import type { UseCaseBench } from './use-case-bench.ts';

const reason = 'a test';
/** What `password.issue` calls the password of each bank. */
const passwords: Readonly<Record<string, string>> = { acme: 'password:aaaaaaaa', 'acme-2': 'password:bbbbbbbb' };
/** The public key of an operator that nobody has, in base64. */
export const newOperatorKey = (): string =>
  generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

export type TwoBanks = {
  readonly names: Names;
  /** The id, or the fingerprint, of what has this name. */
  readonly called: (name: string) => string;
  readonly keys: ReadonlyMap<string, Key>;
};

type Making = Pick<UseCaseBench, 'sql' | 'warden' | 'agreed' | 'given'> & {
  readonly names: Names;
  readonly keys: Map<string, Key>;
};

/** A key with its name: its fingerprint is called so, and the id of its row `key` and its name. */
async function addKey({ agreed, names, keys, sql }: Making, account: string, name: string): Promise<CredentialId> {
  const key = makeKey();
  keys.set(name, key);
  const { answer } = await agreed('key.add', { account, publicKey: key.line, readOnly: name.endsWith('2') });
  names.set(answer.fingerprint, name);
  const [row] = await sql.query<{ id: CredentialId }>('select id from credential where fingerprint = $1', [
    answer.fingerprint,
  ]);
  if (row === undefined) throw new Error(name);
  names.set(row.id, `key ${name}`);
  return row.id;
}

/** A key that a customer asked for over its console, which waits for a day. */
async function addPendingKey(
  { names, keys, sql, warden, given }: Making,
  account: string,
  name: string,
): Promise<void> {
  const key = makeKey();
  keys.set(name, key);
  names.set(key.fingerprint, name);
  const [row] = await sql.query<{ id: AccountId; customer: CustomerId }>(
    'select id, customer_id as customer from account where name = $1',
    [account],
  );
  if (row === undefined) throw new Error(account);
  const holder = { id: row.id, name: account, customer: row.customer };
  const by = { warden: given, by: `account ${account}`, endSessions: async () => 0 };
  await warden.database.withSystem((tx) =>
    sealing(tx, warden, { maker: 'console', change: () => null }, () =>
      registerKey({ ...by, tx }, { holder, publicKey: key.line, isProved: true, replaces: null, waitsHours: 24 }),
    ),
  );
  const [made] = await sql.query<{ id: string }>('select id from credential where fingerprint = $1', [key.fingerprint]);
  names.set(made?.id ?? '', `key ${name}`);
}

async function idNamed<T extends string>({ sql, names }: Making, table: string, name: string): Promise<T> {
  const [row] = await sql.query<{ id: T }>(`select id from ${table} where name = $1`, [name]);
  if (row === undefined) throw new Error(name);
  names.set(row.id, name);
  return row.id;
}

async function makeAccounts(making: Making, bank: string): Promise<void> {
  const { agreed, warden } = making;
  const [person, machine] = [`${bank}-clerk`, `${bank}-batch`];
  await agreed('account.create', {
    plane: 'partner',
    name: person,
    customer: bank,
    kind: 'person',
    contact: `${person}@example.com`,
    manages: true,
  });
  await agreed('account.create', { plane: 'partner', name: machine, customer: bank, kind: 'machine' });
  await agreed('account.set', { name: machine, networks: ['192.0.2.0/24'], readOnly: true, reason });
  await idNamed(making, 'account', person);
  const account = await idNamed<AccountId>(making, 'account', machine);
  await agreed('password.issue', { account: machine, name: passwords[bank] ?? '', digest: digestOf(bank) });
  for (const name of [person, machine]) await agreed('mfa.ticket', { account: name, ticketHash: digestOf(name) });
  await agreed('window.open', { account: machine, hours: 8, reason });
  for (const name of ['night', 'noon'])
    await agreed('window.open-standing', {
      account: machine,
      schedule: { name, days: [5], opens: '22:00', closes: '23:00', zone: 'UTC', forDays: 30 },
      reason,
    });
  const seed = warden.keys.sealSecret('totp', account, newSeed());
  await warden.database.withSystem((tx) =>
    sealing(tx, warden, { maker: 'console', change: () => null }, () => insertSecondFactor(tx, account, seed)),
  );
}

/** Gives every row of the tables that have no name of their own the name that `text` selects. */
async function nameRows({ sql, names }: Making, text: string): Promise<void> {
  for (const row of await sql.query<{ id: string; name: string }>(text)) names.set(row.id, row.name);
}

async function makeSessions(making: Making, bank: string): Promise<void> {
  const { sql, names } = making;
  const [person, machine] = [
    await idNamed<AccountId>(making, 'account', `${bank}-clerk`),
    await idNamed<AccountId>(making, 'account', `${bank}-batch`),
  ];
  const clerk = await addKey(making, `${bank}-clerk`, `${bank}-clerk#1`);
  await addPendingKey(making, `${bank}-clerk`, `${bank}-clerk#waiting`);
  const first = await addKey(making, `${bank}-batch`, `${bank}-batch#1`);
  const second = await addKey(making, `${bank}-batch`, `${bank}-batch#2`);
  const password = idOf<CredentialId>(
    (
      await sql.query<{ id: string }>("select id from credential where type = 'password' and account_id = $1", [
        machine,
      ])
    )[0]?.id ?? '',
  );
  names.set(password, `key ${bank}-password`);
  names.set(passwords[bank] ?? '', `${bank}-password`);
  const open = async (
    name: string,
    account: AccountId,
    credential: CredentialId,
    rest = 'id = id',
  ): Promise<SessionId> => {
    const id = await addSession(sql, { account, credential, source: bank === 'acme' ? '192.0.2.1' : '198.51.100.1' });
    names.set(id, `${names.get(account)}@${name}`);
    await sql.query(`update session set ${rest} where id = $1`, [id]);
    return id;
  };
  await open('clerk', person, clerk);
  await open('enrolment', person, clerk, "purpose = 'enrolment'");
  await open(
    'ended',
    machine,
    first,
    "state = 'ended', ended_at = clock_timestamp(), end_reason = 'x', end_kind = 'idle'",
  );
  await open('both', machine, second, `also_credential_id = '${password}'`);
  const window = (kind: string, more: string): string =>
    `window_id = (select w.id from ${kind} w where w.account_id = session.account_id ${more})`;
  await open('window', machine, first, window('activation_window', ''));
  await open('night', machine, second, window('standing_window', "and w.name = 'night'"));
  const reading = await open('reading', machine, second);
  await sql.query(
    `insert into download (id, customer_id, session_id, version_id)
     select gen_random_uuid(), v.customer_id, $1, v.id from version v join customer c on c.id = v.customer_id where c.name = $2 and v.state = 'published'`,
    [reading, bank],
  );
}

async function makeFiles(making: Making, bank: string): Promise<void> {
  const { sql, names, agreed } = making;
  const customer = await idNamed<CustomerId>(making, 'customer', bank);
  const account = await idNamed<AccountId>(making, 'account', `${bank}-clerk`);
  const [folder] = await sql.query<{ id: never }>("select id from folder where customer_id = $1 and name = 'collect'", [
    customer,
  ]);
  if (folder === undefined) throw new Error('no folder');
  for (const [name, states] of [
    ['twice', ['withdrawn', 'published', 'published']],
    ['once', ['published']],
    ['gone', ['withdrawn']],
    ['lost', ['destroyed']],
  ] as const) {
    const file = await addFile(sql, { customer, folder: folder.id, name });
    names.set(file, `${bank}:${name}`);
    for (const [i, state] of states.entries()) {
      const content = await addContent(sql, { customer });
      names.set(content, `${bank}:${name}.${i + 1} content`);
      const version = await addVersion(sql, {
        customer,
        file,
        content,
        account,
        state,
        withdrawnAt: state === 'withdrawn' ? "now() - interval '2 days'" : null,
      });
      names.set(version, `${bank}:${name}.${i + 1}`);
    }
  }
  await sql.query(
    "update version set complete_reads = 3, withdrawn_why = 'reads' where customer_id = $1 and state = 'withdrawn'",
    [customer],
  );
  const { answer } = await agreed('hold.place', { customer: bank, folder: 'collect', reason });
  names.set(answer.hold, `${bank} hold`);
}

async function makeShared(making: Making): Promise<void> {
  const { agreed, sql, warden, names } = making;
  for (const scope of [
    { kind: 'plane', plane: 'partner' },
    { kind: 'plane', plane: 'internal' },
    { kind: 'gateway' },
  ] as const)
    await warden.database.withSystem((tx) =>
      sealing(tx, warden, { maker: 'start', change: () => null }, () => createBudgets(tx, scope, wideBudgets)),
    );
  for (const node of ['n', 'm'])
    await sql.query(
      "insert into node (name, plane, start_id, last_seen_at) values ($1, 'partner', gen_random_uuid(), clock_timestamp() + interval '1 hour')",
      [node],
    );
  await nameRows(making, "select start_id as id, 'run of ' || name as name from node");
  await sql.query("insert into node (name, plane, start_id) values ('old', 'partner', gen_random_uuid())");
  for (const name of ['carol', 'dora'])
    await agreed('operator.create', { name, role: 'operator', publicKey: newOperatorKey(), reason });
  for (const name of ['agreed-alice', 'agreed-bob', 'carol', 'dora']) await idNamed(making, 'operator', name);
  for (const row of await sql.query<{ fingerprint: string; name: string }>(
    'select k.fingerprint, o.name from operator_key k join operator o on o.id = k.operator_id',
  ))
    names.set(row.fingerprint, `key of ${row.name}`);
}

async function makeEmergencies({ agreed, warden, names }: Making): Promise<void> {
  for (const [operator, name] of [
    ['carol', 'prepared'],
    ['dora', 'used'],
  ] as const) {
    const { answer } = await agreed('break-glass.prepare', {
      operator,
      operations: ['account.unlock'],
      hours: 2,
      validDays: 7,
      reason,
    });
    names.set(answer.breakGlass, `emergency ${name}`);
    if (name === 'used')
      await warden.database.withSystem((tx) =>
        sealing(tx, warden, { maker: 'operator', change: () => null }, () => openBreakGlass(tx, answer.breakGlass, 2)),
      );
  }
}

/** An internal account that reaches only the second bank, with a session on another node. */
async function makeArchive(making: Making): Promise<void> {
  const { agreed, sql, names } = making;
  await agreed('account.create', { plane: 'internal', name: 'archive', kind: 'machine', customers: ['acme-2'] });
  const account = await idNamed<AccountId>(making, 'account', 'archive');
  const credential = await addKey(making, 'archive', 'archive#1');
  names.set(await addSession(sql, { account, credential, node: 'm' }), 'archive@m');
}

/** Makes both banks and what they share. */
export async function makeTwoBanks(bench: UseCaseBench): Promise<TwoBanks> {
  const making: Making = { ...bench, names: new Map([['alice, approved by bob', 'both']]), keys: new Map() };
  const { agreed, sql } = bench;
  await makeShared(making);
  for (const bank of ['acme', 'acme-2']) {
    await agreed('customer.create', { name: bank, reason });
    await makeAccounts(making, bank);
    await makeFiles(making, bank);
    await makeSessions(making, bank);
  }
  await agreed('account.create', {
    plane: 'internal',
    name: 'processor',
    kind: 'machine',
    customers: ['acme', 'acme-2'],
  });
  const processor = await idNamed<AccountId>(making, 'account', 'processor');
  const session = await addSession(sql, {
    account: processor,
    credential: await addKey(making, 'processor', 'processor#1'),
  });
  making.names.set(session, 'processor@1');
  await makeArchive(making);
  await makeEmergencies(making);
  await sql.query(
    "insert into login_penalty (subject, failures) select x || '/' || a.id || '/192.0.2.1', 3 from account a, unnest(array['account', 'known']) x where a.name like 'acme%batch'",
  );
  for (const [table, name] of [
    ['folder', "c.name || '/' || t.name"],
    ['customer_key', "'key of ' || c.name"],
  ])
    await nameRows(making, `select t.id, ${name} as name from ${table} t join customer c on c.id = t.customer_id`);
  for (const [table, name] of [
    ['activation_window', "a.name || ' window'"],
    ['standing_window', "a.name || ' ' || t.name"],
    ['mfa_ticket', "a.name || ' ticket'"],
  ])
    await nameRows(making, `select t.id, ${name} as name from ${table} t join account a on a.id = t.account_id`);
  const handles = await sql.query<{ id: string; version_id: string }>('select id, version_id from download');
  for (const { id, version_id: version } of handles) making.names.set(id, `handle on ${making.names.get(version)}`);
  for (const name of ['new', 'newer']) {
    const key = makeKey();
    making.keys.set(name, key);
    making.names.set(key.fingerprint, `${name} key`);
  }
  const called = (name: string): string => [...making.names].find(([, one]) => one === name)?.[0] ?? `no ${name}`;
  return { names: making.names, called, keys: making.keys };
}
