// Owns: how a small file is uploaded: OPEN is answered with an offer, which only reads, and CLOSE with one call that
// charges, enters and records it (decision 60).
// Must never: offer a name of which anything has to be given up, continued or decided by a marker; make a file of which
// the edge does not say that it is whole (T-31); answer before the commit is known.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { type ContentId, idOf, type ObjectId, type VersionId } from '../../domain/ids.ts';
import { formatPath } from '../../domain/paths.ts';
import { afterClose, markedBy } from '../../domain/publish-rules.ts';
import { extentContext, extentKey } from '../../extents/extent-key.ts';
import { sealedDigest } from '../../extents/object-tickets.ts';
import { sealedLength } from '../../extents/sealed-format.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import { byOf, type Charging } from '../budgets/charges.ts';
import { patiently } from '../budgets/patiently.ts';
import { signedReceipt } from '../receipts/receipts.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import { type Offer, Offers, offerLifeMs } from './offers.ts';
import type { EntryPlace } from './open-upload.ts';
import { lookAtName, type NameSeen, type Put, type PutAnswer } from './put-queries.ts';
import type { Batching } from './transfer-batches.ts';

type Mode = { readonly continue: boolean; readonly exclusive: boolean };
type Offered = Extract<Result<EdgeToWarden, 'upload.offer'>, { outcome: 'offer' }>;
type Said = Omit<Params<EdgeToWarden, 'upload.put'>, 'token' | 'upload'>;

/** How often an OPEN looks at a name that others are opening at the same moment. */
const looksMax = 3;
const oneItem = { bytes: 0, items: 1 } as const;
const nowhere: Readonly<Record<Exclude<NonNullable<PutAnswer['put']>, 'stored'>, string>> = {
  taken: 'the name was taken meanwhile; nothing was stored',
  gone: 'the directory is gone; nothing was stored',
  changed: 'the rules of this folder were changed meanwhile; nothing was stored: send the file again',
};

/**
 * Returns whether OPEN of this name is the plain case: a new version, for which nothing has to be given up or
 * continued, and which no budget refuses yet. Everything else, refusals included, is decided under the lock of the
 * name.
 */
function isPlain(seen: NameSeen, place: EntryPlace, mode: Mode): boolean {
  const { folder } = seen;
  if (folder === undefined) return false;
  // A marker is decided by what else is there.
  if (markedBy(folder, place.rest, 0) !== undefined) return false;
  if (!seen.goesOn || !seen.hasRoom || seen.directory === undefined || seen.isDirectory || seen.hasUnpublished)
    return false;
  return !seen.hasPublished || (place.folder.replaceAllowed && !mode.continue && !mode.exclusive);
}

export class SmallFiles {
  readonly #warden: Charging & Batching;
  readonly offers = new Offers();

  constructor(warden: Charging & Batching) {
    this.#warden = warden;
  }

  /** Returns an offer of this place, or undefined when the place must be opened like any other. */
  async offer(session: OpenSession, place: EntryPlace, mode: Mode): Promise<Offered | undefined> {
    const { database, charges } = this.#warden;
    const path = { folder: place.folder.id, rest: place.rest };
    for (let looks = 0; looks < looksMax; looks += 1) {
      if (!this.offers.hasRoom(session.id, session.node) || !this.offers.isClear(path)) return undefined;
      charges.requireUnrefused(session, place.customer.id, oneItem);
      const seen = await lookAtName(database, {
        session: session.id,
        customer: place.customer.id,
        folder: place.folder.id,
        parents: place.parents,
        name: place.name,
      });
      if (!isPlain(seen, place, mode)) return undefined;
      // Others may have been made meanwhile.
      if (!this.offers.hasRoom(session.id, session.node)) return undefined;
      if (this.offers.isClear(path)) return this.#made(session, place, seen);
    }
    return undefined;
  }

