// Owns: an entry as an archive has it; a test gives only the fields that matter to it.
import type { ArchivedEntry } from '../../server/domain/ledger/archive-line.ts';

export const archivedEntry = (facts: Partial<ArchivedEntry>): ArchivedEntry => ({
  number: 1,
  at: 1_700_000_000_000_000,
  kind: 'login.refused',
  customer: null,
  account: null,
  session: null,
  publicText: '{}',
  credential: null,
  alsoCredential: null,
  source: null,
  client: null,
  operator: null,
  sensitiveText: '{}',
  ...facts,
});
