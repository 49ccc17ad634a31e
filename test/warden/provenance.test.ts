// Who may make a row, and whether a change that a row names says what the row says: every operation, with each of its
// facts changed separately.
import { test } from 'tap';
import type { Proposal } from '../../server/rpc/change-document.ts';
import { fitsChange, isAccess, type Maker, mayBeMadeBy } from '../../server/warden/seals/provenance.ts';
import type { SealKind } from '../../server/warden/seals/seal-queries.ts';

/** All kinds of rows. A kind in no row of the table below has no maker without a second operator. */
const kinds = [
  'customer',
  'folder',
  'account',
  'rights',
  'credential',
  'window',
  'standing-window',
  'budget',
  'operator',
  'operator-key',
  'break-glass',
  'second-factor',
  'ticket',
] as const satisfies readonly SealKind[];

test('makers without a second operator, each with the kinds that it may make', (t) => {
  const table: Readonly<Record<Maker, readonly string[]>> = {
    operator: ['customer', 'folder', 'budget'],
    console: ['credential', 'budget', 'window', 'second-factor'],
    login: [],
    bootstrap: ['operator', 'operator-key'],
    start: ['budget'],
    'self-test': ['customer', 'folder', 'account', 'rights', 'credential', 'budget', 'second-factor'],
    demo: ['second-factor'],
  };
  for (const [maker, may] of Object.entries(table))
    for (const kind of kinds) t.equal(mayBeMadeBy(kind, maker), may.includes(kind), `${maker} makes ${kind}`);
  for (const nobody of [null, '', 'somebody', 'constructor', '__proto__'])
    t.notOk(
      kinds.some((kind) => mayBeMadeBy(kind, nobody)),
      String(nobody),
    );
  t.same(
    kinds.filter((kind) => isAccess(kind)),
    ['account', 'rights', 'credential', 'operator', 'operator-key'],
  );
  t.end();
});

const key = Buffer.from('0000000b7373682d65643235353139', 'hex');
const line = `ssh-ed25519 ${key.toString('base64')} a comment`;
type Facts = Readonly<Record<string, unknown>>;
type Case = readonly [operation: string, kind: string, facts: Facts, params: Facts];
/** Each is valid as it is. */
const cases: readonly Case[] = [
  [
    'account.create',
    'account',
    { name: 'a', kind: 'person', plane: 'partner' },
    { name: 'a', kind: 'person', plane: 'partner' },
  ],
  ['account.set', 'account', { name: 'a' }, { name: 'a' }],
  ['account.expire', 'account', { name: 'a' }, { name: 'a' }],
  ['key.add', 'credential', { public_key: key.toString('hex') }, { publicKey: line }],
  ['key.confirm', 'credential', { fingerprint: 'SHA256:x' }, { fingerprint: 'SHA256:x' }],
  [
    'rotation.advance',
    'credential',
    { public_key: key.toString('hex') },
    { keys: [{ publicKey: 'ssh-ed25519 AAAA' }, { publicKey: line }] },
  ],
  ['password.issue', 'credential', { fingerprint: 'password:x', public_key: null }, { name: 'password:x' }],
  ['operator.create', 'operator', { name: 'o', role: 'operator' }, { name: 'o', role: 'operator' }],
  ['operator.create', 'operator-key', { public_key: key.toString('hex') }, { publicKey: key.toString('base64') }],
  ['operator.set-role', 'operator', { name: 'o', role: 'auditor' }, { name: 'o', role: 'auditor' }],
  ['operator.resume', 'operator', { name: 'o' }, { name: 'o' }],
  ['operator.add-key', 'operator-key', { public_key: key.toString('hex') }, { publicKey: key.toString('base64') }],
];

const fits = (operation: string, kind: string, facts: Facts, params: Facts): boolean =>
  fitsChange({ kind: kind as SealKind, id: 'i', facts: JSON.stringify(facts) }, {
    operation,
    params,
  } as unknown as Proposal);

test('a row of access is what its change says, fact for fact', (t) => {
  for (const [operation, kind, facts, params] of cases) {
    const name = `${operation} makes ${kind}`;
    t.ok(fits(operation, kind, facts, params), name);
    for (const fact of Object.keys(facts))
      t.notOk(fits(operation, kind, { ...facts, [fact]: 'other' }, params), `${name}: another ${fact}`);
    for (const param of Object.keys(params)) {
      t.notOk(
        fits(operation, kind, facts, { ...params, [param]: 'other' }),
        `${name}: the change says another ${param}`,
      );
      t.notOk(fits(operation, kind, facts, { ...params, [param]: 7 }), `${name}: the change says a number as ${param}`);
    }
  }
  t.ok(fits('account.create', 'rights', {}, {}), 'the rights of an account that it creates');
  t.end();
});

test('an operation makes rows only of its own kinds; rows that let nobody in need no fitting change', (t) => {
  const made = new Set([...cases.map(([operation, kind]) => `${operation}/${kind}`), 'account.create/rights']);
  for (const [operation, , facts, params] of cases)
    for (const kind of ['account', 'rights', 'credential', 'operator', 'operator-key'])
      if (!made.has(`${operation}/${kind}`))
        t.notOk(fits(operation, kind, facts, params), `${operation} makes no ${kind}`);
  for (const operation of ['budget.set', 'constructor', '__proto__', ''])
    t.notOk(fits(operation, 'account', { name: 'a' }, { name: 'a' }));
  t.ok(fits('budget.set', 'budget', {}, {}));
  t.end();
});
