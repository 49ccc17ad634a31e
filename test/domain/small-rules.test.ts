// Rules of a few lines, each tested at its limits: sums that are bounded, secrets that nothing prints, shares, the
// questions that an incident may ask, failures with owners.
import { inspect } from 'node:util';
import { test } from 'tap';
import { detach, givenUp, held, unexpected } from '../../server/domain/detached.ts';
import { CofferdamError, errorCodes, sftpStatus, toCofferdamError } from '../../server/domain/errors.ts';
import {
  choosesSessions,
  concernsLogins,
  type Selection,
  selectionFault,
} from '../../server/domain/incident/selection.ts';
import { Secret } from '../../server/domain/secrets.ts';
import { askedBytes, largeBytes, opensPerRoundMax, smallBytes } from '../../server/domain/self-test-round.ts';
import { edgeEnds, sessionEndNames, sessionEnds } from '../../server/domain/session-ends.ts';
import { groupMax, hasRoom, officers, others, type Share, shareFault } from '../../server/domain/share.ts';
import { addWhole } from '../../server/domain/whole-numbers.ts';

test('the status codes of SFTP (draft-ietf-secsh-filexfer-02 section 7)', (t) => {
  t.same(sftpStatus, {
    OK: 0,
    EOF: 1,
    NO_SUCH_FILE: 2,
    PERMISSION_DENIED: 3,
    FAILURE: 4,
    BAD_MESSAGE: 5,
    NO_CONNECTION: 6,
    CONNECTION_LOST: 7,
    OP_UNSUPPORTED: 8,
  });
  t.end();
});

test('sums are bounded by the largest exact number', (t) => {
  const most = Number.MAX_SAFE_INTEGER;
  t.same([addWhole(1, 2), addWhole(most - 1, 1), addWhole(most, 1), addWhole(most, most)], [3, most, most, most]);
  t.end();
});

test('no way of printing a secret shows it', (t) => {
  const secret = new Secret('the value');
  t.equal(secret.reveal(), 'the value');
  for (const text of [String(secret), `${secret}`, JSON.stringify({ secret }), inspect({ secret }), inspect(secret)]) {
    t.notOk(text.includes('the value'));
    t.match(text, /\[redacted\]/);
  }
  t.end();
});

test('known errors stay as they are; unknown errors show none of their words', (t) => {
  const known = new CofferdamError('denied', 'no', { cause: 1 });
  t.equal(toCofferdamError(known), known);
  t.match(known, { name: 'CofferdamError', code: 'denied', message: 'no', cause: 1 });
  const cause = new Error('/etc/secret');
  t.match(toCofferdamError(cause), { code: 'bug', message: 'internal error', cause });
  // SFTP has eight status codes (draft-ietf-secsh-filexfer-02 section 7). Exit codes and log levels are our own.
  t.same(Object.fromEntries(Object.entries(errorCodes).map(([code, row]) => [code, [row.sftp, row.exit, row.level]])), {
    malformed: [5, 2, 'info'],
    invalid: [4, 2, 'info'],
    'not-found': [2, 3, 'info'],
    denied: [3, 4, 'info'],
    conflict: [4, 5, 'info'],
    'over-limit': [4, 6, 'warn'],
    unavailable: [4, 7, 'error'],
    unsupported: [8, 8, 'info'],
    'session-ended': [7, 9, 'info'],
    corrupt: [4, 10, 'error'],
    configuration: [4, 78, 'error'],
    bug: [4, 70, 'error'],
  });
  t.end();
});

test('work that nobody awaits: its owner is told of its failure, and nobody of anything else', async (t) => {
  const heard: unknown[] = [];
  const keep = (error: unknown): void => void heard.push(error);
  detach(Promise.reject(new Error('a')), keep);
  detach(Promise.resolve(1), keep);
  detach(undefined, keep);
  const later = held(Promise.reject(new Error('b')));
  await new Promise((resolve) => setTimeout(resolve, 5));
  t.same(
    heard.map((error) => (error as Error).message),
    ['a'],
  );
  await t.rejects(later, { message: 'b' }, 'whoever awaits it hears of it');
  t.equal(await held(Promise.resolve(2)), 2);
  t.throws(() => unexpected(new Error('c')), { message: 'c' });
  t.equal(givenUp(), undefined);
});

