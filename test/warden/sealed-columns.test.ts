// T-36: whatever decides a login, a right, a cap or a window is under a seal, or is listed here with the reason why the
// database's owner may change it. The list is taken from the catalogue: whoever adds a table or a column says which it
// is.
import { test } from 'tap';
import { factsOf, sealKinds } from '../../server/warden/seals/seal-queries.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const narrows = 'it only narrows: undoing it is among the known limits';
const told = 'it is shown, and decides nothing';
const when = 'when it was made: it decides nothing';
const identity = 'the name of the row: it stands in the seal itself';

/** Columns of sealed tables that no seal covers. */
const open: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  customer: { id: identity, created_at: when, state: narrows },
  account: {
    id: identity,
    created_at: when,
    state: narrows,
    contact: 'who is told, beside the alerts: it opens nothing',
    is_demo: 'a warden outside the demo world does not start with such accounts',
  },
  credential: {
    id: identity,
    created_at: when,
    state: narrows,
    expires_at: 'it only narrows: the verified end is issued_until',
    first_used_at: told,
    first_used_from: told,
    last_used_at: 'dormancy only narrows',
    last_used_from: told,
    woken_at: 'dormancy only narrows',
    warned_at: told,
    ended_at: told,
    ended_by: told,
    ended_why: told,
    proved_at: 'who proves to have the key again gets it, and nobody else: it opens nothing',
    successor_id: 'it makes two credentials one for the half rule, which only throttles',
  },
  folder_right: {},
  folder: { id: identity, created_at: when },
  budget: {
    id: identity,
    total_bytes: 'what was spent: undoing it is among the known limits',
    total_items: 'what was spent',
    minute: 'when it was spent',
    ...Object.fromEntries(
      ['hour', 'day', 'week'].flatMap((span) =>
        ['bytes', 'items'].map((unit) => [`base_${span}_${unit}`, 'what was spent before this span']),
      ),
    ),
    slow_until: 'it steers the rate, it guards nothing',
    headroom_until:
      'approved headroom, released once: headroom_percent is sealed, and its release is an alarm and on the record',
  },
  activation_window: { id: identity, opened_by: told, reason: told, closed_at: narrows },
  standing_window: { id: identity, opened_by: told, reason: told, closed_at: narrows },
  second_factor: { enrolled_at: told },
  mfa_ticket: {
    id: identity,
    issued_by: told,
    created_at: 'which of several is asked for: each is verified by itself',
  },
  operator: { id: identity, created_at: when },
  operator_key: { created_at: when },
  break_glass: {
    id: identity,
    reason: told,
    created_at: when,
    reviewed_at: 'a review asks for nothing and opens nothing',
    finding: told,
  },
};

/** Tables whose rows have no seal of this kind. */
const record = 'the record: witnessed outside, and compared with it';
const spent = 'what was spent: undoing it is among the known limits';
const catalogue =
  'the catalogue: within one customer, as among the known limits; open handles and scopes carry MACs of their own';
