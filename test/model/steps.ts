// Owns: what the model may do, as data: one step is one request of one client, one fault, or one pause. A failing list
// of steps is shrunk and replayed.
import fc from 'fast-check';
import { type StoreError, type StoreFault, storeErrors, storeFaults } from '../support/store-faults.ts';
import { type WireFault, wireFaults } from '../support/warden-wire.ts';

/**
 * Sessions that a run drives: two of one depositor, one of its colleague in the same bank, one of our own on the
 * internal plane.
 */
const actors = ['depositor', 'depositor-again', 'colleague', 'own'] as const;
export type Actor = (typeof actors)[number];

export type Folder = {
  readonly name: string;
  readonly direction: 'deposit' | 'collect';
  readonly rule: 'on-close' | 'on-rename' | 'on-marker';
  readonly settleMs: number;
  readonly replace: boolean;
  /** After this many complete reads a file leaves the folder. */
  readonly readsMax: number | null;
  /** This many days after its publication a file leaves the folder, and after this many its key is destroyed. */
  readonly windowDays: number | null;
  readonly retentionDays: number | null;
};
const keeps = { readsMax: null, windowDays: null, retentionDays: null } as const;
const onClose = { rule: 'on-close', settleMs: 0, ...keeps } as const;
/**
 * One folder for each publish rule, with and without a settle time and replacing; one where a read takes a file away,
 * and two where time does.
 */
export const folders: readonly Folder[] = [
  { ...onClose, name: 'm-close', direction: 'deposit', replace: false },
  { ...onClose, name: 'm-settle', direction: 'deposit', settleMs: 400, replace: false },
  { ...onClose, name: 'm-rename', direction: 'deposit', rule: 'on-rename', settleMs: 400, replace: false },
  { ...onClose, name: 'm-marker', direction: 'deposit', rule: 'on-marker', replace: false },
  { ...onClose, name: 'm-replace', direction: 'deposit', replace: true },
  { ...onClose, name: 'm-replace-settle', direction: 'deposit', settleMs: 400, replace: true },
  { ...onClose, name: 'm-collect', direction: 'collect', replace: true },
  { ...onClose, name: 'm-reads', direction: 'collect', replace: false, readsMax: 2 },
  { ...onClose, name: 'm-window', direction: 'deposit', replace: false, windowDays: 10, retentionDays: 20 },
  { ...onClose, name: 'm-window-replace', direction: 'deposit', replace: true, windowDays: 10, retentionDays: 20 },
];
/** A name below a directory exists once somebody made the directory. */
export const names = ['f.xml', 'g.xml', 'f.xml.tmp', '.g.xml', 'f.xml.done', 'd/f.xml'] as const;
export const directory = 'd';

