// What each operation on keys and passwords does, and to whom.
import type { Case, Step } from '../../support/verb-effects.ts';
import { bare, entry, handles, ofBatch, reason, revokedRow } from './words.ts';

const [batch, clerk] = ['acme-batch', 'acme-clerk'];
const [first, second] = ['<acme-batch#1>', '<acme-batch#2>'];
const revoked = ['credential.revoke', { selection: { fingerprint: first }, reason }] as const;
const started = ['rotation.start', { selection: { account: batch }, overlapDays: 10, reason }] as const;
const begun: Step = ['rotation.advance', { rotation: '<the rotation>', keys: [] }];

export const credentialCases: readonly Case[] = [
  {
    run: revoked,
    does: {
      answer: { revoked: 1, sessionsEnded: 1 },
      changed: { 'credential key acme-batch#1': revokedRow },
      entries: [bare('credential.revoked', 'acme-batch#1', { by: 'alice', why: 'a test' })],
      ended: { 'credential: the credential was revoked': ['acme-batch@window'] },
    },
  },
  {
    says: 'the password',
    run: ['credential.revoke', { selection: { fingerprint: '<acme-password>' }, reason }],
    does: {
      answer: { revoked: 1, sessionsEnded: 1 },
      changed: { 'credential key acme-password': revokedRow },
      entries: [
        bare(
          'credential.revoked',
          'acme-batch',
          { by: 'alice', why: 'a test', credential: 'key acme-password' },
          { credential: 'acme-password' },
        ),
      ],
      ended: { 'credential: the credential was revoked': ['acme-batch@both'] },
    },
  },
  {
    says: 'all of an account',
    run: ['credential.revoke', { selection: { account: batch }, reason }],
    does: {
      answer: { revoked: 3, sessionsEnded: 4 },
      changed: {
        'credential key acme-password': revokedRow,
        'credential key acme-batch#1': revokedRow,
        'credential key acme-batch#2': revokedRow,
      },
      entries: [
        bare('credential.revoked', 'acme-batch#1', { by: 'alice', why: 'a test' }),
        bare('credential.revoked', 'acme-batch#2', { by: 'alice', why: 'a test' }),
        bare(
          'credential.revoked',
          'acme-batch',
          { by: 'alice', why: 'a test', credential: 'key acme-password' },
          { credential: 'acme-password' },
        ),
      ],
      ended: { 'credential: the credential was revoked': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'all of a customer',
    prior: [revoked],
    run: ['credential.revoke', { selection: { customer: 'acme' }, reason }],
    does: {
      answer: { revoked: 4, sessionsEnded: 5 },
      changed: {
        'credential key acme-password': revokedRow,
        'credential key acme-batch#2': revokedRow,
        'credential key acme-clerk#1': revokedRow,
        'credential key acme-clerk#waiting': revokedRow,
      },
      entries: [
        bare('credential.revoked', 'acme-batch#2', { by: 'alice', why: 'a test' }),
        bare('credential.revoked', 'acme-clerk#1', { by: 'alice', why: 'a test' }),
        bare('credential.revoked', 'acme-clerk#waiting', { by: 'alice', why: 'a test' }),
        bare(
          'credential.revoked',
          'acme-batch',
          { by: 'alice', why: 'a test', credential: 'key acme-password' },
          { credential: 'acme-password' },
        ),
      ],
      ended: {
        'credential: the credential was revoked': [
          'acme-batch@both',
          'acme-batch@night',
          'acme-batch@reading',
          'acme-clerk@clerk',
          'acme-clerk@enrolment',
        ],
      },
      closed: handles,
    },
  },
  {
    says: 'what was used from there',
    run: ['credential.revoke', { selection: { usedFrom: '192.0.2.0/24', account: clerk }, reason }],
    does: {
      answer: { revoked: 1, sessionsEnded: 2 },
      changed: { 'credential key acme-clerk#1': revokedRow },
      entries: [bare('credential.revoked', 'acme-clerk#1', { by: 'alice', why: 'a test' })],
      ended: { 'credential: the credential was revoked': ['acme-clerk@clerk', 'acme-clerk@enrolment'] },
    },
  },
  {
    says: 'every condition holds',
    run: ['credential.revoke', { selection: { customer: 'acme-2', fingerprint: first }, reason }],
    refused: { code: 'not-found', message: 'no credential matches: see `cofferctl credential list`' },
  },
  { prior: [revoked], run: revoked, refused: { code: 'not-found', message: /^no credential matches/ } },
  {
    run: ['credential.wake', { fingerprint: first, reason }],
    does: {
      answer: {},
      changed: { 'credential key acme-batch#1': { woken_at: 'now' } },
      entries: [entry('credential.woken', 'acme-batch#1', { by: 'both' })],
    },
  },
  {
    prior: [revoked],
    run: ['credential.wake', { fingerprint: first, reason }],
    refused: { code: 'conflict', message: 'the credential is revoked' },
  },
  {
    prior: [['key.suspend', { fingerprint: first, reason }]],
    run: ['credential.wake', { fingerprint: first, reason }],
    refused: { code: 'conflict', message: 'the credential is suspended' },
  },
  {
    run: ['key.retire', { fingerprint: first, overlapDays: 5, reason }],
    does: {
      answer: { retiresAt: '+5d', sessionsEnded: 0 },
      changed: { 'credential key acme-batch#1': { state: 'retiring', expires_at: '+5d' } },
      entries: [entry('credential.retiring', 'acme-batch#1', { by: 'alice', retiresAt: '+5d' })],
    },
  },
  {
    says: 'never later',
    prior: [['key.retire', { fingerprint: first, overlapDays: 5, reason }]],
    run: ['key.retire', { fingerprint: first, overlapDays: 9, reason }],
    does: {
      answer: { retiresAt: '+5d', sessionsEnded: 0 },
      entries: [entry('credential.retiring', 'acme-batch#1', { by: 'alice', retiresAt: '+5d' })],
    },
  },
  {
    says: 'at once',
    run: ['key.retire', { fingerprint: first, overlapDays: 0, reason }],
    does: {
      answer: { retiresAt: 'now', sessionsEnded: 1 },
      changed: { 'credential key acme-batch#1': revokedRow },
      entries: [bare('credential.retired', 'acme-batch#1', { by: 'alice', why: 'a test' })],
      ended: { 'credential: the credential has retired': ['acme-batch@window'] },
    },
  },
  {
    prior: [revoked],
    run: ['key.retire', { fingerprint: first, overlapDays: 5, reason }],
    refused: { code: 'conflict', message: 'the credential is revoked' },
  },
  {
    prior: [revoked],
    run: ['key.retire', { fingerprint: first, overlapDays: 0, reason }],
    refused: { code: 'conflict', message: 'the credential is revoked already' },
  },
  {
    run: ['key.confirm', { fingerprint: '<acme-clerk#waiting>', reason }],
    does: {
      answer: {},
      changed: { 'credential key acme-clerk#waiting': { valid_from: 'now' } },
      entries: [entry('credential.confirmed', 'acme-clerk#waiting', { by: 'both' })],
    },
  },
  {
    run: ['key.confirm', { fingerprint: first, reason }],
    refused: { code: 'conflict', message: 'this key is not waiting for a confirmation' },
  },
  {
    run: ['key.suspend', { fingerprint: second, reason }],
    does: {
      answer: { sessionsEnded: 3 },
      changed: { 'credential key acme-batch#2': { state: 'suspended' } },
      entries: [entry('credential.suspended', 'acme-batch#2', { by: 'alice' })],
      ended: {
        'credential: the credential was suspended': ['acme-batch@both', 'acme-batch@night', 'acme-batch@reading'],
      },
      closed: handles,
    },
  },
  {
    says: 'one that retires',
    prior: [['key.retire', { fingerprint: first, overlapDays: 5, reason }]],
    run: ['key.suspend', { fingerprint: first, reason }],
    does: {
      answer: { sessionsEnded: 1 },
      changed: { 'credential key acme-batch#1': { state: 'suspended' } },
      entries: [entry('credential.suspended', 'acme-batch#1', { by: 'alice' })],
      ended: { 'credential: the credential was suspended': ['acme-batch@window'] },
    },
  },
  {
    prior: [['key.suspend', { fingerprint: first, reason }]],
    run: ['key.suspend', { fingerprint: first, reason }],
    refused: { code: 'conflict', message: 'the credential is suspended' },
  },
  {
    prior: [
      ['key.suspend', { fingerprint: first, reason }],
      ['key.suspend', { fingerprint: second, reason }],
    ],
    run: ['key.resume', { fingerprint: first, reason }],
    does: {
      answer: {},
      changed: { 'credential key acme-batch#1': { state: 'active' } },
      entries: [entry('credential.resumed', 'acme-batch#1', { by: 'both' })],
    },
  },
  {
    says: 'one that was to retire',
    prior: [started, begun, ['key.suspend', { fingerprint: first, reason }]],
    run: ['key.resume', { fingerprint: first, reason }],
    does: {
      answer: {},
      changed: { 'credential key acme-batch#1': { state: 'retiring' } },
      entries: [entry('credential.resumed', 'acme-batch#1', { by: 'both' })],
    },
  },
  {
    says: 'one whose rotation was undone',
    prior: [
      started,
      begun,
      ['key.suspend', { fingerprint: first, reason }],
      ['rotation.undo', { rotation: '<the rotation>', reason }],
    ],
    run: ['key.resume', { fingerprint: first, reason }],
    does: {
      answer: {},
      changed: { 'credential key acme-batch#1': { state: 'active' } },
      entries: [entry('credential.resumed', 'acme-batch#1', { by: 'both' })],
    },
  },
  {
    run: ['key.resume', { fingerprint: first, reason }],
    refused: { code: 'conflict', message: 'the credential is active, not suspended' },
  },
  {
    run: ['key.resume', { fingerprint: '<newer key>', reason }],
    refused: { code: 'not-found', message: /^no account has a credential of this name/ },
  },
];
