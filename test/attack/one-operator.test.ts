// T-23: one dishonest operator, the admin process itself, or whoever holds its database role: by no command can they do
// what needs two operators. Each refusal has its twin: the same, by two operators, takes effect.
import {
  createHash,
  createPrivateKey,
  createPublicKey as createPublicKeyOf,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
} from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { type Client, connect } from '../../admin-cli/connection/client.ts';
import { newOpenSshKeyPair } from '../../server/demo/openssh-key.ts';
import { toCofferdamError } from '../../server/domain/errors.ts';
import {
  type Approval,
  documentHash,
  type Proposal,
  publicKeyFingerprint,
  type Signed,
  signDocument,
} from '../../server/rpc/change-document.ts';
import { type OperatorOperation, operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { asWarden } from '../support/as-warden.ts';
import { connectAgreed } from '../support/operators.ts';
import { run, startWorld, type World } from '../support/world.ts';

type Params = Record<string, unknown>;
const spkiOf = (pair: { publicKey: KeyObject }): string =>
  pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
const newSpki = (): string => spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
const day = 86_400_000;

/** Every table that decides what anybody may reach; the record and the changes themselves are not among them. */
const protectedTables = [
  'customer',
  'account',
  'credential',
  'folder_right',
  'folder',
  'second_factor',
  'mfa_ticket',
  'activation_window',
  'standing_window',
  'legal_hold',
  'budget',
  'version',
  'rotation',
  'rotation_item',
  'operator',
  'operator_key',
  'break_glass',
  'seal',
  'installation',
] as const;

type Scene = {
  readonly world: World;
  readonly owner: pg.Client;
  readonly alice: Client;
  readonly bob: Client;
  readonly both: Client;
  readonly installation: string;
  readonly keyOf: (operator: string) => KeyObject;
  readonly snapshot: () => Promise<string>;
};

async function setUp(t: Test): Promise<Scene> {
  const world = await startWorld(t);
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  await owner.query("select set_config('cofferdam.customers', '*', false)");
  const directoryOf = (name: string): string => join(world.directory, 'operators', name);
  const socket = join(world.directory, 'run', 'admin', 'admin.sock');
  const [alice, bob] = [
    await connect({ directory: directoryOf('alice'), socket }),
    await connect({ directory: directoryOf('bob'), socket }),
  ];
  const both = await connectAgreed({ directoryOf, socket });
  t.teardown(() => {
    for (const client of [alice, bob, both]) client.close();
  });
  const { installation } = await alice.self();
  return {
    world,
    owner,
    alice,
    bob,
    both,
    installation,
    keyOf: (name) => createPrivateKey(readFileSync(join(directoryOf(name), 'key.pem'))),
    snapshot: async () => {
      const hash = createHash('sha256');
      for (const table of protectedTables) {
        const { rows } = await owner.query<{ all: string | null }>(
          `select string_agg(x::text, '|' order by x::text) as all from (select * from ${table}) x`,
        );
        hash.update(`${table}:${rows[0]?.all ?? ''}`);
      }
      return hash.digest('hex');
    },
  };
}

/**
 * Brings the demo world into a state in which every one of these operations could do something, by what one operator
 * may do.
 */
async function wishes({ world, both, owner }: Scene): Promise<Readonly<Partial<Record<OperatorOperation, Params>>>> {
  const one = async <T>(text: string): Promise<T> => Object.values((await owner.query(text)).rows[0] ?? {})[0] as T;
  const reason = 'test';
  const key = (name: string): string => newOpenSshKeyPair(name).publicLine;
  const local = join(world.directory, 'statement.xml');
  writeFileSync(local, 'statement');
  await world.sftp('processor', [`put ${local} acme/collect/statement.xml`]);
  const version = await one<string>("select id from version where state = 'published' limit 1");
  await both.call('file.withdraw', { version, reason });
  await both.call('account.lock', { name: 'acme-2', reason });
  await both.call('account.expire', { name: 'globex', inDays: 3, reason });
  await both.call('account.set', { name: 'acme', networks: ['127.0.0.0/8'], readOnly: true, reason });
  await both.call('customer.policy', { name: 'globex', allow: ['key+code', 'key+window'], reason });
  await both.call('customer.suspend', { name: 'acme-2', reason });
  await both.call('customer.create', { name: 'northbank', reason });
  // What one operator alone would give back below.
  await both.call('account.set', {
    name: 'acme',
    rights: [{ act: 'take', customer: 'acme', folder: 'deposit', verbs: ['list'] }],
    reason,
  });
  const print = (account: string): Promise<string> =>
    one(
      `select k.fingerprint from credential k join account a on a.id = k.account_id where a.name = '${account}' order by k.created_at limit 1`,
    );
  await both.call('key.suspend', { fingerprint: await print('globex'), reason });
  const { hold } = await both.call('hold.place', { customer: 'acme', reason });
  const started = await both.call('rotation.start', { selection: { account: 'acme-batch' }, overlapDays: 5, reason });
  await both.call('rotation.advance', { rotation: started.rotation, keys: [] });
  await both.call('operator.suspend', { name: 'carol', reason });
  const pending = await both.call('key.add', { account: 'globex-batch', publicKey: key('pending') });
  await asWarden(
    world,
    `update credential set valid_from = clock_timestamp() + interval '1 day' where fingerprint = '${pending.fingerprint}'`,
  );
  await both.call('mfa.reset', { account: 'globex', reason });
  const glass = await both.call('break-glass.prepare', {
    operator: 'alice',
    operations: ['window.open'],
    hours: 1,
    validDays: 1,
    reason,
  });
  const windowAlone = {
    operation: 'window.open',
    params: { account: 'globex-batch', hours: 1, reason },
    reason,
    breakGlass: glass.breakGlass,
  };
  await both.propose(windowAlone);
  await both.call('break-glass.end', { breakGlass: glass.breakGlass, reason });
  return {
    'customer.resume': { name: 'acme-2', reason },
    'customer.rename': { name: 'northbank', to: 'acme-3', reason },
    'account.create': { plane: 'partner', name: 'thief', customer: 'acme', kind: 'machine' },
    'account.unlock': { name: 'acme-2', reason },
    'account.expire': { name: 'globex', inDays: null, reason },
    'account.set': {
      name: 'acme',
      networks: [],
      readOnly: false,
      rights: [{ act: 'give', customer: 'acme', folder: 'deposit' }],
      reason,
    },
    'customer.policy': { name: 'globex', allow: null, reason },
    'key.add': { account: 'acme', publicKey: key('thief') },
    'key.confirm': { fingerprint: pending.fingerprint, reason },
    'key.resume': { fingerprint: await print('globex'), reason },
    'credential.wake': { fingerprint: await print('processor'), reason },
    'rotation.advance': { rotation: started.rotation, keys: [{ account: 'acme-batch', publicKey: key('thief') }] },
    'rotation.undo': { rotation: started.rotation, reason },
    'password.issue': { account: 'acme', name: 'password:abcdefgh', digest: '0'.repeat(64) },
    'mfa.ticket': { account: 'globex', ticketHash: '1'.repeat(64) },
    'window.open': { account: 'acme-2-batch', hours: 8, reason },
    'window.open-standing': {
      account: 'acme-batch',
      schedule: {
        name: 'nightly',
        days: [1, 2, 3, 4, 5, 6, 7],
        opens: '00:00',
        closes: '23:59',
        zone: 'UTC',
        forDays: 90,
      },
      reason,
    },
    'budget.set': { scope: { kind: 'customer', customer: 'acme' }, direction: 'out', bytes: { day: 2 ** 45 }, reason },
    'folder.create': { customer: 'acme', name: 'reports', direction: 'collect', reason },
    'folder.set': {
      customer: 'acme',
      folder: 'deposit',
      publish: 'on-rename',
      settleSeconds: 0,
      replace: true,
      windowDays: null,
      retentionDays: null,
      reason,
    },
    'file.release': { version, days: 90, reason },
    'hold.lift': { hold, reason },
    'operator.create': { name: 'mallory', role: 'security-officer', publicKey: newSpki(), reason },
    'operator.set-role': { name: 'carol', role: 'security-officer', reason },
    'operator.add-key': { name: 'bob', publicKey: newSpki(), reason },
    'operator.resume': { name: 'carol', reason },
    'break-glass.prepare': { operator: 'alice', operations: ['key.add'], hours: 24, validDays: 90, reason },
    'break-glass.review': { breakGlass: glass.breakGlass, finding: 'nothing to see' },
  };
}

type Forged = { readonly proposal: Signed; readonly approval: Signed };
type Making = {
  readonly operation: string;
  readonly params: Params;
  readonly proposer?: Partial<Proposal>;
  readonly approver?: Partial<Approval>;
  readonly signs: KeyObject;
  readonly approves: KeyObject;
  readonly keys: { readonly proposer: string; readonly approver: string };
};

function documents(installation: string, making: Making): Forged {
  const change = randomUUID();
  const now = Date.now();
  const proposal = signDocument(
    {
      type: 'cofferdam change/1',
      installation,
      change,
      operation: making.operation,
      params: making.params,
      reason: 'test',
      proposer: 'alice',
      key: making.keys.proposer,
      proposedAt: new Date(now).toISOString(),
      expiresAt: new Date(now + day / 2).toISOString(),
      ...making.proposer,
    },
    making.signs,
  );
  const approval = signDocument(
    {
      type: 'cofferdam approval/1',
      installation,
      change,
      hash: documentHash(proposal.document),
      approver: 'bob',
      key: making.keys.approver,
      approvedAt: new Date(now).toISOString(),
      ...making.approver,
    },
    making.approves,
  );
  return { proposal, approval };
}

test('the whole table: one operator alone, the admin process and its database role achieve nothing that needs two', async (t) => {
  const scene = await setUp(t);
  const { world, owner, alice, both, installation, keyOf, snapshot } = scene;
  const table = await wishes(scene);
  const needsTwo = Object.entries(operatorToAdmin)
    // A frozen gateway is a scene of its own: test/attack/restored-database.
    .filter(([operation, row]) => row.second !== 'never' && operation !== 'ledger.release')
    .map(([operation]) => operation as OperatorOperation);
  t.same(
    Object.keys(table).sort(),
    [...needsTwo].sort(),
    'the walk covers every operation that needs, or may need, two',
  );

  const adminUrl = world.roleUrl('admin');
  const taken = new pg.Client({ connectionString: adminUrl });
  await taken.connect();
  t.teardown(() => taken.end());
  const operatorIds = new Map(
    (await owner.query<{ name: string; id: string }>('select name, id from operator')).rows.map((row) => [
      row.name,
      row.id,
    ]),
  );
  /** As somebody who has compromised the admin process: any command in anybody's name. Returns the warden's answer. */
  const commanded = async (operator: string, operation: string, params: unknown): Promise<string> => {
    const id = randomUUID();
    try {
      await taken.query('insert into command (id, operator_id, operation, params) values ($1, $2, $3, $4)', [
        id,
        operatorIds.get(operator),
        operation,
        JSON.stringify(params),
      ]);
    } catch (error) {
      return `database: ${String(error)}`;
    }
    for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const { rows } = await owner.query<{ state: string; error_code: string | null }>(
        'select state, error_code from command where id = $1',
        [id],
      );
      if (rows[0]?.state === 'done') return 'done';
      if (rows[0]?.state === 'failed') return rows[0].error_code ?? 'failed';
    }
    return 'no answer';
  };
  const fingerprintOf = (key: KeyObject): string =>
    publicKeyFingerprint(Buffer.from(spkiOf({ publicKey: createPublicKeyOf(key) }), 'base64'));
  const [aliceKey, bobKey] = [keyOf('alice'), keyOf('bob')];
  const keys = { proposer: fingerprintOf(aliceKey), approver: fingerprintOf(bobKey) };
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ownPrint = fingerprintOf(own.privateKey);

  for (const operation of needsTwo) {
    const params = table[operation] ?? {};
    const before = await snapshot();
    const refused = async (what: string, work: () => Promise<string>): Promise<void> => {
      const outcome = await work();
      t.match(outcome, /^(?:denied|invalid|conflict|not-found)/, `${operation}, ${what}: ${outcome}`);
    };
    const called = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'done',
        (error: unknown) => toCofferdamError(error).code,
      );
    await refused('by direct rpc', () => called(alice.call(operation, params as never)));
    await refused('by a command of the admin database role', () => commanded('alice', operation, params));
    await refused("in somebody else's name", () => commanded('bob', operation, params));
    await refused('proposed and approved by the same', async () => {
      const { change, hash } = await alice.propose({ operation, params, reason: 'test' });
      return called(alice.approve(change, hash));
    });
    const forgeries: readonly (readonly [string, Partial<Making>])[] = [
      ["her own signature under bob's name", { approves: aliceKey }],
      ['a key of the admin process itself', { approves: own.privateKey, keys: { ...keys, approver: ownPrint } }],
      ['her own key under another name', { approves: aliceKey, keys: { ...keys, approver: keys.proposer } }],
      [
        'herself as the approver',
        { approves: aliceKey, keys: { ...keys, approver: keys.proposer }, approver: { approver: 'alice' } },
      ],
      ["bob's approval of something else", { approves: bobKey, approver: { hash: '0'.repeat(64) } }],
      ["bob's approval for another installation", { approves: bobKey, approver: { installation: randomUUID() } }],
    ];
    for (const [what, forged] of forgeries) {
      const { proposal, approval } = documents(installation, {
        operation,
        params,
        signs: aliceKey,
        approves: bobKey,
        keys,
        ...forged,
      });
      await refused(`a taken admin process with ${what}`, async () => {
        const proposed = await commanded('alice', 'change.propose', proposal);
        return proposed === 'done' ? commanded('bob', 'change.approve', approval) : proposed;
      });
    }
    const late: readonly (readonly [string, Partial<Proposal>])[] = [
      ['a proposal that has expired', { expiresAt: new Date(Date.now() - 1000).toISOString() }],
      ['a proposal for a week', { expiresAt: new Date(Date.now() + 7 * day).toISOString() }],
      ['an emergency that nobody prepared', { breakGlass: randomUUID() }],
    ];
    for (const [what, proposer] of late) {
      const { proposal } = documents(installation, {
        operation,
        params,
        signs: aliceKey,
        approves: bobKey,
        keys,
        proposer,
      });
      await refused(what, () => commanded('alice', 'change.propose', proposal));
    }
    t.equal(await snapshot(), before, `${operation}: and nothing has changed`);
  }

  for (const operation of needsTwo) {
    if (operation === 'rotation.undo') continue;
    const before = await snapshot();
    const outcome = await both.call(operation, (table[operation] ?? {}) as never).then(
      () => 'done',
      (error: unknown) => `${toCofferdamError(error).code}: ${toCofferdamError(error).message}`,
    );
    t.equal(outcome, 'done', `${operation} by two`);
    t.not(await snapshot(), before, `${operation}: and it has its effect`);
  }
  const undone = await both.call('rotation.undo', (table['rotation.undo'] ?? {}) as never);
  t.equal(undone.restored, 1, 'rotation.undo by two');
});

