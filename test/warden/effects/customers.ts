// What each operation on customers, nodes and sessions does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { entry, handles, ofAcme, reason } from './words.ts';

const renamed = ['customer.rename', { name: 'acme', to: 'east', reason }] as const;

export const customerCases: readonly Case[] = [
  {
    run: ['customer.create', { name: 'north', reason }],
    does: {
      answer: { name: 'north', folders: ['deposit', 'collect'] },
      added: {
        budget: ['?/in', '?/list', '?/out'],
        customer: [{ id: '?', name: 'north', state: 'active', created_at: 'now' }],
        customer_key: [{ id: '?', wrapped: 'bytes', created_at: 'now', wrapped_by: 'key', customer_id: '?' }],
        folder: [
          {
            id: '?',
            name: 'collect',
            direction: 'collect',
            created_at: 'now',
            customer_id: '?',
            window_days: 30,
            publish_rule: 'on-close',
            marker: '.done',
            retention_days: 60,
            replace_allowed: true,
            directories_allowed: true,
          },
          {
            id: '?',
            name: 'deposit',
            direction: 'deposit',
            created_at: 'now',
            customer_id: '?',
            publish_rule: 'on-close',
            marker: '.done',
            directories_allowed: true,
          },
        ],
      },
      entries: [entry('customer.created', '?', { by: 'alice' }, { public: { name: 'north' } })],
    },
  },
  {
    run: ['customer.create', { name: 'acme', reason }],
    refused: { code: 'conflict', message: 'there is already a customer named acme' },
  },
  {
    prior: [renamed],
    run: ['customer.create', { name: 'acme', reason }],
    refused: { code: 'conflict', message: /^acme was the name of the customer that is east now/ },
  },
  {
    run: renamed,
    does: {
      answer: { sessionsEnded: 7, internalAccounts: ['processor'] },
      changed: { 'customer acme': { name: 'east', former_names: ['acme'] } },
      entries: [
        entry(
          'customer.renamed',
          'acme',
          { by: 'both', internalAccounts: ['processor'] },
          { public: { was: 'acme', name: 'east' } },
        ),
      ],
      ended: { 'customer: customer renamed: a test': [...ofAcme, 'processor@1'] },
      closed: handles,
    },
  },
  {
    says: 'back again',
    prior: [renamed],
    run: ['customer.rename', { name: 'east', to: 'acme', reason }],
    does: {
      answer: { sessionsEnded: 0, internalAccounts: ['processor'] },
      changed: { 'customer acme': { name: 'acme', former_names: ['east'] } },
      entries: [
        entry(
          'customer.renamed',
          'acme',
          { by: 'both', internalAccounts: ['processor'] },
          { public: { was: 'east', name: 'acme' } },
        ),
      ],
    },
  },
  {
    run: ['customer.rename', { name: 'acme', to: 'acme', reason }],
    refused: { code: 'conflict', message: 'customer acme has this name already' },
  },
  {
    run: ['customer.rename', { name: 'acme', to: 'acme-2', reason }],
    refused: { code: 'conflict', message: 'there is already a customer named acme-2' },
  },
  {
    prior: [renamed],
    run: ['customer.suspend', { name: 'acme', reason }],
    refused: { code: 'not-found', message: 'there is no customer named acme: it was renamed, and is east now' },
  },
  {
    run: ['customer.suspend', { name: 'acme', reason }],
    does: {
      answer: { sessionsEnded: 7 },
      changed: { 'customer acme': { state: 'suspended' } },
      entries: [entry('customer.suspended', 'acme', { by: 'alice' })],
      ended: { 'customer: customer suspended: a test': [...ofAcme, 'processor@1'] },
      closed: handles,
    },
  },
  {
    prior: [['customer.suspend', { name: 'acme', reason }]],
    run: ['customer.suspend', { name: 'acme', reason }],
    refused: { code: 'conflict', message: 'customer acme is already suspended' },
  },
  {
    prior: [
      ['customer.suspend', { name: 'acme', reason }],
      ['customer.suspend', { name: 'acme-2', reason }],
    ],
    run: ['customer.resume', { name: 'acme', reason }],
    does: {
      answer: {},
      changed: { 'customer acme': { state: 'active' } },
      entries: [entry('customer.resumed', 'acme', { by: 'both' })],
    },
  },
  {
    prior: [['customer.suspend', { name: 'acme-2', reason }]],
    run: ['customer.resume', { name: 'acme', reason }],
    refused: { code: 'conflict', message: 'customer acme is not suspended' },
  },
  {
    run: ['customer.policy', { name: 'acme', allow: ['key+code'], reason }],
    does: {
      answer: { sessionsEnded: 7 },
      changed: { 'customer acme': { allowed_proofs: ['key+code'] } },
      entries: [entry('customer.policy-set', 'acme', { by: 'both', allow: ['key+code'] })],
      ended: { 'customer: the authentication policy was changed': [...ofAcme, 'processor@1'] },
      closed: handles,
    },
  },
  {
    says: 'all proofs again',
    prior: [['customer.policy', { name: 'acme', allow: ['key+code'], reason }]],
    run: ['customer.policy', { name: 'acme', allow: null, reason }],
    does: {
      answer: { sessionsEnded: 0 },
      widened: ['the proofs that suffice for acme'],
      changed: { 'customer acme': { allowed_proofs: null } },
      entries: [entry('customer.policy-set', 'acme', { by: 'both', allow: null })],
    },
  },
  {
    run: ['session.end', { session: '<acme-batch@reading>', reason }],
    does: {
      answer: { ended: true },
      ended: { 'operator: ended by an operator: a test': ['acme-batch@reading'] },
      closed: handles,
    },
  },
  {
    run: ['session.end', { session: '<acme-batch@ended>', reason }],
    refused: { code: 'not-found', message: 'there is no open session with this id' },
  },
  {
    run: ['node.drain', { node: 'n', withinMinutes: 120, reason }],
    does: {
      answer: { until: '+2h', sessions: 13 },
      changed: {
        'node n': {
          drain_until: '+2h',
          drain_reason: 'a test',
          drain_start_id: 'run of n',
          drain_ordered_at: 'now',
          drain_ordered_by: 'alice',
        },
      },
      entries: [
        {
          kind: 'node.drain-ordered',
          node: 'n',
          sensitive: { reason, operator: 'alice', sessions: 13, withinMinutes: 120 },
        },
      ],
    },
  },
  {
    says: 'a later order replaces the former',
    prior: [['node.drain', { node: 'n', withinMinutes: 600, reason }]],
    run: ['node.drain', { node: 'n', withinMinutes: 60, reason: 'sooner' }],
    does: {
      answer: { until: '+1h', sessions: 13 },
      changed: { 'node n': { drain_until: '+1h', drain_reason: 'sooner', drain_ordered_at: 'now' } },
      entries: [
        {
          kind: 'node.drain-ordered',
          node: 'n',
          sensitive: { reason: 'sooner', operator: 'alice', sessions: 13, withinMinutes: 60 },
        },
      ],
    },
  },
  {
    run: ['node.drain', { node: 'old', withinMinutes: 60, reason }],
    refused: { code: 'conflict', message: 'old is not connected: there is nothing to drain' },
  },
  {
    run: ['node.drain', { node: 'none', withinMinutes: 60, reason }],
    refused: { code: 'not-found', message: 'there is no node named none: see cofferctl status' },
  },
];
