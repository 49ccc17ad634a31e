// What an operator is told of a command: what the warden answered, that nothing was done, or that this is unknown.
// Never more than is known, and no later than it is known.
import { test } from 'tap';
import { CommandQueue } from '../../server/admin/calls/command-queue.ts';
import { adminSlots } from '../../server/admin/calls/shares.ts';
import { defaultShares } from '../../server/config/shares.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { Database, Transaction } from '../../server/postgres/database.ts';

const away = (): never => {
  throw new CofferdamError('unavailable', 'the database is away');
};
type Step = 'begin' | 'insert' | 'commit' | 'look';
type Answer = {
  readonly state: string;
  readonly result?: unknown;
  readonly error_code?: string;
  readonly error_text?: string;
};

/** A database that has this answer to whatever was inserted, and that fails at some steps. */
function queueOver(answer: Answer | undefined, fails: ReadonlySet<Step>) {
  const seen = { inserts: 0, looks: 0 };
  const query = async (text: string): Promise<readonly unknown[]> => {
    if (text.startsWith('insert')) {
      seen.inserts += 1;
      if (fails.has('insert')) away();
      return [];
    }
    seen.looks += 1;
    if (fails.has('look')) away();
    return answer === undefined ? [] : [answer];
  };
  const withSystem = async <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => {
    const isInserting = seen.inserts === 0;
    if (isInserting && fails.has('begin')) away();
    const done = await work({ query } as unknown as Transaction);
    if (isInserting && fails.has('commit')) away();
    return done;
  };
  const slots = adminSlots(defaultShares.admin);
  const queue = new CommandQueue({ withSystem } as unknown as Database, slots);
  return { send: (patienceMs: number) => queue.send('operator', 'account.lock', {}, patienceMs), seen, slots };
}
const done = { state: 'done', result: { id: 7 } };
const patientMs = 60_000;

test('a command is answered as the warden answered it', async (t) => {
  const good = queueOver(done, new Set());
  t.same(await good.send(patientMs), { id: 7 });
  const refused = queueOver({ state: 'failed', error_code: 'denied', error_text: 'not so' }, new Set());
  await t.rejects(refused.send(patientMs), { code: 'denied', message: 'not so' });
  const strange = queueOver({ state: 'failed', error_code: 'toString', error_text: 'odd' }, new Set());
  await t.rejects(strange.send(patientMs), { code: 'bug', message: 'odd' });
  for (const { slots } of [good, refused, strange]) t.equal(slots.commands.used, 0, 'its place is free again');
});

test('a command that could not be asked is refused at once: nothing waits for an answer to it', async (t) => {
  const { send, seen, slots } = queueOver(done, new Set(['begin']));
  await t.rejects(send(patientMs), { code: 'unavailable', message: 'the database is away' });
  t.same(seen, { inserts: 0, looks: 0 });
  t.equal(slots.commands.used, 0);
});

test('when the connection was lost while it was asked, the answer tells, or its absence', async (t) => {
  for (const step of ['insert', 'commit'] as const) {
    t.same(await queueOver(done, new Set([step])).send(patientMs), { id: 7 }, `${step}: it was asked, and done`);
    await t.rejects(
      queueOver(undefined, new Set([step])).send(0),
      { code: 'unavailable', message: /Nothing was done, and nothing will be/ },
      step,
    );
  }
});

test('what cannot be read is unknown, and what was looked for in vain was not done', async (t) => {
  await t.rejects(queueOver(undefined, new Set()).send(0), {
    code: 'unavailable',
    message: /Nothing was done, and nothing will be/,
  });
  await t.rejects(queueOver(done, new Set(['look'])).send(0), {
    code: 'unavailable',
    message: /the command may have been done, or may still be done[\s\S]*Check before you repeat it/,
  });
});
