// What each operation on rotations does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { bare, handles, newBudgets, newKey, ofBatch, reason, revokedRow } from './words.ts';

const [batch, clerk] = ['acme-batch', 'acme-clerk'];
const [first, second] = ['<acme-batch#1>', '<acme-batch#2>'];
const started = ['rotation.start', { selection: { account: batch }, overlapDays: 10, reason }] as const;
const keys = (...given: readonly (readonly [string, string])[]) =>
  [
    'rotation.advance',
    { rotation: '<the rotation>', keys: given.map(([account, key]) => ({ account, publicKey: `<line ${key}>` })) },
  ] as const;
const moved = "update rotation_item set moved_at = clock_timestamp() where credential_id = '<key acme-batch#1>'";
const finished = (laggards: boolean) => ['rotation.finish', { rotation: '<the rotation>', laggards, reason }] as const;
const undone = ['rotation.undo', { rotation: '<the rotation>', reason }] as const;

/** A rotation of the second key only. */
const startsSecond = {
  answer: { rotation: '?', keys: 1, deadline: '+10d' },
  added: {
    rotation: [
      {
        id: '?',
        reason,
        deadline: '+10d',
        selection: 'account acme-batch',
        overlap_ms: 864000000,
        started_at: 'now',
        started_by: 'alice',
      },
    ],
    rotation_item: [
      { state: 'planned', rotation_id: '?', credential_id: 'key acme-batch#2', former_expires_at: '+365d' },
    ],
  },
  entries: [
    {
      kind: 'rotation.started',
      sensitive: {
        by: 'alice',
        keys: 1,
        reason,
        rotation: '?',
        selection: { account: 'acme-batch' },
        overlapDays: 10,
      },
    },
  ],
};

/** Both keys retire, with their sessions. */
const retiresBoth = {
  answer: { retired: 2, sessionsEnded: 4 },
  changed: {
    'credential key acme-batch#2': revokedRow,
    'credential key acme-batch#1': revokedRow,
    'rotation_item the rotation/key acme-batch#2': { state: 'retired', retired_at: 'now' },
    'rotation_item the rotation/key acme-batch#1': { state: 'retired', retired_at: 'now' },
  },
  entries: [
    bare('credential.retired', 'acme-batch#1', { by: 'alice', why: 'a test' }),
    bare('credential.retired', 'acme-batch#2', { by: 'alice', why: 'a test' }),
  ],
  ended: { 'credential: the credential has retired': ofBatch },
  closed: handles,
};

