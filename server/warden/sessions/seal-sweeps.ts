// Owns: ending the sessions that rely on a row which somebody else wrote, as the regular pass over all seals finds
// them.
// Must never: leave such a session open.
import type { SessionId } from '../../domain/ids.ts';
import type { SessionFilter } from '../../domain/session-filter.ts';
import type { Warden } from '../context/context.ts';
import { passOverRows } from '../passes/row-passes.ts';
import { alarmBroken } from '../seals/altered-rows.ts';
import { brokenSeals } from '../seals/broken-seals.ts';
import type { RowName } from '../seals/seal-queries.ts';
import { alteredSessions } from './altered-sessions.ts';
import { scopeOfRow } from './relying-queries.ts';
import { alteredReason, type SessionRegistry } from './sessions.ts';

/** Ends the sessions that rely on a broken row. The next login is refused because of the row itself. */
export async function sweepSeals(
  warden: Pick<Warden, 'database' | 'keys' | 'log'>,
  sessions: Pick<SessionRegistry, 'endWithin'>,
): Promise<void> {
  for await (const row of brokenSeals(warden)) await endWhatRelies(warden, sessions, row);
  for await (const session of alteredSessions(warden))
    await endWhatRelies(warden, sessions, { kind: 'session', id: session });
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
