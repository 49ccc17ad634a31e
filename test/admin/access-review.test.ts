// The access review, as the database roles of the auditor and of the admin process read it.
import { test } from 'tap';
import { listAccess } from '../../server/admin/report/access-queries.ts';
import { accessRow } from '../../server/admin/report/access-report.ts';
import type { AccountId, AccountKind, CustomerId } from '../../server/domain/ids.ts';
import { Database } from '../../server/postgres/database.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import type { AccessRow } from '../../server/rpc/operators/report.ts';
import { createTestDatabase, testPasswords } from '../support/database.ts';
import { addAccount, addCredential, addCustomer, addFolder } from '../support/rows.ts';

const day = 86_400_000;
const print = (name: string): string => `SHA256:${name.padEnd(43, '0')}`;

test('the database roles of the auditor and of the admin process read the same review, also page by page', async (t) => {
  const sql = await createTestDatabase(t);
  const ids = { a: await addCustomer(sql, { name: 'bank-a' }), b: await addCustomer(sql, { name: 'bank-b' }) };
  for (const customer of Object.values(ids)) {
    await addFolder(sql, { customer, readBack: customer === ids.b });
    await addFolder(sql, { customer, direction: 'collect' });
  }
  const account = async (
    name: string,
    kind: AccountKind,
    customer: CustomerId | null,
    more: {
      readonly sourceNetworks?: readonly string[];
      readonly readOnly?: boolean;
      readonly state?: 'suspended';
    } = {},
  ): Promise<AccountId> => {
    const id = await addAccount(sql, { customer, name, kind, ...more });
    await sql.query(
      `insert into folder_right select $1, customer_id, id, case direction when 'deposit' then '{list,write}'::text[] else '{list,read}'::text[] end from folder
       where $2::uuid is null or customer_id = $2`,
      [id, customer],
    );
    return id;
  };
  const credential = async (owner: AccountId, name: string, more = ''): Promise<void> => {
    await addCredential(sql, {
      account: owner,
      algorithm: 'ssh-ed25519',
      fingerprint: print(name),
      issuedBy: 'alice',
      validFrom: "now() - interval '1 hour'",
      expiresAt: "now() + interval '1 year'",
    });
    if (more !== '') await sql.query(`update credential set ${more} where fingerprint = $1`, [print(name)]);
  };
  const person = await account('person', 'person', ids.a);
  await credential(person, 'person');
  await sql.query("insert into second_factor values ($1, '', 'k')", [person]);
  const bare = await account('person.bare', 'person', ids.a);
  await credential(bare, 'bare');
  const machine = await account('machine', 'machine', ids.b, { sourceNetworks: ['198.51.100.0/24'] });
  await credential(
    machine,
    'machine',
    "last_used_at = now() - interval '40 days', last_used_from = '198.51.100.7', source_networks = '{198.51.100.7/32}'",
  );
  await sql.query(
    `insert into standing_window (id, account_id, name, days, opens, closes, zone, valid_until, opened_by, reason)
     values (gen_random_uuid(), $1, 'nightly', '{1,2,3}', '02:00', '04:00', 'UTC', now() + interval '30 days', 'alice', 'payment run')`,
    [machine],
  );
  // Windows that no longer open anything, because they were closed or are over.
  for (const [name, until, closed] of [
    ['closed', "now() + interval '30 days'", 'now()'],
    ['over', "now() - interval '1 minute'", 'null'],
  ]) {
    await sql.query(
      `insert into standing_window (id, account_id, name, days, opens, closes, zone, valid_from, valid_until, opened_by, reason, closed_at)
       values (gen_random_uuid(), $1, '${name}', '{1,2,3}', '02:00', '04:00', 'UTC', now() - interval '30 days', ${until}, 'alice', 'x', ${closed})`,
      [machine],
    );
    await sql.query(
      `insert into activation_window (id, account_id, opens_at, closes_at, opened_by, reason, closed_at)
       values (gen_random_uuid(), $1, now() - interval '1 hour', ${until === "now() - interval '1 minute'" ? until : "now() + interval '1 hour'"}, 'alice', 'x', ${closed})`,
      [machine],
    );
  }
  await sql.query(
    `insert into credential (id, account_id, type, algorithm, password_hash, fingerprint, issued_by, expires_at)
     values (gen_random_uuid(), $1, 'password', 'argon2id', 'x', 'password:abcdefgh', 'alice', now() + interval '1 year')`,
    [machine],
  );
  const reader = await account('reader', 'machine', ids.a, { readOnly: true });
  await credential(reader, 'reader');
  const narrow = await account('narrow', 'machine', ids.a);
  await credential(narrow, 'narrow', 'read_only = true');
  const gone = await account('gone', 'machine', ids.a);
  await credential(gone, 'revoked', "state = 'revoked'");
  await credential(gone, 'expired', "expires_at = now() - interval '1 minute', valid_from = now() - interval '1 year'");
  const dormant = await account('dormant', 'machine', ids.a);
  await credential(dormant, 'dormant', "valid_from = now() - interval '100 days'");
  const locked = await account('locked', 'person', ids.a, { state: 'suspended' });
  await credential(locked, 'locked');
  const own = await account('processor', 'machine', null);
  await credential(own, 'own');
  await sql.query("insert into second_factor values ($1, '', 'k')", [own]);

  const connect = (role: 'admin' | 'auditor'): Database => {
    const database = new Database({
      url: withCredentials(sql.migrateUrl, `cofferdam_${role}`, testPasswords[role]),
      applicationName: 'test',
      connectionsMax: 2,
    });
    t.teardown(() => database.close());
    return database;
  };
  const rowsOf = async (database: Database, pageRows: number, customer?: string): Promise<AccessRow[]> => {
    const rows: AccessRow[] = [];
    for (;;) {
      const last = rows.at(-1);
      const after = last && {
        account: last.account,
        customer: last.customer,
        folder: last.folder,
        fingerprint: last.credential?.fingerprint ?? null,
      };
      const page = await database.withSystem((tx) =>
        listAccess(
          tx,
          90 * day,
          { ...(after && { after }), ...(customer === undefined ? {} : { customer }) },
          pageRows,
        ),
      );
      rows.push(...page.map(accessRow));
      if (page.length < pageRows) return rows;
    }
  };
  const admin = connect('admin');
  const rows = await rowsOf(admin, 1000);
  t.same(
    await rowsOf(connect('auditor'), 1000),
    rows,
    'the auditor sees what the database role of the admin process sees',
  );
  for (const pageRows of [1, 2, 3, 7])
    t.same(await rowsOf(admin, pageRows), rows, `pages of ${pageRows} give the same`);
  t.equal(
    rows.length,
    8 * 2 + 2 + 4,
    'two folders each, two credentials of the machine, four folders of the internal account',
  );

  const one = (name: string, folder: string, type = 'public-key'): AccessRow => {
    const found = rows.filter(
      (row) => row.account === name && row.folder === folder && (row.credential?.type ?? type) === type,
    );
    t.equal(found.length >= 1, true, `${name} ${folder}`);
    return found[0] as AccessRow;
  };
  t.match(one('person', 'collect'), {
    opensWith: ['key+code'],
    blocked: null,
    verbs: ['list', 'read'],
    secondFactor: true,
  });
  t.match(one('person', 'deposit'), { verbs: ['list', 'write'], direction: 'deposit' });
  t.match(one('person.bare', 'collect'), {
    allowedProofs: ['key+code'],
    opensWith: [],
    blocked: 'no set of proofs is complete',
  });
  const ours = one('machine', 'deposit');
  t.match(ours, {
    networks: ['198.51.100.0/24'],
    allowedProofs: ['key+code', 'key+password', 'key+window'],
    opensWith: ['key+password', 'key+window'],
    verbs: ['list', 'read', 'write'],
    blocked: null,
    credential: {
      networks: ['198.51.100.7/32'],
      unusedDays: 40,
      firstUsed: null,
      lastUsed: { from: '198.51.100.7' },
      issuedBy: 'alice',
    },
  });
  t.match(ours.windows, [
    { name: 'nightly', schedule: 'mo,tu,we 02:00-04:00 UTC', openedBy: 'alice', reason: 'payment run' },
  ]);
  t.equal(ours.windows.length, 1, 'and none that was closed or is over');
  t.match(one('machine', 'deposit', 'password'), {
    opensWith: ['key+password'],
    credential: { fingerprint: 'password:abcdefgh' },
  });
  for (const name of ['reader', 'narrow']) t.same(one(name, 'deposit').verbs, ['list'], `${name} may change nothing`);
  t.match(one('gone', 'collect'), {
    credential: null,
    blocked: 'no usable credential',
    endedCredentials: 2,
    verbs: ['list', 'read'],
  });
  t.match(one('dormant', 'collect'), {
    credential: { state: 'dormant', unusedDays: 100 },
    blocked: 'the credential is dormant',
  });
  t.equal(one('locked', 'collect').blocked, 'the account is suspended');
  t.same(
    rows.filter((row) => row.account === 'processor').map((row) => `${row.customer}/${row.folder}`),
    ['bank-a/collect', 'bank-a/deposit', 'bank-b/collect', 'bank-b/deposit'],
  );
  t.same(
    rows.filter((row) => row.account === 'processor' && row.folder === 'deposit').map((row) => row.verbs),
    Array(2).fill(['list', 'write']),
    'what a folder gives its depositors to read back is not for our own account',
  );

  const ofB = await rowsOf(admin, 1000, 'bank-b');
  t.same(
    [...new Set(ofB.map((row) => row.account))],
    ['machine', 'processor'],
    'one customer: its own accounts, and ours that reach it',
  );
  t.ok(ofB.every((row) => row.customer === 'bank-b'));
  await sql.query("update customer set state = 'suspended', allowed_proofs = '{key+code}' where id = $1", [ids.b]);
  const stricter = await rowsOf(admin, 1000, 'bank-b');
  t.ok(
    stricter.every((row) => row.blocked === 'the customer is suspended'),
    'a suspended customer lets nobody in',
  );
  t.match(
    stricter.find((row) => row.account === 'machine'),
    { allowedProofs: ['key+code'], opensWith: [] },
    'and its own policy is the narrower one',
  );
});
