// Owns: the SQL of small files that come whole in one call: what a name is before it is offered, and the batched call
// that charges, enters and records them (`migrations/functions/puts.sql`).
// Must never: believe that a file was entered whose entries did not come back as they were sent (decision 42).
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { PublishRule } from '../../domain/ids.ts';
import {
  type ContentId,
  type CustomerId,
  type CustomerKeyId,
  type Direction,
  type DirectoryId,
  type FolderId,
  idOf,
  type ObjectId,
  type SessionId,
  type VersionId,
} from '../../domain/ids.ts';
import type { SentEntry } from '../../domain/ledger/written.ts';
import type { Database } from '../../postgres/database.ts';
import { refuseWritten, requireWritten, type Watch, watchedCall } from '../../postgres/watched-call.ts';
import { type AskedBy, requireEntries } from '../budgets/charge-entries.ts';
import { type ChargeAnswer, type ChargeRequest, chargeAnswer, type RawCharge } from '../budgets/charge-queries.ts';

/** The rules of a folder by which a closed file is published. */
export type FolderRules = {
  readonly direction: Direction;
  readonly publishRule: PublishRule;
  /** The ending of the names of markers. */
  readonly marker: string;
  readonly settleMs: number;
};
/** What a name is at one moment. */
export type NameSeen = {
  /** Whether the session goes on. */
  readonly goesOn: boolean;
  /** The directory of the name; null is the folder itself, and undefined when there is no such directory. */
  readonly directory: DirectoryId | null | undefined;
  readonly isDirectory: boolean;
  /** The highest number of a version of this name, 0 when it has none. */
  readonly standing: number;
  readonly hasUnpublished: boolean;
  readonly hasPublished: boolean;
  readonly folder: (FolderRules & { readonly name: string }) | undefined;
  readonly key: { readonly id: CustomerKeyId; readonly wrapped: Buffer; readonly wrappedBy: string } | undefined;
  /** Whether the budgets of the session have room for one more file, as far as that is known before it is charged. */
  readonly hasRoom: boolean;
  /** The time of the database, in milliseconds since 1970. */
  readonly now: number;
};

type RawName = {
  readonly goes_on: boolean;
  readonly has_place: boolean;
  readonly directory: string | null;
  readonly is_directory: boolean | null;
  readonly standing: number;
  readonly has_unpublished: boolean;
  readonly has_published: boolean;
  readonly folder: string | null;
  readonly direction: Direction;
  readonly publish_rule: PublishRule;
  readonly marker: string;
  readonly settle_ms: number;
  readonly customer_key: string | null;
  readonly wrapped: Buffer;
  readonly wrapped_by: string;
  readonly has_room: boolean;
  readonly moment: Date;
};

const directoryOf = (id: string | null): DirectoryId | null => (id === null ? null : idOf<DirectoryId>(id));

/** Looks at the name `name` in the directory that `parents` leads to inside a folder. */
export async function lookAtName(
  database: Database,
  of: {
    readonly session: SessionId;
    readonly customer: CustomerId;
    readonly folder: FolderId;
    readonly parents: readonly string[];
    readonly name: string;
  },
): Promise<NameSeen> {
  const [row] = await database.call<RawName>(
    `select goes_on, has_place, directory, is_directory, standing, has_unpublished, has_published, folder, direction, publish_rule, marker, settle_ms, customer_key, wrapped, wrapped_by,
       has_room, moment from look_at_name($1, $2, $3, $4::text[], $5)`,
    [of.session, of.customer, of.folder, of.parents, of.name],
  );
  if (row === undefined) throw new Error('a name was not looked at');
  const { direction, publish_rule: publishRule, marker, settle_ms: settleMs } = row;
  return {
    goesOn: row.goes_on,
    directory: row.has_place ? directoryOf(row.directory) : undefined,
    isDirectory: row.is_directory === true,
    standing: row.standing,
    hasUnpublished: row.has_unpublished,
    hasPublished: row.has_published,
    folder: row.folder === null ? undefined : { name: row.folder, direction, publishRule, marker, settleMs },
    key:
      row.customer_key === null
        ? undefined
        : { id: idOf<CustomerKeyId>(row.customer_key), wrapped: row.wrapped, wrappedBy: row.wrapped_by },
    hasRoom: row.has_room,
    now: row.moment.getTime(),
  };
}

/** A small file that is whole, as it is to be charged, entered and recorded. */
export type Put = {
  readonly session: SessionId;
  readonly by: AskedBy;
  readonly customer: CustomerId;
  readonly folder: FolderId;
  readonly directory: DirectoryId | null;
  readonly name: string;
  /** The name as it was looked at: the highest number of its versions, and whether a published one may be replaced. */
  readonly standing: number;
  readonly mayReplace: boolean;
  /** The rules of the folder by which `state` was decided. */
  readonly rules: FolderRules;
  readonly state: 'held' | 'settling' | 'published';
  readonly upload: string;
  readonly version: VersionId;
  readonly content: ContentId;
  readonly key: { readonly customerKeyId: CustomerKeyId; readonly wrappedKey: Buffer };
  /** The only extent; an empty file has none. */
  readonly extent:
    | { readonly object: ObjectId; readonly bytes: number; readonly digest: Buffer; readonly inline: Buffer }
    | undefined;
  readonly sha256: Buffer;
  /** Seconds since 1970; null is now. */
  readonly modifiedAt: number | null;
  readonly openedAt: Date;
  readonly closedAt: Date;
  readonly receipt: string;
  /** The public fields of the entries `upload.opened` and `upload.closed`. */
  readonly says: { readonly opened: object; readonly closed: object };
};
export type PutAnswer = {
  readonly charge: ChargeAnswer;
  /** What became of it; null when it was not charged. */
  readonly put: 'stored' | 'taken' | 'gone' | 'changed' | null;
};

