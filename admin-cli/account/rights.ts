// Owns: the forms in which rights are given and taken away, and a start is named, on the command line.
import { verbs as allVerbs } from '../../server/domain/rights.ts';
import type { Params } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';

type Start = NonNullable<Params<OperatorToAdmin, 'account.set'>['start']>;
type RightChange = NonNullable<Params<OperatorToAdmin, 'account.set'>['rights']>[number];

/**
 * Reads the value of --give or --take, such as `northbank/deposit:list+read,acme`: without a folder all folders of the
 * customer are meant, and without verbs those that a new account has there (--give), or all (--take). Throws a
 * RangeError for another form.
 */
export function rightsIn(act: RightChange['act'], text: string): RightChange[] {
  return text.split(',').map((part) => {
    const match = /^(?<customer>[^/:]+)(?:\/(?<folder>[^:]+))?(?::(?<verbs>[a-z+]+))?$/.exec(part.trim());
    const { customer, folder, verbs } = match?.groups ?? {};
    if (customer === undefined)
      throw new RangeError(
        `--${act} takes parts such as northbank or northbank/deposit:list+read, separated by commas, not "${part}"`,
      );
    const named = verbs?.split('+').map((verb) => {
      const known = allVerbs.find((one) => one === verb);
      if (known === undefined) throw new RangeError(`--${act} knows ${allVerbs.join(', ')}, not "${verb}"`);
      return known;
    });
    return {
      act,
      customer,
      ...(folder === undefined ? {} : { folder }),
      ...(named === undefined ? {} : { verbs: [...new Set(named)] }),
    };
  });
}

/** Reads the value of --start: `root`, `usual`, or a folder as `northbank/deposit`. Throws a RangeError otherwise. */
export function startNamed(text: string): Start {
  if (text === 'root' || text === 'usual') return text;
  const { customer, folder } = /^(?<customer>[^/]+)\/(?<folder>.+)$/.exec(text)?.groups ?? {};
  if (customer === undefined || folder === undefined)
    throw new RangeError(`--start takes root, usual or a folder such as northbank/deposit, not "${text}"`);
  return { customer, folder };
}
