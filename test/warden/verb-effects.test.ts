// Everything that each operation of operators does, in a world of two banks that are alike: which rows it changes and
// to what, which rows it adds or deletes, the whole of every entry and alert, the sessions that it ends and in which
// words, what becomes wider, and what it answers. Whatever is not named has to be as it was, above all what is the
// other bank's. Beside them stand the refusals, by their reasons.
import { test } from 'tap';
import { useCasesOf } from '../../server/warden/use-cases.ts';
import { type Case, startVerbEffects } from '../support/verb-effects.ts';
import { accountCases } from './effects/accounts.ts';
import { budgetCases } from './effects/budgets.ts';
import { credentialCases } from './effects/credentials.ts';
import { customerCases } from './effects/customers.ts';
import { factorCases } from './effects/factors.ts';
import { fileCases } from './effects/files.ts';
import { holdCases } from './effects/holds.ts';
import { keyCases } from './effects/keys.ts';
import { operatorCases } from './effects/operators.ts';
import { rotationCases } from './effects/rotations.ts';
import { windowCases } from './effects/windows.ts';

const cases: readonly Case[] = [
  ...customerCases,
  ...accountCases,
  ...windowCases,
  ...credentialCases,
  ...keyCases,
  ...rotationCases,
  ...factorCases,
  ...budgetCases,
  ...fileCases,
  ...holdCases,
  ...operatorCases,
];
/** What has no rows of customers, and is tested where the record is. */
const elsewhere = ['warden.ping', 'ledger.begin-epoch', 'ledger.release'];

/** The operation with those of its parameters that are short. */
const titleOf = ({ run: [operation, params], says = '' }: Case): string =>
  `${operation} ${JSON.stringify(params).slice(0, 120)} ${says}`.trim();

test('every operation does what is named here, and nothing else', async (t) => {
  const { effectOf } = await startVerbEffects(t);
  const operations = Object.keys(useCasesOf({ found: undefined })).filter((name) => !elsewhere.includes(name));
  const done = new Set(cases.flatMap((one) => ('does' in one ? [one.run[0] as string] : [])));
  t.same(
    operations.filter((name) => !done.has(name)),
    [],
    'every operation is among them',
  );
  for (const one of cases) {
    if ('refused' in one) await t.rejects(effectOf(one.run, one.prior), one.refused, titleOf(one));
    else t.same(await effectOf(one.run, one.prior).catch((error: unknown) => error), one.does, titleOf(one));
  }
});
