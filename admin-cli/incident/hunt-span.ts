// Owns: how much of the record a hunt has searched: which archives there are beside the database, and the text about
// what is missing.
// Must never: call an answer complete while an existing month was not searched.
import { CofferdamError } from '../../server/domain/errors.ts';
import type { ListedArchive } from '../../server/rpc/operators/ledger.ts';
import type { Client } from '../connection/client.ts';
import { when } from '../terminal/output.ts';

export type Span = {
  /** Months whose entries are only in archives, the oldest first. */
  readonly offline: readonly ListedArchive[];
  /** Months that no longer exist, because their archives were deleted. */
  readonly ended: readonly ListedArchive[];
};

export async function spanOf(client: Pick<Client, 'call'>): Promise<Span> {
  const left = (await client.call('ledger.archives', {})).archives.filter((one) => !one.isOnline);
  return { offline: left.filter((one) => one.deletedAt === null), ended: left.filter((one) => one.deletedAt !== null) };
}

const named = (list: readonly ListedArchive[]): string => list.map((one) => one.month).join(' ');

/**
 * Throws `conflict` when the list of archives changed. A month that left the database between two questions would be in
 * neither answer.
 */
export async function requireSame(client: Pick<Client, 'call'>, before: Span): Promise<void> {
  const after = await spanOf(client);
  if (named(after.offline) !== named(before.offline) || named(after.ended) !== named(before.ended))
    throw new CofferdamError(
      'conflict',
      'a month of the record was archived or deleted while the question was asked. There is no answer: ask again',
    );
}

const monthAfter = (month: string): string =>
  new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5, 7)), 1)).toISOString();

/**
 * Returns the instant at which the answer begins, or null when everything that exists was searched. `database` is the
 * instant from which on the database has everything.
 */
export function completeFrom({ offline, ended }: Span, database: string | null, areRead: boolean): string | null {
  const last = offline.at(-1);
  if (areRead || last === undefined) return offline.length + ended.length > 0 ? null : database;
  const from = monthAfter(last.month);
  return database !== null && database > from ? database : from;
}

const files = (list: readonly ListedArchive[]): string =>
  list.length === 1 ? `1 file, ${list[0]?.file}` : `${list.length} files, ${list[0]?.file} to ${list.at(-1)?.file}`;

/** Returns lines for the operator: what was not searched, and what nobody can search any more. */
export function notices({ offline, ended }: Span, from: string | null): readonly string[] {
  const lines: string[] = [];
  if (from !== null && offline.length > 0)
    lines.push(
      `NOT COMPLETE: the record before ${when(from)} is in archives and was not looked at. --archive DIR looks at them: a directory with ${files(offline)}.`,
    );
  else if (from !== null)
    lines.push(
      `NOT COMPLETE: the record before ${when(from)} is not in the database, and the gateway knows no archive of it. See cofferctl ledger verify.`,
    );
  if (ended.length > 0)
    lines.push(
      `${ended.length === 1 ? `The month ${ended[0]?.month}` : `${ended.length} months, ${ended[0]?.month} to ${ended.at(-1)?.month},`} cannot be looked at: their retention has ended.`,
    );
  return lines;
}
