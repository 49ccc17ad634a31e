// Owns: codes of a second factor that a test has not used yet: each is accepted once.
import { setTimeout as delay } from 'node:timers/promises';
import { totp } from '../../admin-cli/demo-otp.ts';

const stepMs = 30_000;

/** Of one secret. */
export class FreshCodes {
  readonly #used = new Set<number>();

  /** The code of this moment, whether or not it was used. */
  current(secret: string): string {
    return this.#take(secret, Math.floor(Date.now() / stepMs));
  }

  /** Waits for the next step when the valid codes are used up. */
  async next(secret: string): Promise<string> {
    for (;;) {
      const now = Math.floor(Date.now() / stepMs);
      // The code that is about to become too old comes last, and only while there is time for a slow login.
      const isTimeLeft = Date.now() % stepMs < stepMs / 2;
      const step = [now, now + 1, ...(isTimeLeft ? [now - 1] : [])].find((one) => !this.#used.has(one));
      if (step !== undefined) return this.#take(secret, step);
      await delay(500);
    }
  }

  #take(secret: string, step: number): string {
    this.#used.add(step);
    return totp(secret, (step * stepMs) / 1000);
  }
}