test('shares: what one holder, one group and all together may have', (t) => {
  const share: Share = { of: 'node', what: 'places', total: 10, each: 4, reserve: 3, waiting: 0, waitMs: 0 };
  const room = (all: number, ofGroup: number, ofHolder: number): boolean =>
    hasRoom(share, 'partner', { all, ofGroup, ofHolder });
  t.same([room(9, 6, 3), room(10, 6, 3), room(9, 7, 3), room(9, 6, 4)], [true, false, false, false]);
  t.equal(groupMax(share, officers), 7, 'officers are nothing special among nodes');
  t.equal(groupMax({ ...share, of: 'person' }, officers), 10);
  t.equal(groupMax({ ...share, of: 'person' }, others), 7);
  t.same([officers, others], ['officers', 'others']);
  t.equal(shareFault(share), undefined);
  t.equal(shareFault({ ...share, each: 7 }), undefined, 'all but the reserve');
  t.match(shareFault({ ...share, each: 8 }), /at most total - reserve \(7\)/);
  t.match(shareFault({ ...share, each: 0 }), /each must be at least 1/);
  t.equal(shareFault({ ...share, each: 1, reserve: 1 }), undefined);
  for (const kind of ['node', 'person', 'session'] as const)
    t.match(shareFault({ ...share, of: kind, reserve: 0 }), /reserve must be at least 1/, kind);
  for (const kind of ['stranger', 'warden'] as const)
    t.equal(shareFault({ ...share, of: kind, reserve: 0 }), undefined, kind);
  t.end();
});

test('a question about an incident names whom it concerns, and not only a time', (t) => {
  const names = ['credential', 'account', 'source', 'client', 'session', 'node', 'operator'] as const;
  const [early, late] = ['2026-11-24T18:00:00Z', '2026-11-24T18:00:01Z'];
  t.match(selectionFault({}), /at least one criterion besides the time/);
  t.match(selectionFault({ since: early, until: late }), /at least one criterion besides the time/);
  for (const name of names) {
    const by: Selection = { [name]: 'x' };
    t.equal(selectionFault(by), undefined, name);
    t.equal(concernsLogins(by), name !== 'session' && name !== 'operator', `${name} and logins`);
    t.equal(choosesSessions(by), name !== 'node', `${name} and sessions`);
  }
  t.equal(concernsLogins({ session: 'x', operator: 'y' }), false);
  const between = (since: string | undefined, until: string | undefined): string | undefined =>
    selectionFault({ node: 'x', since, until });
  t.same(
    [between(early, late), between(early, undefined), between(undefined, late)],
    [undefined, undefined, undefined],
  );
  for (const since of [late, early]) t.match(between(since, early), /not after/);
  t.end();
});

test('a round of the self-test: how much it reads and writes at most', (t) => {
  t.same([smallBytes, largeBytes, askedBytes], [1024, 1_048_576, 65_536]);
  const [reads, writes, readAgain] = [2, 2, 1];
  t.equal(
    opensPerRoundMax,
    reads + writes + readAgain,
    'both files are read, both are written, and the small one is read again',
  );
  t.end();
});

test('every end of a session has a text of its own; an edge may give the ends that it observes itself', (t) => {
  t.equal(new Set(Object.values(sessionEnds)).size, sessionEndNames.length);
  t.ok(Object.values(sessionEnds).every((words) => words.length > 0));
  t.same([...edgeEnds].sort(), ['client-closed', 'connection-lost', 'drained', 'expired', 'protocol-error']);
  t.end();
});
