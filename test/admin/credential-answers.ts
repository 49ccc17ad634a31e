// What operators read about credentials of the two banks. It is a part of `what-operators-read.test.ts`.
import type { Answered } from '../support/readers.ts';

const credentialColumns =
  'fingerprint | type | account | customer | algorithm | state | issuedBy | createdAt | validFrom | expiresAt | firstUsedAt | firstUsedFrom | lastUsedAt | lastUsedFrom | readOnly | networks | successor | openSessions | endedAt | endedBy | endedWhy';

export const credentialAnswers: readonly Answered<object>[] = [
  [
    ['credential.list', {}],
    {
      credentials: [
        credentialColumns,
        'acme-2-password | password | acme-2-batch | acme-2 | argon2id | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'acme-2-batch#1 | public-key | acme-2-batch | acme-2 | ssh-ed25519 | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'acme-2-batch#2 | public-key | acme-2-batch | acme-2 | ssh-ed25519 | suspended | both | now | now | +20d | null | null | null | null | true | [] | null | 3 | null | null | null',
        'acme-2-clerk#1 | public-key | acme-2-clerk | acme-2 | ssh-ed25519 | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'acme-2-clerk#waiting | public-key | acme-2-clerk | acme-2 | ssh-ed25519 | pending | account acme-2-clerk | now | +1d | +365d | null | null | null | null | false | [] | null | 0 | null | null | null',
        'acme-password | password | acme-batch | acme | argon2id | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'acme-batch#1 | public-key | acme-batch | acme | ssh-ed25519 | revoked | both | now | now | +20d | null | null | null | null | false | [] | null | 1 | now | both | a test',
        'acme-batch#2 | public-key | acme-batch | acme | ssh-ed25519 | active | both | now | now | +365d | null | null | null | null | true | [] | null | 3 | null | null | null',
        'acme-clerk#1 | public-key | acme-clerk | acme | ssh-ed25519 | active | both | now | now | +20d | null | null | null | null | false | [] | null | 2 | null | null | null',
        'acme-clerk#waiting | public-key | acme-clerk | acme | ssh-ed25519 | pending | account acme-clerk | now | +1d | +365d | null | null | null | null | false | [] | null | 0 | null | null | null',
        'archive#1 | public-key | archive | null | ssh-ed25519 | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'processor#1 | public-key | processor | null | ssh-ed25519 | active | both | now | -100d | +365d | null | null | -70d | null | false | [] | null | 1 | null | null | null',
      ],
    },
  ],
  [
    ['credential.list', { customer: 'acme', state: 'active' }],
    {
      credentials: [
        credentialColumns,
        'acme-password | password | acme-batch | acme | argon2id | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'acme-batch#2 | public-key | acme-batch | acme | ssh-ed25519 | active | both | now | now | +365d | null | null | null | null | true | [] | null | 3 | null | null | null',
        'acme-clerk#1 | public-key | acme-clerk | acme | ssh-ed25519 | active | both | now | now | +20d | null | null | null | null | false | [] | null | 2 | null | null | null',
      ],
    },
  ],
  [
    ['credential.list', { account: 'acme-2-batch' }],
    {
      credentials: [
        credentialColumns,
        'acme-2-password | password | acme-2-batch | acme-2 | argon2id | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'acme-2-batch#1 | public-key | acme-2-batch | acme-2 | ssh-ed25519 | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'acme-2-batch#2 | public-key | acme-2-batch | acme-2 | ssh-ed25519 | suspended | both | now | now | +20d | null | null | null | null | true | [] | null | 3 | null | null | null',
      ],
    },
  ],
  [
    ['credential.show', { fingerprint: '<acme-batch#1>' }],
    {
      credential: {
        fingerprint: 'acme-batch#1',
        type: 'public-key',
        account: 'acme-batch',
        customer: 'acme',
        algorithm: 'ssh-ed25519',
        state: 'revoked',
        issuedBy: 'both',
        createdAt: 'now',
        validFrom: 'now',
        expiresAt: '+20d',
        firstUsedAt: null,
        firstUsedFrom: null,
        lastUsedAt: null,
        lastUsedFrom: null,
        readOnly: false,
        networks: [],
        successor: null,
        openSessions: 1,
        endedAt: 'now',
        endedBy: 'both',
        endedWhy: 'a test',
      },
      history: [
        'at | kind | by | text',
        'now | credential.revoked | both | a test',
        'now | credential.added | both | +365d',
      ],
    },
  ],
  [
    ['credential.stale', {}],
    {
      credentials: [
        credentialColumns,
        'acme-clerk#1 | public-key | acme-clerk | acme | ssh-ed25519 | active | both | now | now | +20d | null | null | null | null | false | [] | null | 2 | null | null | null',
        'processor#1 | public-key | processor | null | ssh-ed25519 | active | both | now | -100d | +365d | null | null | -70d | null | false | [] | null | 1 | null | null | null',
      ],
    },
  ],
  [
    ['credential.plan', { selection: { customer: 'acme' }, what: 'revoke' }],
    {
      count: 4,
      accounts: 2,
      openSessions: 6,
      locksOut: 2,
      credentials: [
        credentialColumns,
        'acme-password | password | acme-batch | acme | argon2id | active | both | now | now | +365d | null | null | null | null | false | [] | null | 1 | null | null | null',
        'acme-batch#2 | public-key | acme-batch | acme | ssh-ed25519 | active | both | now | now | +365d | null | null | null | null | true | [] | null | 3 | null | null | null',
        'acme-clerk#1 | public-key | acme-clerk | acme | ssh-ed25519 | active | both | now | now | +20d | null | null | null | null | false | [] | null | 2 | null | null | null',
        'acme-clerk#waiting | public-key | acme-clerk | acme | ssh-ed25519 | pending | account acme-clerk | now | +1d | +365d | null | null | null | null | false | [] | null | 0 | null | null | null',
      ],
    },
  ],
  [
    ['credential.plan', { selection: { customer: 'acme-2' }, what: 'rotate' }],
    { count: 0, accounts: 0, openSessions: 0, locksOut: 0, credentials: [] },
  ],
  [
    ['credential.plan', { selection: { account: 'acme-batch' }, what: 'rotate' }],
    {
      count: 1,
      accounts: 1,
      openSessions: 3,
      locksOut: 0,
      credentials: [
        credentialColumns,
        'acme-batch#2 | public-key | acme-batch | acme | ssh-ed25519 | active | both | now | now | +365d | null | null | null | null | true | [] | null | 3 | null | null | null',
      ],
    },
  ],
  [
    ['customer.list', { limit: 2 }],
    {
      customers: [
        'id | name | state | accounts | folders | files | createdAt | allowedProofs | formerNames',
        'acme | acme | active | 2 | 2 | 3 | now | null | []',
        'acme-2 | acme-2 | active | 2 | 2 | 3 | now | null | []',
      ],
    },
  ],
];
