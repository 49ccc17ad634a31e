// Owns: every kind of entry that the record may hold, and the class of each of its fields. A field that is not listed
// counts as secret and cannot be recorded.
// Must never: list a field that carries a key, a seed, a password, a code, a ticket or content.

/**
 * The fields that have columns of their own, in entries of every kind. The observer `edge` means that an edge reported
 * the value; the observer `entry` means that the observer of the entry itself saw it.
 */
export const columns = {
  customer: { class: 'public', observer: 'entry' },
  account: { class: 'public', observer: 'entry' },
  session: { class: 'public', observer: 'entry' },
  node: { class: 'public', observer: 'entry' },
  plane: { class: 'public', observer: 'entry' },
  handle: { class: 'public', observer: 'entry' },
  version: { class: 'public', observer: 'entry' },
  extent: { class: 'public', observer: 'entry' },
  bytes: { class: 'public', observer: 'entry' },
  credential: { class: 'sensitive', observer: 'entry' },
  alsoCredential: { class: 'sensitive', observer: 'entry' },
  source: { class: 'sensitive', observer: 'edge' },
  sourcePort: { class: 'sensitive', observer: 'edge' },
  /**
   * The client's identification, from the transcript that the warden signed. The edge supplies the transcript, so a
   * compromised edge can choose this value.
   */
  client: { class: 'sensitive', observer: 'edge' },
  operator: { class: 'sensitive', observer: 'entry' },
} as const;

type Shape = {
  readonly says: string;
  readonly public?: readonly string[];
  readonly sensitive?: readonly string[];
  /** The fields that an edge reported in an entry of the warden, in addition to the columns with the observer `edge`. */
  readonly edge?: readonly string[];
};
const inFolder = ['folder', 'path'] as const;
const byOperator = ['by', 'operator', 'reason'] as const;
const ofCredential = ['credential', 'by', 'why', 'reason'] as const;

