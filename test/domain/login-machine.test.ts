// T-03, T-11, T-13: every sequence of up to 6 login messages, for every kind and state of an account, compared with an
// oracle that was written independently.
import { test } from 'tap';
import { type AccountId, type CredentialId, idOf } from '../../server/domain/ids.ts';
import {
  beginLogin,
  type LoginEvent,
  type LoginFacts,
  type LoginState,
  stepLogin,
  stillOpens,
  type VerifiedProof,
} from '../../server/domain/login-machine.ts';
import { narrowed, permits, type Restrictions, unrestricted } from '../../server/domain/restrictions.ts';

const account = idOf<AccountId>('mine');
const rules = { attemptsMax: 6, probesMax: 20 };
const origin = { plane: 'partner', source: '192.0.2.7', now: 1000 } as const;
const evidence = (
  proof: VerifiedProof['proof'],
  credential: string | null,
  more: Partial<VerifiedProof> = {},
): VerifiedProof => ({
  proof,
  account,
  credential: credential === null ? null : idOf<CredentialId>(credential),
  restrictions: unrestricted,
  ...more,
});

/**
 * What a client can send. A wrong proof, one of a locked credential and a replayed one verify as nothing; a foreign
 * proof verifies as somebody else's.
 */
const events = {
  'key-probe': { type: 'probe', fits: true },
  key: { type: 'proof', evidence: evidence('public-key', 'k1') },
  'second-key': { type: 'proof', evidence: evidence('public-key', 'k2') },
  'foreign-key': { type: 'proof', evidence: evidence('public-key', 'k3', { account: idOf<AccountId>('theirs') }) },
  'key-from-elsewhere': {
    type: 'proof',
    evidence: evidence('public-key', 'k4', { restrictions: { ...unrestricted, networks: [['198.51.100.0/24']] } }),
  },
  password: { type: 'proof', evidence: evidence('password', 'p1') },
  'bad-proof': { type: 'proof', evidence: null },
  ask: { type: 'ask' },
  code: { type: 'answer', evidence: evidence('totp', null) },
  'foreign-code': { type: 'answer', evidence: evidence('totp', null, { account: idOf<AccountId>('theirs') }) },
  'bad-or-replayed-code': { type: 'answer', evidence: null },
  ticket: { type: 'answer', evidence: evidence('ticket', null) },
  'other-user': { type: 'proof', evidence: evidence('public-key', 'k1') },
} as const satisfies Readonly<Record<string, LoginEvent>>;
type EventName = keyof typeof events;
const names = Object.keys(events) as EventName[];

const ok: LoginFacts = {
  account,
  kind: 'person',
  allowed: null,
  hasNetworks: false,
  isWindowOpen: false,
  restrictions: unrestricted,
  windowUntil: null,
  hasSecondFactor: true,
  canEnrol: false,
};
const elsewhere: Restrictions = { ...unrestricted, networks: [['203.0.113.0/24']] };
const bound: Restrictions = { ...unrestricted, networks: [['192.0.2.0/24']] };
/** Locked, suspended, expired and unknown accounts have no facts at all. */
const cases: readonly (readonly [string, LoginFacts | null])[] = [
  ['person', ok],
  ['machine', { ...ok, kind: 'machine' }],
  ['machine with a window', { ...ok, kind: 'machine', isWindowOpen: true, windowUntil: 5000 }],
  ['machine bound to networks', { ...ok, kind: 'machine', hasNetworks: true, restrictions: bound }],
  ['person who can enrol', { ...ok, hasSecondFactor: false, canEnrol: true }],
  ['person whose customer allows passwords only', { ...ok, allowed: ['password+code'] }],
  [
    'machine, window, customer wants the code',
    { ...ok, kind: 'machine', isWindowOpen: true, windowUntil: 5000, allowed: ['key+code'] },
  ],
  [
    'machine from a foreign network',
    { ...ok, kind: 'machine', isWindowOpen: true, windowUntil: 5000, restrictions: elsewhere },
  ],
  ['person on the wrong plane', { ...ok, restrictions: { ...unrestricted, planes: ['internal'] } }],
  ['person, expired', { ...ok, restrictions: { ...unrestricted, until: 1000 } }],
  ['nobody, locked, suspended', null],
];