  #made(session: OpenSession, place: EntryPlace, seen: NameSeen): Offered | undefined {
    const { folder, directory, key, standing } = seen;
    if (folder === undefined || directory === undefined || key === undefined) return undefined;
    const content = idOf<ContentId>(randomUUID());
    const object = idOf<ObjectId>(randomBytes(16).toString('hex'));
    const { fileKey, ...wrapped } = this.#warden.keys.fileKeyUnder(place.customer.id, content, key);
    const offer: Offer = {
      upload: randomUUID(),
      session: session.id,
      account: session.account.id,
      node: session.node,
      customer: place.customer.id,
      path: { folder: place.folder.id, rest: place.rest },
      directory,
      standing,
      mayReplace: place.folder.replaceAllowed,
      version: idOf<VersionId>(randomUUID()),
      content,
      object,
      key: wrapped,
      rules: folder,
      databaseMs: seen.now,
      madeAt: performance.now(),
    };
    this.offers.make(offer);
    const context = extentContext(offer.customer, content, 0, object);
    return {
      outcome: 'offer',
      upload: offer.upload,
      customer: offer.customer,
      standing,
      lifeMs: offerLifeMs,
      extent: {
        objectId: object,
        key: extentKey(fileKey, context).toString('base64'),
        context: context.toString('base64'),
      },
    };
  }

  /** Puts the file of an offer, and returns its version after the commit. Throws when nothing was stored. */
  async put(session: OpenSession, offer: Offer, said: Said): Promise<VersionId> {
    const { charges, batches } = this.#warden;
    const item = this.#itemOf(session, offer, said);
    const amount = { bytes: item.extent?.bytes ?? 0, items: 1 };
    const queue = batches.puts[session.account.plane];
    const { put } = await charges.taking(session, offer.customer, amount, () => patiently(() => queue.request(item)));
    if (put === 'stored') return offer.version;
    if (put === null) throw new CofferdamError('bug', 'a small file was charged and not put');
    throw new CofferdamError('conflict', nowhere[put]);
  }

  /** Returns what is put, once it is certain that what the edge says fits together (T-31). */
  #itemOf(session: OpenSession, offer: Offer, said: Said): Put {
    if (!said.whole) throw new CofferdamError('conflict', 'the file is not whole; nothing was stored');
    const extent = extentOf(offer, said);
    if ((extent?.bytes ?? 0) !== said.size)
      throw new CofferdamError('conflict', 'the stored size differs from what was sent; send the file again');
    const { rules, path } = offer;
    const name = path.rest.at(-1) ?? '';
    const publication = afterClose(rules, path.rest);
    const closedAt = new Date(offer.databaseMs + Math.floor(performance.now() - offer.madeAt));
    const fields = {
      customer: offer.customer,
      path: formatPath([rules.name, ...path.rest]),
      version: offer.version,
      size: said.size,
      sha256: said.sha256,
      extents: createHash('sha256')
        .update(extent?.digest ?? Buffer.alloc(0))
        .digest('hex'),
      closedAt: closedAt.toISOString(),
      account: session.account.name,
      hashedBy: session.node,
    };
    const shownPath = formatPath(path.rest);
    return {
      ...offer,
      by: byOf(session, offer.customer),
      folder: path.folder,
      name,
      state: publication.state,
      extent,
      sha256: Buffer.from(said.sha256, 'hex'),
      modifiedAt: said.modifiedAt ?? null,
      openedAt: new Date(offer.databaseMs),
      closedAt,
      receipt: signedReceipt(this.#warden.keys, fields),
      says: {
        opened: { folder: rules.name, path: shownPath, storedBytes: 0 },
        closed: {
          folder: rules.name,
          path: shownPath,
          sha256: fields.sha256,
          extents: fields.extents,
          extentCount: extent === undefined ? 0 : 1,
          hashedBy: fields.hashedBy,
          state: publication.state,
        },
      },
    };
  }
}

/** Returns the extent of a put. Throws `invalid` when it is not the one that was offered, or its lengths do not fit. */
function extentOf(offer: Offer, { extent }: Said): Put['extent'] {
  if (extent === undefined) return undefined;
  const { objectId, bytes, sealedBytes } = extent;
  if (objectId !== offer.object) throw new CofferdamError('invalid', 'this extent is not the one that was offered');
  const inline = Buffer.from(extent.inline, 'base64');
  if (sealedBytes !== sealedLength(bytes) || inline.length !== sealedBytes)
    throw new CofferdamError('invalid', 'the length of the extent does not fit its content');
  return { object: offer.object, bytes, digest: sealedDigest(inline), inline };
}
