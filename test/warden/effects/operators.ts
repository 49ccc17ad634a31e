// What each operation on operators and their emergencies does, and to whom.
import { newOperatorKey } from '../../support/two-banks.ts';
import type { Case } from '../../support/verb-effects.ts';
import { reason } from './words.ts';

const [carol, dora] = ['carol', 'dora'];
const [publicKey, another] = [newOperatorKey(), newOperatorKey()];
const erin = ['operator.create', { name: 'erin', role: 'operator', publicKey, reason }] as const;
const suspended = ['operator.suspend', { name: carol, reason }] as const;
const prepare = {
  operator: carol,
  operations: ['key.add', 'account.unlock', 'key.add'],
  hours: 5,
  validDays: 30,
  reason,
};
const ended = (which: string) => ['break-glass.end', { breakGlass: `<emergency ${which}>`, reason }] as const;
const reviewed = (which: string) =>
  ['break-glass.review', { breakGlass: `<emergency ${which}>`, finding: 'as it should be' }] as const;

export const operatorCases: readonly Case[] = [
  {
    run: erin,
    does: {
      answer: { name: 'erin', fingerprint: 'digest' },
      added: {
        alert: [
          {
            id: '?',
            kind: 'operator.created',
            text: 'operator.created erin, by both',
            count: 1,
            facts: { by: 'both', role: 'operator', reason, operator: 'erin', fingerprint: 'digest' },
            subject: 'erin/{"role":"operator","fingerprint":"digest","reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
        operator: [{ id: '?', name: 'erin', role: 'operator', state: 'active', created_at: 'now' }],
        operator_key: [{ created_at: 'now', public_key: 'bytes', fingerprint: 'digest', operator_id: '?' }],
      },
      entries: [
        {
          kind: 'operator.created',
          sensitive: { by: 'both', role: 'operator', reason, operator: 'erin', fingerprint: 'digest' },
        },
      ],
    },
  },
  { prior: [erin], run: erin, refused: { code: 'conflict', message: 'there is already an operator named erin' } },
  {
    prior: [erin],
    run: ['operator.create', { name: 'frank', role: 'operator', publicKey, reason }],
    refused: { code: 'conflict', message: /^this key belongs, or belonged, to an operator/ },
  },
  {
    run: ['operator.set-role', { name: carol, role: 'viewer', reason }],
    does: {
      answer: {},
      changed: { 'operator carol': { role: 'viewer' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'operator.role-set',
            text: 'operator.role-set carol, by both',
            count: 1,
            facts: { by: 'both', after: 'viewer', before: 'operator', reason, operator: 'carol' },
            subject: 'carol/{"before":"operator","after":"viewer","reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
      },
      entries: [
        {
          kind: 'operator.role-set',
          sensitive: { by: 'both', after: 'viewer', before: 'operator', reason, operator: 'carol' },
        },
      ],
    },
  },
  {
    says: 'of one who is suspended',
    prior: [suspended],
    run: ['operator.set-role', { name: carol, role: 'auditor', reason }],
    does: {
      answer: {},
      changed: { 'operator carol': { role: 'auditor' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'operator.role-set',
            text: 'operator.role-set carol, by both',
            count: 1,
            facts: { by: 'both', after: 'auditor', before: 'operator', reason, operator: 'carol' },
            subject: 'carol/{"before":"operator","after":"auditor","reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
      },
      entries: [
        {
          kind: 'operator.role-set',
          sensitive: { by: 'both', after: 'auditor', before: 'operator', reason, operator: 'carol' },
        },
      ],
    },
  },
  {
    run: ['operator.set-role', { name: carol, role: 'operator', reason }],
    refused: { code: 'conflict', message: 'carol is operator already' },
  },
  {
    run: ['operator.add-key', { name: carol, publicKey, reason }],
    does: {
      answer: { fingerprint: 'digest' },
      added: {
        alert: [
          {
            id: '?',
            kind: 'operator.key-added',
            text: 'operator.key-added carol, by both',
            count: 1,
            facts: { by: 'both', reason, operator: 'carol', fingerprint: 'digest' },
            subject: 'carol/{"fingerprint":"digest","reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
        operator_key: [{ created_at: 'now', public_key: 'bytes', fingerprint: 'digest', operator_id: 'carol' }],
      },
      entries: [
        { kind: 'operator.key-added', sensitive: { by: 'both', reason, operator: 'carol', fingerprint: 'digest' } },
      ],
    },
  },
  {
    prior: [erin],
    run: ['operator.add-key', { name: carol, publicKey, reason }],
    refused: { code: 'conflict', message: /^this key belongs, or belonged, to an operator/ },
  },
  {
    run: ['operator.end-key', { name: dora, fingerprint: '<key of dora>', reason }],
    does: {
      answer: {},
      changed: { 'operator_key key of dora': { ended_at: 'now' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'operator.key-ended',
            text: 'operator.key-ended dora, by alice',
            count: 1,
            facts: { by: 'alice', reason, operator: 'dora', fingerprint: 'key of dora' },
            subject: 'dora/{"fingerprint":"key of dora","reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
      },
      entries: [
        {
          kind: 'operator.key-ended',
          sensitive: { by: 'alice', reason, operator: 'dora', fingerprint: 'key of dora' },
        },
      ],
    },
  },
  {
    run: ['operator.end-key', { name: carol, fingerprint: '<key of dora>', reason }],
    refused: { code: 'not-found', message: 'carol has no such key in use' },
  },
  {
    prior: [
      ['operator.add-key', { name: dora, publicKey: another, reason }],
      ['operator.end-key', { name: dora, fingerprint: '<key of dora>', reason }],
    ],
    run: ['operator.end-key', { name: dora, fingerprint: '<key of dora>', reason }],
    refused: { code: 'not-found', message: 'dora has no such key in use' },
  },
  {
    run: suspended,
    does: {
      answer: {},
      changed: { 'operator carol': { state: 'suspended' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'operator.suspended',
            text: 'operator.suspended carol, by alice',
            count: 1,
            facts: { by: 'alice', reason, operator: 'carol' },
            subject: 'carol/{"reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
      },
      entries: [{ kind: 'operator.suspended', sensitive: { by: 'alice', reason, operator: 'carol' } }],
    },
  },
  { prior: [suspended], run: suspended, refused: { code: 'conflict', message: 'carol is suspended already' } },
  {
    prior: [suspended],
    run: ['operator.resume', { name: carol, reason }],
    does: {
      answer: {},
      changed: { 'operator carol': { state: 'active' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'operator.resumed',
            text: 'operator.resumed carol, by both',
            count: 1,
            facts: { by: 'both', reason, operator: 'carol' },
            subject: 'carol/{"reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
      },
      entries: [{ kind: 'operator.resumed', sensitive: { by: 'both', reason, operator: 'carol' } }],
    },
  },
  {
    run: ['operator.resume', { name: carol, reason }],
    refused: { code: 'conflict', message: 'carol is not suspended' },
  },
  {
    run: ['break-glass.prepare', prepare],
    does: {
      answer: { breakGlass: '?', validUntil: '+30d' },
      added: {
        alert: [
          {
            id: '?',
            kind: 'break-glass.prepared',
            text: 'break-glass.prepared carol, by both',
            count: 1,
            facts: {
              by: 'both',
              hours: 5,
              until: '+30d',
              reason,
              operator: 'carol',
              breakGlass: '?',
              operations: ['key.add', 'account.unlock', 'key.add'],
            },
            subject:
              'carol/{"breakGlass":"?","operations":["key.add","account.unlock","key.add"],"hours":5,"until":"+30d","reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
        break_glass: [
          {
            id: '?',
            hours: 5,
            reason,
            created_at: 'now',
            operations: ['account.unlock', 'key.add'],
            operator_id: 'carol',
            valid_until: '+30d',
          },
        ],
      },
      entries: [
        {
          kind: 'break-glass.prepared',
          sensitive: {
            by: 'both',
            hours: 5,
            until: '+30d',
            reason,
            operator: 'carol',
            breakGlass: '?',
            operations: ['key.add', 'account.unlock', 'key.add'],
          },
        },
      ],
    },
  },
  {
    prior: [suspended],
    run: ['break-glass.prepare', prepare],
    refused: { code: 'conflict', message: 'carol is suspended' },
  },
  {
    run: ended('prepared'),
    does: {
      answer: {},
      changed: { 'break_glass emergency prepared': { ended_at: 'now' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'break-glass.ended',
            text: 'break-glass.ended carol, by alice',
            count: 1,
            facts: { by: 'alice', reason, operator: 'carol', breakGlass: 'emergency prepared' },
            subject: 'carol/{"breakGlass":"emergency prepared","reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
      },
      entries: [
        {
          kind: 'break-glass.ended',
          sensitive: { by: 'alice', reason, operator: 'carol', breakGlass: 'emergency prepared' },
        },
      ],
    },
  },
  {
    says: 'one that is open',
    run: ended('used'),
    does: {
      answer: {},
      changed: { 'break_glass emergency used': { ended_at: 'now' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'break-glass.ended',
            text: 'break-glass.ended dora, by alice',
            count: 1,
            facts: { by: 'alice', reason, operator: 'dora', breakGlass: 'emergency used' },
            subject: 'dora/{"breakGlass":"emergency used","reason":"a test"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
      },
      entries: [
        {
          kind: 'break-glass.ended',
          sensitive: { by: 'alice', reason, operator: 'dora', breakGlass: 'emergency used' },
        },
      ],
    },
  },
  {
    prior: [ended('used')],
    run: ended('used'),
    refused: { code: 'conflict', message: 'this emergency is over already' },
  },
  {
    prior: [ended('used')],
    run: reviewed('used'),
    does: {
      answer: {},
      changed: { 'break_glass emergency used': { finding: 'as it should be', reviewed_at: 'now' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'break-glass.reviewed',
            text: 'break-glass.reviewed dora, by both',
            count: 1,
            facts: { by: 'both', finding: 'as it should be', operator: 'dora', breakGlass: 'emergency used' },
            subject: 'dora/{"breakGlass":"emergency used","finding":"as it should be"}',
            severity: 'warning',
            next_command: 'cofferctl operator list',
          },
        ],
      },
      entries: [
        {
          kind: 'break-glass.reviewed',
          sensitive: { by: 'both', finding: 'as it should be', operator: 'dora', breakGlass: 'emergency used' },
        },
      ],
    },
  },
  { run: reviewed('used'), refused: { code: 'conflict', message: /^this emergency is still open: end it first/ } },
  {
    prior: [ended('prepared')],
    run: reviewed('prepared'),
    refused: { code: 'conflict', message: 'this emergency was not used: there is nothing to review' },
  },
  {
    prior: [ended('used'), reviewed('used')],
    run: reviewed('used'),
    refused: { code: 'conflict', message: 'this emergency was reviewed before' },
  },
];