export const rotationCases: readonly Case[] = [
  {
    run: started,
    does: {
      answer: { rotation: '?', keys: 2, deadline: '+10d' },
      added: {
        rotation: [
          {
            id: '?',
            reason,
            deadline: '+10d',
            selection: 'account acme-batch',
            overlap_ms: 864000000,
            started_at: 'now',
            started_by: 'alice',
          },
        ],
        rotation_item: [
          { state: 'planned', rotation_id: '?', credential_id: 'key acme-batch#1', former_expires_at: '+365d' },
          { state: 'planned', rotation_id: '?', credential_id: 'key acme-batch#2', former_expires_at: '+365d' },
        ],
      },
      entries: [
        {
          kind: 'rotation.started',
          sensitive: {
            by: 'alice',
            keys: 2,
            reason,
            rotation: '?',
            selection: { account: 'acme-batch' },
            overlapDays: 10,
          },
        },
      ],
    },
  },
  { prior: [started], run: started, refused: { code: 'conflict', message: /^nothing to rotate/ } },
  {
    says: 'keys that are not in one already',
    prior: [['rotation.start', { selection: { fingerprint: first }, overlapDays: 10, reason }]],
    run: started,
    does: startsSecond,
  },
  {
    says: 'keys that can be used',
    prior: [['key.suspend', { fingerprint: first, reason }]],
    run: started,
    does: startsSecond,
  },
  {
    says: 'again, when the last was undone',
    prior: [started, undone],
    run: started,
    does: {
      answer: { rotation: '?', keys: 2, deadline: '+10d' },
      added: {
        rotation: [
          {
            id: '?',
            reason,
            deadline: '+10d',
            selection: 'account acme-batch',
            overlap_ms: 864000000,
            started_at: 'now',
            started_by: 'alice',
          },
        ],
        rotation_item: [
          { state: 'planned', rotation_id: '?', credential_id: 'key acme-batch#1', former_expires_at: '+365d' },
          { state: 'planned', rotation_id: '?', credential_id: 'key acme-batch#2', former_expires_at: '+365d' },
        ],
      },
      entries: [
        {
          kind: 'rotation.started',
          sensitive: {
            by: 'alice',
            keys: 2,
            reason,
            rotation: '?',
            selection: { account: 'acme-batch' },
            overlapDays: 10,
          },
        },
      ],
    },
  },
  {
    says: 'no key',
    prior: [started],
    run: keys(),
    does: {
      answer: { remaining: 0, opened: 2, staged: 0, refused: [] },
      changed: {
        'credential key acme-batch#1': { state: 'retiring', expires_at: '+10d' },
        'credential key acme-batch#2': { state: 'retiring', expires_at: '+10d' },
        'rotation_item the rotation/key acme-batch#1': { state: 'open' },
        'rotation_item the rotation/key acme-batch#2': { state: 'open' },
      },
      added: {
        alert: [
          {
            id: '?',
            kind: 'rotation.begun',
            text: 'acme-batch#1 of acme-batch retires on +10d at the latest',
            count: 1,
            facts: { until: '+10d', account: 'acme-batch', rotation: 'the rotation', fingerprint: 'acme-batch#1' },
            subject: 'acme-batch/{"rotation":"the rotation","fingerprint":"acme-batch#1","until":"+10d"}',
            severity: 'notice',
            account_id: 'acme-batch',
            customer_id: 'acme',
            contact_text:
              'The key acme-batch#1 of your account acme-batch retires on +10d at the latest. Please use its replacement before then. If you have not given us a new public key yet, send us one.',
            next_command: 'cofferctl rotation show the rotation',
          },
          {
            id: '?',
            kind: 'rotation.begun',
            text: 'acme-batch#2 of acme-batch retires on +10d at the latest',
            count: 1,
            facts: { until: '+10d', account: 'acme-batch', rotation: 'the rotation', fingerprint: 'acme-batch#2' },
            subject: 'acme-batch/{"rotation":"the rotation","fingerprint":"acme-batch#2","until":"+10d"}',
            severity: 'notice',
            account_id: 'acme-batch',
            customer_id: 'acme',
            contact_text:
              'The key acme-batch#2 of your account acme-batch retires on +10d at the latest. Please use its replacement before then. If you have not given us a new public key yet, send us one.',
            next_command: 'cofferctl rotation show the rotation',
          },
        ],
      },
    },
  },
  {
    says: 'a key',
    prior: [started],
    run: keys([batch, 'new']),
    does: {
      answer: { remaining: 0, opened: 2, staged: 1, refused: [] },
      widened: ['a new key'],
      changed: {
        'credential key acme-batch#1': { state: 'retiring', expires_at: '+10d', successor_id: '?' },
        'credential key acme-batch#2': { state: 'retiring', expires_at: '+10d' },
        'rotation_item the rotation/key acme-batch#2': { state: 'open' },
        'rotation_item the rotation/key acme-batch#1': { state: 'open', staged_at: 'now', successor_id: '?' },
      },
      added: {
        alert: [
          {
            id: '?',
            kind: 'rotation.begun',
            text: 'acme-batch#1 of acme-batch retires on +10d at the latest',
            count: 1,
            facts: { until: '+10d', account: 'acme-batch', rotation: 'the rotation', fingerprint: 'acme-batch#1' },
            subject: 'acme-batch/{"rotation":"the rotation","fingerprint":"acme-batch#1","until":"+10d"}',
            severity: 'notice',
            account_id: 'acme-batch',
            customer_id: 'acme',
            contact_text:
              'The key acme-batch#1 of your account acme-batch retires on +10d at the latest. Please use its replacement before then. If you have not given us a new public key yet, send us one.',
            next_command: 'cofferctl rotation show the rotation',
          },
          {
            id: '?',
            kind: 'rotation.begun',
            text: 'acme-batch#2 of acme-batch retires on +10d at the latest',
            count: 1,
            facts: { until: '+10d', account: 'acme-batch', rotation: 'the rotation', fingerprint: 'acme-batch#2' },
            subject: 'acme-batch/{"rotation":"the rotation","fingerprint":"acme-batch#2","until":"+10d"}',
            severity: 'notice',
            account_id: 'acme-batch',
            customer_id: 'acme',
            contact_text:
              'The key acme-batch#2 of your account acme-batch retires on +10d at the latest. Please use its replacement before then. If you have not given us a new public key yet, send us one.',
            next_command: 'cofferctl rotation show the rotation',
          },
        ],
        budget: newBudgets,
        credential: [newKey()],
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
    says: 'a key of somebody else',
    prior: [started],
    run: keys([clerk, 'new'], ['none', 'newer']),
    does: {
      answer: {
        remaining: 0,
        opened: 2,
        staged: 0,
        refused: [
          { account: 'acme-clerk', why: 'this account has no key in this rotation that waits for a new one' },
          { account: 'none', why: 'there is no account named none' },
        ],
      },
      widened: ['2 new keys'],
      changed: {
        'credential key acme-batch#1': { state: 'retiring', expires_at: '+10d' },
        'credential key acme-batch#2': { state: 'retiring', expires_at: '+10d' },
        'rotation_item the rotation/key acme-batch#1': { state: 'open' },
        'rotation_item the rotation/key acme-batch#2': { state: 'open' },
      },
      added: {
        alert: [
          {
            id: '?',
            kind: 'rotation.begun',
            text: 'acme-batch#1 of acme-batch retires on +10d at the latest',
            count: 1,
            facts: { until: '+10d', account: 'acme-batch', rotation: 'the rotation', fingerprint: 'acme-batch#1' },
            subject: 'acme-batch/{"rotation":"the rotation","fingerprint":"acme-batch#1","until":"+10d"}',
            severity: 'notice',
            account_id: 'acme-batch',
            customer_id: 'acme',
            contact_text:
              'The key acme-batch#1 of your account acme-batch retires on +10d at the latest. Please use its replacement before then. If you have not given us a new public key yet, send us one.',
            next_command: 'cofferctl rotation show the rotation',
          },
          {
            id: '?',
            kind: 'rotation.begun',
            text: 'acme-batch#2 of acme-batch retires on +10d at the latest',
            count: 1,
            facts: { until: '+10d', account: 'acme-batch', rotation: 'the rotation', fingerprint: 'acme-batch#2' },
            subject: 'acme-batch/{"rotation":"the rotation","fingerprint":"acme-batch#2","until":"+10d"}',
            severity: 'notice',
            account_id: 'acme-batch',
            customer_id: 'acme',
            contact_text:
              'The key acme-batch#2 of your account acme-batch retires on +10d at the latest. Please use its replacement before then. If you have not given us a new public key yet, send us one.',
            next_command: 'cofferctl rotation show the rotation',
          },
        ],
      },
    },
  },
  {
    says: 'a key that is staged',
    prior: [started, keys([batch, 'new'])],
    run: keys([batch, 'new']),
    does: { answer: { remaining: 0, opened: 0, staged: 0, refused: [] }, widened: ['a new key'] },
  },
  {
    says: 'nobody moved',
    prior: [started, keys()],
    run: finished(false),
    refused: { code: 'conflict', message: /^nobody who moved has an old key left/ },
  },
  {
    says: 'who moved',
    prior: [started, keys(), moved],
    run: finished(false),
    does: {
      answer: { retired: 1, sessionsEnded: 1 },
      changed: {
        'credential key acme-batch#1': revokedRow,
        'rotation_item the rotation/key acme-batch#1': { state: 'retired', retired_at: 'now' },
      },
      entries: [bare('credential.retired', 'acme-batch#1', { by: 'alice', why: 'a test' })],
      ended: { 'credential: the credential has retired': ['acme-batch@window'] },
    },
  },
  { says: 'all', prior: [started, keys(), moved], run: finished(true), does: retiresBoth },
  { says: 'all that were only planned', prior: [started], run: finished(true), does: retiresBoth },
  {
    prior: [started, finished(true)],
    run: finished(true),
    refused: { code: 'conflict', message: /^no old key is left/ },
  },
  {
    prior: [started, keys([batch, 'new']), ['key.suspend', { fingerprint: second, reason }]],
    run: undone,
    does: {
      answer: { restored: 2 },
      changed: {
        'credential key acme-batch#2': { expires_at: '+365d' },
        'credential key acme-batch#1': { state: 'active', expires_at: '+365d', successor_id: null },
        'rotation the rotation': { undone_at: 'now', undone_by: 'both' },
        'rotation_item the rotation/key acme-batch#2': { state: 'undone' },
        'rotation_item the rotation/key acme-batch#1': { state: 'undone' },
      },
      entries: [{ kind: 'rotation.undone', sensitive: { by: 'both', reason, restored: 2, rotation: 'the rotation' } }],
    },
  },
  {
    says: 'what is left of it',
    prior: [started, keys(), moved, finished(false)],
    run: undone,
    does: {
      answer: { restored: 1 },
      changed: {
        'credential key acme-batch#2': { state: 'active', expires_at: '+365d' },
        'rotation the rotation': { undone_at: 'now', undone_by: 'both' },
        'rotation_item the rotation/key acme-batch#2': { state: 'undone' },
      },
      entries: [{ kind: 'rotation.undone', sensitive: { by: 'both', reason, restored: 1, rotation: 'the rotation' } }],
    },
  },
  ...[undone, keys(), finished(true)].map(
    (run): Case => ({
      prior: [started, undone],
      run,
      refused: { code: 'conflict', message: 'this rotation was undone' },
    }),
  ),
];
