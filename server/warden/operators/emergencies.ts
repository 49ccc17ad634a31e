// Owns: the reminder of emergencies that nobody has reviewed.
import { insertAlert, type NewAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context/context.ts';
import { passOverRows } from '../passes/row-passes.ts';
import { unreviewed } from './break-glass-queries.ts';

/** Raises an alert for each emergency that was opened and not reviewed. */
export async function remind(warden: Pick<Warden, 'database' | 'log'>): Promise<void> {
  await passOverRows(warden, 'emergencies', {
    find: async (tx) => (await unreviewed(tx)).map((one) => one.id),
    work: async (tx, ids) => {
      for (const { id, operator } of await unreviewed(tx))
        if (ids.includes(id)) await insertAlert(tx, reminderOf(id, operator));
    },
  });
}

const reminderOf = (id: string, operator: string): NewAlert => ({
  kind: 'break-glass.unreviewed',
  severity: 'critical',
  subject: id,
  text: `${operator} acted alone in an emergency, and nobody has reviewed it`,
  facts: { breakGlass: id, operator },
  nextCommand: `cofferctl break-glass review ${id} --finding TEXT`,
});
