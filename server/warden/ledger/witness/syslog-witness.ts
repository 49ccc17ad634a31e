// Owns: a witness that reads syslog. Each signed note is one message, and none can be read back.
// Must never: be a required witness.
import { hostname } from 'node:os';
import type { SyslogDestination } from '../../../config/ledger-settings.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import { parseNote } from '../../../domain/ledger/checkpoint.ts';
import { syslogCheckpoint } from '../../../domain/ledger/syslog.ts';
import { connectSyslog, destinationText } from '../forward/syslog-connection.ts';
import type { Witness } from './witness.ts';

/** A witness that cannot be read back. So it is never required, and the database is never compared with it. */
export class SyslogWitness implements Witness {
  readonly name: string;
  readonly isRequired = false;
  readonly newest = null;
  readonly #to: SyslogDestination;

  constructor(name: string, to: SyslogDestination) {
    this.name = name;
    this.#to = to;
  }

  /**
   * Sends a note on a connection of its own, because only the end of a connection tells whether the note was read.
   * Throws `unavailable` when it was not.
   */
  async keep(note: string): Promise<void> {
    const { time } = parseNote(note).checkpoint;
    const connection = await connectSyslog(this.#to);
    try {
      await connection.send([syslogCheckpoint(note, Date.parse(time) * 1000, { hostname: hostname() })]);
      if (!(await connection.finish()))
        throw new CofferdamError(
          'unavailable',
          `the witness ${this.name} (${destinationText(this.#to)}) did not read the checkpoint`,
        );
    } finally {
      connection.destroy();
    }
  }
}
