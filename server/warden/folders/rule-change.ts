// Owns: what another publish rule, or another ending of markers, means for the files of a folder that are complete and
// not published yet.
// Must never: leave a file waiting for what the rule of its folder does not know any more (T-26).
import { CofferdamError } from '../../domain/errors.ts';
import { formatPath } from '../../domain/paths.ts';
import { isTemporary } from '../../domain/publish-rules.ts';
import type { Transaction } from '../../postgres/database.ts';
import { record } from '../ledger/entries/record.ts';
import { placesOf } from '../versions/version-queries.ts';
import type { Folder, FolderRules } from './folder-queries.ts';
import { becomeByRule, lockUnpublished } from './rule-change-queries.ts';

/** The unpublished versions that one change of a rule may meet: each is locked, and may get an entry of its own. */
const unpublishedMax = 2000;

type Reached = { readonly held: number; readonly settling: number };

/**
 * Applies the rules `after` to the unpublished versions of `folder`, which is locked and has its former rules. Files
 * that waited for their markers settle from now on when markers do not publish any more, and files that settle wait for
 * their markers when these publish from now on. Files under temporary names go on waiting for their renames. Returns
 * how many complete files wait for a marker since the change, and how many begin to settle. `tell` records these
 * numbers; it comes before the entries of the files, because a plan shows the first entries only. Throws `over-limit`
 * when there are too many for one change.
 */
export async function applyPublishRule(
  tx: Transaction,
  { id, customer, ...before }: Folder,
  after: FolderRules,
  tell: (reached: Reached) => Promise<void>,
): Promise<Reached> {
  const [waited, waits] = [before, after].map(({ publishRule }) => publishRule === 'on-marker');
  if (waited === waits && (!waits || before.marker === after.marker)) {
    const none = { held: 0, settling: 0 };
    await tell(none);
    return none;
  }
  const found = await lockUnpublished(tx, id, unpublishedMax + 1);
  if (found.length > unpublishedMax)
    throw new CofferdamError(
      'over-limit',
      `more than ${unpublishedMax} files of this folder are not published yet, too many for one change of their rule: let them be delivered or removed first`,
    );
  const places = await placesOf(
    tx,
    found.map(({ version }) => version),
  );
  const complete = found.flatMap((one) => {
    const place = places.get(one.version);
    return place === undefined || one.state === 'partial' || isTemporary(place.names) ? [] : [{ ...one, place }];
  });
  const publication = waits ? ({ state: 'held' } as const) : ({ state: 'settling', settleMs: after.settleMs } as const);
  const others = complete.filter(({ state }) => state !== publication.state);
  await becomeByRule(
    tx,
    others.map(({ version }) => version),
    publication,
  );
  const reached = waits ? { held: complete.length, settling: 0 } : { held: 0, settling: others.length };
  await tell(reached);
  for (const { version, account, session, place } of others)
    await record(tx, {
      ...{ kind: 'file.ruled', observer: 'warden', customer, account, session, version },
      public: { folder: place.folder, path: formatPath(place.names), state: publication.state },
    });
  return reached;
}
