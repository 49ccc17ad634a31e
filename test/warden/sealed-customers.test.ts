// With which folders a session is opened: with those that were verified, of active customers, and of no other customer
// than the account's own.
import { test } from 'tap';
import { type AccountId, idOf } from '../../server/domain/ids.ts';
import type { SealedRow, SealKind } from '../../server/warden/seals/seal-queries.ts';
import { accountOf, customersOf } from '../../server/warden/sessions/session-scope.ts';

const account = idOf<AccountId>('account-1');
const ofAccount = {
  customer_id: 'c1',
  name: 'acme',
  kind: 'person',
  plane: 'partner',
  read_only: false,
  manages: true,
};
const ofFolder = (customer: string, name: string) => ({
  customer_id: customer,
  name,
  direction: 'deposit',
  publish_rule: 'on-close',
  marker: '.done',
  settle_ms: 5,
  read_back: true,
  replace_allowed: false,
  directories_allowed: true,
});
const folderAs = (id: string, name: string) => ({
  id,
  name,
  direction: 'deposit',
  publishRule: 'on-close',
  settleMs: 5,
  readBack: true,
  replaceAllowed: false,
  directoriesAllowed: true,
});
type Facts = Readonly<Record<string, unknown>>;
const everything: readonly (readonly [SealKind, string, Facts])[] = [
  ['account', account, ofAccount],
  ['rights', account, { f2: ['c1', ['list']], f1: ['c1', ['list', 'write']], f3: ['c2', ['read']] }],
  ['customer', 'c1', { name: 'acme' }],
  ['customer', 'c2', { name: 'Globex' }],
  ['folder', 'f1', ofFolder('c1', 'deposit')],
  ['folder', 'f2', ofFolder('c1', 'collect')],
  ['folder', 'f3', ofFolder('c2', 'deposit')],
];
const both = new Set(['c1', 'c2']);

/** As a login verified them; `changed` replaces facts of a row, and null means that the row was not verified. */
function rows(changed: Readonly<Record<string, Facts | null>> = {}): ReadonlyMap<string, SealedRow> {
  return new Map(
    everything.flatMap(([kind, id, facts]) => {
      const said = changed[`${kind}/${id}`];
      return said === null
        ? []
        : [[`${kind}/${id}`, { kind, id, facts: JSON.stringify({ ...facts, ...said }) } as SealedRow]];
    }),
  );
}

function reached(
  changed: Readonly<Record<string, Facts | null>> = {},
  active: ReadonlySet<string> = both,
): readonly string[] {
  const given = rows(changed);
  const of = accountOf(given, account, false);
  if (of === undefined) throw new Error('no account');
  return customersOf(given, of, active).flatMap((one) =>
    one.folders.map((folder) => `${one.name}/${folder.name}: ${folder.verbs.join()}`),
  );
}

test('an account of a customer reaches folders of that customer, whatever else its rights name', (t) => {
  t.same(reached(), ['acme/collect: list', 'acme/deposit: list,write']);
  t.same(
    reached({ 'account/account-1': { customer_id: null, plane: 'internal' } }),
    ['Globex/deposit: read', 'acme/collect: list', 'acme/deposit: list,write'],
    'one of nobody reaches what its rights name, in the order of the names as bytes',
  );
  t.end();
});

test('what was not verified, is suspended, or belongs to another customer is left out', (t) => {
  t.same(reached({}, new Set(['c2'])), [], 'suspended');
  t.same(reached({ 'customer/c1': null }), []);
  t.same(reached({ 'folder/f1': null }), ['acme/collect: list']);
  t.same(
    reached({ 'folder/f1': { customer_id: 'c2' } }),
    ['acme/collect: list'],
    'the folder says another customer than the right',
  );
  t.same(reached({ 'rights/account-1': null }), []);
  t.equal(accountOf(rows({ 'account/account-1': null }), account, false), undefined);
  t.end();
});

test('every fact of a folder and of an account is taken over', (t) => {
  const given = rows();
  const of = accountOf(given, account, false);
  t.same(of, {
    id: account,
    name: 'acme',
    kind: 'person',
    plane: 'partner',
    customer: 'c1',
    readOnly: false,
    manages: true,
  });
  t.equal(accountOf(given, account, true)?.readOnly, true, 'a credential that may only read');
  t.equal(
    accountOf(rows({ 'account/account-1': { read_only: true } }), account, false)?.readOnly,
    true,
    'an account that may only read',
  );
  const [customer] = of === undefined ? [] : customersOf(given, of, both);
  t.same(customer, {
    id: 'c1',
    name: 'acme',
    folders: [
      { ...folderAs('f2', 'collect'), verbs: ['list'] },
      { ...folderAs('f1', 'deposit'), verbs: ['list', 'write'] },
    ],
  });
  t.end();
});
