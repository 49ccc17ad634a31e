// Owns: what the model may do, as data: one step is one request of one client, one fault, or one pause. A failing list of steps is shrunk and replayed.
import fc from 'fast-check';

/** Sessions that a run drives: two of one depositor, one of its colleague in the same bank, one of our own on the internal plane. */
export const actors = ['depositor', 'depositor-again', 'colleague', 'own'] as const;
export type Actor = (typeof actors)[number];

/** One folder for each publish rule, with and without a settle time and replacing. */
export const folders = [
  { name: 'm-close', direction: 'deposit', rule: 'on-close', settleMs: 0, replace: false },
  { name: 'm-settle', direction: 'deposit', rule: 'on-close', settleMs: 400, replace: false },
  { name: 'm-rename', direction: 'deposit', rule: 'on-rename', settleMs: 400, replace: false },
  { name: 'm-marker', direction: 'deposit', rule: 'on-marker', settleMs: 0, replace: false },
  { name: 'm-replace', direction: 'deposit', rule: 'on-close', settleMs: 0, replace: true },
  { name: 'm-replace-settle', direction: 'deposit', rule: 'on-close', settleMs: 400, replace: true },
  { name: 'm-collect', direction: 'collect', rule: 'on-close', settleMs: 0, replace: true },
] as const;
export const names = ['f.xml', 'g.xml', 'f.xml.tmp', '.g.xml', 'f.xml.done'] as const;

export type FileName = { readonly folder: number; readonly name: number };
export type Step =
  | { readonly op: 'open'; readonly at: FileName; readonly how: 'truncate' | 'keep' | 'append' | 'exclusive' }
  | {
      readonly op: 'write';
      readonly where: 'next' | 'start' | 'behind' | 'gap' | 'far';
      readonly size: 'byte' | 'small' | 'block' | 'large';
      readonly waits: boolean;
    }
  | { readonly op: 'fsync'; readonly waits: boolean }
  | { readonly op: 'fsetstat'; readonly size: 'same' | 'more' | 'zero' | 'times'; readonly waits: boolean }
  | { readonly op: 'close'; readonly waits: boolean }
  | { readonly op: 'remove'; readonly at: FileName }
  | { readonly op: 'rename'; readonly at: FileName; readonly to: FileName; readonly replaces: boolean }
  | { readonly op: 'truncate'; readonly at: FileName }
  | { readonly op: 'read'; readonly at: FileName }
  | { readonly op: 'cut' }
  | { readonly op: 'rest'; readonly ms: number }
  /** A whole file: open, write, close. */
  | { readonly op: 'put'; readonly at: FileName; readonly size: 'small' | 'block' }
  /** More of it: open without truncating, write at the end, close. */
  | { readonly op: 'more'; readonly at: FileName; readonly closes: boolean }
  | { readonly op: 'drip' }
  | { readonly op: 'kill'; readonly what: 'partner-1' | 'warden' };
export type Move = { readonly actor: Actor; readonly slot: number; readonly step: Step };

const at = fc.record({ folder: fc.nat(folders.length - 1), name: fc.nat(names.length - 1) });
const waits = fc.boolean();
const open: fc.Arbitrary<Step> = fc.record({
  op: fc.constant('open'),
  at,
  how: fc.constantFrom('truncate', 'truncate', 'keep', 'keep', 'append', 'exclusive'),
});
const write: fc.Arbitrary<Step> = fc.record({
  op: fc.constant('write'),
  where: fc.constantFrom('next', 'next', 'next', 'next', 'start', 'behind', 'gap', 'far'),
  size: fc.constantFrom('byte', 'small', 'small', 'block', 'large'),
  waits,
});

/** Weights follow what clients do: mostly open, write and close, with everything else in between. */
const steps = [
  { weight: 10, arbitrary: open },
  { weight: 14, arbitrary: write },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('fsync'), waits }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('fsetstat'), size: fc.constantFrom('same', 'more', 'zero', 'times'), waits }) },
  { weight: 10, arbitrary: fc.record({ op: fc.constant('close'), waits }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('remove'), at }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('rename'), at, to: at, replaces: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('truncate'), at }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('read'), at }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('put'), at, size: fc.constantFrom('small', 'block') }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('more'), at, closes: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ op: 'cut' }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('rest'), ms: fc.constantFrom(20, 100, 500) }) },
] as readonly fc.WeightedArbitrary<Step>[];

export type Rare = { readonly drip: boolean; readonly kill: boolean };

const weighted: readonly Actor[] = [...Array<Actor>(8).fill('depositor'), ...Array<Actor>(3).fill('depositor-again'), 'colleague', 'own'];
/** Where versions may follow one another, moves meet most. */
const places: readonly number[] = [...folders.keys(), ...[...folders.keys()].filter((at) => folders[at]?.replace === true)];

/** Lists of moves. Few names and two handles for each session: moves that meet are the point. */
export function moves(rare: Rare): fc.Arbitrary<readonly Move[]> {
  const more: fc.WeightedArbitrary<Step>[] = [
    ...(rare.drip ? [{ weight: 1, arbitrary: fc.constant({ op: 'drip' } as const) }] : []),
    ...(rare.kill
      ? [{ weight: 1, arbitrary: fc.record({ op: fc.constant('kill' as const), what: fc.constantFrom('partner-1', 'warden') }) }]
      : []),
  ] as fc.WeightedArbitrary<Step>[];
  const move = fc.record({
    actor: fc.constantFrom<Actor>(...weighted),
    slot: fc.nat(1),
    step: fc.oneof(...steps, ...more),
  });
  // Each list stays in one or two folders and names, so that its moves meet.
  return fc
    .tuple(
      fc.array(move, { minLength: 6, maxLength: 40 }),
      fc.constantFrom(...places),
      fc.array(fc.nat(names.length - 1), { minLength: 1, maxLength: 3 }),
    )
    .map(([list, folder, few]) => list.map((one) => ({ ...one, step: inPlace(one.step, folder, few) })));
}

function inPlace(step: Step, folder: number, few: readonly number[]): Step {
  const narrow = (file: FileName): FileName => ({ folder, name: few[file.name % few.length] ?? 0 });
  if (step.op === 'rename') return { ...step, at: narrow(step.at), to: narrow(step.to) };
  return 'at' in step ? { ...step, at: narrow(step.at) } : step;
}

/** A list as it can be read in a report, one move a line. */
export const describe = (list: readonly Move[]): string =>
  list.map(({ actor, slot, step }) => `${actor}[${slot}] ${JSON.stringify(step)}`).join('\n');
