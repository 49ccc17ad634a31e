// What a client is told at every step of a login, word for word, and what an accepted login may do.
import { test } from 'tap';
import { type AccountId, type CredentialId, idOf } from '../../server/domain/ids.ts';
import {
  beginLogin,
  type LoginEvent,
  type LoginFacts,
  type LoginState,
  type LoginStep,
  stepLogin,
  stillOpens,
  type VerifiedProof,
} from '../../server/domain/login-machine.ts';
import { type Restrictions, unrestricted } from '../../server/domain/restrictions.ts';

const account = idOf<AccountId>('mine');
const rules = { attemptsMax: 6, probesMax: 3 };
const origin = { plane: 'partner', source: '192.0.2.7', now: 1000 } as const;
const proofOf = (
  proof: VerifiedProof['proof'],
  credential: string | null,
  restrictions = unrestricted,
): VerifiedProof => ({
  proof,
  account,
  credential: credential === null ? null : idOf<CredentialId>(credential),
  restrictions,
});
const proof = (name: 'public-key' | 'password', credential: string, restrictions?: Restrictions): LoginEvent => ({
  type: 'proof',
  evidence: proofOf(name, credential, restrictions),
});
const [key, secondKey, password] = [proof('public-key', 'k1'), proof('public-key', 'k2'), proof('password', 'p1')];
const badProof: LoginEvent = { type: 'proof', evidence: null };
const none: LoginEvent = { type: 'none' };
const probe: LoginEvent = { type: 'probe', fits: true };
const ask: LoginEvent = { type: 'ask' };
const code: LoginEvent = { type: 'answer', evidence: proofOf('totp', null) };
const ticket: LoginEvent = { type: 'answer', evidence: proofOf('ticket', null) };
const badAnswer: LoginEvent = { type: 'answer', evidence: null };

