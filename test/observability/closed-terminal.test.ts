// A process that logs to a terminal which was closed continues with what it still has to do.
import { join } from 'node:path';
import { test } from 'tap';
import { Terminal } from '../support/terminal.ts';

const root = join(import.meta.dirname, '..', '..');
const program = (pretty: boolean): string => `
import { createLogger } from './server/observability/logger.ts';
import { endOnUnownedFailure } from './server/observability/last-word.ts';
import { outlive } from './server/domain/lost-output.ts';
for (const output of [process.stdout, process.stderr]) outlive(output);
const log = createLogger({ log: { level: 'info', pretty: ${pretty} } }, 'edge');
endOnUnownedFailure(log);
const sleep = () => new Promise((resolve) => setTimeout(resolve, 100));
process.on('SIGHUP', async () => {
  for (let line = 0; line < 5; line += 1) {
    log.info({ line }, 'draining');
    process.stdout.write('a word\\n');
    process.stderr.write('a word\\n');
    await sleep();
  }
  process.exit(42);
});
setInterval(() => {}, 1000);
log.info('serving');
`;

for (const pretty of [true, false])
  test(`a closed terminal ends no process that logs to it, ${pretty ? 'for people' : 'for programs'}`, async (t) => {
    const terminal = new Terminal(process.execPath, ['--input-type=module', '-e', program(pretty)], {
      cwd: root,
      env: process.env,
    });
    t.teardown(() => terminal.kill());
    t.ok(await terminal.shows(/serving/, 60_000), 'it logs');
    terminal.close();
    t.equal(await terminal.ended(60_000), 'exit 42', 'it came to its end');
  });
