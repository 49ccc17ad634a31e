// Owns: the rule of sharing a limited resource: one holder may have only a part of it, and a part is reserved for
// others (T-35, T-38).

/**
 * Who asks for a part of a shared resource. `holder` is a node, a person, or one session or connection of an edge.
 * `group` is the plane of the node, whether the person is a security officer, or `sessions` or `logins`.
 */
export type Claim = { readonly holder: string; readonly group: string };

/**
 * One line of the table of shares. `of` is the kind of holder. With `node`, the reserve is kept for the other plane;
 * with `person`, for security officers; with `session` (a session of an edge), for logins against sessions and for
 * sessions against logins. With `stranger` (a client that has not shown who it is) and `warden` (the warden itself, the
 * only one that is served from the line), nothing is reserved.
 */
export type Share = {
  readonly of: 'node' | 'person' | 'session' | 'stranger' | 'warden';
  /** The name of the resource in the plural, as a refusal prints it. */
  readonly what: string;
  readonly total: number;
  /** The largest part that one holder may have at once. */
  readonly each: number;
  /**
   * The part of `total` that is reserved: one plane alone, or logins alone or sessions alone, can never take it, or
   * only security officers can. Which of these holds depends on `of`.
   */
  readonly reserve: number;
  /**
   * How many requests of one holder may wait for a place; a further one is refused at once. 0 means that nothing waits.
   */
  readonly waiting: number;
  /** The time in milliseconds after which waiting ends with a refusal. */
  readonly waitMs: number;
};

/** The group of persons for whom the reserve is kept, and the group of all other persons. */
export const officers = 'officers';
export const others = 'others';

/** Returns how much all holders of one group may have together. */
export function groupMax(share: Share, group: string): number {
  return share.of === 'person' && group === officers ? share.total : share.total - share.reserve;
}

type Used = { readonly all: number; readonly ofGroup: number; readonly ofHolder: number };

export function hasRoom(share: Share, group: string, used: Used): boolean {
  return used.all < share.total && used.ofGroup < groupMax(share, group) && used.ofHolder < share.each;
}

/** Returns why a line of the table is not valid, or undefined when it is. */
export function shareFault({ of, total, each, reserve }: Share): string | undefined {
  if (each < 1) return 'each must be at least 1';
  if ((of === 'node' || of === 'person' || of === 'session') && reserve < 1) return 'reserve must be at least 1';
  if (each > total - reserve)
    return `each (${each}) must leave the reserve: at most total - reserve (${total - reserve})`;
  return undefined;
}
