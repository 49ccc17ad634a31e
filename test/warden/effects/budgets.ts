// What each operation on budgets does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { entry, reason } from './words.ts';

const acme = { kind: 'customer', customer: 'acme' } as const;
const batch = { kind: 'account', account: 'acme-batch' } as const;
const key = { kind: 'credential', fingerprint: '<acme-batch#1>' } as const;
const partner = { kind: 'plane', plane: 'partner' } as const;
const gateway = { kind: 'gateway' } as const;
const processor = { kind: 'account', account: 'processor' } as const;
const outward = { direction: 'out', reason } as const;
const headroom = (scope: typeof acme | typeof partner, headroomPercent: number) =>
  ['budget.set', { scope, ...outward, headroomPercent, reason }] as const;
const released = (scope: typeof acme | typeof partner) => ['budget.release', { scope, hours: 3, reason }] as const;
/** What an entry says of a budget: the defaults of a test, except what is given. */
const wide = 2 ** 49;
const caps = { hour: wide, day: wide, week: wide };
const rest = { consequence: 'refuse', ceilingPercent: 100, headroomPercent: 0 };
const into = (more: object = {}) => ({ rate: wide, bytes: caps, items: caps, sessionsMax: null, ...rest, ...more });
const out = (more: object = {}) => into({ sessionsMax: 1000, ...more });
const lists = (more: object = {}) => into({ rate: null, bytes: { hour: 0, day: 0, week: 0 }, ...more });
/** The entry of a change: whose budget it is, its scope, label and direction, and what it was and is. */
function changed(
  whose: string,
  [scope, label, direction]: readonly [string, string, string],
  before: object,
  after: object,
  { wider = [], operator = 'both' }: { readonly wider?: readonly string[]; readonly operator?: string } = {},
): Readonly<Record<string, unknown>> {
  const said = { scope, label, direction, before, after, wider };
  const customer = whose === '' ? {} : { customer_id: whose };
  return { kind: 'budget.changed', ...customer, public: said, sensitive: { operator, reason } };
}

