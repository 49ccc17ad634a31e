// A ticket is a proof only while there is no second factor, and an invalid ticket is counted against no account's
// ticket.
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type AccountId, idOf } from '../../server/domain/ids.ts';
import type { Transaction } from '../../server/postgres/database.ts';
import type { AccountFacts } from '../../server/warden/authentication/login-queries.ts';
import { verifyTicket } from '../../server/warden/authentication/verify-evidence.ts';

const id = idOf<AccountId>(randomUUID());
const ticket = { id: randomUUID(), hash: createHash('sha256').update('a ticket').digest() };

test('with a ticket, without one, and beside a second factor', async (t) => {
  const counted: unknown[] = [];
  const query = async (text: string, values: readonly unknown[]): Promise<readonly unknown[]> => {
    if (text.includes('failed_trials')) counted.push(...values);
    return [];
  };
  const tx = { query } as unknown as Transaction;
  const warden = { keys: {}, database: {} } as Parameters<typeof verifyTicket>[1];
  const show = (facts: Partial<AccountFacts>, answer: string) =>
    verifyTicket(tx, warden, { id, ticket, hasSecondFactor: false, ...facts } as AccountFacts, answer);
  t.match(await show({}, 'a ticket'), { proof: 'ticket', account: id, credential: null });
  t.match(await show({}, ' a ticket\n'), { proof: 'ticket' }, 'as people paste it');
  t.same(counted, [], 'what is right is not counted');
  t.equal(await show({}, 'a tickes'), null);
  t.same(counted, [ticket.id], 'what is wrong is');
  for (const facts of [{ ticket: null }, { hasSecondFactor: true }])
    for (const answer of ['a ticket', 'wrong'])
      t.equal(await show(facts, answer), null, `${JSON.stringify(facts)}: ${answer}`);
  t.same(counted, [ticket.id], 'and what is none is not counted');
});
