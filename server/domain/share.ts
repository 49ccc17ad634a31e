// Owns: the rule of sharing: of everything there is only so much, one holder may have a part of it, and a part is kept for others (T-35, T-38).

/** What everybody asks for and what only so much is there of. `holder` is a node or a person, `group` its plane, or whether the person is an officer. */
export type Claim = { readonly holder: string; readonly group: string };

/**
 * One line of the table of shares. `of` says who holds it: a node (the reserve is then kept for the other plane), a person (it is kept for
 * security officers), a session of an edge (it is kept for logins, and for sessions from logins), a stranger who has not shown who he is, or the warden itself (nobody else is served from it, and nothing is kept).
 */
export type Share = {
  readonly of: 'node' | 'person' | 'session' | 'stranger' | 'warden';
  /** The resource, in the plural, as a refusal names it. */
  readonly what: string;
  readonly total: number;
  /** What one holder may have at once. */
  readonly each: number;
  /** What no single plane, or nobody but officers, can ever have. */
  readonly reserve: number;
  /** How many of one holder may wait for a place; one more is refused at once. 0: nothing waits. */
  readonly waiting: number;
  /** After this time a wait ends with a refusal. */
  readonly waitMs: number;
};

/** The group of persons for whom a reserve is kept. */
export const officers = 'officers';
export const others = 'others';

/** What all holders of one group may have together. */
export function groupMax(share: Share, group: string): number {
  return share.of === 'person' && group === officers ? share.total : share.total - share.reserve;
}

export type Used = { readonly all: number; readonly ofGroup: number; readonly ofHolder: number };

export function hasRoom(share: Share, group: string, used: Used): boolean {
  return used.all < share.total && used.ofGroup < groupMax(share, group) && used.ofHolder < share.each;
}

/** Why a line cannot be kept as it stands; undefined when it can. */
export function shareFault({ of, total, each, reserve }: Share): string | undefined {
  if (each < 1) return 'each must be 1 at least';
  if ((of === 'node' || of === 'person' || of === 'session') && reserve < 1) return 'reserve must be 1 at least';
  if (each > total - reserve) return `each (${each}) must leave the reserve: at most total - reserve (${total - reserve})`;
  return undefined;
}
