// Owns: the check of the rows of all open sessions: whether each row still says what was sealed when the session was
// opened.
// Must never: skip a session because nothing relies on it. The account to which a grant is charged is read from the
// session's row.
import type { SessionId } from '../../domain/ids.ts';
import type { Warden } from '../context/context.ts';
import { pageOfOpenSessions } from './session-queries.ts';
import { verifiedScope } from './session-scope.ts';

const pageRows = 500;

/** Yields the open sessions whose rows are not what the warden wrote. */
export async function* alteredSessions({
  database,
  keys,
}: Pick<Warden, 'database' | 'keys'>): AsyncGenerator<SessionId> {
  for (let after: { readonly account: string; readonly id: SessionId } | null = null; ; ) {
    const page = await database.withSystem((tx) => pageOfOpenSessions(tx, after, pageRows));
    for (const row of page) if (verifiedScope(keys, row, row.tokenHash) === undefined) yield row.id;
    after = page.at(-1) ?? null;
    if (page.length < pageRows || after === null) return;
  }
}
