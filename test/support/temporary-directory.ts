// Owns: directories of a test, removed when it ends.
// Must never: import what begins a process or a connection: tests of one unit need no more than this.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Teardown = { teardown(work: () => Promise<void> | void): void };

/** A private directory through which other system users may pass. */
export function temporaryDirectory(t: Teardown): string {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-test-'));
  chmodSync(directory, 0o711);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