export const budgetCases: readonly Case[] = [
  {
    says: 'everything narrower',
    run: [
      'budget.tighten',
      {
        scope: acme,
        ...outward,
        bytes: { hour: 10, day: 20, week: 30 },
        items: { hour: 1, day: 2, week: 3 },
        rate: 2048,
        sessions: 4,
        consequence: 'suspend',
      },
    ],
    does: {
      answer: { changed: 1, widened: [] },
      changed: {
        'budget acme/out': {
          rate: 2048,
          consequence: 'suspend',
          sessions_max: 4,
          cap_day_bytes: 20,
          cap_day_items: 2,
          cap_hour_bytes: 10,
          cap_hour_items: 1,
          cap_week_bytes: 30,
          cap_week_items: 3,
        },
      },
      entries: [
        changed(
          'acme',
          ['customer', 'acme', 'out'],
          out(),
          out({
            rate: 2048,
            bytes: { day: 20, hour: 10, week: 30 },
            items: { day: 2, hour: 1, week: 3 },
            consequence: 'suspend',
            sessionsMax: 4,
          }),
          { operator: 'alice' },
        ),
      ],
    },
  },
  {
    says: 'one bound of each',
    prior: [
      [
        'budget.tighten',
        { scope: acme, ...outward, bytes: { hour: 10, day: 20, week: 30 }, items: { hour: 1, day: 2, week: 3 } },
      ],
    ],
    run: ['budget.set', { scope: acme, ...outward, bytes: { day: 21 }, items: { week: 2 } }],
    does: {
      answer: { changed: 1, widened: ['bytes per day'] },
      widened: ['bytes per day of customer acme'],
      changed: { 'budget acme/out': { cap_day_bytes: 21, cap_week_items: 2 } },
      entries: [
        changed(
          'acme',
          ['customer', 'acme', 'out'],
          out({ bytes: { day: 20, hour: 10, week: 30 }, items: { day: 2, hour: 1, week: 3 } }),
          out({ bytes: { day: 21, hour: 10, week: 30 }, items: { day: 2, hour: 1, week: 2 } }),
          { wider: ['bytes per day'] },
        ),
      ],
    },
  },
  ...(
    [
      ['bytes per hour', { bytes: { hour: 11 } }],
      ['items per day', { items: { day: 3 } }],
      ['rate', { rate: 4096 }],
      ['sessions', { sessions: 5 }],
      ['consequence', { consequence: 'refuse' }],
      ['headroom', { headroomPercent: 1 }],
    ] as const
  ).map(
    ([what, wider]): Case => ({
      says: `wider in ${what}`,
      prior: [
        [
          'budget.tighten',
          {
            scope: acme,
            ...outward,
            bytes: { hour: 10 },
            items: { day: 2 },
            rate: 2048,
            sessions: 4,
            consequence: 'suspend',
          },
        ],
      ],
      run: ['budget.tighten', { scope: acme, ...outward, ...wider }],
      refused: {
        code: 'denied',
        message: `this would widen ${what}: use budget set, which a second operator approves`,
      },
    }),
  ),
  {
    says: 'wider in ceiling',
    run: ['budget.tighten', { scope: partner, ...outward, ceilingPercent: 201 }],
    refused: { code: 'denied', message: 'this would widen ceiling: use budget set, which a second operator approves' },
  },
  {
    says: 'what it is already',
    run: [
      'budget.tighten',
      {
        scope: partner,
        ...outward,
        bytes: caps,
        items: caps,
        rate: wide,
        sessions: 1000,
        ceilingPercent: 200,
        consequence: 'refuse',
        headroomPercent: 0,
      },
    ],
    does: {
      answer: { changed: 1, widened: [] },
      entries: [
        changed('', ['plane', 'partner', 'out'], out({ ceilingPercent: 200 }), out({ ceilingPercent: 200 }), {
          operator: 'alice',
        }),
      ],
    },
  },
  {
    says: 'of an account',
    run: ['budget.set', { scope: batch, direction: 'in', items: { hour: 5 }, reason }],
    does: {
      answer: { changed: 1, widened: [] },
      changed: { 'budget acme-batch/acme/in': { cap_hour_items: 5 } },
      entries: [changed('acme', ['account', 'acme-batch', 'in'], into(), into({ items: { ...caps, hour: 5 } }))],
    },
  },
  {
    says: 'of a key',
    run: ['budget.set', { scope: key, direction: 'list', items: { hour: 5 }, reason }],
    does: {
      answer: { changed: 1, widened: [] },
      changed: { 'budget key acme-batch#1/acme/list': { cap_hour_items: 5 } },
      entries: [
        changed('acme', ['credential', 'acme-batch#1', 'list'], lists(), lists({ items: { ...caps, hour: 5 } })),
      ],
    },
  },
  {
    says: 'of an account at every customer',
    run: ['budget.set', { scope: processor, ...outward, sessions: 5 }],
    does: {
      answer: { changed: 2, widened: [] },
      changed: { 'budget processor/acme/out': { sessions_max: 5 }, 'budget processor/acme-2/out': { sessions_max: 5 } },
      entries: [
        changed('acme', ['account', 'processor', 'out'], out(), out({ sessionsMax: 5 })),
        changed('acme-2', ['account', 'processor', 'out'], out(), out({ sessionsMax: 5 })),
      ],
    },
  },
  {
    says: 'of an account at one customer',
    run: ['budget.set', { scope: { ...processor, customer: 'acme' }, ...outward, sessions: 5 }],
    does: {
      answer: { changed: 1, widened: [] },
      changed: { 'budget processor/acme/out': { sessions_max: 5 } },
      entries: [changed('acme', ['account', 'processor acme', 'out'], out(), out({ sessionsMax: 5 }))],
    },
  },
  {
    says: 'of a plane',
    run: ['budget.set', { scope: partner, ...outward, ceilingPercent: 150, bytes: { day: 7 } }],
    does: {
      answer: { changed: 1, widened: [] },
      changed: { 'budget partner/out': { cap_day_bytes: 7, ceiling_percent: 150 } },
      entries: [
        changed(
          '',
          ['plane', 'partner', 'out'],
          out({ ceilingPercent: 200 }),
          out({ bytes: { ...caps, day: 7 }, ceilingPercent: 150 }),
        ),
      ],
    },
  },
  {
    says: 'of the gateway',
    run: ['budget.set', { scope: gateway, ...outward, ceilingPercent: 150, bytes: { day: 7 } }],
    does: {
      answer: { changed: 1, widened: [] },
      changed: { 'budget out': { cap_day_bytes: 7, ceiling_percent: 150 } },
      entries: [
        changed(
          '',
          ['gateway', 'gateway', 'out'],
          out({ ceilingPercent: 200 }),
          out({ bytes: { ...caps, day: 7 }, ceilingPercent: 150 }),
        ),
      ],
    },
  },
  {
    run: ['budget.set', { scope: acme, ...outward, ceilingPercent: 150 }],
    refused: { code: 'invalid', message: 'only plane and gateway have a ceiling above their cap' },
  },
  {
    run: ['budget.set', { scope: acme, direction: 'in', sessions: 1, reason }],
    refused: { code: 'invalid', message: 'sessions are counted once, with direction out' },
  },
  ...[{ bytes: { day: 1 } }, { rate: 1024 }].map(
    (given): Case => ({
      run: ['budget.set', { scope: acme, direction: 'list', ...given, reason }],
      refused: { code: 'invalid', message: 'lists are counted in names only' },
    }),
  ),
  ...[{}, { bytes: {} }].map(
    (given): Case => ({
      run: ['budget.set', { scope: acme, ...outward, ...given }],
      refused: { code: 'invalid', message: 'nothing to change was named' },
    }),
  ),
  {
    run: ['budget.set', { scope: { kind: 'customer', customer: 'none' }, ...outward, rate: 1024 }],
    refused: { code: 'not-found', message: 'there is no such scope, or it has no budget' },
  },
  {
    says: 'headroom',
    run: headroom(acme, 20),
    does: {
      answer: { changed: 1, widened: ['headroom'] },
      widened: ['headroom of customer acme'],
      changed: { 'budget acme/out': { headroom_percent: 20 } },
      entries: [
        changed('acme', ['customer', 'acme', 'out'], out(), out({ headroomPercent: 20 }), { wider: ['headroom'] }),
      ],
    },
  },
  {
    says: 'no headroom',
    prior: [headroom(acme, 20)],
    run: headroom(acme, 0),
    does: {
      answer: { changed: 1, widened: [] },
      changed: { 'budget acme/out': { headroom_percent: 0 } },
      entries: [changed('acme', ['customer', 'acme', 'out'], out({ headroomPercent: 20 }), out())],
    },
  },
  {
    prior: [headroom(acme, 20)],
    run: released(acme),
    does: {
      answer: { until: '+3h', percent: 20 },
      changed: { 'budget acme/out': { headroom_until: '+3h' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'budget.headroom-released',
            text: 'alice released 20 % headroom of customer acme until +3h: a test',
            count: 1,
            facts: { label: 'acme', scope: 'customer', until: '+3h', reason, percent: 20, operator: 'alice' },
            subject: 'a budget',
            severity: 'critical',
            customer_id: 'acme',
            next_command: 'cofferctl budget show',
          },
        ],
      },
      entries: [
        entry(
          'budget.headroom-released',
          'acme',
          { operator: 'alice' },
          { public: { label: 'acme', scope: 'customer', until: '+3h', percent: 20 } },
        ),
      ],
    },
  },
  {
    says: 'headroom once more',
    prior: [headroom(acme, 20), released(acme)],
    run: headroom(acme, 30),
    does: {
      answer: { changed: 1, widened: ['headroom'] },
      widened: ['headroom of customer acme'],
      changed: { 'budget acme/out': { headroom_until: '-infinity', headroom_percent: 30 } },
      entries: [
        changed('acme', ['customer', 'acme', 'out'], out({ headroomPercent: 20 }), out({ headroomPercent: 30 }), {
          wider: ['headroom'],
        }),
      ],
    },
  },
  {
    says: 'another value, released',
    prior: [headroom(acme, 20), released(acme)],
    run: ['budget.set', { scope: acme, ...outward, rate: 1024 }],
    does: {
      answer: { changed: 1, widened: [] },
      changed: { 'budget acme/out': { rate: 1024 } },
      entries: [
        changed(
          'acme',
          ['customer', 'acme', 'out'],
          out({ headroomPercent: 20 }),
          out({ rate: 1024, headroomPercent: 20 }),
        ),
      ],
    },
  },
  {
    prior: [headroom(partner, 20)],
    run: released(partner),
    does: {
      answer: { until: '+3h', percent: 20 },
      changed: { 'budget partner/out': { headroom_until: '+3h' } },
      added: {
        alert: [
          {
            id: '?',
            kind: 'budget.headroom-released',
            text: 'alice released 20 % headroom of plane partner until +3h: a test',
            count: 1,
            facts: { label: 'partner', scope: 'plane', until: '+3h', reason, percent: 20, operator: 'alice' },
            subject: 'a budget',
            severity: 'critical',
            next_command: 'cofferctl budget show',
          },
        ],
      },
      entries: [
        {
          kind: 'budget.headroom-released',
          public: { label: 'partner', scope: 'plane', until: '+3h', percent: 20 },
          sensitive: { reason, operator: 'alice' },
        },
      ],
    },
  },
  {
    prior: [headroom(partner, 20)],
    run: released(acme),
    refused: { code: 'conflict', message: /^no headroom was approved for this scope/ },
  },
  {
    prior: [headroom(acme, 20), released(acme)],
    run: released(acme),
    refused: { code: 'conflict', message: /^this headroom was released before/ },
  },
];
