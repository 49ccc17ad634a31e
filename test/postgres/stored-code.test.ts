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
    // What is called the same, and does something else.
    ['drop trigger contents_stay on version', '', /trigger version.contents_stay is missing/],
    [
      'create trigger contents_stay before truncate on session for each statement execute function contents_stay()',
      '',
      /trigger session.contents_stay is unknown/,
    ],
    [
      "create or replace trigger version_stays before delete on version for each row when (old.state not in ('partial', 'discarded') and false) execute function version_stays()",
      '',
      /trigger version.version_stays is another one/,
    ],
    [
      "create or replace trigger version_stays before delete on version for each row when (old.state not in ('partial', 'discarded', 'published')) execute function version_stays()",
      '',
      /trigger version.version_stays is another one/,
    ],
    [
      "create or replace trigger break_seal after insert or update of name, allowed_proofs, is_self_test on customer for each row when (false) execute function break_seal('customer')",
      '',
      /trigger customer.break_seal is another one/,
    ],
    [
      "create or replace trigger break_seal after insert or update of name, allowed_proofs, is_self_test on customer for each statement execute function break_seal('customer')",
      '',
      /trigger customer.break_seal is another one/,
    ],
    ['create rule more as on insert to session do also notify cofferdam_command', '', /rule session.more is unknown/],
    [
      'create function more() returns event_trigger language plpgsql as $$ begin end $$; create event trigger more on ddl_command_end execute function more()',
      '',
      /event trigger more is unknown/,
    ],
    [
      'create schema elsewhere; create function elsewhere.more() returns int language sql as $$ select 1 $$',
      '',
      /function elsewhere.more is unknown/,
    ],
    ['alter function is_held(version) security definer', '', /function is_held is another one/],
    ['alter function is_held(version) immutable', '', /function is_held is another one/],
    ["alter function find_budgets(text, text, text) set cofferdam.customers = '*'", '', /function find_budgets is another one/],
    ['alter function forget_self_test_keys(text) reset search_path', '', /function forget_self_test_keys is another one/],
    [
      'create or replace function is_ending(ended_at timestamptz, expires_at timestamptz, grace_ms bigint) returns boolean language sql volatile return true',
      '',
      /function is_ending is another one/,
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
