// What it does when a key is added, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { bare, newBudgets, newKey, reason } from './words.ts';

const batch = 'acme-batch';
const [first, second] = ['<acme-batch#1>', '<acme-batch#2>'];
const add = { account: batch, publicKey: '<line new>' };
const revoked = ['credential.revoke', { selection: { fingerprint: first }, reason }] as const;
const started = ['rotation.start', { selection: { account: batch }, overlapDays: 10, reason }] as const;

export const keyCases: readonly Case[] = [
  {
    run: ['key.add', add],
    does: {
      answer: { fingerprint: 'new key', isProved: false, expiresAt: '+365d', retiresAt: null },
      added: { budget: newBudgets, credential: [newKey()] },
      entries: [
        bare(
          'credential.added',
          'acme-batch',
          { by: 'both', isProved: false, replaces: null, expiresAt: '+365d', validFrom: 'now', credential: '?' },
          { credential: 'new key' },
        ),
      ],
    },
  },
  {
    says: 'restricted',
    run: ['key.add', { ...add, readOnly: true, networks: ['192.0.2.0/28'], expiresInDays: 10 }],
    does: {
      answer: { fingerprint: 'new key', isProved: false, expiresAt: '+10d', retiresAt: null },
      added: {
        budget: newBudgets,
        credential: [
          newKey({ read_only: true, expires_at: '+10d', issued_until: '+10d', source_networks: ['192.0.2.0/28'] }),
        ],
      },
      entries: [
        bare(
          'credential.added',
          'acme-batch',
          { by: 'both', isProved: false, replaces: null, expiresAt: '+10d', validFrom: 'now', credential: '?' },
          { credential: 'new key' },
        ),
      ],
    },
  },
  {
    says: 'at once beside the old one',
    run: ['key.add', { ...add, replaces: second, overlapDays: 3 }],
    does: {
      answer: { fingerprint: 'new key', isProved: false, expiresAt: '+365d', retiresAt: '+3d' },
      changed: { 'credential key acme-batch#2': { state: 'retiring', expires_at: '+3d', successor_id: '?' } },
      added: {
        budget: newBudgets,
        credential: [newKey({ read_only: true })],
        rotation: [
          {
            id: '?',
            reason: 'replaced by a new key of acme-batch',
            deadline: '+3d',
            selection: 'acme-batch#2',
            overlap_ms: 259200000,
            started_at: 'now',
            started_by: 'both',
          },
        ],
        rotation_item: [
          {
            state: 'open',
            staged_at: 'now',
            rotation_id: '?',
            successor_id: '?',
            credential_id: 'key acme-batch#2',
            former_expires_at: '+365d',
          },
        ],
      },
      entries: [
        bare(
          'credential.added',
          'acme-batch',
          {
            by: 'both',
            isProved: false,
            replaces: 'acme-batch#2',
            expiresAt: '+365d',
            validFrom: 'now',
            credential: '?',
          },
          { credential: 'new key' },
        ),
      ],
    },
  },
  {
    says: 'from its first use on',
    run: ['key.add', { ...add, replaces: second }],
    does: {
      answer: { fingerprint: 'new key', isProved: false, expiresAt: '+365d', retiresAt: null },
      changed: { 'credential key acme-batch#2': { successor_id: '?' } },
      added: {
        budget: newBudgets,
        credential: [newKey({ read_only: true })],
        rotation: [
          {
            id: '?',
            reason: 'replaced by a new key of acme-batch',
            selection: 'acme-batch#2',
            overlap_ms: 1209600000,
            started_at: 'now',
            started_by: 'both',
          },
        ],
        rotation_item: [
          {
            state: 'open',
            staged_at: 'now',
            rotation_id: '?',
            successor_id: '?',
            credential_id: 'key acme-batch#2',
            former_expires_at: '+365d',
          },
        ],
      },
      entries: [
        bare(
          'credential.added',
          'acme-batch',
          {
            by: 'both',
            isProved: false,
            replaces: 'acme-batch#2',
            expiresAt: '+365d',
            validFrom: 'now',
            credential: '?',
          },
          { credential: 'new key' },
        ),
      ],
    },
  },
  {
    says: 'with the budget of the old one',
    prior: [
      [
        'budget.tighten',
        {
          scope: { kind: 'credential', fingerprint: first },
          direction: 'out',
          bytes: { hour: 4, day: 5, week: 6 },
          items: { hour: 7, day: 8, week: 9 },
          rate: 1024,
          sessions: 2,
          consequence: 'suspend',
          reason,
        },
      ],
    ],
    run: ['key.add', { ...add, replaces: first }],
    does: {
      answer: { fingerprint: 'new key', isProved: false, expiresAt: '+365d', retiresAt: null },
      changed: { 'credential key acme-batch#1': { successor_id: '?' } },
      added: {
        budget: [
          '?/acme/in',
          '?/acme/list',
          {
            of: '?/acme/out',
            sessions_max: 2,
            cap_hour_bytes: 4,
            cap_day_bytes: 5,
            cap_week_bytes: 6,
            cap_hour_items: 7,
            cap_day_items: 8,
            cap_week_items: 9,
            rate: 1024,
            consequence: 'suspend',
          },
        ],
        credential: [newKey()],
        rotation: [
          {
            id: '?',
            reason: 'replaced by a new key of acme-batch',
            selection: 'acme-batch#1',
            overlap_ms: 1209600000,
            started_at: 'now',
            started_by: 'both',
          },
        ],
        rotation_item: [
          {
            state: 'open',
            staged_at: 'now',
            rotation_id: '?',
            successor_id: '?',
            credential_id: 'key acme-batch#1',
            former_expires_at: '+365d',
          },
        ],
      },
      entries: [
        bare(
          'credential.added',
          'acme-batch',
          {
            by: 'both',
            isProved: false,
            replaces: 'acme-batch#1',
            expiresAt: '+365d',
            validFrom: 'now',
            credential: '?',
          },
          { credential: 'new key' },
        ),
      ],
    },
  },
  {
    says: 'in a rotation',
    prior: [started],
    run: ['key.add', add],
    does: {
      answer: { fingerprint: 'new key', isProved: false, expiresAt: '+365d', retiresAt: null },
      changed: {
        'credential key acme-batch#1': { successor_id: '?' },
        'rotation_item the rotation/key acme-batch#1': { staged_at: 'now', successor_id: '?' },
      },
      added: { budget: newBudgets, credential: [newKey()] },
      entries: [
        bare(
          'credential.added',
          'acme-batch',
          {
            by: 'both',
            isProved: false,
            replaces: 'acme-batch#1',
            expiresAt: '+365d',
            validFrom: 'now',
            credential: '?',
          },
          { credential: 'new key' },
        ),
      ],
    },
  },
  {
    run: ['key.add', { ...add, overlapDays: 3 }],
    refused: { code: 'invalid', message: 'an overlap needs a key that is replaced' },
  },
  {
    run: ['key.add', { ...add, expiresInDays: 367 }],
    refused: { code: 'invalid', message: 'a key lives at most 366 days' },
  },
  {
    run: ['key.add', { ...add, replaces: '<acme-clerk#1>' }],
    refused: { code: 'conflict', message: 'a key replaces a key of the same account only' },
  },
  {
    prior: [revoked],
    run: ['key.add', { ...add, replaces: first }],
    refused: { code: 'conflict', message: 'the key to be replaced is revoked' },
  },
  {
    prior: [['key.add', add]],
    run: ['key.add', { ...add, account: 'acme-2-batch' }],
    refused: { code: 'conflict', message: /is or was registered; a key belongs to one account, once$/ },
  },
  {
    prior: [['key.add', { ...add, replaces: first }]],
    run: ['key.add', { account: batch, publicKey: '<line newer>', replaces: first }],
    refused: { code: 'conflict', message: 'this key is being replaced already' },
  },
];
