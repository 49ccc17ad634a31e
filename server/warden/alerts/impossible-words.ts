// Owns: the alarm that an edge said what cannot be: an honest one never does.
import type { Transaction } from '../../postgres/database.ts';
import type { OpenSession } from '../context.ts';
import { insertAlert } from './alert-queries.ts';

/** What is kept is what is possible; that it was more is for humans. One row a node and hour. */
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
