// Owns: the restrictions of a session, gathered from the account and from every proof of its login.
// Must never: become wider by anything that is added (T-13).
import { isInNetwork, parseNetwork } from './addresses.ts';
import type { Plane } from './ids.ts';

export type Restrictions = {
  /** Every list must contain the source address. A network that cannot be parsed contains no address. */
  readonly networks: readonly (readonly string[])[];
  /** The planes on which the session may exist. */
  readonly planes: readonly Plane[];
  readonly readOnly: boolean;
  /** The end of the session, in milliseconds since 1970; null when the restrictions set none. */
  readonly until: number | null;
};

export const unrestricted: Restrictions = {
  networks: [],
  planes: ['partner', 'internal'],
  readOnly: false,
  until: null,
};

/** Returns the restrictions that apply when both `a` and `b` apply. */
export function narrowed(a: Restrictions, b: Restrictions): Restrictions {
  return {
    networks: [...a.networks, ...b.networks],
    planes: a.planes.filter((plane) => b.planes.includes(plane)),
    readOnly: a.readOnly || b.readOnly,
    until: a.until === null ? b.until : b.until === null ? a.until : Math.min(a.until, b.until),
  };
}

/**
 * Returns whether the restrictions permit a session on this plane, from this source, at this time (`now` in
 * milliseconds since 1970).
 */
export function permits(
  restrictions: Restrictions,
  at: { readonly plane: Plane; readonly source: string; readonly now: number },
): boolean {
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
