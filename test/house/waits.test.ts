// Every wait of the product, and of programs that run beside it for long, has a bound, a next step and an explanation.
// Waits are found by their shape; the few whose bound is elsewhere are listed.
import { join } from 'node:path';
import { test } from 'tap';
import { linesFoundIn } from '../support/planted.ts';
import { unbounded } from '../support/unbounded.ts';

const root = join(import.meta.dirname, '..', '..');

/** Waits whose bound is elsewhere, and where. A wait that is no longer found must be removed from this list. */
const elsewhere: Readonly<Record<string, string>> = {
  'server/postgres/snapshot.ts':
    'a query ends with its statement_timeout, or by the signal of its snapshot, which cancels it',
  'server/postgres/embedded.ts':
    'the end of the server: whoever stops it waits with a bound; whoever watches it waits for its whole life',
  'server/warden/guesses/penalties.ts': 'so many waits, each no longer than the patience of a login',
  'server/warden/ledger/forward/syslog-connection.ts': 'its socket is destroyed by the timers of a connection',
  'server/warden/ledger/witness/witness.ts':
    'it goes on for the life of the warden; its stop wakes it, and each call on a witness has its bound',
  'server/edge/self-test/round.ts': 'a round is ended from outside with its thread',
  'server/supervisor/database-keeper.ts':
    'it goes on for the life of the supervisor; each start has its bound, and its stop is looked at before each',
  'server/verify/verify.ts':
    'it watches until it is told to stop, which ends its pause; each statement of a run has its bound',
  'admin-cli/ledger/tail.ts': 'it is watched until Ctrl-C',
  'admin-cli/ledger/verify.ts':
    'each call is answered in time, or ends it; the work is the whole record, however long that is',
  'test/chaos/bounded-egress.ts': 'clients of a round: they look at its end, and the round waits for them with a bound',
  'test/chaos/ledger-hand.ts': 'a process that is there to be killed',
  'test/model/scene.ts': 'whether a connection is gone: nothing waits for that alone',
  'test/support/operator.ts': 'the same: an answer is waited for with a bound',
  'test/support/raw-client.ts': 'the same: whoever wants its end asks `endsWithin`, and each message has its time',
  'test/support/attacks.ts': 'the same: `endsWithin`',
  'test/support/store-client.ts': 'the same: each answer is waited for with a bound, and so is its end',
  'test/support/ssh-login.ts': 'the same: the login that it belongs to has a bound',
  'test/support/sftp-client.ts':
    'the same, and a session, which the library gives up after `readyTimeout`; each answer has a bound',
  'test/support/debian-server.ts': 'the end of a server, which is its whole life: whoever kills it waits with a bound',
  'test/walk/bystanders.ts':
    'it goes on until the walk is over, which looks at that before each round; each of its steps has a bound',
};

const folders = ['server', 'admin-cli', 'test/chaos', 'test/model', 'test/support', 'test/walk'];

test('no wait is without a bound', (t) => {
  const found = unbounded(join(root, 'tsconfig.json'), root, folders);
  const fileOf = (one: string): string => one.split(':')[0] ?? '';
  t.same(
    found.filter((one) => elsewhere[fileOf(one)] === undefined),
    [],
    'bounded or happens (server/domain/bounded.ts), a signal, a timer or a deadline',
  );
  for (const file of Object.keys(elsewhere))
    t.ok(
      found.some((one) => fileOf(one) === file),
      `${file} is still found`,
    );
  t.end();
});

const planted = `
import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
declare function bounded<T>(ms: number, what: string, work: Promise<T>): Promise<T>;
declare function isSo(): Promise<boolean>;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export async function waits(child: ChildProcess): Promise<void> {
  await once(child, 'exit'); // 8
  await new Promise((resolve) => child.once('exit', resolve)); // 9
  while (!(await isSo())) await sleep(10); // 10
  for (;;) { await sleep(10); if (await isSo()) break; } // 11
  await once(child, 'exit', { signal: AbortSignal.timeout(1000) });
  await bounded(1000, 'a child', new Promise((resolve) => child.once('exit', resolve)));
  await new Promise((resolve, reject) => { setTimeout(reject, 1000); child.once('exit', resolve); });
  for (const end = Date.now() + 1000; !(await isSo()) && Date.now() < end; ) await sleep(10);
  for (let tries = 0; tries < 10; tries += 1) await sleep(10);
  for (let i = 0; i < 10; i += 1) await sleep(10);
  for (let i = 0; ; i += 1) { await sleep(10); if (await isSo()) break; } // 18
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await bounded(1000, 'its end', gone);
  const kept = new Promise((resolve) => child.once('exit', resolve)); // 22
  await bounded(1000, 'its end', kept);
  await kept;
}
`;

test('every shape of an unbounded wait is found, and bounded ones are not reported', (t) => {
  t.same(linesFoundIn(t, planted, unbounded), [8, 9, 10, 11, 18, 22]);
  t.end();
});
