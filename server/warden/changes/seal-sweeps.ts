// Owns: the regular pass over the catalogue and all seals, including those of open sessions, and the reminder of emergencies that nobody has reviewed.
// Must never: leave a session open that relies on a row which somebody else wrote.
import type { SessionId } from '../../domain/ids.ts';
import { insertAlert, type NewAlert } from '../alerts/alert-queries.ts';
import { watchMissing } from '../budgets/create-budgets.ts';
import type { Warden } from '../context.ts';
import { every, joined } from '../every.ts';
import { eachInTurn, passOverRows } from '../row-passes.ts';
import { alteredSessions } from '../sessions/altered-sessions.ts';
import type { SessionFilter } from '../sessions/session-queries.ts';
import { alteredReason, type SessionRegistry } from '../sessions/sessions.ts';
import { alarmBroken } from './altered-rows.ts';
import { brokenSeals } from './broken-seals.ts';
import type { CatalogueWatch } from './catalogue-watch.ts';
import { unreviewed } from './change-queries.ts';
import { generationsOf } from './generations.ts';
import { type RowName, scopeOfRow } from './seal-queries.ts';

const remindEveryMs = 3_600_000;
/** The shortest time between two reads of the record because of a notification, since any role of the database may notify. */
const refreshPauseMs = 100;

/** Starts the passes over the catalogue, seals, missing budgets and emergencies, and reads the record again when it is notified of a new seal. */
export async function startSealSweeps(
  warden: Warden,
  sessions: SessionRegistry,
  catalogue: Pick<CatalogueWatch, 'pass'>,
): Promise<{ stop(): Promise<void> }> {
  const beats = [
    every(
      warden.config.limits.sealsEveryMs,
      () =>
        eachInTurn(
          () => catalogue.pass(),
          () => sweepSeals(warden, sessions),
          () => watchMissing(warden),
        ),
      warden.log,
    ),
    every(remindEveryMs, () => remind(warden), warden.log),
  ];
  // A command was answered, or a console sealed a row again, perhaps through another warden. The record is then newer
  // than what this process knows.
  const refresh = joined(
    () => warden.database.withSystem((tx) => generationsOf(warden.keys).refresh(tx)),
    refreshPauseMs,
    (error: unknown) => warden.log.warn({ err: error }, 'rows that were sealed again could not be read; the regular pass reads them'),
  );
  const stopListening = await warden.database.listen('cofferdam_answer', refresh.wake, refresh.wake);
  return {
    stop: async () => {
      await stopListening();
      await refresh.stop();
      await Promise.all(beats.map((beat) => beat.stop()));
    },
  };
}

/** Ends the sessions that rely on a broken row. The next login is refused because of the row itself. */
export async function sweepSeals(
  warden: Pick<Warden, 'database' | 'keys' | 'log'>,
  sessions: Pick<SessionRegistry, 'endWithin'>,
): Promise<void> {
  for await (const row of brokenSeals(warden)) await endWhatRelies(warden, sessions, row);
  for await (const session of alteredSessions(warden)) await endWhatRelies(warden, sessions, { kind: 'session', id: session });
}

export async function endWhatRelies(
  warden: Pick<Warden, 'database' | 'log'>,
  sessions: Pick<SessionRegistry, 'endWithin'>,
  row: RowName | { readonly kind: 'session'; readonly id: SessionId },
): Promise<void> {
  await passOverRows(warden, 'broken-seals', {
    find: async () => [`${row.kind}/${row.id}`],
    work: async (tx) => {
      await alarmBroken(tx, row, 'found by the regular pass');
      const scope: SessionFilter | undefined = row.kind === 'session' ? { session: row.id } : await scopeOfRow(tx, row);
      return scope === undefined ? undefined : sessions.endWithin(tx, scope, alteredReason, 'doubt');
    },
    done: (ended) => ended?.announce(),
  });
}

/** Raises an alert for each emergency that was opened and not reviewed. */
export async function remind(warden: Pick<Warden, 'database' | 'log'>): Promise<void> {
  await passOverRows(warden, 'emergencies', {
    find: async (tx) => (await unreviewed(tx)).map((one) => one.id),
    work: async (tx, ids) => {
      for (const { id, operator } of await unreviewed(tx)) if (ids.includes(id)) await insertAlert(tx, reminderOf(id, operator));
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