/**
 * The oracle: which proofs one user gave on this connection, and whether they suffice. It knows nothing of the machine.
 */
class Oracle {
  key: string | undefined;
  hasPassword = false;
  asked: 'code' | 'ticket' | undefined;
  isOver = false;
  refusals = 0;
  opened: 'transfer' | 'enrolment' | undefined;

  static copy(from: Oracle): Oracle {
    return Object.assign(new Oracle(), from);
  }

  hear(name: EventName, who: LoginFacts | null, label: string): void {
    const isPerson = who?.kind === 'person';
    const mayEnter = who !== null && !/foreign network|wrong plane|expired/.test(label);
    const allows = (row: string): boolean => who?.allowed == null || who.allowed.includes(row);
    const keyHelps =
      allows('key+code') ||
      (!isPerson && allows('key+window') && who?.isWindowOpen === true) ||
      (!isPerson && who?.hasNetworks === true && allows('key+password'));
    const passwordHelps = isPerson ? allows('password+code') : who?.hasNetworks === true && allows('key+password');
    const { asked } = this;
    this.asked = undefined;
    const refuse = (): void => {
      this.refusals += 1;
      if (this.refusals === 6) this.isOver = true;
    };
    const open = (purpose: 'transfer' | 'enrolment'): void => {
      this.isOver = true;
      this.opened = purpose;
    };
    if (name === 'other-user') {
      this.isOver = true;
      return;
    }
    if (name === 'key-probe') return;
    const codeWouldHelp =
      (this.key !== undefined && allows('key+code')) || (this.hasPassword && isPerson && allows('password+code'));
    if (name === 'ask') {
      if (!mayEnter || !codeWouldHelp) return refuse();
      this.asked = who?.canEnrol === true ? 'ticket' : 'code';
      return;
    }
    if (!mayEnter) return refuse();
    if (name === 'key' || name === 'second-key') {
      const id = name === 'key' ? 'k1' : 'k2';
      if (!keyHelps || (this.key !== undefined && this.key !== id)) return refuse();
      this.key = id;
      if (!isPerson && who?.isWindowOpen === true && allows('key+window')) open('transfer');
      else if (!isPerson && this.hasPassword) open('transfer');
      return;
    }
    if (name === 'password') {
      if (!passwordHelps) return refuse();
      this.hasPassword = true;
      if (!isPerson && this.key !== undefined) open('transfer');
      return;
    }
    if (name === 'code' && asked === 'code') return open('transfer');
    if (name === 'ticket' && asked === 'ticket') return open('enrolment');
    refuse();
  }
}

test('a login is accepted exactly when one user gave the proofs of one row of the policy on one connection', (t) => {
  for (const [label, facts] of cases) {
    let sequences = 0;
    let accepted = 0;
    let wrong = 0;
    const path: EventName[] = [];
    /**
     * Machine and oracle are pure. What follows from a pair of states, with the same number of messages left, was
     * examined before, and only its count is added.
     */
    const seen = new Map<string, readonly [sequences: number, accepted: number, wrong: number]>();
    const visit = (state: LoginState, oracle: Oracle): void => {
      if (path.length === 6) return;
      const key = JSON.stringify([path.length, { ...state, given: [...state.given] }, oracle]);
      const known = seen.get(key);
      if (known !== undefined) {
        sequences += known[0];
        accepted += known[1];
        wrong += known[2];
        return;
      }
      const before = [sequences, accepted, wrong] as const;
      for (const name of names) {
        sequences += 1;
        path.push(name);
        const heard = Oracle.copy(oracle);
        heard.hear(name, facts, label);
        const { state: next, step } = stepLogin(
          state,
          name === 'other-user' ? 'else' : 'user',
          events[name],
          facts,
          origin,
          rules,
        );
        const opened = step.outcome === 'accepted' ? step.purpose : undefined;
        if (opened !== heard.opened || next.isOver !== heard.isOver) {
          wrong += 1;
          if (wrong < 5)
            t.fail(
              `${label}: ${path.join(', ')}: ${step.outcome}, should be ${heard.opened ?? (heard.isOver ? 'over' : 'going on')}`,
            );
        }
        if (step.outcome === 'accepted') accepted += 1;
        else if (!next.isOver) visit(next, heard);
        path.pop();
      }
      seen.set(key, [sequences - before[0], accepted - before[1], wrong - before[2]]);
    };
    visit(beginLogin('user'), new Oracle());
    t.equal(wrong, 0, `${label}: ${sequences} sequences, ${accepted} open a session`);
    t.equal(accepted > 0, !/foreign network|wrong plane|expired|nobody/.test(label), `${label}: some do, or none`);
  }
  t.end();
});

