// Owns: what a session may not do, gathered from the account and from every proof of its login.
// Must never: become wider by anything that is added (T-13).
import { isInNetwork, parseNetwork } from './addresses.ts';
import type { Plane } from './ids.ts';

export type Restrictions = {
  /** Every list must contain the source; a list that cannot be read contains nothing. */
  readonly networks: readonly (readonly string[])[];
  /** Planes on which it holds. */
  readonly planes: readonly Plane[];
  readonly readOnly: boolean;
  /** Milliseconds since 1970; null = no end of its own. */
  readonly until: number | null;
};

export const unrestricted: Restrictions = { networks: [], planes: ['partner', 'internal'], readOnly: false, until: null };

/** Both at once. */
export function narrowed(a: Restrictions, b: Restrictions): Restrictions {
  return {
    networks: [...a.networks, ...b.networks],
    planes: a.planes.filter((plane) => b.planes.includes(plane)),
    readOnly: a.readOnly || b.readOnly,
    until: a.until === null ? b.until : b.until === null ? a.until : Math.min(a.until, b.until),
  };
}

/** Whether a session may exist here, from there, now. */
export function permits(restrictions: Restrictions, at: { readonly plane: Plane; readonly source: string; readonly now: number }): boolean {
  const isInside = (list: readonly string[]): boolean =>
    list.some((text) => {
      const network = parseNetwork(text);
      return network !== undefined && isInNetwork(at.source, network);
    });
  return (
    restrictions.planes.includes(at.plane) &&
    restrictions.networks.every(isInside) &&
    (restrictions.until === null || at.now < restrictions.until)
  );
}
