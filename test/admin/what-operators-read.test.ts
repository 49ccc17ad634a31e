// What operators read about two banks that are alike, after something of one of them was locked, revoked, closed,
// lifted or ended: every row and every column of it, and nothing of self-tests. Each list stands as lines: the names of
// its columns, and then its rows.
import { test } from 'tap';
import { type Answered, startReaders } from '../support/readers.ts';
import { credentialAnswers } from './credential-answers.ts';

const answers: readonly Answered<object>[] = [
  [
    ['customer.list', {}],
    {
      customers: [
        'id | name | state | accounts | folders | files | createdAt | allowedProofs | formerNames',
        'acme | acme | active | 2 | 2 | 3 | now | null | []',
        'acme-2 | acme-2 | active | 2 | 2 | 3 | now | null | []',
      ],
    },
  ],
  [
    ['customer.list', { limit: 1 }],
    {
      customers: [
        'id | name | state | accounts | folders | files | createdAt | allowedProofs | formerNames',
        'acme | acme | active | 2 | 2 | 3 | now | null | []',
      ],
      more: true,
    },
  ],
  [
    ['customer.list', { after: 'acme' }],
    {
      customers: [
        'id | name | state | accounts | folders | files | createdAt | allowedProofs | formerNames',
        'acme-2 | acme-2 | active | 2 | 2 | 3 | now | null | []',
      ],
    },
  ],
  [
    ['customer.show', { name: 'acme' }],
    {
      customer: {
        id: 'acme',
        name: 'acme',
        state: 'active',
        accounts: 2,
        folders: 2,
        files: 3,
        createdAt: 'now',
        allowedProofs: null,
        formerNames: [],
      },
      folders: [
        'name | direction | publishRule | marker | settleMs | replaceAllowed | directoriesAllowed | readBack | windowDays | readsMax | retentionDays | files',
        'collect | collect | on-close | .done | 0 | true | true | false | 30 | null | 60 | 3',
        'deposit | deposit | on-close | .done | 0 | false | true | false | null | null | null | 0',
      ],
      accounts: [
        'name | contact | customer | kind | plane | state | secondFactor | keys | windowOpenUntil | lastUsedAt | manages | readOnly | networks | expiresAt | startsIn',
        'acme-batch | null | acme | machine | partner | active | true | 2 | +8h | null | false | true | ["192.0.2.0/24"] | null | null',
        'acme-clerk | acme-clerk@example.com | acme | person | partner | suspended | false | 2 | null | null | true | false | [] | null | null',
      ],
    },
  ],
  [
    ['account.list', {}],
    {
      accounts: [
        'name | contact | customer | kind | plane | state | secondFactor | keys | windowOpenUntil | lastUsedAt | manages | readOnly | networks | expiresAt | startsIn',
        'acme-2-batch | null | acme-2 | machine | partner | active | true | 3 | +8h | null | false | true | ["192.0.2.0/24"] | +30d | null',
        'acme-2-clerk | acme-2-clerk@example.com | acme-2 | person | partner | active | false | 2 | null | null | true | false | [] | null | null',
        'acme-batch | null | acme | machine | partner | active | true | 2 | +8h | null | false | true | ["192.0.2.0/24"] | null | null',
        'acme-clerk | acme-clerk@example.com | acme | person | partner | suspended | false | 2 | null | null | true | false | [] | null | null',
        'archive | null | null | machine | internal | active | false | 1 | null | null | false | false | [] | null | null',
        'processor | null | null | machine | internal | active | false | 1 | null | -70d | false | false | [] | null | null',
      ],
    },
  ],
  [
    ['account.list', { customer: 'acme-2' }],
    {
      accounts: [
        'name | contact | customer | kind | plane | state | secondFactor | keys | windowOpenUntil | lastUsedAt | manages | readOnly | networks | expiresAt | startsIn',
        'acme-2-batch | null | acme-2 | machine | partner | active | true | 3 | +8h | null | false | true | ["192.0.2.0/24"] | +30d | null',
        'acme-2-clerk | acme-2-clerk@example.com | acme-2 | person | partner | active | false | 2 | null | null | true | false | [] | null | null',
      ],
    },
  ],
  [
    ['alert.list', { limit: 3 }],
    {
      alerts: [
        'id | kind | severity | text | nextCommand | firstAt | lastAt | count',
        '? | break-glass.prepared | warning | break-glass.prepared dora, by both | cofferctl operator list | now | now | 1',
        '? | break-glass.prepared | warning | break-glass.prepared dora, by both | cofferctl operator list | now | now | 1',
        '? | break-glass.prepared | warning | break-glass.prepared dora, by both | cofferctl operator list | now | now | 1',
      ],
    },
  ],
  [
    ['break-glass.list', {}],
    {
      breakGlasses: [
        'breakGlass | operator | operations | hours | reason | validUntil | openedAt | closesAt | state | changes | reviewedAt | finding',
        'emergency reviewed | dora | ["key.add"] | 3 | a test | +5d | -2d | -1d | reviewed | 0 | now | good',
        'emergency used | dora | ["key.add"] | 3 | a test | +5d | -2d | -1d | used | 0 | null | null',
        'emergency later | dora | ["key.add"] | 3 | a test | +5d | null | null | prepared | 0 | null | null',
        'emergency used | dora | ["account.unlock"] | 2 | a test | +7d | now | +2h | open | 0 | null | null',
        'emergency prepared | carol | ["account.unlock"] | 2 | a test | +7d | null | null | ended | 0 | null | null',
        'emergency expired | dora | ["key.add"] | 3 | a test | -1d | null | null | expired | 0 | null | null',
      ],
    },
  ],
  [
    ['change.list', {}],
    {
      changes: [
        'change | operation | state | proposer | proposedAt | expiresAt | reason | decidedBy | decidedAt | breakGlass',
        '? | operator.create | proposed | agreed-alice | -2h | +1h | waits 1 | null | null | null',
      ],
    },
  ],
  [
    ['file.list', { customer: 'acme' }],
    {
      files: [
        'version | customer | folder | path | number | state | withdrawnWhy | size | sha256 | account | closedAt | publishedAt | done',
        'acme:lost.1 | acme | collect | /collect/lost | 1 | destroyed | null | 0 | digest | acme-clerk | now | now | []',
        'acme:gone.1 | acme | collect | /collect/gone | 1 | withdrawn | reads | 0 | digest | acme-clerk | now | now | []',
        'acme:once.1 | acme | collect | /collect/once | 1 | published | null | 0 | digest | acme-clerk | now | now | []',
        'acme:twice.3 | acme | collect | /collect/twice | 3 | published | null | 0 | digest | acme-clerk | now | now | []',
        'acme:twice.2 | acme | collect | /collect/twice | 2 | published | null | 0 | digest | acme-clerk | now | now | []',
        'acme:twice.1 | acme | collect | /collect/twice | 1 | withdrawn | reads | 0 | digest | acme-clerk | now | now | []',
      ],
    },
  ],
  [['file.list', { customer: 'acme', folder: 'deposit' }], { files: [] }],
  [
    ['hold.list', {}],
    {
      holds: [
        'hold | customer | folder | version | reason | placedBy | placedAt',
        'acme-2 hold | acme-2 | collect | null | a test | both | now',
      ],
    },
  ],
  [
    ['node.drain-plan', { node: 'n' }],
    {
      plane: 'partner',
      alive: true,
      drainingUntil: null,
      sessions: [
        'session | account | source | startedAt | uploads | downloads',
        'acme-batch@reading | acme-batch | null | now | 0 | 3',
        'acme-2-batch@reading | acme-2-batch | null | now | 0 | 3',
        'acme-clerk@clerk | acme-clerk | null | now | 0 | 0',
        'acme-clerk@enrolment | acme-clerk | null | now | 0 | 0',
        'acme-batch@both | acme-batch | null | now | 0 | 0',
        'acme-batch@window | acme-batch | null | now | 0 | 0',
        'acme-batch@night | acme-batch | null | now | 0 | 0',
        'acme-2-clerk@enrolment | acme-2-clerk | null | now | 0 | 0',
        'acme-2-batch@both | acme-2-batch | null | now | 0 | 0',
        'acme-2-batch@window | acme-2-batch | null | now | 0 | 0',
        'acme-2-batch@night | acme-2-batch | null | now | 0 | 0',
        'processor@1 | processor | null | now | 0 | 0',
      ],
    },
  ],
  [
    ['node.drain-plan', { node: 'm' }],
    {
      plane: 'partner',
      alive: true,
      drainingUntil: null,
      sessions: [
        'session | account | source | startedAt | uploads | downloads',
        'archive@m | archive | null | now | 0 | 0',
      ],
    },
  ],
  [
    ['operator.list', {}],
    {
      operators: [
        'name | role | state | createdAt | keys',
        'agreed-alice | security-officer | active | now | [{"fingerprint":"key of agreed-alice","since":"now","endedAt":null}]',
        'agreed-bob | security-officer | active | now | [{"fingerprint":"key of agreed-bob","since":"now","endedAt":null}]',
        'carol | operator | active | now | [{"fingerprint":"key of carol","since":"now","endedAt":null}]',
        'dora | operator | active | now | [{"fingerprint":"key of dora","since":"now","endedAt":null}]',
      ],
    },
  ],
  [
    ['rotation.list', {}],
    {
      rotations: [
        'rotation | selection | reason | startedBy | startedAt | deadline | undoneAt | keys | planned | staged | moved | retired | laggards',
        '? | customer acme-2 | a test | both | now | +10d | null | 3 | 3 | 0 | 0 | 0 | 0',
      ],
    },
  ],
  [
    ['session.list', {}],
    {
      sessions: [
        'session | account | customer | node | source | client | state | startedAt | lastSeenAt | endedAt | endReason',
        '? | self-test.n.partner | self-test.n.partner | n | null |  | open | now | now | null | null',
        'archive@m | archive | null | m | null |  | open | now | now | null | null',
        'processor@1 | processor | null | n | null |  | open | now | now | null | null',
        'acme-2-batch@reading | acme-2-batch | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-batch@night | acme-2-batch | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-batch@window | acme-2-batch | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-batch@both | acme-2-batch | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-clerk@enrolment | acme-2-clerk | acme-2 | n | null |  | open | now | now | null | null',
        'acme-batch@reading | acme-batch | acme | n | null |  | open | now | now | null | null',
        'acme-batch@night | acme-batch | acme | n | null |  | open | now | now | null | null',
        'acme-batch@window | acme-batch | acme | n | null |  | open | now | now | null | null',
        'acme-batch@both | acme-batch | acme | n | null |  | open | now | now | null | null',
        'acme-clerk@enrolment | acme-clerk | acme | n | null |  | open | now | now | null | null',
        'acme-clerk@clerk | acme-clerk | acme | n | null |  | open | now | now | null | null',
      ],
    },
  ],
  [
    ['session.list', { all: true, limit: 500 }],
    {
      sessions: [
        'session | account | customer | node | source | client | state | startedAt | lastSeenAt | endedAt | endReason',
        '? | self-test.n.partner | self-test.n.partner | n | null |  | open | now | now | null | null',
        'archive@m | archive | null | m | null |  | open | now | now | null | null',
        'processor@1 | processor | null | n | null |  | open | now | now | null | null',
        'acme-2-batch@reading | acme-2-batch | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-batch@night | acme-2-batch | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-batch@window | acme-2-batch | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-batch@both | acme-2-batch | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-batch@ended | acme-2-batch | acme-2 | n | null |  | ended | now | now | now | x',
        'acme-2-clerk@enrolment | acme-2-clerk | acme-2 | n | null |  | open | now | now | null | null',
        'acme-2-clerk@clerk | acme-2-clerk | acme-2 | n | null |  | ended | now | now | now | idle',
        'acme-batch@reading | acme-batch | acme | n | null |  | open | now | now | null | null',
        'acme-batch@night | acme-batch | acme | n | null |  | open | now | now | null | null',
        'acme-batch@window | acme-batch | acme | n | null |  | open | now | now | null | null',
        'acme-batch@both | acme-batch | acme | n | null |  | open | now | now | null | null',
        'acme-batch@ended | acme-batch | acme | n | null |  | ended | now | now | now | x',
        'acme-clerk@enrolment | acme-clerk | acme | n | null |  | open | now | now | null | null',
        'acme-clerk@clerk | acme-clerk | acme | n | null |  | open | now | now | null | null',
      ],
    },
  ],
  [
    ['window.list', {}],
    {
      windows: [
        'account | customer | name | schedule | opensAt | closesAt | isOpenNow | openedBy | reason',
        'acme-batch | acme | null | null | now | +8h | true | both | a test',
        'acme-2-batch | acme-2 | null | null | now | +8h | true | both | a test',
        'acme-batch | acme | night | fr 22:00-23:00 UTC | now | +30d | false | both | a test',
        'acme-2-batch | acme-2 | night | fr 22:00-23:00 UTC | now | +30d | false | both | a test',
        'acme-2-batch | acme-2 | noon | fr 22:00-23:00 UTC | now | +30d | false | both | a test',
      ],
    },
  ],
  [
    ['window.list', { account: 'acme-batch' }],
    {
      windows: [
        'account | customer | name | schedule | opensAt | closesAt | isOpenNow | openedBy | reason',
        'acme-batch | acme | null | null | now | +8h | true | both | a test',
        'acme-batch | acme | night | fr 22:00-23:00 UTC | now | +30d | false | both | a test',
      ],
    },
  ],
  [
    ['report.exceptions', {}],
    {
      exceptions: [
        'account | customer | name | schedule | opensAt | closesAt | isOpenNow | openedBy | reason',
        'acme-batch | acme | night | fr 22:00-23:00 UTC | now | +30d | false | both | a test',
        'acme-2-batch | acme-2 | night | fr 22:00-23:00 UTC | now | +30d | false | both | a test',
        'acme-2-batch | acme-2 | noon | fr 22:00-23:00 UTC | now | +30d | false | both | a test',
      ],
    },
  ],
  ...credentialAnswers,
];
const refused: readonly Answered<string>[] = [
  [['customer.show', { name: 'self-test.n.partner' }], 'there is no customer named self-test.n.partner'],
  [['file.list', { customer: 'none' }], 'there is no customer named none'],
  [['account.list', { customer: 'none' }], 'there is no customer named none'],
  [['node.drain-plan', { node: 'none' }], 'there is no node named none: see cofferctl status'],
  [['credential.list', { customer: 'none' }], 'there is no customer named none'],
];

/** Answers that are no list do not say whether there is more. */
const isWhole = (answer: object): boolean => ['more', 'customer', 'credential'].some((one) => one in answer);

test('operators read what is so, of whom they ask', async (t) => {
  const ask = await startReaders(t);
  for (const [question, answer] of answers)
    t.same(
      await ask(question).catch((error: unknown) => error),
      isWhole(answer) ? answer : { more: false, ...answer },
      JSON.stringify(question),
    );
  for (const [question, message] of refused)
    await t.rejects(ask(question), { code: 'not-found', message }, JSON.stringify(question));
});