type RawPut = RawCharge & {
  readonly put: PutAnswer['put'];
  readonly repeated: string | null;
  readonly entries: readonly string[];
};

const bytesOf = ({ extent }: Put): number => extent?.bytes ?? 0;

const callBatch = (database: Database, items: readonly Put[]): Promise<readonly RawPut[]> =>
  database.call<RawPut>(
    `select outcome, budget, rank, unit, window_name, cap, free_at, after_ms, is_slow, customer, entry, put, repeated, entries
     from put_batch($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::int[], $7::boolean[], $8::text[], $9::int[], $10::text[], $11::uuid[], $12::uuid[], $13::uuid[],
       $14::uuid[], $15::bytea[], $16::text[], $17::bigint[], $18::bytea[], $19::bytea[], $20::bytea[], $21::bigint[], $22::timestamptz[], $23::timestamptz[], $24::text[], $25::text[],
       $26::text[], $27::text[]) order by item`,
    [
      items.map((one) => one.session),
      items.map((one) => one.customer),
      items.map((one) => one.folder),
      items.map((one) => one.directory),
      items.map((one) => one.name),
      items.map((one) => one.standing),
      items.map((one) => one.mayReplace),
      items.map((one) => one.rules.publishRule),
      items.map((one) => one.rules.settleMs),
      items.map((one) => one.state),
      items.map((one) => one.upload),
      items.map((one) => one.version),
      items.map((one) => one.content),
      items.map((one) => one.key.customerKeyId),
      items.map((one) => one.key.wrappedKey),
      items.map((one) => one.extent?.object ?? null),
      items.map(bytesOf),
      items.map((one) => one.extent?.digest ?? null),
      items.map((one) => one.extent?.inline ?? null),
      items.map((one) => one.sha256),
      items.map((one) => one.modifiedAt),
      items.map((one) => one.openedAt),
      items.map((one) => one.closedAt),
      items.map((one) => one.receipt),
      items.map((one) => JSON.stringify(one.says.opened)),
      items.map((one) => JSON.stringify(one.says.closed)),
      items.map((one) => one.rules.marker),
    ],
  );

/** Returns what was sent for the entries of a file that was stored, in their order. */
function sentFor(item: Put, repeated: string | null): readonly SentEntry[] {
  const common = {
    observer: 'warden',
    customer_id: item.customer,
    account_id: item.by.account,
    session_id: item.session,
    node: item.by.node,
    plane: item.by.plane,
    handle_id: item.upload,
    version_id: item.version,
  };
  const shown = (fields: object): string => JSON.stringify(fields);
  const sent: SentEntry[] = [
    { ...common, kind: 'upload.opened', public: shown(item.says.opened) },
    { ...common, kind: 'upload.closed', bytes: bytesOf(item), public: shown(item.says.closed) },
  ];
  if (repeated !== null)
    sent.push({ ...common, kind: 'deposit.repeated-content', public: shown({ earlier: repeated }) });
  return sent;
}

/** Throws `unavailable` unless the entries of each stored file came back, all of them, as they were sent. */
function requireStoredEntries(items: readonly Put[], rows: readonly RawPut[], watch: Watch): void {
  for (const [i, item] of items.entries()) {
    const row = rows[i];
    const due = row?.put === 'stored' ? sentFor(item, row.repeated) : [];
    const texts = row?.entries ?? [];
    if (texts.length !== due.length)
      refuseWritten('upload.closed', 'came back more or less often than it was sent', watch);
    for (const [at, sent] of due.entries()) requireWritten(texts[at] ?? null, sent, watch);
  }
}

/** What an amount costs is said by whoever asks, not by the answer. */
const ofCharge = ({ outcome, entry }: RawPut) => ({ outcome, entry, bytes: null });
const chargesOf = (items: readonly Put[]): readonly ChargeRequest[] =>
  items.map((one) => ({
    session: one.session,
    by: one.by,
    customer: one.customer,
    direction: 'in',
    bytes: bytesOf(one),
    items: 1,
  }));

/**
 * The entries of a batch that was committed did not come back as they were sent. Whatever stands in the database of it
 * is no file that anybody may be told of.
 */
export class Disbelieved extends CofferdamError {
  constructor({ code, message }: CofferdamError) {
    super(code, message);
  }
}

/**
 * Puts a batch of small files. Returns one answer for each, in their order, and resolves after the commit. Throws
 * `unavailable` when an entry did not come back as it was sent; then none of them counts as stored. It throws the same
 * when a name stays locked for too long; then nothing has happened.
 */
export const callPutBatch = (database: Database, items: readonly Put[]): Promise<readonly PutAnswer[]> =>
  watchedCall(database, async (watch) => {
    const rows = await callBatch(database, items);
    try {
      requireEntries(chargesOf(items), rows.map(ofCharge), watch);
      requireStoredEntries(items, rows, watch);
    } catch (error) {
      throw new Disbelieved(toCofferdamError(error));
    }
    return rows.map((row) => ({ charge: chargeAnswer(row, 'in'), put: row.put }));
  });