/** What may be withdrawn while a login is under way. */
const withdrawals: readonly (readonly [string, (facts: LoginFacts) => LoginFacts | null])[] = [
  ['locked', () => null],
  ['given an end', (one) => ({ ...one, restrictions: { ...one.restrictions, until: origin.now } })],
  ['bound to other networks', (one) => ({ ...one, restrictions: narrowed(one.restrictions, elsewhere) })],
  ['moved to the other plane', (one) => ({ ...one, restrictions: { ...one.restrictions, planes: ['internal'] } })],
  ['its customer allows nothing of it', (one) => ({ ...one, allowed: ['security-key'] })],
];

test('whatever proofs were given, a session opens only by what is true when it begins', (t) => {
  for (const [label, facts] of cases) {
    if (facts === null) continue;
    let accepted = 0;
    const seen = new Set<string>();
    const visit = (state: LoginState, left: number): void => {
      for (const name of names) {
        const { state: next, step } = stepLogin(state, 'user', events[name], facts, origin, rules);
        const key = JSON.stringify([left, step.outcome, { ...next, given: [...next.given] }]);
        if (seen.has(key)) continue;
        seen.add(key);
        if (step.outcome !== 'accepted') {
          if (!next.isOver && left > 1) visit(next, left - 1);
          continue;
        }
        accepted += 1;
        const credentials = [...next.given.values()].filter((one) => one !== null).map(() => unrestricted);
        const open = (
          who: LoginFacts | null,
          more: readonly Restrictions[] = [],
          at = origin as Parameters<typeof stillOpens>[3],
        ) => stillOpens(next, [...credentials, ...more], who, at);
        const told = `${label}: ${[...next.given.keys()].join('+')}`;
        t.same(open(facts), step, `${told}: nothing was taken back`);
        for (const [what, withdrawn] of withdrawals) t.equal(open(withdrawn(facts)), undefined, `${told}: ${what}`);
        if (next.given.has('totp'))
          t.equal(open({ ...facts, hasSecondFactor: false }), undefined, `${told}: the second factor was reset`);
        if (next.given.has('ticket'))
          t.equal(open({ ...facts, canEnrol: false }), undefined, `${told}: the ticket was used`);
        if (step.usedWindow)
          t.equal(
            open({ ...facts, isWindowOpen: false, windowUntil: null }),
            undefined,
            `${told}: the window was closed`,
          );
        t.equal(open(facts, [{ ...unrestricted, until: origin.now }]), undefined, `${told}: the credential ended`);
        t.equal(open(facts, [elsewhere]), undefined, `${told}: the credential was bound to other networks`);
        t.match(
          open(facts, [{ ...unrestricted, readOnly: true, until: 4000 }])?.restrictions,
          { readOnly: true, until: 4000 },
          `${told}: what was narrowed is narrow`,
        );
      }
    };
    visit(beginLogin('user'), 4);
    t.equal(accepted > 0, !/foreign network|wrong plane|expired/.test(label), `${label}: some open, or none`);
  }
  t.end();
});

