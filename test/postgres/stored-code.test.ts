// What runs inside of the database is what the migrations put there: every function by its body, every trigger by what it does, and nothing else.
import { test } from 'tap';
import { compareStoredCode, readStoredCode, storedCode } from '../../server/postgres/stored-code.ts';
import { createTestDatabase } from '../support/database.ts';

test('functions and triggers are compared with the migrations', async (t) => {
  const { query } = await createTestDatabase(t);
  const differences = async (): Promise<readonly string[]> => compareStoredCode(readStoredCode(), await storedCode(query as never));
  t.same(await differences(), [], 'a migrated database');
  const expected = readStoredCode();
  t.ok(
    expected.functions.size > 30 && expected.triggers.size > 20,
    `${expected.functions.size} functions, ${expected.triggers.size} triggers`,
  );
  const foreign: readonly (readonly [string, string, RegExp])[] = [
    [
      'create or replace function break_seal_of_rights() returns trigger language plpgsql as $$ begin return null; end $$',
      '',
      /function break_seal_of_rights is another one/,
    ],
    [
      'create function planted() returns trigger language plpgsql as $$ begin return new; end $$',
      'drop function planted()',
      /function planted is unknown/,
    ],
    ['drop trigger break_seal on operator', '', /trigger operator.break_seal is missing/],
    [
      'create trigger more after insert on session for each row execute function tell_ended()',
      'drop trigger more on session',
      /trigger session.more is unknown/,
    ],
    [
      'alter table budget disable trigger budget_guard',
      'alter table budget enable trigger budget_guard',
      /trigger budget.budget_guard is another one/,
    ],
  ];
  for (const [deed, undo, says] of foreign) {
    await query('begin');
    await query(deed);
    t.match((await differences()).join('\n'), says, deed);
    await query('rollback');
    t.same(await differences(), [], undo === '' ? 'undone' : undo);
  }
});