const elsewhere: Readonly<Record<string, string>> = {
  seal: 'the seals themselves: each is a MAC over its row',
  change: 'both signatures are verified again whenever a row names it',
  session: 'what a session may do is sealed in its row, and verified when it is loaded and by the regular pass',
  customer_key: 'wrapped by the master key, bound to its customer',
  content: 'the file key is wrapped by the key of its customer',
  extent: catalogue,
  pending_extent: catalogue,
  doomed_content: catalogue,
  doomed_object: catalogue,
  directory: catalogue,
  file: catalogue,
  version: catalogue,
  download: 'an open handle carries a MAC of its own',
  legal_hold: 'it keeps; a missing one lets retention destroy, which opens nothing',
  done_file: 'it says under which of two names an account finds a file, and opens nothing',
  budget_snapshot: spent,
  charged_item: spent,
  totp_step: 'that a code was used stands in the record, too, which is asked with each code',
  login_penalty:
    'counters of guesses: passwords and tickets have 160 bits and five trials under a seal; a code is six digits, and its account may be locked',
  known_source: 'it decides which counter a guess is counted by',
  stranger_login: 'strangers by the minute, before they are on the record',
  rotation: 'it only brings ends nearer; what its undoing gives back is bounded by the sealed issued_until',
  rotation_item: 'it only brings ends nearer; what its undoing gives back is bounded by the sealed issued_until',
  node: 'which nodes were heard; who a node is follows from its socket',
  self_test: 'verdicts are shown',
  command:
    'an operator, his role and the parameters are checked again by the warden; what widens is a change with signatures',
  alert: 'it is shown',
  key_exchange_use: 'it is shown',
  receipt_key: 'public keys, to be shown',
  installation: 'its name stands in what is signed',
  schema_migration: 'of the migrating login',
  schema_function: 'of the migrating login',
  ledger_archive: record,
  ledger_archive_range: record,
  ledger_archiving: 'it is shown',
  ledger_block: record,
  ledger_forward: 'how far each receiver is',
  ledger_freeze: 'a release counts by a genuine change only',
  ledger_fresh: record,
  ledger_head: record,
  ledger_kept: record,
  ledger_key: 'public keys, to be shown',
  ledger_leaf: record,
  ledger_quarantine: record,
  ledger_sealed: record,
  ledger_state: record,
  ledger_tree: record,
  ledger_verdict: 'what another host says; it is shown, and put on the record',
  flow: 'it steers the rate, it guards nothing',
};

type Column = {
  readonly table: string;
  readonly column: string;
  readonly kind: string | null;
  readonly is_sealed: boolean;
};

/** Every column of every table, and which kind of seal breaks when it is written. */
const columnsOf = (sql: TestDatabase): Promise<readonly Column[]> =>
  sql.query<Column>(
    `select c.relname::text as table, a.attname::text as column, substring(pg_get_triggerdef(t.oid) from 'break_seal\\(''([a-z-]+)''\\)') as kind,
       a.attnum = any (t.tgattr) as is_sealed
     from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_trigger t on t.tgrelid = c.oid and t.tgname = 'break_seal'
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped order by 1, 2`,
  );

test('each column of each table is under a seal, or has a reason', async (t) => {
  const columns = await columnsOf(await createTestDatabase(t));
  t.ok(columns.length > 200, `${columns.length} columns`);
  const bare = new Set(columns.filter((one) => one.kind === null).map((one) => one.table));
  t.same(
    [...bare].filter((table) => !(table in elsewhere)),
    [],
    'tables without seals, and without a reason',
  );
  t.same(
    Object.keys(elsewhere).filter((table) => !bare.has(table)),
    [],
    'reasons for tables that are not there, or sealed',
  );
  const sealed = columns.filter((one) => one.kind !== null);
  t.same(
    [...new Set(sealed.map((one) => one.kind))].sort(),
    [...sealKinds].sort(),
    'each kind of seal breaks with its table',
  );
  const unsealed = sealed.filter((one) => !one.is_sealed).map((one) => `${one.table}.${one.column}`);
  const reasons = Object.entries(open).flatMap(([table, of]) => Object.keys(of).map((column) => `${table}.${column}`));
  t.same(
    unsealed.filter((one) => !reasons.includes(one)),
    [],
    'columns that no seal covers, without a reason',
  );
  t.same(
    reasons.filter((one) => !unsealed.includes(one)),
    [],
    'reasons for columns that are not there, or sealed',
  );
});

test('a seal covers exactly the columns whose change breaks it', async (t) => {
  const columns = await columnsOf(await createTestDatabase(t));
  for (const kind of sealKinds) {
    const told = new Set([...factsOf[kind].matchAll(/'([a-z_]+)',\s/g)].map(([, name]) => name));
    const breaking = columns.filter((one) => one.kind === kind && one.is_sealed).map((one) => one.column);
    // The facts of rights are the rows themselves, by folder; the name of a key is its fingerprint.
    if (kind === 'rights') t.same(breaking, ['account_id', 'customer_id', 'folder_id', 'verbs']);
    else
      t.same(
        [...told].sort(),
        breaking.filter((one) => !(kind === 'operator-key' && one === 'fingerprint')),
        kind,
      );
  }
});