export type FileName = { readonly folder: number; readonly name: number };
/** `update` is for reading and writing, and keeps what is there. */
export type OpenHow = 'truncate' | 'keep' | 'append' | 'exclusive' | 'update';
export type Step =
  | { readonly op: 'open'; readonly at: FileName; readonly how: OpenHow }
  | {
      readonly op: 'write';
      readonly where: 'next' | 'start' | 'behind' | 'gap' | 'far';
      readonly size: 'byte' | 'small' | 'block' | 'large';
      readonly waits: boolean;
    }
  | { readonly op: 'fsync'; readonly waits: boolean }
  /** A READ on a handle that writes. */
  | { readonly op: 'peek'; readonly waits: boolean }
  | { readonly op: 'fsetstat'; readonly size: 'same' | 'more' | 'zero' | 'times'; readonly waits: boolean }
  | { readonly op: 'close'; readonly waits: boolean }
  | { readonly op: 'remove'; readonly at: FileName }
  | { readonly op: 'rename'; readonly at: FileName; readonly to: FileName; readonly replaces: boolean }
  | { readonly op: 'truncate'; readonly at: FileName }
  | { readonly op: 'read'; readonly at: FileName }
  /** What is asked about a name and must be answered truly. */
  | {
      readonly op: 'ask';
      readonly what: 'stat' | 'lstat' | 'realpath' | 'readlink' | 'symlink' | 'times' | 'space';
      readonly at: FileName;
    }
  | { readonly op: 'list'; readonly at: FileName; readonly inDirectory: boolean }
  | { readonly op: 'directory'; readonly at: FileName; readonly what: 'make' | 'remove' }
  /**
   * An operator keeps the newest file of a name, or releases it; locks the depositor's account for a moment; ends its
   * sessions.
   */
  | { readonly op: 'operator'; readonly what: 'hold' | 'lift' | 'lock' | 'end'; readonly at: FileName }
  /** This many days pass for everything that was published. */
  | { readonly op: 'age'; readonly days: number }
  | { readonly op: 'cut' }
  | { readonly op: 'rest'; readonly ms: number }
  /** A whole file: open, write, close. */
  | { readonly op: 'put'; readonly at: FileName; readonly size: 'small' | 'block' }
  /** More of it: open without truncating, write at the end, close. */
  | { readonly op: 'more'; readonly at: FileName; readonly closes: boolean }
  /** Its name is changed while it is continued: open without truncating, rename, write at the end, close. */
  | { readonly op: 'moved'; readonly at: FileName; readonly to: FileName; readonly replaces: boolean }
  | { readonly op: 'drip' }
  | { readonly op: 'kill'; readonly what: 'partner-1' | 'warden' | 'store' }
  /**
   * A call of the edge goes wrong on its way to the warden, or its answer on the way back: the next one of this
   * operation, or the one after this many.
   */
  | { readonly op: 'wire'; readonly call: WireCall | number; readonly fault: WireFault }
  /** The owner of the database touches a row: of which table, in which way, and which row of it (`owner.ts`). */
  | { readonly op: 'owner'; readonly touch: number; readonly nth: number }
  /** For a while, the file system refuses what this process asks of it. */
  | { readonly op: 'store'; readonly fault: StoreFault; readonly error: StoreError; readonly ms: number };
export type Move = { readonly actor: Actor; readonly slot: number; readonly step: Step };

const often = <T>(one: T, times: number): readonly T[] => Array<T>(times).fill(one);

/** What an edge asks its warden while clients work. */
const wireCalls = [
  ...often('upload.offer', 2),
  ...often('upload.begin', 3),
  ...often('upload.put', 6),
  ...often('upload.seal-extent', 2),
  ...often('upload.close', 6),
  ...often('tree.rename', 2),
  'upload.open',
  'upload.begin-extent',
  'upload.interrupt',
  'upload.rewrite',
  'upload.verify-extent',
  'upload.base-extent',
  'flow.permit',
  'tree.remove',
  'tree.stat',
  'tree.space',
  'download.open',
  'download.locate',
  'download.grant',
  'download.close',
  'session.end',
  'lease.renew',
  'login.attempt',
  'exchange.sign',
] as const;
export type WireCall = (typeof wireCalls)[number];

const at = fc.record({ folder: fc.nat(folders.length - 1), name: fc.nat(names.length - 1) });
const waits = fc.boolean();
const open: fc.Arbitrary<Step> = fc.record({
  op: fc.constant('open'),
  at,
  how: fc.constantFrom('truncate', 'truncate', 'keep', 'keep', 'append', 'exclusive', 'update'),
});
const write: fc.Arbitrary<Step> = fc.record({
  op: fc.constant('write'),
  where: fc.constantFrom('next', 'next', 'next', 'next', 'start', 'behind', 'gap', 'far'),
  size: fc.constantFrom('byte', 'small', 'small', 'block', 'large'),
  waits,
});

