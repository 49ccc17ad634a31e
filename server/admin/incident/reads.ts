// Owns: the handlers of what operators may read about an incident.
import type { incidentOperations } from '../../rpc/operators/incident.ts';
import { claimOfOperator } from '../calls/shares.ts';
import { fitting } from '../reading/fitting.ts';
import type { Reading, Reads } from '../reading/reading.ts';
import { findNames } from './archive-queries.ts';
import type { Scopes } from './scopes.ts';

export const incidentReads = ({ read }: Reading, scopes: Scopes): Reads<typeof incidentOperations> => ({
  'incident.scope': async (params, caller) => ({
    scope: scopes.start(claimOfOperator(await caller.operator()), params, caller.isGone),
  }),
  'incident.progress': async (params, caller) => scopes.progress((await caller.operator()).id, params),
  'incident.page': async (params, caller) => scopes.page((await caller.operator()).id, params),
  'incident.slice': async (params, caller) => scopes.slice((await caller.operator()).id, params),
  'incident.named-by': (params) => scopes.namedBy(params),
  'incident.hunt': async ({ indicators }) => {
    const { found, completeFrom } = await scopes.hunt(indicators);
    return { completeFrom, ...fitting('found', found) };
  },
  'incident.names': (params) => read((tx) => findNames(tx, params)),
});
