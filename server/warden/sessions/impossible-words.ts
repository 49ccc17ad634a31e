// Owns: the alert that an edge claimed something impossible. An honest edge never does.
import type { Transaction } from '../../postgres/database.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { OpenSession } from './open-session.ts';

/**
 * Raises the alert that the edge of this session claimed more bytes than the wire can have carried. The amount that is
 * stored elsewhere is the possible one; the alert shows a human what was claimed. There is one row for each node and
 * hour.
 */
export async function alarmImpossible(tx: Transaction, session: OpenSession, bytes: number): Promise<void> {
  await insertAlert(tx, {
    kind: 'edge.impossible-word',
    severity: 'critical',
    subject: session.node,
    text: `${session.node} says that ${bytes} bytes were moved, which is not possible: what it says otherwise is worth no more`,
    facts: { node: session.node, session: session.id, bytes },
    nextCommand: `cofferctl incident scope --node ${session.node}`,
  });
}