test('a session that a window opened ends with the window; no other session does', (t) => {
  const window = { ...ok, kind: 'machine', isWindowOpen: true, windowUntil: 5000 } as const satisfies LoginFacts;
  const trials: readonly (readonly [string, LoginFacts, number | null])[] = [
    ['a window', window, 5000],
    ['the account ends before it', { ...window, restrictions: { ...unrestricted, until: 4000 } }, 4000],
    ['the window ends before the account', { ...window, restrictions: { ...unrestricted, until: 6000 } }, 5000],
    ['a window without an end of its own', { ...window, windowUntil: null }, null],
  ];
  for (const [what, facts, until] of trials) {
    const { state, step } = stepLogin(beginLogin('user'), 'user', events.key, facts, origin, rules);
    t.match(step, { outcome: 'accepted', usedWindow: true, restrictions: { until } }, what);
    t.same(stillOpens(state, [unrestricted], facts, origin), step, `${what}: and when it is opened`);
    const earlier = { ...facts, windowUntil: 3000 };
    t.match(
      stillOpens(state, [unrestricted], earlier, origin),
      { restrictions: { until: 3000 } },
      `${what}: closed earlier meanwhile`,
    );
  }
  const coded = stepLogin(beginLogin('user'), 'user', events.key, { ...window, allowed: ['key+code'] }, origin, rules);
  const asked = stepLogin(coded.state, 'user', events.ask, { ...window, allowed: ['key+code'] }, origin, rules);
  const { step } = stepLogin(asked.state, 'user', events.code, { ...window, allowed: ['key+code'] }, origin, rules);
  t.match(
    step,
    { outcome: 'accepted', usedWindow: false, restrictions: { until: null } },
    'the twin: it was opened by a code',
  );
  t.end();
});

test('whatever the reason of a refusal, the client gets the same answer', (t) => {
  const strangers = cases.filter(([label]) =>
    /foreign network|wrong plane|expired|nobody|^person$|^machine$/.test(label),
  );
  const words = strangers.map(([, facts]) => {
    const heard: string[] = [];
    let state = beginLogin('user');
    for (const name of ['key-probe', 'bad-proof', 'ask', 'foreign-key', 'code', 'bad-proof', 'bad-proof'] as const) {
      const stepped = stepLogin(state, 'user', events[name], facts, origin, rules);
      state = stepped.state;
      heard.push(JSON.stringify(stepped.step));
    }
    return heard.join(' ');
  });
  t.equal(new Set(words).size, 1, 'one dialogue for all of them');
  t.end();
});

test('restrictions only accumulate', (t) => {
  const given: readonly Restrictions[] = [
    unrestricted,
    { ...unrestricted, readOnly: true },
    { ...unrestricted, until: 2000 },
    { ...unrestricted, until: 3000 },
    { ...unrestricted, planes: ['partner'] },
    { ...unrestricted, planes: [] },
    bound,
    elsewhere,
    { ...unrestricted, networks: [[]] },
    { ...unrestricted, networks: [['not a network']] },
  ];
  const places = (['partner', 'internal'] as const).flatMap((plane) =>
    ['192.0.2.7', '203.0.113.1', '2001:db8::1', ''].flatMap((source) =>
      [0, 1999, 2000, 2999, 3000].map((now) => ({ plane, source, now })),
    ),
  );
  for (const a of given)
    for (const b of given) {
      const both = narrowed(a, b);
      for (const at of places)
        if (permits(both, at) !== (permits(a, at) && permits(b, at))) t.fail(JSON.stringify({ a, b, at }));
      if (both.readOnly !== (a.readOnly || b.readOnly)) t.fail('read-only was lost');
    }
  const key = evidence('public-key', 'k1', { restrictions: { ...unrestricted, readOnly: true, until: 4000 } });
  const first = stepLogin(beginLogin('user'), 'user', { type: 'proof', evidence: key }, ok, origin, rules);
  const asked = stepLogin(first.state, 'user', { type: 'ask' }, ok, origin, rules);
  const { step } = stepLogin(asked.state, 'user', events.code, ok, origin, rules);
  t.match(
    step,
    { outcome: 'accepted', restrictions: { readOnly: true, until: 4000 } },
    'what the key may not do, the session may not do',
  );
  t.end();
});
