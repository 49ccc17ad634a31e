// Owns: what the lease tells of sessions: whose client did something since it was last told, and how long ago.
// Must never: decide that a session is idle. The edge says what it saw; the warden's row is the one clock.
import { activeMax } from '../rpc/edge-words.ts';

export type Seen = {
  readonly session: { readonly id: string } | undefined;
  readonly activity: { readonly at: number; readonly idleLifeMs: number };
};
type Active = { readonly session: string; readonly quietMs: number };

/** A row is told of activity no more often than this, and ten times in an idle life at least. */
const tellEveryMsMax = 5000;

export class Activity<C extends Seen> {
  readonly #connections: ReadonlySet<C>;
  /** Per connection: when it was told, and the activity that was told. */
  readonly #told = new WeakMap<C, { readonly at: number; readonly activity: number }>();

  constructor(connections: ReadonlySet<C>) {
    this.#connections = connections;
  }

  /** What is due now, the longest untold first, so many at most; `told` is called when the warden has taken it. */
  due(): { readonly active: readonly Active[]; told(): void } {
    const now = performance.now();
    const due: { readonly connection: C; readonly id: string; readonly activity: number; readonly toldAt: number }[] = [];
    for (const connection of this.#connections) {
      const { session } = connection;
      if (session === undefined) continue;
      const activity = connection.activity.at;
      const before = this.#told.get(connection);
      if (
        before !== undefined &&
        (before.activity === activity || now - before.at < Math.min(tellEveryMsMax, connection.activity.idleLifeMs / 10))
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
