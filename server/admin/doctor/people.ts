// Owns: the findings about operators, about emergencies, and about rows that somebody else wrote or deleted.
import { budgetInWords, scopeOnCommandLine } from '../../domain/budgets/words.ts';
import { type Finding, fault, ok, warning } from './finding.ts';
import type { MissingBudget, PeopleFacts } from './people-queries.ts';

const officersMin = 2;

function officersFinding({ officers, operators }: PeopleFacts, isProduction: boolean): Finding {
  if (operators === 0)
    return fault(
      'operators',
      'there are none',
      'on this machine, as root: cofferctl bootstrap CERTIFICATE CERTIFICATE',
    );
  if (officers < officersMin)
    return fault(
      'operators',
      `${officers} active security officers: nobody can approve what another one proposes`,
      'cofferctl operator list; then cofferctl operator resume NAME --reason TEXT --execute, or prepare another one while two are left',
    );
  return officers === officersMin && isProduction
    ? warning(
        'operators',
        'two active security officers: when one is away, nothing that needs two can be done',
        'cofferctl operator create NAME --role security-officer --certificate FILE --reason TEXT, or cofferctl break-glass prepare NAME …',
      )
    : ok('operators', `${officers} active security officers, ${operators} operators in all`);
}

/**
 * Returns the finding about a missing budget. The warden makes missing budgets when it starts, except those that
 * operators had changed: only a change of two operators brings those back (decision 0033).
 */
function missingFinding({ scope, name, customer, direction }: MissingBudget): Finding {
  const words = scopeOnCommandLine(scope, name, customer);
  return fault(
    'budgets',
    `${budgetInWords(scope, name, customer, direction)} is missing: somebody deleted it, and nothing is granted through it`,
    `cofferctl budget set ${words} --direction ${direction} --files-day N --reason TEXT`,
  );
}

export function peopleFindings(facts: PeopleFacts, isProduction: boolean): readonly Finding[] {
  return [
    officersFinding(facts, isProduction),
    ...facts.unreviewed.map(({ id, operator }) =>
      fault(
        'break-glass',
        `${operator} acted alone in an emergency (${id}), and nobody has reviewed it`,
        `cofferctl break-glass review ${id} --finding TEXT`,
      ),
    ),
    ...(facts.unreviewed.length === 0 ? [ok('break-glass', 'nothing waits for a review')] : []),
    facts.brokenSeals === 0
      ? ok('seals', 'no row that the warden did not write was seen within 7 days')
      : fault(
          'seals',
          `${facts.brokenSeals} rows are not what the warden wrote: somebody changed the database`,
          'cofferctl alert list; compare with cofferctl report changes --since 7d, and restore what was altered',
        ),
    ...facts.missingBudgets.map(missingFinding),
    ...(facts.missingBudgets.length === 0 ? [ok('budgets', 'every scope has its budgets')] : []),
  ];
}
