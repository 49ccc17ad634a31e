// Console commands on several channels of one session: the warden knows one dialogue for each session, so what is typed
// on one channel never answers the question of another.
import { setImmediate } from 'node:timers/promises';
import { test } from 'tap';
import { startConsole } from '../../server/edge/console/console.ts';
import type { SftpOutput, SftpSession, WardenCalls } from '../../server/edge/seam/sftp-seam.ts';

type Call = { readonly op: string; readonly what: string; readonly answered: PromiseWithResolvers<unknown> };

function bench() {
  const calls: Call[] = [];
  const call = ((op: string, params: { readonly line?: string; readonly text?: string }) => {
    const answered = Promise.withResolvers<unknown>();
    calls.push({ op, what: params.line ?? params.text ?? '', answered });
    return answered.promise;
  }) as WardenCalls['call'];
  const session: SftpSession = { id: 's', token: 't', account: 'acme', kind: 'person', start: [] };
  const run = (line: string, as = session) => {
    const seen = { out: '', told: [] as string[], status: undefined as number | undefined };
    const output = {
      send: (chunks: readonly Buffer[]) => (seen.out += Buffer.concat(chunks as Buffer[]).toString()),
      tell: (text: string) => seen.told.push(text),
      consumed: () => {},
      end: (status: number) => (seen.status = status),
    } as unknown as SftpOutput;
    return { input: startConsole(as, line, output, { call, callRepeatable: call }), seen };
  };
  const answer = async (answer: object): Promise<void> => {
    await setImmediate();
    calls.at(-1)?.answered.resolve(answer);
    await setImmediate();
  };
  return { calls, run, answer, session };
}
const asks = { outcome: 'input', text: 'code: ', until: 'line' };
const done = (text: string, exitStatus = 0): object => ({ outcome: 'done', text, exitStatus });

test('a command waits until the one before is answered, and ends the one that asks for input', async (t) => {
  const { calls, run, answer } = bench();
  const enrolling = run('enroll');
  const asking = run('whoami');
  await setImmediate();
  t.same(
    calls.map((one) => one.what),
    ['enroll'],
    'one call at a time',
  );
  await answer(asks);
  t.match(enrolling.seen, { status: 1, told: [/another command was given on this connection/] });
  t.equal(calls.at(-1)?.what, 'whoami');
  enrolling.input.data(Buffer.from('123456\n'));
  await answer(done('acme'));
  t.match(asking.seen, { out: 'acme\n', status: 0 });
  await setImmediate();
  t.equal(calls.length, 2, 'what was typed on the channel that ended went nowhere');
});

test('what is typed goes to its own command, and other sessions have nothing to do with it', async (t) => {
  const { calls, run, answer, session } = bench();
  const one = run('enroll');
  await answer(asks);
  const other = run('whoami', { ...session });
  await setImmediate();
  await answer(done('other'));
  t.equal(other.seen.status, 0);
  one.input.data(Buffer.from('123456\n'));
  await setImmediate();
  t.match(calls.at(-1), { op: 'console.input', what: '123456' });
  await answer(done('enrolled'));
  t.match(one.seen, { out: 'code: enrolled\n', status: 0 });
  const later = run('whoami');
  await setImmediate();
  await answer(done('later'));
  t.equal(later.seen.status, 0, 'the next command begins at once');
});

test('what is refused goes to standard error, line by line; what is done goes to the stream', async (t) => {
  const { run, answer } = bench();
  const refused = run('scp -t x');
  await setImmediate();
  await answer(done('no\nsuch thing\n', 2));
  t.same(refused.seen, { out: '', told: ['no', 'such thing'], status: 2 });
});

test('a channel that is gone asks nothing more', async (t) => {
  const { calls, run, answer } = bench();
  run('whoami');
  const gone = run('lock acme-batch');
  await gone.input.closed('client-closed');
  await setImmediate();
  await answer(done('me'));
  t.equal(calls.length, 1);
});
