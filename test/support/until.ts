// Owns: waiting in tests until something holds, by looking again and again until a time has passed.
import { setTimeout as delay } from 'node:timers/promises';

type Patience = {
  /** 30 seconds when it is not given. */
  readonly withinMs?: number;
  /** The pause between two looks: 20 ms when it is not given. */
  readonly everyMs?: number;
};

/**
 * The first value that a look finds, or undefined when none has found one in time. It looks at once, and for the last
 * time when the time is over.
 */
export async function firstFound<T>(
  look: () => T | undefined | Promise<T | undefined>,
  { withinMs = 30_000, everyMs = 20 }: Patience = {},
): Promise<T | undefined> {
  const end = performance.now() + withinMs;
  for (let isLast = withinMs <= 0; ; isLast = performance.now() >= end) {
    const found = await look();
    if (found !== undefined || isLast) return found;
    await delay(Math.min(everyMs, Math.max(0, end - performance.now())));
  }
}

/** Whether the condition came to hold in time. */
export async function holdsSoon(isSo: () => boolean | Promise<boolean>, patience?: Patience): Promise<boolean> {
  return (await firstFound(async () => ((await isSo()) ? true : undefined), patience)) === true;
}

/** Returns as soon as the condition holds. Throws, with what was waited for, when it has not come to hold in time. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, patience?: Patience): Promise<void> {
  if (!(await holdsSoon(isSo, patience))) throw new Error(`not in time: ${what}`);
}