test('the admin database role writes only its own rows: every table, every kind of statement', async (t) => {
  const { world, owner, snapshot } = await setUp(t);
  const url = world.roleUrl('admin');
  const psql = (sql: string) =>
    run('psql', ['--no-psqlrc', '--quiet', url], {
      input: `select set_config('cofferdam.customers', '*', false);\n${sql}`,
    });
  const { rows: tables } = await owner.query<{ name: string }>(
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
  );
  const before = await snapshot();
  for (const { name } of tables) {
    const done = await psql(
      [
        `insert into ${name} default values;`,
        `update ${name} set ctid = ctid;`,
        `delete from ${name};`,
        `truncate ${name} cascade;`,
        `alter table ${name} disable trigger all;`,
        `drop table ${name};`,
      ].join('\n'),
    );
    const wrong = done.err.split('\n').filter((line) => line.includes('ERROR'));
    t.equal(wrong.length, 6, `${name}: ${wrong.join('; ')}`);
  }
  const { rows: functions } = await owner.query<{ name: string }>(
    "select distinct proname as name from pg_proc where pronamespace = 'public'::regnamespace order by 1",
  );
  t.ok(functions.length > 10);
  for (const sql of [
    "insert into ledger_fresh (kind, observer, sensitive) values ('change.approved', 'warden', '{}')",
    "insert into ledger_fresh (kind, observer, sensitive) values ('session.opened', 'admin', '{}')",
    "insert into command (id, operator_id, operation, params, state) select gen_random_uuid(), id, 'key.add', '{}', 'done' from operator limit 1",
    "update command set params = '{}'",
    'select sealed_seed from second_factor',
    'select wrapped_key from content',
    'select wrapped from customer_key',
    'select mac from seal',
    'select charge_batch()',
    'set role cofferdam_warden',
    'set session_replication_role = replica',
    "copy command to program 'id'",
    "select pg_read_file('/etc/passwd')",
  ]) {
    const done = await psql(`${sql};`);
    t.match(done.err, /ERROR/, sql);
  }
  t.equal(await snapshot(), before);
  const allowed = await psql(
    "insert into ledger_fresh (kind, observer, sensitive) values ('operator.asked', 'admin', '{}');\nselect name from operator;",
  );
  t.notMatch(allowed.err, /ERROR/, 'its own words, and what it may read');
});