const person: LoginFacts = {
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
const newcomer: LoginFacts = { ...person, hasSecondFactor: false, canEnrol: true };
const machine: LoginFacts = { ...person, kind: 'machine' };

function dialogue(
  facts: LoginFacts | null,
  events: readonly LoginEvent[],
): { readonly state: LoginState; readonly steps: readonly LoginStep[] } {
  let state = beginLogin('user');
  const steps = events.map((event) => {
    const stepped = stepLogin(state, 'user', event, facts, origin, rules);
    state = stepped.state;
    return stepped.step;
  });
  return { state, steps };
}

const refused = { outcome: 'refused', methods: ['publickey', 'password'] } as const;
const refusedButCode = { outcome: 'refused', methods: ['keyboard-interactive'] } as const;
const needsCode = { outcome: 'partial', methods: ['keyboard-interactive'] } as const;
const closed = { outcome: 'closed' } as const;
const fits = { outcome: 'key-acceptable' } as const;
const opened = (proofs: readonly string[], purpose = 'transfer', usedWindow = false) => ({
  outcome: 'accepted',
  purpose,
  proofs,
  restrictions: unrestricted,
  usedWindow,
});

test('each answer, word for word', (t) => {
  const cases: readonly (readonly [string, LoginFacts | null, readonly LoginEvent[], readonly unknown[]])[] = [
    [
      'a key and a code',
      person,
      [key, ask, code],
      [needsCode, { outcome: 'prompt', asks: 'code' }, opened(['public-key', 'totp'])],
    ],
    [
      'a password and a code',
      person,
      [password, ask, code],
      [needsCode, { outcome: 'prompt', asks: 'code' }, opened(['password', 'totp'])],
    ],
    [
      'a key and a ticket',
      newcomer,
      [key, ask, ticket],
      [needsCode, { outcome: 'prompt', asks: 'ticket' }, opened(['public-key', 'ticket'], 'enrolment')],
    ],
    [
      'a key in a window',
      { ...machine, isWindowOpen: true },
      [key],
      [opened(['activation-window', 'public-key'], 'transfer', true)],
    ],
    [
      'a password and a key from a network',
      { ...machine, hasNetworks: true },
      [password, key],
      [{ outcome: 'partial', methods: ['publickey'] }, opened(['password', 'public-key'])],
    ],
    ['a bad proof first', person, [badProof], [refused]],
    ['a bad proof for nobody', null, [badProof, key, password], [refused, refused, refused]],
    ['a proof that helps nobody', machine, [password], [refused]],
    [
      'a bad proof after a good one',
      person,
      [key, badProof, ask],
      [needsCode, refusedButCode, { outcome: 'prompt', asks: 'code' }],
    ],
    ['the code before the key', person, [ask, code, key], [refused, refused, needsCode]],
    ['a code that nobody asked for', person, [key, code], [needsCode, refusedButCode]],
    [
      'a wrong code',
      person,
      [key, ask, badAnswer, code],
      [needsCode, { outcome: 'prompt', asks: 'code' }, refusedButCode, refusedButCode],
    ],
    [
      'a ticket instead of a code',
      person,
      [key, ask, ticket],
      [needsCode, { outcome: 'prompt', asks: 'code' }, refusedButCode],
    ],
    [
      'a code instead of a ticket',
      newcomer,
      [key, ask, code],
      [needsCode, { outcome: 'prompt', asks: 'ticket' }, refusedButCode],
    ],
    ['the same key twice', person, [key, key], [needsCode, needsCode]],
    ['a second key', person, [key, secondKey, ask], [needsCode, refusedButCode, { outcome: 'prompt', asks: 'code' }]],
    [
      'the end',
      person,
      [key, ask, code, none, key],
      [needsCode, { outcome: 'prompt', asks: 'code' }, opened(['public-key', 'totp']), closed, closed],
    ],
  ];
  for (const [what, facts, events, steps] of cases) t.same(dialogue(facts, events).steps, steps, what);
  t.end();
});

test('a client may ask for its keys and methods a few times, and the user name changes nothing in that', (t) => {
  const unfit: LoginEvent = { type: 'probe', fits: false };
  for (const facts of [person, null]) {
    t.same(dialogue(facts, [none, probe, unfit, probe]).steps, [refused, fits, refused, closed]);
    t.same(dialogue(facts, [probe, probe, none, none]).steps, [fits, fits, refused, closed]);
  }
  const { state, steps } = dialogue(person, [probe, probe, probe, key, ask]);
  t.same(steps, [fits, fits, fits, needsCode, { outcome: 'prompt', asks: 'code' }], 'whoever asks no more goes on');
  t.same([state.probes, state.failures], [3, 0], 'asking is no failure');
  const prompted = dialogue(person, [key, ask, probe, code]);
  t.same(prompted.steps.slice(2), [fits, refusedButCode], 'an answer belongs to the question right before it');
  t.end();
});

test('the failures of a login are counted; the last one that is allowed ends it', (t) => {
  const { steps } = dialogue(person, [...Array.from({ length: 6 }, () => badProof), key]);
  t.same(steps, [refused, refused, refused, refused, refused, closed, closed]);
  const { steps: mixed } = dialogue(person, [ask, code, badProof, key, secondKey, code, ask]);
  t.same(mixed, [
    refused,
    refused,
    refused,
    needsCode,
    refusedButCode,
    refusedButCode,
    { outcome: 'prompt', asks: 'code' },
  ]);
  t.end();
});

test('a message of another user ends the login, and nothing begins it again', (t) => {
  const { state } = dialogue(person, [key, ask]);
  const stepped = stepLogin(state, 'else', code, person, origin, rules);
  t.same(stepped.step, closed);
  for (const event of [none, probe, key, ask, code])
    t.same(stepLogin(stepped.state, 'user', event, person, origin, rules).step, closed);
  t.end();
});

test('the credential of each proof is remembered, and the first of two keys counts', (t) => {
  const { state } = dialogue(person, [key, secondKey, key]);
  t.same([...state.given], [['public-key', 'k1']]);
  t.same([...dialogue({ ...machine, hasNetworks: true }, [password, key]).state.given].sort(), [
    ['password', 'p1'],
    ['public-key', 'k1'],
  ]);
  t.end();
});

test('a session has the restrictions of the proofs in their order, then those of the account, and those of the window', (t) => {
  const within = (network: string, more: Partial<Restrictions> = {}): Restrictions => ({
    ...unrestricted,
    networks: [[network]],
    ...more,
  });
  const facts: LoginFacts = {
    ...machine,
    hasNetworks: true,
    restrictions: within('192.0.0.0/16', { planes: ['internal', 'partner'] }),
  };
  const events = [
    proof('password', 'p1', within('192.0.2.0/24', { until: 4000 })),
    proof('public-key', 'k1', within('192.0.2.7', { readOnly: true })),
  ];
  const expected = {
    networks: [['192.0.2.0/24'], ['192.0.2.7'], ['192.0.0.0/16']],
    planes: ['partner', 'internal'],
    readOnly: true,
    until: 4000,
  };
  const { state, steps } = dialogue(facts, events);
  t.match(steps[1], { outcome: 'accepted' });
  t.same(steps[1], { ...opened(['password', 'public-key']), restrictions: expected });
  const now = stillOpens(state, [within('192.0.2.0/25')], facts, origin)?.restrictions;
  t.same(
    now?.networks,
    [['192.0.2.0/24'], ['192.0.2.7'], ['192.0.2.0/25'], ['192.0.0.0/16']],
    'and what the credentials have now',
  );
  const inWindow = { ...facts, isWindowOpen: true, windowUntil: 3000 };
  const whole = { ...expected, networks: [['192.0.2.7'], ['192.0.0.0/16']], until: 3000 };
  t.same(dialogue(inWindow, events.slice(1)).steps, [
    { ...opened(['activation-window', 'public-key'], 'transfer', true), restrictions: whole },
  ]);
  t.end();
});
