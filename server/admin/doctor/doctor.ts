// Owns: the whole examination. Each subject has a file beside this one, and every finding says what to do next.
// Must never: report on something that was not examined.
import { join } from 'node:path';
import { type Config, runtimePaths } from '../../config/config.ts';
import { CofferdamError } from '../../domain/errors.ts';
import { catalogueDifferences } from '../../postgres/catalogue.ts';
import type { Database } from '../../postgres/database.ts';
import { type Grant, readGrants } from '../../postgres/grant-matrix.ts';
import { roleUrl } from '../../postgres/role-url.ts';
import { ledgerStatus } from '../ledger/status-queries.ts';
import { listControls, listNodes } from '../node/node-queries.ts';
import { totals } from '../node/totals-queries.ts';
import { databaseFacts, grantCatalogue, rolePowers, rowSecurity, triggerFacts } from './catalogue-queries.ts';
import { certificateFindings } from './certificates.ts';
import {
  catalogueFinding,
  clockFinding,
  connectionFinding,
  databaseFindings,
  grantFindings,
  roleFindings,
  rowSecurityFindings,
  triggerFindings,
} from './database.ts';
import { type Finding, fault, ok } from './finding.ts';
import { ledgerFindings } from './ledger.ts';
import { examineListeners } from './listeners.ts';
import { diskFindings } from './machine.ts';
import { cipherFindings, controlFindings, nodeFindings, silentNodes } from './nodes.ts';
import { peopleFindings } from './people.ts';
import { peopleFacts } from './people-queries.ts';
import { fileFindings, groupsFindings, programFinding, usersFinding } from './wall.ts';

function wardenFinding(answerMs: number | null): Finding {
  return answerMs === null
    ? fault('warden', 'does not answer commands', "look at the warden's log; the supervisor starts it again by itself")
    : ok('warden', `answers in ${answerMs} ms`);
}

const project = join(import.meta.dirname, '..', '..', '..');

/** Returns the rights that the file of this version grants, or the text of why they cannot be read. */
function matrix(): readonly Grant[] | string {
  try {
    return readGrants();
  } catch (error) {
    if (error instanceof CofferdamError && error.code === 'configuration') return error.message;
    throw error;
  }
}

/** Examines everything. `answerMs` is how long the warden took to answer a command; null when it did not answer. */
export async function examine(
  config: Config,
  database: Database,
  answerMs: number | null,
): Promise<readonly Finding[]> {
  const expected = matrix();
  const functions = [
    ...new Set(
      (typeof expected === 'string' ? [] : expected)
        .filter((one) => one.kind === 'function' && one.name !== '*')
        .map((one) => one.name),
    ),
  ];
  const seen = await database.withSystem(async (tx) => ({
    controls: await listControls(tx),
    nodes: await listNodes(tx),
    facts: await databaseFacts(tx),
    sums: await totals(tx),
    catalogue: await grantCatalogue(tx, functions),
    roles: await rolePowers(tx),
    tables: await rowSecurity(tx),
    triggers: await triggerFacts(tx),
    differences: await catalogueDifferences(tx.query),
    people: await peopleFacts(tx),
    ledger: await ledgerStatus(tx, []),
  }));
  const { nodes, controls, sums } = seen;
  const live = nodes.filter((node) => node.alive).map((node) => node.name);
  return [
    wardenFinding(answerMs),
    ...nodeFindings(nodes, config.limits.leaseLostMs),
    ...cipherFindings(nodes),
    ...controlFindings(controls, silentNodes(config.limits, nodes, controls, sums.now)),
    ...databaseFindings(seen.facts),
    connectionFinding(seen.facts, config.shares, config.ledger.forwards.length),
    ...(typeof expected === 'string'
      ? [fault('database grants', expected, 'git diff migrations/grants.sql; put the released file back')]
      : grantFindings(expected, seen.catalogue)),
    ...roleFindings(seen.roles),
    ...rowSecurityFindings(seen.tables),
    ...triggerFindings(seen.triggers),
    catalogueFinding(seen.differences),
    ...ledgerFindings(config, seen.ledger),
    ...peopleFindings(seen.people, config.mode === 'production'),
    clockFinding(sums.now),
    ...(await diskFindings(config)),
    usersFinding(config),
    ...groupsFindings(config),
    ...fileFindings(config),
    programFinding(project, config.users !== null),
    ...examineListeners(config, roleUrl(config, 'admin'), live),
    ...certificateFindings(`${runtimePaths(config).certs}/admin`),
  ];
}
