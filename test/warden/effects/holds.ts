// What each operation on holds does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { entry, reason } from './words.ts';

const held = ['hold.place', { customer: 'acme', reason }] as const;

export const holdCases: readonly Case[] = [
  {
    run: held,
    does: {
      answer: { hold: '?' },
      added: { legal_hold: [{ id: '?', reason, placed_at: 'now', placed_by: 'alice', customer_id: 'acme' }] },
      entries: [
        entry('hold.placed', 'acme', { operator: 'alice' }, { public: { hold: '?', folder: null, version: null } }),
      ],
    },
  },
  {
    says: 'a folder',
    run: ['hold.place', { customer: 'acme', folder: 'deposit', reason }],
    does: {
      answer: { hold: '?' },
      added: {
        legal_hold: [
          { id: '?', reason, folder_id: 'acme/deposit', placed_at: 'now', placed_by: 'alice', customer_id: 'acme' },
        ],
      },
      entries: [
        entry(
          'hold.placed',
          'acme',
          { operator: 'alice' },
          { public: { hold: '?', folder: 'deposit', version: null } },
        ),
      ],
    },
  },
  {
    says: 'a version',
    run: ['hold.place', { customer: 'acme', version: '<acme:gone.1>', reason }],
    does: {
      answer: { hold: '?' },
      added: {
        legal_hold: [
          { id: '?', reason, placed_at: 'now', placed_by: 'alice', version_id: 'acme:gone.1', customer_id: 'acme' },
        ],
      },
      entries: [
        entry(
          'hold.placed',
          'acme',
          { operator: 'alice' },
          { public: { hold: '?', folder: null, version: 'acme:gone.1' } },
        ),
      ],
    },
  },
  {
    run: ['hold.place', { customer: 'acme', folder: 'deposit', version: '<acme:gone.1>', reason }],
    refused: { code: 'invalid', message: 'name a folder or a version, not both' },
  },
  {
    run: ['hold.place', { customer: 'acme', version: '<acme-2:gone.1>', reason }],
    refused: { code: 'not-found', message: 'customer acme has no such version' },
  },
  {
    run: ['hold.place', { customer: 'acme', version: '<acme:lost.1>', reason }],
    refused: { code: 'conflict', message: 'the key of this version is already destroyed' },
  },
  {
    run: ['hold.place', { customer: 'none', reason }],
    refused: { code: 'not-found', message: 'there is no customer named none' },
  },
  {
    run: ['hold.lift', { hold: '<acme hold>', reason }],
    does: {
      answer: {},
      changed: { 'legal_hold acme hold': { lifted_at: 'now', lifted_by: 'both' } },
      entries: [entry('hold.lifted', 'acme', { operator: 'both' }, { public: { hold: 'acme hold' } })],
    },
  },
  {
    prior: [['hold.lift', { hold: '<acme hold>', reason }]],
    run: ['hold.lift', { hold: '<acme hold>', reason }],
    refused: { code: 'not-found', message: 'there is no such hold, or it was lifted before' },
  },
];
