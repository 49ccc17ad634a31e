// What each operation on activation windows does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { bare, entry, reason } from './words.ts';

const [batch, clerk] = ['acme-batch', 'acme-clerk'];
const night = { name: 'dawn', days: [5, 1, 5], opens: '04:00', closes: '05:30', zone: 'Europe/Zurich', forDays: 90 };
const standing = (more: Partial<typeof night>) =>
  ['window.open-standing', { account: batch, schedule: { ...night, ...more }, reason }] as const;

export const windowCases: readonly Case[] = [
  {
    run: ['window.open', { account: batch, hours: 2, reason }],
    does: {
      answer: { closesAt: '+2h' },
      added: {
        activation_window: [
          { id: '?', reason, opens_at: 'now', closes_at: '+2h', opened_by: 'both', account_id: 'acme-batch' },
        ],
      },
      entries: [entry('window.opened', 'acme-batch', { by: 'both', closesAt: '+2h' })],
    },
  },
  {
    run: ['window.open', { account: clerk, hours: 2, reason }],
    refused: { code: 'conflict', message: /^activation windows are for machine accounts/ },
  },
  {
    run: standing({}),
    does: {
      answer: { validUntil: '+90d' },
      added: {
        standing_window: [
          {
            id: '?',
            days: [1, 5],
            name: 'dawn',
            zone: 'Europe/Zurich',
            opens: '04:00:00',
            closes: '05:30:00',
            reason,
            opened_by: 'both',
            account_id: 'acme-batch',
            valid_from: 'now',
            valid_until: '+90d',
          },
        ],
      },
      entries: [
        entry('window.standing-opened', 'acme-batch', {
          by: 'both',
          days: [5, 1, 5],
          name: 'dawn',
          zone: 'Europe/Zurich',
          opens: '04:00',
          closes: '05:30',
          forDays: 90,
        }),
      ],
    },
  },
  {
    says: 'as long as may be',
    run: standing({ forDays: 91 }),
    refused: { code: 'invalid', message: 'a standing window lasts at most 90 days' },
  },
  {
    run: standing({ closes: '04:00' }),
    refused: { code: 'invalid', message: 'a standing window must not open and close at the same time of day' },
  },
  {
    run: standing({ zone: 'Nowhere/Else' }),
    refused: { code: 'invalid', message: 'there is no time zone named Nowhere/Else' },
  },
  {
    run: standing({ name: 'night' }),
    refused: { code: 'conflict', message: 'acme-batch has a standing window named night' },
  },
  {
    says: 'a name that was closed',
    prior: [['window.close', { account: batch, name: 'night' }]],
    run: standing({ name: 'night' }),
    does: {
      answer: { validUntil: '+90d' },
      added: {
        standing_window: [
          {
            id: '?',
            days: [1, 5],
            name: 'night',
            zone: 'Europe/Zurich',
            opens: '04:00:00',
            closes: '05:30:00',
            reason,
            opened_by: 'both',
            account_id: 'acme-batch',
            valid_from: 'now',
            valid_until: '+90d',
          },
        ],
      },
      entries: [
        entry('window.standing-opened', 'acme-batch', {
          by: 'both',
          days: [5, 1, 5],
          name: 'night',
          zone: 'Europe/Zurich',
          opens: '04:00',
          closes: '05:30',
          forDays: 90,
        }),
      ],
    },
  },
  {
    run: ['window.open-standing', { account: clerk, schedule: night, reason }],
    refused: { code: 'conflict', message: /^activation windows are for machine accounts/ },
  },
  {
    run: ['window.close', { account: batch }],
    does: {
      answer: { closed: 3, sessionsEnded: 2 },
      changed: {
        'activation_window acme-batch window': { closed_at: 'now' },
        'standing_window acme-batch night': { closed_at: 'now' },
        'standing_window acme-batch noon': { closed_at: 'now' },
      },
      entries: [
        bare('window.closed', 'acme-batch', {
          by: 'alice',
          windows: ['acme-batch window', 'acme-batch night', 'acme-batch noon'],
          sessionsEnded: 2,
        }),
      ],
      ended: { 'window: the activation window was closed': ['acme-batch@night', 'acme-batch@window'] },
    },
  },
  {
    run: ['window.close', { account: batch, name: 'night' }],
    does: {
      answer: { closed: 1, sessionsEnded: 1 },
      changed: { 'standing_window acme-batch night': { closed_at: 'now' } },
      entries: [bare('window.closed', 'acme-batch', { by: 'alice', windows: ['acme-batch night'], sessionsEnded: 1 })],
      ended: { 'window: the activation window was closed': ['acme-batch@night'] },
    },
  },
  {
    says: 'nothing is open',
    prior: [['window.close', { account: batch }]],
    run: ['window.close', { account: batch }],
    does: { answer: { closed: 0, sessionsEnded: 0 } },
  },
  {
    says: 'none of this name',
    run: ['window.close', { account: batch, name: 'none' }],
    does: { answer: { closed: 0, sessionsEnded: 0 } },
  },
];
