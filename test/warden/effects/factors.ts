// What each operation on passwords and second factors does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { bare, entry, handles, newBudgets, ofBatch, reason } from './words.ts';

const [batch, clerk] = ['acme-batch', 'acme-clerk'];
const digest = 'aa'.repeat(32);

export const factorCases: readonly Case[] = [
  {
    run: ['password.issue', { account: clerk, name: 'password:cccccccc', digest, expiresInDays: 7 }],
    does: {
      answer: { expiresAt: '+7d' },
      added: {
        budget: newBudgets,
        credential: [
          {
            id: '?',
            type: 'password',
            state: 'active',
            algorithm: 'argon2id',
            issued_by: 'both',
            proved_at: 'now',
            account_id: 'acme-clerk',
            created_at: 'now',
            expires_at: '+7d',
            valid_from: 'now',
            fingerprint: 'password:cccccccc',
            issued_until: '+7d',
            password_hash: 'argon2id',
          },
        ],
      },
      entries: [
        bare(
          'credential.added',
          'acme-clerk',
          { by: 'both', expiresAt: '+7d', credential: '?' },
          { credential: 'password:cccccccc' },
        ),
      ],
    },
  },
  {
    run: ['password.issue', { account: clerk, name: 'password:bbbbbbbb', digest }],
    refused: { code: 'conflict', message: 'a password with this name exists already: issue another one' },
  },
  {
    prior: [
      ['credential.revoke', { selection: { account: batch }, reason }],
      ['account.set', { name: batch, networks: [], reason }],
    ],
    run: ['password.issue', { account: batch, name: 'password:cccccccc', digest }],
    refused: { code: 'conflict', message: /^a machine's password needs source networks/ },
  },
  {
    run: ['mfa.ticket', { account: clerk, ticketHash: digest }],
    does: {
      answer: { expiresAt: '+1d' },
      changed: { 'mfa_ticket acme-clerk ticket': { expires_at: 'epoch', ticket_hash: null } },
      added: {
        mfa_ticket: [
          {
            id: '?',
            issued_by: 'both',
            account_id: 'acme-clerk',
            created_at: 'now',
            expires_at: '+1d',
            ticket_hash: 'bytes',
          },
        ],
      },
      entries: [bare('ticket.issued', 'acme-clerk', { by: 'both', expiresAt: '+1d' })],
      ended: { 'enrolment: another ticket was issued': ['acme-clerk@enrolment'] },
    },
  },
  {
    says: 'for three days',
    run: ['mfa.ticket', { account: clerk, ticketHash: digest, hours: 72 }],
    does: {
      answer: { expiresAt: '+3d' },
      changed: { 'mfa_ticket acme-clerk ticket': { expires_at: 'epoch', ticket_hash: null } },
      added: {
        mfa_ticket: [
          {
            id: '?',
            issued_by: 'both',
            account_id: 'acme-clerk',
            created_at: 'now',
            expires_at: '+3d',
            ticket_hash: 'bytes',
          },
        ],
      },
      entries: [bare('ticket.issued', 'acme-clerk', { by: 'both', expiresAt: '+3d' })],
      ended: { 'enrolment: another ticket was issued': ['acme-clerk@enrolment'] },
    },
  },
  {
    run: ['mfa.ticket', { account: batch, ticketHash: digest }],
    refused: { code: 'conflict', message: /^account acme-batch has a second factor/ },
  },
  {
    run: ['mfa.reset', { account: batch, reason }],
    does: {
      answer: { sessionsEnded: 4 },
      changed: {
        'mfa_ticket acme-batch ticket': { expires_at: 'epoch', ticket_hash: null },
        'second_factor acme-batch': { sealed_by: null, enrolled_at: null, sealed_seed: null },
      },
      entries: [entry('second-factor.reset', 'acme-batch', { by: 'alice' })],
      ended: { 'account: the second factor was reset': ofBatch },
      closed: handles,
    },
  },
  {
    says: 'a ticket after it',
    prior: [['mfa.reset', { account: batch, reason }]],
    run: ['mfa.ticket', { account: batch, ticketHash: digest }],
    does: {
      answer: { expiresAt: '+1d' },
      added: {
        mfa_ticket: [
          {
            id: '?',
            issued_by: 'both',
            account_id: 'acme-batch',
            created_at: 'now',
            expires_at: '+1d',
            ticket_hash: 'bytes',
          },
        ],
      },
      entries: [bare('ticket.issued', 'acme-batch', { by: 'both', expiresAt: '+1d' })],
    },
  },
  {
    run: ['mfa.reset', { account: clerk, reason }],
    refused: { code: 'conflict', message: 'account acme-clerk has no second factor' },
  },
];
