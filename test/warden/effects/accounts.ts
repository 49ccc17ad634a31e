// What each operation on accounts and activation windows does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { entry, handles, newBudgets, ofBatch, reason } from './words.ts';

const [batch, clerk] = ['acme-batch', 'acme-clerk'];
const person = { plane: 'partner', name: 'acme-new', customer: 'acme', kind: 'person' } as const;
const expires = (inDays: number | null) => ['account.expire', { name: batch, inDays, reason }] as const;

export const accountCases: readonly Case[] = [
  {
    run: ['account.create', { ...person, contact: 'new@example.com', manages: true }],
    does: {
      answer: { name: 'acme-new' },
      added: {
        account: [
          {
            id: '?',
            kind: 'person',
            name: 'acme-new',
            plane: 'partner',
            state: 'active',
            contact: 'new@example.com',
            manages: true,
            created_at: 'now',
            customer_id: 'acme',
          },
        ],
        budget: newBudgets,
        folder_right: [
          { verbs: ['list', 'read'], folder_id: 'acme/collect', account_id: '?', customer_id: 'acme' },
          { verbs: ['list', 'write'], folder_id: 'acme/deposit', account_id: '?', customer_id: 'acme' },
        ],
      },
      entries: [
        {
          kind: 'account.created',
          public: { kind: 'person', name: 'acme-new', plane: 'partner' },
          sensitive: { by: 'both', rights: { collect: ['list', 'read'], deposit: ['list', 'write'] } },
          account_id: '?',
          customer_id: 'acme',
        },
      ],
    },
  },
  {
    run: ['account.create', { ...person, kind: 'machine' }],
    does: {
      answer: { name: 'acme-new' },
      added: {
        account: [
          {
            id: '?',
            kind: 'machine',
            name: 'acme-new',
            plane: 'partner',
            state: 'active',
            created_at: 'now',
            customer_id: 'acme',
          },
        ],
        budget: newBudgets,
        folder_right: [
          { verbs: ['list', 'read'], folder_id: 'acme/collect', account_id: '?', customer_id: 'acme' },
          { verbs: ['list', 'write'], folder_id: 'acme/deposit', account_id: '?', customer_id: 'acme' },
        ],
      },
      entries: [
        {
          kind: 'account.created',
          public: { kind: 'machine', name: 'acme-new', plane: 'partner' },
          sensitive: { by: 'both', rights: { collect: ['list', 'read'], deposit: ['list', 'write'] } },
          account_id: '?',
          customer_id: 'acme',
        },
      ],
    },
  },
  {
    run: ['account.create', { plane: 'internal', name: 'reports', kind: 'machine', customers: ['acme-2', 'acme-2'] }],
    does: {
      answer: { name: 'reports' },
      added: {
        account: [{ id: '?', kind: 'machine', name: 'reports', plane: 'internal', state: 'active', created_at: 'now' }],
        budget: ['?/acme-2/in', '?/acme-2/list', '?/acme-2/out'],
        folder_right: [
          { verbs: ['list', 'read'], folder_id: 'acme-2/deposit', account_id: '?', customer_id: 'acme-2' },
          { verbs: ['list', 'write', 'remove'], folder_id: 'acme-2/collect', account_id: '?', customer_id: 'acme-2' },
        ],
      },
      entries: [
        {
          kind: 'account.created',
          public: { kind: 'machine', name: 'reports', plane: 'internal' },
          sensitive: { by: 'both', rights: { collect: ['list', 'write', 'remove'], deposit: ['list', 'read'] } },
          account_id: '?',
          customer_id: 'acme-2',
        },
      ],
    },
  },
  {
    run: ['account.create', { ...person, kind: 'machine', manages: true }],
    refused: { code: 'invalid', message: 'only a person manages other accounts' },
  },
  {
    run: ['account.create', { ...person, customer: 'acme-2', name: clerk }],
    refused: { code: 'conflict', message: 'there is already an account named acme-clerk' },
  },
  {
    run: ['account.create', { ...person, customer: 'none' }],
    refused: { code: 'not-found', message: 'there is no customer named none' },
  },
  {
    run: ['account.lock', { name: batch, reason }],
    does: {
      answer: { sessionsEnded: 4 },
      changed: { 'account acme-batch': { state: 'suspended' } },
      entries: [entry('account.locked', 'acme-batch', { by: 'alice' })],
      ended: { 'account: account locked: a test': ofBatch },
      closed: handles,
    },
  },
  {
    prior: [['account.lock', { name: batch, reason }]],
    run: ['account.lock', { name: batch, reason }],
    refused: { code: 'conflict', message: 'account acme-batch is locked already' },
  },
  {
    run: ['account.end-sessions', { name: batch, reason }],
    does: {
      answer: { sessionsEnded: 4 },
      ended: { 'operator: ended by an operator: a test': ofBatch },
      closed: handles,
    },
  },
  {
    prior: [['account.end-sessions', { name: batch, reason }]],
    run: ['account.end-sessions', { name: batch, reason }],
    refused: { code: 'conflict', message: 'no session of account acme-batch is open' },
  },
  {
    prior: [
      ['account.lock', { name: batch, reason }],
      ['account.lock', { name: 'acme-2-batch', reason }],
    ],
    run: ['account.unlock', { name: batch, reason }],
    does: {
      answer: { wasLocked: true, countersCleared: 2 },
      changed: { 'account acme-batch': { state: 'active' } },
      gone: ['login_penalty account/acme-batch/192.0.2.1', 'login_penalty known/acme-batch/192.0.2.1'],
      entries: [entry('account.unlocked', 'acme-batch', { by: 'both', wasLocked: true, countersCleared: 2 })],
    },
  },
  {
    says: 'only counters',
    run: ['account.unlock', { name: batch, reason }],
    does: {
      answer: { wasLocked: false, countersCleared: 2 },
      gone: ['login_penalty account/acme-batch/192.0.2.1', 'login_penalty known/acme-batch/192.0.2.1'],
      entries: [entry('account.unlocked', 'acme-batch', { by: 'both', wasLocked: false, countersCleared: 2 })],
    },
  },
  {
    says: 'only locked',
    prior: [['account.lock', { name: clerk, reason }]],
    run: ['account.unlock', { name: clerk, reason }],
    does: {
      answer: { wasLocked: true, countersCleared: 0 },
      changed: { 'account acme-clerk': { state: 'active' } },
      entries: [entry('account.unlocked', 'acme-clerk', { by: 'both', wasLocked: true, countersCleared: 0 })],
    },
  },
  {
    run: ['account.unlock', { name: clerk, reason }],
    refused: {
      code: 'conflict',
      message: 'account acme-clerk is not locked, and no guess against it failed',
    },
  },
  {
    run: expires(30),
    does: {
      answer: { expiresAt: '+30d', sessionsEnded: 4 },
      changed: { 'account acme-batch': { expires_at: '+30d' } },
      entries: [entry('account.end-set', 'acme-batch', { by: 'both', expiresAt: '+30d' })],
      ended: { 'account: the account was given an end': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'later',
    prior: [expires(30)],
    run: expires(60),
    does: {
      answer: { expiresAt: '+60d', sessionsEnded: 0 },
      widened: ['the end of acme-batch'],
      changed: { 'account acme-batch': { expires_at: '+60d' } },
      entries: [entry('account.end-set', 'acme-batch', { by: 'both', expiresAt: '+60d' })],
    },
  },
  {
    says: 'sooner',
    prior: [expires(30)],
    run: expires(0),
    does: {
      answer: { expiresAt: 'now', sessionsEnded: 0 },
      changed: { 'account acme-batch': { expires_at: 'now' } },
      entries: [entry('account.end-set', 'acme-batch', { by: 'both', expiresAt: 'now' })],
    },
  },
  {
    says: 'never',
    prior: [expires(30)],
    run: expires(null),
    does: {
      answer: { expiresAt: null, sessionsEnded: 0 },
      widened: ['the end of acme-batch'],
      changed: { 'account acme-batch': { expires_at: null } },
      entries: [entry('account.end-set', 'acme-batch', { by: 'both', expiresAt: null })],
    },
  },
  {
    says: 'all that is narrower',
    run: ['account.set', { name: clerk, networks: ['192.0.2.0/25'], readOnly: true, manages: false, reason }],
    does: {
      answer: { sessionsEnded: 2 },
      changed: { 'account acme-clerk': { manages: false, read_only: true, source_networks: ['192.0.2.0/25'] } },
      entries: [
        entry('account.changed', 'acme-clerk', {
          by: 'both',
          manages: false,
          networks: ['192.0.2.0/25'],
          readOnly: true,
        }),
      ],
      ended: { 'account: the account was changed': ['acme-clerk@clerk', 'acme-clerk@enrolment'] },
    },
  },
  {
    says: 'narrower networks',
    run: ['account.set', { name: batch, networks: ['192.0.2.0/25'], reason }],
    does: {
      answer: { sessionsEnded: 4 },
      changed: { 'account acme-batch': { source_networks: ['192.0.2.0/25'] } },
      entries: [entry('account.changed', 'acme-batch', { by: 'both', networks: ['192.0.2.0/25'] })],
      ended: { 'account: the account was changed': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'wider networks',
    run: ['account.set', { name: batch, networks: ['192.0.2.0/23'], reason }],
    does: {
      answer: { sessionsEnded: 4 },
      widened: ['the networks of acme-batch'],
      changed: { 'account acme-batch': { source_networks: ['192.0.2.0/23'] } },
      entries: [entry('account.changed', 'acme-batch', { by: 'both', networks: ['192.0.2.0/23'] })],
      ended: { 'account: the account was changed': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'networks too wide to bind',
    run: ['account.set', { name: clerk, networks: ['10.0.0.0/8', '192.0.2.0/24'], reason }],
    does: {
      answer: { sessionsEnded: 2 },
      changed: { 'account acme-clerk': { source_networks: ['10.0.0.0/8', '192.0.2.0/24'] } },
      entries: [
        entry('account.changed', 'acme-clerk', {
          by: 'both',
          networks: ['10.0.0.0/8', '192.0.2.0/24'],
          tooWideToBind: ['10.0.0.0/8'],
        }),
      ],
      ended: { 'account: the account was changed': ['acme-clerk@clerk', 'acme-clerk@enrolment'] },
    },
  },
  {
    says: 'may write',
    run: ['account.set', { name: batch, readOnly: false, reason }],
    does: {
      answer: { sessionsEnded: 4 },
      widened: ['what acme-batch may write'],
      changed: { 'account acme-batch': { read_only: false } },
      entries: [entry('account.changed', 'acme-batch', { by: 'both', readOnly: false })],
      ended: { 'account: the account was changed': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'manages',
    prior: [['account.set', { name: clerk, manages: false, reason }]],
    run: ['account.set', { name: clerk, manages: true, reason }],
    does: {
      answer: { sessionsEnded: 0 },
      widened: ['whom acme-clerk manages'],
      changed: { 'account acme-clerk': { manages: true } },
      entries: [entry('account.changed', 'acme-clerk', { by: 'both', manages: true })],
    },
  },
  {
    says: 'a start',
    run: ['account.set', { name: batch, start: { customer: 'acme', folder: 'deposit' }, reason }],
    does: {
      answer: { sessionsEnded: 4 },
      widened: ['where acme-batch starts'],
      changed: { 'account acme-batch': { starts_in: 'acme/deposit' } },
      entries: [entry('account.changed', 'acme-batch', { by: 'both', start: { customer: 'acme', folder: 'deposit' } })],
      ended: { 'account: the account was changed': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'a start at the root',
    run: ['account.set', { name: batch, start: 'root', reason }],
    does: {
      answer: { sessionsEnded: 4 },
      changed: { 'account acme-batch': { starts_in: 'root' } },
      entries: [entry('account.changed', 'acme-batch', { by: 'both', start: 'root' })],
      ended: { 'account: the account was changed': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'a start in a folder of another bank',
    run: ['account.set', { name: batch, start: { customer: 'acme-2', folder: 'deposit' }, reason }],
    refused: {
      code: 'conflict',
      message: 'acme-batch may do nothing in acme-2/deposit: give it a right there first',
    },
  },
  {
    says: 'a start in a folder of which the right is taken',
    run: [
      'account.set',
      {
        name: batch,
        start: { customer: 'acme', folder: 'deposit' },
        rights: [{ act: 'take', customer: 'acme', folder: 'deposit' }],
        reason,
      },
    ],
    refused: { code: 'conflict', message: 'acme-batch may do nothing in acme/deposit: give it a right there first' },
  },
  {
    says: 'a start in no folder',
    run: ['account.set', { name: batch, start: { customer: 'acme', folder: 'none' }, reason }],
    refused: { code: 'not-found', message: 'customer acme has no folder none' },
  },
  {
    says: 'rights that are taken away',
    run: ['account.set', { name: batch, rights: [{ act: 'take', customer: 'acme', folder: 'collect' }], reason }],
    does: {
      answer: { sessionsEnded: 4 },
      changed: { 'folder_right acme-batch/acme/collect': { verbs: [] } },
      entries: [
        entry(
          'account.rights-changed',
          'acme-batch',
          { by: 'both' },
          { public: { rights: [{ folder: 'collect', before: ['list', 'read'], after: [] }] } },
        ),
      ],
      ended: { 'account: the account was changed': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'rights that are given',
    prior: [['account.set', { name: batch, rights: [{ act: 'take', customer: 'acme' }], reason }]],
    run: [
      'account.set',
      { name: batch, rights: [{ act: 'give', customer: 'acme', folder: 'collect', verbs: ['list'] }], reason },
    ],
    does: {
      answer: { sessionsEnded: 0 },
      widened: ['what acme-batch may do in acme/collect'],
      changed: { 'folder_right acme-batch/acme/collect': { verbs: ['list'] } },
      entries: [
        entry(
          'account.rights-changed',
          'acme-batch',
          { by: 'both' },
          { public: { rights: [{ folder: 'collect', before: [], after: ['list'] }] } },
        ),
      ],
    },
  },
  {
    says: "rights on another bank's folder",
    run: ['account.set', { name: batch, rights: [{ act: 'give', customer: 'acme-2' }], reason }],
    refused: { code: 'invalid', message: /another customer/ },
  },
  {
    says: 'an internal account and a new bank',
    prior: [['customer.create', { name: 'north', reason }]],
    run: [
      'account.set',
      { name: 'processor', rights: [{ act: 'give', customer: 'north', folder: 'deposit' }], reason },
    ],
    does: {
      answer: { sessionsEnded: 1 },
      widened: ['what processor may do in north/deposit'],
      added: {
        budget: ['processor/?/in', 'processor/?/list', 'processor/?/out'],
        folder_right: [{ verbs: ['list', 'read'], folder_id: '?', account_id: 'processor', customer_id: '?' }],
      },
      entries: [
        {
          kind: 'account.rights-changed',
          public: { rights: [{ folder: 'deposit', before: [], after: ['list', 'read'] }] },
          sensitive: { by: 'both', reason },
          account_id: 'processor',
          customer_id: '?',
        },
      ],
      ended: { 'account: the account was changed': ['processor@1'] },
    },
  },
  {
    says: 'what it is already',
    run: ['account.set', { name: clerk, readOnly: false, manages: true, contact: 'acme-clerk@example.com', reason }],
    does: {
      answer: { sessionsEnded: 2 },
      entries: [
        entry('account.changed', 'acme-clerk', {
          by: 'both',
          contact: 'acme-clerk@example.com',
          manages: true,
          readOnly: false,
        }),
      ],
      ended: { 'account: the account was changed': ['acme-clerk@clerk', 'acme-clerk@enrolment'] },
    },
  },
  {
    says: 'another contact',
    run: ['account.set', { name: clerk, contact: 'x@example.com', reason }],
    does: {
      answer: { sessionsEnded: 0 },
      widened: ['the contact of acme-clerk'],
      changed: { 'account acme-clerk': { contact: 'x@example.com' } },
      entries: [entry('account.changed', 'acme-clerk', { by: 'both', contact: 'x@example.com' })],
    },
  },
  {
    says: 'a first contact',
    run: ['account.set', { name: batch, contact: 'x@example.com', reason }],
    does: {
      answer: { sessionsEnded: 0 },
      changed: { 'account acme-batch': { contact: 'x@example.com' } },
      entries: [entry('account.changed', 'acme-batch', { by: 'both', contact: 'x@example.com' })],
    },
  },
  {
    run: ['account.set', { name: batch, manages: true, reason }],
    refused: { code: 'conflict', message: 'only a person manages other accounts' },
  },
  {
    run: ['account.set', { name: batch, networks: [], reason }],
    refused: { code: 'conflict', message: /^a machine's password needs source networks/ },
  },
  {
    says: 'without a password',
    prior: [['credential.revoke', { selection: { fingerprint: '<acme-password>' }, reason }]],
    run: ['account.set', { name: batch, networks: [], reason }],
    does: {
      answer: { sessionsEnded: 3 },
      widened: ['the networks of acme-batch'],
      changed: { 'account acme-batch': { source_networks: [] } },
      entries: [entry('account.changed', 'acme-batch', { by: 'both', networks: [] })],
      ended: { 'account: the account was changed': ['acme-batch@night', 'acme-batch@reading', 'acme-batch@window'] },
      closed: handles,
    },
  },
  {
    run: ['account.set', { name: batch, reason }],
    refused: { code: 'invalid', message: 'nothing to change was named' },
  },
];