export const entryKinds = {
  // Logins and sessions.
  'login.partial': { says: 'a proof was given and more are needed', public: ['proofs'] },
  'login.refused': { says: 'a proof was refused', public: ['evidence', 'proofs', 'examined'] },
  'login.strangers': { says: 'logins with names that nobody has, of one source in one minute', public: ['attempts', 'minute'] },
  'session.opened': {
    says: 'all proofs were given',
    public: ['proofs', 'purpose', 'readOnly', 'keyExchange', 'hostKey', 'cipherIn', 'cipherOut', 'macIn', 'macOut'],
    sensitive: ['window'],
  },
  'session.refused': { says: 'all proofs were given, but as many sessions as allowed are open', public: ['scope', 'sessionsMax'] },
  'session.ended': { says: 'a session is over', public: ['reason', 'bytesIn', 'bytesOut'], edge: ['bytesIn', 'bytesOut'] },
  'console.used': { says: 'a command of the SSH console', public: ['command', 'outcome'] },
  // Files.
  'folder.listed': { says: 'names of a folder were told', public: [...inFolder, 'names', 'after'] },
  'list.refused': { says: 'a cap refused names', public: ['outcome'] },
  'upload.opened': { says: 'a file is opened for writing', public: [...inFolder, 'storedBytes'] },
  'upload.rewritten': {
    says: 'an upload begins anew; what was there stays until it holds more, or is given up',
    public: ['instead', 'cut'],
  },
  'extent.stored': { says: 'an extent of an upload is durable', public: ['digest'] },
  'extent.verified': { says: 'the key of a stored extent was handed out to hash or go on from what is stored', public: [] },
  'upload.closed': {
    says: 'an upload is whole: its receipt is signed',
    public: [...inFolder, 'sha256', 'extents', 'extentCount', 'closedAt', 'hashedBy', 'state', 'account', 'customer', 'size'],
  },
  'upload.interrupted': { says: 'an upload was cut; what is stored can be resumed', public: ['storedBytes'] },
  'upload.given-up': { says: 'its sender removed an upload, began its name anew, or renamed a file onto it', public: [...inFolder] },
  'upload.expired': { says: 'an interrupted upload was given up', public: [] },
  'upload.refused': { says: 'a cap refused an upload', public: ['outcome'] },
  'deposit.repeated-content': { says: 'the same content was deposited before', public: ['earlier'] },
  'download.opened': { says: 'a file is opened for reading', public: [...inFolder, 'sha256', 'extentCount'] },
  'extent.granted': { says: 'the key of an extent left the warden: it was charged', public: ['outcome'] },
  'extent.refused': { says: 'the key of an extent was refused', public: ['outcome'] },
  'download.closed': { says: 'an open file was closed; bytes: what the edge says it sent, as far as that is possible', public: ['by'] },
  'file.read-completely': { says: 'a complete read counts', public: ['completeReads', 'readsMax'] },
  'file.published': { says: 'readers can see the file', public: ['by'] },
  'file.discarded': { says: 'its sender removed or replaced it before it was published', public: [...inFolder, 'successor'] },
  'file.given-back': {
    says: 'an upload that went beyond it was never finished: it is kept as it was, and not published by itself',
    public: [...inFolder],
  },
  'file.renamed': { says: 'a file has another name', public: [...inFolder, 'to', 'state'] },
  'file.times-set': { says: 'its sender set the time of a file', public: [...inFolder, 'modifiedAt'] },
  'file.withdrawn': { says: 'a version left the tree', public: [...inFolder, 'why'], sensitive: byOperator },
  'file.released': { says: 'a withdrawn version is back for some days', public: ['until'], sensitive: byOperator },
  'file.destroyed': { says: 'retention has ended: the key is destroyed', public: [] },
  'directory.made': { says: 'a directory was made', public: [...inFolder] },
  'directory.removed': { says: 'a directory was removed', public: [...inFolder] },
  'folder.changed': { says: 'the window or retention of a folder', public: ['folder', 'before', 'after'], sensitive: byOperator },
  'hold.placed': { says: 'keys are kept', public: ['hold', 'folder', 'version'], sensitive: byOperator },
  'hold.lifted': { says: 'a hold has ended', public: ['hold'], sensitive: byOperator },
  // Customers, accounts, credentials.
  'customer.created': { says: 'a customer', public: ['name'], sensitive: byOperator },
  'customer.suspended': { says: 'a customer is locked out', sensitive: byOperator },
  'customer.resumed': { says: 'a customer may come again', sensitive: byOperator },
  'customer.policy-set': { says: 'which sets of proofs a customer allows', sensitive: ['allow', ...byOperator] },
  'account.created': { says: 'an account', public: ['name', 'kind', 'plane'], sensitive: ['rights', ...byOperator] },
  'account.locked': { says: 'an account is locked', sensitive: byOperator },
  'account.unlocked': { says: 'an account is unlocked', sensitive: ['wasLocked', 'countersCleared', ...byOperator] },
  'account.end-set': { says: 'when an account ends', sensitive: ['expiresAt', ...byOperator] },
  'account.changed': {
    says: 'networks, contact or kind of access',
    sensitive: ['networks', 'tooWideToBind', 'contact', 'readOnly', 'manages', ...byOperator],
  },
  'window.opened': { says: "a machine's key alone is good", sensitive: ['closesAt', ...byOperator] },
  'window.standing-opened': {
    says: 'a standing window',
    sensitive: ['name', 'days', 'opens', 'closes', 'zone', 'forDays', ...byOperator],
  },
  'window.closed': { says: 'a window is closed', sensitive: ['windows', 'sessionsEnded', ...byOperator] },
  'second-factor.used': { says: 'a code counted; none of the same time step counts again', sensitive: ['step'] },
  'second-factor.enrolled': { says: 'its holder enrolled a second factor' },
  'second-factor.reset': { says: 'a second factor was taken away', sensitive: byOperator },
  'ticket.issued': { says: 'a ticket to enrol a second factor', sensitive: ['expiresAt', ...byOperator] },
  'credential.added': { says: 'a key or password', sensitive: [...ofCredential, 'isProved', 'expiresAt', 'validFrom', 'replaces'] },
  'credential.confirmed': { says: 'a new key is good at once', sensitive: ofCredential },
  'credential.retiring': { says: 'a key retires after its overlap', sensitive: [...ofCredential, 'retiresAt'] },
  'credential.retired': { says: 'a key has retired', sensitive: ofCredential },
  'credential.revoked': { says: 'a credential is over for good', sensitive: ofCredential },
  'credential.woken': { says: 'an unused credential is good again', sensitive: ofCredential },
  'credential.suspended': { says: 'a credential opens nothing for now', public: ['why'], sensitive: ['credential', 'by', 'reason'] },
  'credential.resumed': { says: 'a suspended credential is good again', sensitive: ofCredential },
  'rotation.started': { says: 'keys are changed', sensitive: ['rotation', 'selection', 'keys', 'overlapDays', ...byOperator] },
  'rotation.undone': { says: 'a rotation was taken back', sensitive: ['rotation', 'restored', ...byOperator] },
  'budget.changed': { says: 'caps', public: ['scope', 'label', 'direction', 'before', 'after', 'wider'], sensitive: byOperator },
  'budget.headroom-released': { says: 'approved headroom', public: ['scope', 'label', 'percent', 'until'], sensitive: byOperator },
  // Operators and the gateway itself.
  'operator.asked': { says: 'a call of an operator', sensitive: ['operator', 'role', 'certificate', 'operation', 'params', 'allowed'] },
  'operator.answered': { says: 'its outcome', sensitive: ['operator', 'role', 'certificate', 'operation', 'outcome'] },
  'command.executed': { says: 'the warden did what an operator asked', sensitive: ['command', 'operation', 'operator', 'outcome'] },
  'commands.expired': { says: 'what operators asked was too old to be begun', sensitive: ['count', 'commands', 'operators'] },
  'change.proposed': { says: 'a change is signed by its proposer', sensitive: ['change', 'operation', 'hash', 'by', 'reason'] },
  'change.approved': {
    says: 'a second operator signed it: it is applied',
    sensitive: ['change', 'operation', 'proposer', 'approver', 'reason'],
  },
  'change.rejected': { says: 'a change will not be', sensitive: ['change', 'by', 'reason'] },
  'operator.created': { says: 'an operator', sensitive: ['role', 'fingerprint', ...byOperator] },
  'operator.role-set': { says: 'the role of an operator', sensitive: ['before', 'after', ...byOperator] },
  'operator.key-added': { says: 'a key of an operator', sensitive: ['fingerprint', ...byOperator] },
  'operator.key-ended': { says: 'a key of an operator is over', sensitive: ['fingerprint', ...byOperator] },
  'operator.suspended': { says: 'an operator is locked out', sensitive: byOperator },
  'operator.resumed': { says: 'an operator is back', sensitive: byOperator },
  'break-glass.prepared': { says: 'two prepared an emergency', sensitive: ['breakGlass', 'operations', 'hours', 'until', ...byOperator] },
  'break-glass.opened': { says: 'one broke the glass', sensitive: ['breakGlass', 'text', ...byOperator] },
  'break-glass.used': { says: 'one did alone what needs two', sensitive: ['breakGlass', 'text', 'change', ...byOperator] },
  'break-glass.ended': { says: 'an emergency is over', sensitive: ['breakGlass', ...byOperator] },
  'break-glass.reviewed': { says: 'what was done in an emergency was reviewed', sensitive: ['breakGlass', 'finding', ...byOperator] },
  'installation.bootstrapped': { says: 'the first operators', sensitive: ['operators', 'uid', 'by'] },
  'rows.resealed': {
    says: 'rows that decide access were changed: kind, id, generation, of a budget its scope; and which of them were narrowed when they were altered',
    sensitive: ['rows', 'narrowed'],
  },
  'row.broken-seal': { says: 'a row is not what the warden wrote', sensitive: ['kind', 'row', 'where'] },
  'node.drain-ordered': { says: 'an edge ends in order', sensitive: ['withinMinutes', 'sessions', ...byOperator] },
  'self-test.failed': { says: 'a control did not bite', public: ['check', 'bites', 'text'] },
  'ledger.frozen': { says: 'nothing is served: the database is not what was witnessed', sensitive: ['freeze', 'why', 'text', 'facts'] },
  'ledger.released': { says: 'two operators let the record go on', sensitive: ['freeze', 'era', 'facts', ...byOperator] },
  'ledger.archived': {
    says: 'entries of this tree are in an archive: from which position to which, and how many',
    public: ['month', 'first', 'last', 'entries'],
    sensitive: ['file', 'sha256', 'total'],
  },
  'ledger.archive-deleted': {
    says: 'the retention of an archived month has ended; its file is deleted after this',
    sensitive: ['month', 'file'],
  },
  'ledger.verified': {
    says: 'what the standing verification said of the record, from another host',
    sensitive: ['host', 'verdict', 'run', 'sinceHead', 'sinceEntry', 'sinceAt', 'fullAt', 'heads', 'entries', 'findings', 'text'],
  },
  'database.changed': { says: 'the warden sees another server or another timeline with the same record', sensitive: ['before', 'after'] },
} as const satisfies Readonly<Record<string, Shape>>;

export type EntryKind = keyof typeof entryKinds;
const shapes: Readonly<Record<string, Shape>> = entryKinds;

/** Returns which of these fields may not be recorded and why, or undefined when every field is classified. */
export function unclassified(kind: string, given: { readonly public: object; readonly sensitive: object }): string | undefined {
  const shape = Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
  if (shape === undefined) return `there is no kind of entry named ${kind}`;
  for (const name of ['public', 'sensitive'] as const)
    for (const [field, value] of Object.entries(given[name]))
      if (value !== undefined && shape[name]?.includes(field) !== true) return `${kind}: ${field} is not classified as ${name}`;
  return undefined;
}

/**
 * Returns the names of the operators behind an act, as the field `by` names them, or an empty list when there are none.
 * The forms are `alice`, `operator alice`, `alice, approved by bob` and `alice (break-glass)`.
 */
export function operatorsIn(by: unknown): readonly string[] {
  if (typeof by !== 'string') return [];
  const match = /^(?:operator )?([a-z0-9][a-z0-9._-]{0,63})(?:, approved by ([a-z0-9][a-z0-9._-]{0,63})| \(break-glass\))?$/.exec(by);
  return match === null ? [] : match.slice(1).filter((name) => name !== undefined);
}
