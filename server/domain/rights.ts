// Owns: which verbs an account may have on a folder, and what a change of rights makes of the rights before.
// Must never: give a verb that the plane of the account does not have in a folder of this direction.
import type { Direction, Plane, Verb } from './ids.ts';

/** All verbs, in the order in which rows and answers list them. */
export const verbs = ['list', 'read', 'write', 'remove', 'done'] as const satisfies readonly Verb[];

/**
 * The verbs that an account usually has, by its plane and the direction of the folder. A new account gets all of them
 * on every folder of its customers.
 */
export const verbsOn: Readonly<Record<Plane, Readonly<Record<Direction, readonly Verb[]>>>> = {
  partner: { deposit: ['list', 'write'], collect: ['list', 'read'] },
  internal: { deposit: ['list', 'read'], collect: ['list', 'write', 'remove'] },
};

/** The verbs that an account gets only when operators name them. They belong to whoever reads the folder. */
const namedVerbsOn: typeof verbsOn = {
  partner: { deposit: [], collect: ['done'] },
  internal: { deposit: ['done'], collect: [] },
};

/** Returns all verbs that an account of this plane may have in a folder of this direction. */
export const allowedVerbs = (plane: Plane, direction: Direction): readonly Verb[] => [
  ...verbsOn[plane][direction],
  ...namedVerbsOn[plane][direction],
];

/** Verbs that are given or taken away on one folder. */
type RightChange = { readonly act: 'give' | 'take'; readonly verbs: readonly Verb[] };

/** Returns the verbs after a change, in their order. */
export const afterChange = (before: readonly Verb[], { act, verbs: named }: RightChange): readonly Verb[] =>
  verbs.filter((verb) =>
    act === 'give' ? before.includes(verb) || named.includes(verb) : before.includes(verb) && !named.includes(verb),
  );

/** Returns the verbs that are there after a change and were not before. */
export const gained = (before: readonly Verb[], after: readonly Verb[]): readonly Verb[] =>
  after.filter((verb) => !before.includes(verb));