const questions = ['stat', 'stat', 'lstat', 'realpath', 'readlink', 'symlink', 'times', 'space'] as const;
/** Weights follow what clients do: mostly open, write and close, with everything else in between. */
const steps = [
  { weight: 10, arbitrary: open },
  { weight: 14, arbitrary: write },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('fsync'), waits }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('peek'), waits }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('fsetstat'),
      size: fc.constantFrom('same', 'more', 'zero', 'times'),
      waits,
    }),
  },
  { weight: 10, arbitrary: fc.record({ op: fc.constant('close'), waits }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('remove'), at }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('rename'), at, to: at, replaces: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('truncate'), at }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('read'), at }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('put'), at, size: fc.constantFrom('small', 'block') }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('more'), at, closes: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('moved'), at, to: at, replaces: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('ask'), what: fc.constantFrom(...questions), at }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('list'), at, inDirectory: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('directory'), at, what: fc.constantFrom('make', 'make', 'remove') }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('operator'),
      what: fc.constantFrom('hold', 'hold', 'lift', 'lock', 'end'),
      at,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('age'), days: fc.constantFrom(4, 11, 21) }) },
  { weight: 1, arbitrary: fc.constant({ op: 'cut' }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('rest'), ms: fc.constantFrom(20, 100, 500) }) },
] as readonly fc.WeightedArbitrary<Step>[];

/** What takes long, or is a fault of the machine and not of a client. */
export type Rare = {
  readonly drip: boolean;
  readonly kill: boolean;
  readonly wire: boolean;
  readonly store: boolean;
  readonly owner: boolean;
};
export const nothingRare: Rare = { drip: false, kill: false, wire: false, store: false, owner: false };
/** Each way in which each table can be touched, many times. */
const touchesMax = 1_000_000;

const weighted: readonly Actor[] = [
  ...Array<Actor>(8).fill('depositor'),
  ...Array<Actor>(3).fill('depositor-again'),
  'colleague',
  'own',
];
/** Where versions may follow one another, most moves meet. */
const replacing = [...folders.keys()].filter((at) => folders[at]?.replace === true && folders[at]?.windowDays === null);
const places: readonly number[] = [...folders.keys(), ...replacing];

/** Lists of moves. Few names and two handles for each session: moves that meet are the point. */
export function moves(rare: Rare): fc.Arbitrary<readonly Move[]> {
  const more: fc.WeightedArbitrary<Step>[] = [
    ...(rare.drip ? [{ weight: 1, arbitrary: fc.constant({ op: 'drip' } as const) }] : []),
    ...(rare.kill
      ? [
          {
            weight: 1,
            arbitrary: fc.record({
              op: fc.constant('kill' as const),
              what: fc.constantFrom('partner-1', 'warden', 'store'),
            }),
          },
        ]
      : []),
    ...(rare.wire
      ? [
          {
            weight: 20,
            arbitrary: fc.record({
              op: fc.constant('wire' as const),
              call: fc.oneof(fc.constantFrom(...wireCalls), fc.nat(5), fc.nat(5)),
              fault: fc.constantFrom(...wireFaults, 'lost' as const),
            }),
          },
        ]
      : []),
    ...(rare.owner
      ? [
          {
            weight: 6,
            arbitrary: fc.record({
              op: fc.constant('owner' as const),
              touch: fc.nat(touchesMax),
              nth: fc.nat(touchesMax),
            }),
          },
        ]
      : []),
    ...(rare.store
      ? [
          {
            weight: 3,
            arbitrary: fc.record({
              op: fc.constant('store' as const),
              fault: fc.constantFrom(...storeFaults),
              error: fc.constantFrom(...storeErrors),
              ms: fc.constantFrom(300, 800),
            }),
          },
        ]
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
      fc.array(move, { minLength: 6, maxLength: 40, size: 'max' }),
      fc.constantFrom(...places),
      fc.array(fc.nat(names.length - 1), { minLength: 1, maxLength: 3 }),
    )
    .map(([list, folder, few]) => list.map((one) => ({ ...one, step: inPlace(one.step, folder, few) })));
}

function inPlace(step: Step, folder: number, few: readonly number[]): Step {
  const narrow = (file: FileName): FileName => ({ folder, name: few[file.name % few.length] ?? 0 });
  if (step.op === 'rename' || step.op === 'moved') return { ...step, at: narrow(step.at), to: narrow(step.to) };
  return 'at' in step ? { ...step, at: narrow(step.at) } : step;
}

/** A list as a report shows it, one move a line. */
export const describe = (list: readonly Move[]): string =>
  list.map(({ actor, slot, step }) => `${actor}[${slot}] ${JSON.stringify(step)}`).join('\n');
