// Owns: the frame of a long-running program: what it started is ended however it ends, by itself, by a failure, or by a
// signal.
import { stopSignals } from '../../server/domain/stop-signals.ts';
import type { Teardown } from './database.ts';

/** What a shell sees of a program that a signal ended: 128 and the number of the signal. */
const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs `work`, which registers what has to be ended with the `Teardown` that it is given, and ends that in the opposite
 * order. The process exits with code 0 when `work` returns true, 1 when it returns false or throws, 128 + N after
 * signal N.
 */
export async function longRun(work: (t: Teardown) => Promise<boolean>): Promise<void> {
  const endings: (() => unknown)[] = [];
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ending ??= (async () => {
      for (let one = endings.pop(); one !== undefined; one = endings.pop())
        try {
          await one();
        } catch (error) {
          process.stderr.write(`ending what was started: ${error instanceof Error ? error.message : String(error)}\n`);
          process.exitCode = 1;
        }
    })();
    return ending;
  };
  const stopped = new Promise<number>((resolve) => {
    for (const signal of stopSignals) process.once(signal, () => resolve(128 + signalNumbers[signal]));
  });
  const worked = work({ teardown: (one) => void endings.push(one) }).then(
    (isGood) => (isGood ? 0 : 1),
    (error: unknown) => {
      // After a signal its world is gone, and whatever it reports about that does not matter.
      if (ending === undefined)
        process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      return 1;
    },
  );
  const code = await Promise.race([worked, stopped]);
  await end();
  process.exit(process.exitCode === 1 ? 1 : code);
}
