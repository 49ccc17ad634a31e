// Owns: the handlers of what an operator may ask about an incident.
import type { Handlers } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operator-admin.ts';
import type { OperatorCaller } from '../handlers.ts';
import type { Incidents } from './scope.ts';

type IncidentOperations = Extract<keyof OperatorToAdmin, `incident.${string}`>;

export const incidentHandlers = (incidents: Incidents): Pick<Handlers<OperatorToAdmin, OperatorCaller>, IncidentOperations> => ({
  'incident.scope': async (wish) => incidents.start(wish),
  'incident.progress': async ({ scope }) => incidents.progress(scope),
  'incident.page': async ({ scope, part, offset }) => incidents.page(scope, part, offset),
  'incident.slice': ({ scope, customer, slice, offset }) => incidents.slice(scope, customer, slice, offset),
  'incident.hunt': ({ indicators }) => incidents.hunt(indicators),
});
