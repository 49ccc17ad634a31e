// Owns: the regular pass over everything that carries a seal, and the reminder of emergencies that nobody has reviewed.
// Must never: leave a session open that relies on a row which somebody else wrote.
import { insertAlert } from '../alerts/alert-queries.ts';
import type { Warden } from '../context.ts';
import { every, joined } from '../every.ts';
import type { SessionFilter } from '../sessions/session-queries.ts';
import { alteredReason, type SessionRegistry } from '../sessions/sessions.ts';
import { unreviewed } from './change-queries.ts';
import { generationsOf } from './generations.ts';
import { scopeOfRow } from './seal-queries.ts';
import { alarmBroken, brokenSeals } from './seals.ts';

const remindEveryMs = 3_600_000;

export async function startSealSweeps(warden: Warden, sessions: SessionRegistry): Promise<{ stop(): Promise<void> }> {
  const beats = [
    every(warden.config.limits.sealsEveryMs, () => sweepSeals(warden, sessions), warden.log),
    every(remindEveryMs, () => remind(warden), warden.log),
  ];
  // A command was answered, perhaps by another warden: what it sealed again is newer than what is known here.
  const refresh = joined(
    () => warden.database.withSystem((tx) => generationsOf(warden.keys).refresh(tx)),
    (error) => warden.log.warn({ err: error }, 'what was sealed again could not be read; the regular pass does it'),
  );
  const stopListening = await warden.database.listen('cofferdam_answer', refresh.ask, refresh.ask);
  return {
    stop: async () => {
      await stopListening();
      await refresh.stop();
      await Promise.all(beats.map((beat) => beat.stop()));
    },
  };
}

/** Whoever relies on a broken row is sent away; the next login is refused by the row itself. */
async function sweepSeals(warden: Warden, sessions: SessionRegistry): Promise<void> {
  for await (const row of brokenSeals(warden)) {
    const announcements: (() => void)[] = [];
    await warden.database.withSystem(async (tx) => {
      await alarmBroken(tx, row, 'found by the regular pass');
      const scope: SessionFilter | undefined = await scopeOfRow(tx, row);
      if (scope === undefined) return;
      const ended = await sessions.endWithin(tx, scope, alteredReason, 'doubt');
      announcements.push(() => ended.announce());
    });
    for (const announce of announcements) announce();
  }
}

async function remind(warden: Warden): Promise<void> {
  await warden.database.withSystem(async (tx) => {
    for (const { id, operator } of await unreviewed(tx))
      await insertAlert(tx, {
        kind: 'break-glass.unreviewed',
        severity: 'critical',
        subject: id,
        text: `${operator} acted alone in an emergency, and nobody has reviewed it`,
        facts: { breakGlass: id, operator },
        nextCommand: `cofferctl break-glass review ${id} --finding TEXT`,
      });
  });
}
