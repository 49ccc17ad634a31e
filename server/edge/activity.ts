// Owns: what the renewal of the lease reports about sessions: which
// clients did something since the last report, and how long ago.
// Must never: decide that a session is idle. The edge reports what it saw; the
// only idle clock is the session's row in the warden's database (decision 25).
import { activeMax } from '../rpc/edge-words.ts';

type Seen = {
  readonly session: { readonly id: string } | undefined;
  readonly activity: { readonly at: number; readonly idleLifeMs: number };
};
type Active = { readonly session: string; readonly quietMs: number };

/**
 * The longest interval between two reports of an active session, in milliseconds.
 * The interval is shorter, a tenth of the idle life, where that is less.
 */
const tellEveryMsMax = 5000;

export class Activity<C extends Seen> {
  readonly #connections: ReadonlySet<C>;
  /** For each connection: when its activity was last reported, and the time of the activity that was reported. */
  readonly #told = new WeakMap<C, { readonly at: number; readonly activity: number }>();

  constructor(connections: ReadonlySet<C>) {
    this.#connections = connections;
  }

  /**
   * Returns the sessions whose activity is to be reported now, at most `activeMax` of them; those that
   * were reported longest ago come first. The caller calls `told` when the warden has accepted the report.
   */
  due(): { readonly active: readonly Active[]; told(): void } {
    const now = performance.now();
    const due: { readonly connection: C; readonly id: string; readonly activity: number; readonly toldAt: number }[] =
      [];
    for (const connection of this.#connections) {
      const { session } = connection;
      if (session === undefined) continue;
      const activity = connection.activity.at;
      const before = this.#told.get(connection);
      if (
        before !== undefined &&
        (before.activity === activity ||
          now - before.at < Math.min(tellEveryMsMax, connection.activity.idleLifeMs / 10))
      )
        continue;
      due.push({ connection, id: session.id, activity, toldAt: before?.at ?? Number.NEGATIVE_INFINITY });
    }
    due.sort((a, b) => a.toldAt - b.toldAt);
    const some = due.slice(0, activeMax);
    return {
      active: some.map(({ id, activity }) => ({ session: id, quietMs: Math.max(0, Math.round(now - activity)) })),
      told: () => {
        for (const { connection, activity } of some) this.#told.set(connection, { at: now, activity });
      },
    };
  }
}
