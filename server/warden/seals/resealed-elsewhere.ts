// Owns: learning of rows that another process sealed again: a command was answered, or a console sealed a row, perhaps
// through another warden. The record is then newer than what this process knows.
import type { Warden } from '../context/context.ts';
import { joined } from '../passes/every.ts';
import { generationsOf } from './generations.ts';

/**
 * The shortest time between two reads of the record because of a notification, since any role of the database may
 * notify.
 */
const refreshPauseMs = 100;

/** Reads the record again when it is notified of a new seal, until it is stopped. */
export async function followResealed({
  database,
  keys,
  log,
}: Pick<Warden, 'database' | 'keys' | 'log'>): Promise<{ stop(): Promise<void> }> {
  const refresh = joined(
    () => database.withSystem((tx) => generationsOf(keys).refresh(tx)),
    refreshPauseMs,
    (error: unknown) =>
      log.warn({ err: error }, 'rows that were sealed again could not be read; the regular pass reads them'),
  );
  const stopListening = await database.listen('cofferdam_answer', refresh.wake, refresh.wake);
  return {
    stop: async () => {
      await stopListening();
      await refresh.stop();
    },
  };
}
