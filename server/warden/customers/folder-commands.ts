// Owns: what operators do to folders: making them, and the rules by which files become visible in them and leave them.
// Must never: leave a session open that carries rules which the folder does not have any more.
import { randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { type AccountId, type FolderId, idOf, type Verb } from '../../domain/ids.ts';
import { isValidName } from '../../domain/paths.ts';
import { isTemporary } from '../../domain/publish-rules.ts';
import { verbsOn } from '../../domain/rights.ts';
import { isBoundWider } from '../../domain/widening.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import type { Doing } from '../commands/doing.ts';
import {
  accountsOfCustomer,
  type FolderRules,
  foldersOf,
  insertFolder,
  usualRules,
  writeFolder,
} from '../folders/folder-queries.ts';
import { requireFolder } from '../folders/named-folder.ts';
import { rightsOf, writeRights } from '../folders/right-queries.ts';
import { applyPublishRule } from '../folders/rule-change.ts';
import { record } from '../ledger/entries/record.ts';
import { purposeOf } from '../seals/declared.ts';
import { alteredBefore, isFoundAltered } from '../seals/seals.ts';
import { holdOpenings } from '../sessions/session-limit-queries.ts';
import { lockForWithdrawal } from '../sessions/withdrawal-queries.ts';
import { requireCustomer } from './customer-commands.ts';

type P<K extends keyof OperatorToAdmin> = Params<OperatorToAdmin, K>;
type Wanted = Omit<P<'folder.set'>, 'customer' | 'folder' | 'reason'>;

/** Returns the rules with those that were asked for; null removes a limit. */
const withWanted = (rules: FolderRules, wanted: Wanted): FolderRules => ({
  publishRule: wanted.publish ?? rules.publishRule,
  marker: wanted.marker ?? rules.marker,
  settleMs: wanted.settleSeconds === undefined ? rules.settleMs : wanted.settleSeconds * 1000,
  replaceAllowed: wanted.replace ?? rules.replaceAllowed,
  directoriesAllowed: wanted.directories ?? rules.directoriesAllowed,
  windowDays: wanted.windowDays === undefined ? rules.windowDays : wanted.windowDays,
  readsMax: wanted.readsMax === undefined ? rules.readsMax : wanted.readsMax,
  retentionDays: wanted.retentionDays === undefined ? rules.retentionDays : wanted.retentionDays,
});

/** Throws `invalid` when rules contradict each other. */
function requireSound(rules: FolderRules): void {
  if (rules.retentionDays !== null && rules.windowDays !== null && rules.retentionDays < rules.windowDays)
    throw new CofferdamError('invalid', 'retention cannot end before the window does');
  if (rules.publishRule === 'on-marker' && isTemporary([`x${rules.marker}`]))
    throw new CofferdamError(
      'invalid',
      `${rules.marker} is an ending of temporary names: a marker of that name would never be seen as one`,
    );
}

/** The rules that the scope of a session carries. */
const isCarried = (before: FolderRules, after: FolderRules): boolean =>
  before.publishRule !== after.publishRule ||
  before.settleMs !== after.settleMs ||
  before.replaceAllowed !== after.replaceAllowed ||
  before.directoriesAllowed !== after.directoriesAllowed;

/**
 * Returns what a change of rules makes wider. When the row was altered, its values are not compared. Then only a value
 * that restricts nothing counts as wider, and a publish rule always does.
 */
function widerRules(name: string, before: FolderRules, wanted: Wanted, isAltered: boolean): readonly string[] {
  const after = withWanted(before, wanted);
  const isFreer = (was: number | null, asked: number | null | undefined): boolean =>
    asked !== undefined && (isAltered ? asked === null : isBoundWider(was, asked));
  const isSooner = isAltered
    ? typeof wanted.retentionDays === 'number'
    : isBoundWider(after.retentionDays, before.retentionDays);
  const isOther = (is: boolean, asked: unknown): boolean => asked !== undefined && (isAltered || is);
  return [
    ...(isFreer(before.windowDays, wanted.windowDays) ? [`the window of ${name}`] : []),
    ...(isFreer(before.readsMax, wanted.readsMax) ? [`the reads of ${name}`] : []),
    // A shorter retention destroys files sooner, so it needs two operators.
    ...(isSooner ? [`what is destroyed sooner in ${name}`] : []),
    // Neither of two publish rules allows less than the other: each lets something through that the other holds back.
    ...(isOther(before.publishRule !== after.publishRule, wanted.publish) ||
    isOther(before.marker !== after.marker, wanted.marker)
      ? [`when files are published in ${name}`]
      : []),
    ...(isOther(after.settleMs < before.settleMs, wanted.settleSeconds) ? [`how soon files settle in ${name}`] : []),
    ...(wanted.replace === true && (isAltered || !before.replaceAllowed) ? [`what may be replaced in ${name}`] : []),
    ...(wanted.directories === true && (isAltered || !before.directoriesAllowed) ? [`directories in ${name}`] : []),
  ];
}

/** The rules as answers and entries state them. */
const told = (rules: FolderRules) => ({
  publish: rules.publishRule,
  marker: rules.marker,
  settleSeconds: rules.settleMs / 1000,
  replace: rules.replaceAllowed,
  directories: rules.directoriesAllowed,
  windowDays: rules.windowDays,
  readsMax: rules.readsMax,
  retentionDays: rules.retentionDays,
});

/** How many accounts that get rights on a new folder its entry and the answer name. */
const namedAccountsMax = 100;

export const folderUseCases = {
  'folder.create': async (
    { customer: customerName, name, direction, reason, ...wanted }: P<'folder.create'>,
    { tx, warden, operator }: Doing,
  ) => {
    if (!isValidName(name) || /[:,]/.test(name))
      throw new CofferdamError(
        'invalid',
        'a folder has a name without slashes, colons, commas and control characters, so that it can be named in commands',
      );
    if (isTemporary([name]))
      throw new CofferdamError('invalid', `${name} looks like the name of a file that is still being sent`);
    const customer = await requireCustomer(tx, customerName, 'to-rely');
    const id = idOf<FolderId>(randomUUID());
    const rules = withWanted(usualRules(direction, warden.limits), wanted);
    requireSound(rules);
    if (!(await insertFolder(tx, { id, customer, name, direction, ...rules })))
      throw new CofferdamError('conflict', `customer ${customerName} already has a folder ${name}`);
    const siblings = (await foldersOf(tx, customer, 'to-rely')).filter((one) => one.direction === direction);
    const likeIt: ReadonlySet<FolderId> = new Set(siblings.map((one) => one.id));
    // The customer's own accounts get what they have on its other folders of this direction. Internal accounts get
    // nothing by themselves.
    const given: { readonly account: AccountId; readonly name: string; readonly verbs: readonly Verb[] }[] = [];
    for (const { id: account, name: accountName } of await accountsOfCustomer(tx, customer)) {
      const before = await rightsOf(tx, account, 'to-rely');
      const had = new Set(before.filter((right) => likeIt.has(right.folder)).flatMap((right) => right.verbs));
      const verbs = verbsOn.partner[direction].filter((verb) => had.has(verb));
      if (verbs.length === 0) continue;
      await writeRights(tx, account, [{ customer, folder: id, verbs }], true, 'to-rely');
      given.push({ account, name: accountName, verbs });
    }
    const accounts = given.slice(0, namedAccountsMax).map((one) => one.name);
    await record(tx, {
      kind: 'folder.created',
      customer,
      observer: 'warden',
      public: { folder: name, direction, rules: told(rules) },
      sensitive: { accounts, operator, reason },
    });
    for (const { account, verbs } of given)
      await record(tx, {
        kind: 'account.rights-changed',
        customer,
        account,
        observer: 'warden',
        public: { rights: [{ folder: name, before: [], after: verbs }] },
        sensitive: { reason, by: operator },
      });
    return { ...told(rules), accounts };
  },

  'folder.set': async (params: P<'folder.set'>, { tx, warden, operator, widen, endSessions }: Doing) => {
    const { customer, folder, reason, ...wanted } = params;
    // The scope of a session carries some of the rules. Sessions that open now are found below.
    await holdOpenings(tx);
    const owner = await requireCustomer(tx, customer, 'to-narrow');
    await lockForWithdrawal(tx, { customer: owner });
    const found = await requireFolder(tx, customer, folder, 'to-narrow');
    const { id, customer: _owner, ...before } = found;
    const row = { kind: 'folder', id } as const;
    const isAltered = await isFoundAltered(tx, warden.keys, row);
    const after = withWanted(before, wanted);
    try {
      requireSound(after);
    } catch (error) {
      throw isAltered ? alteredBefore(tx, row) : error;
    }
    const wider = widerRules(folder, before, wanted, isAltered);
    widen(wider);
    await writeFolder(tx, id, after, purposeOf(wider));
    const reached = await applyPublishRule(tx, found, after, (counts) =>
      record(tx, {
        kind: 'folder.changed',
        customer: owner,
        observer: 'warden',
        public: { folder, before: told(before), after: told(after), ...counts },
        sensitive: { operator, reason },
      }),
    );
    const sessionsEnded =
      isAltered || isCarried(before, after)
        ? await endSessions({ customer: owner }, `the rules of folder ${folder} were changed`)
        : 0;
    return { ...told(after), sessionsEnded, ...reached };
  },
};
