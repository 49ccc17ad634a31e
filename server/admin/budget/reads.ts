// Owns: the handlers of what operators may read about budgets.
import type { budgetOperations } from '../../rpc/operators/budget.ts';
import { dormantMs } from '../credential/credential-reports.ts';
import { fitting } from '../reading/fitting.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { budgetHistory, exposureOf, showBudgets } from './budget-reports.ts';

export const budgetReads = ({ config, read }: Reading): Reads<typeof budgetOperations> => ({
  'budget.show': async ({ scope }) => fitting('budgets', await read((tx) => showBudgets(tx, scope))),
  'budget.history': (params) => read((tx) => budgetHistory(tx, params)),
  exposure: async ({ credential }) => {
    const { customers, ...facts } = await read((tx) => exposureOf(tx, credential, dormantMs(config.credentials)));
    return { ...facts, ...fitting('customers', customers) };
  },
});
