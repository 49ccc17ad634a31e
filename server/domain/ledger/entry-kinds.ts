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
  /**
   * The fields that an edge reported in an entry of the warden, in addition to the columns with the observer `edge`.
   */
  readonly edge?: readonly string[];
  /**
   * Those of the public fields that are counts wherever they stand: whole numbers from 0 on, or null. Answers are
   * computed from them.
   */
  readonly counts?: readonly string[];
};
const inFolder = ['folder', 'path'] as const;
const byOperator = ['by', 'operator', 'reason'] as const;
const ofCredential = ['credential', 'by', 'why', 'reason'] as const;

export const entryKinds = {
  // Logins and sessions.
  'login.partial': { says: 'a proof was given and more are needed', public: ['proofs'] },
  'login.refused': { says: 'a proof was refused', public: ['evidence', 'proofs', 'examined'] },
  'login.strangers': {
    says: 'login attempts with names that do not exist, from one source in one minute',
    public: ['attempts', 'minute'],
    counts: ['attempts'],
  },
  'session.opened': {
    says: 'all proofs were given: a session was opened',
    public: ['proofs', 'purpose', 'readOnly', 'keyExchange', 'hostKey', 'cipherIn', 'cipherOut', 'macIn', 'macOut'],
    sensitive: ['window'],
  },
  'session.refused': {
    says: 'all proofs were given, but as many sessions as allowed are open',
    public: ['scope', 'sessionsMax'],
  },
  'session.ended': {
    says: 'a session ended',
    public: ['reason', 'bytesIn', 'bytesOut'],
    edge: ['bytesIn', 'bytesOut'],
    counts: ['bytesIn', 'bytesOut'],
  },
  'console.used': { says: 'a command of the SSH console', public: ['command', 'outcome'] },
  // Files.
  'folder.listed': {
    says: 'names of a folder were listed',
    public: [...inFolder, 'names', 'after'],
    counts: ['names'],
  },
  'list.refused': { says: 'the cap on names refused a request', public: ['outcome'] },
  'upload.opened': {
    says: 'a file is opened for writing; of a small file this is said when it is stored',
    public: [...inFolder, 'storedBytes'],
    counts: ['storedBytes'],
  },
  'upload.rewritten': {
    says: 'an upload was restarted; the earlier version stays until the upload holds more, or is discarded',
    public: ['instead', 'cut'],
  },
  'extent.stored': { says: 'an extent of an upload is durable', public: ['digest'] },
  'extent.verified': {
    says: 'the key of a stored extent was handed out to hash or go on from what is stored',
    public: [],
  },
  'upload.closed': {
    says: 'an upload is whole: its receipt is signed',
    public: [
      ...inFolder,
      'sha256',
      'extents',
      'extentCount',
      'closedAt',
      'hashedBy',
      'state',
      'account',
      'customer',
      'size',
    ],
    counts: ['extentCount'],
  },
  'upload.interrupted': {
    says: 'an upload was cut; what is stored can be resumed',
    public: ['storedBytes'],
    counts: ['storedBytes'],
  },
  'upload.given-up': {
    says: 'the sender removed an upload, restarted its name, or renamed a file onto it',
    public: [...inFolder],
  },
  'upload.expired': { says: 'an interrupted upload expired and was discarded', public: [] },
  'upload.refused': { says: 'a cap refused an upload', public: ['outcome'] },
  'deposit.repeated-content': { says: 'the same content was deposited before', public: ['earlier'] },
  'download.opened': {
    says: 'a file is opened for reading',
    public: [...inFolder, 'sha256', 'extentCount'],
    counts: ['extentCount'],
  },
  'extent.granted': { says: 'the key of an extent left the warden: it was charged', public: ['outcome'] },
  'extent.refused': { says: 'the key of an extent was refused', public: ['outcome'] },
  'download.closed': {
    says: 'an open file was closed; bytes: what the edge says it sent, as far as that is possible',
    public: ['by'],
  },
  'file.read-completely': { says: 'a complete read was counted', public: ['completeReads', 'readsMax'] },
  'file.published': {
    says: 'readers can see the file; `closedAs` is the path under which it was closed, when that was another one',
    public: [...inFolder, 'by', 'closedAs'],
  },
  'file.discarded': {
    says: 'the sender removed or replaced an unpublished file, or made it a marker that `releases` another',
    public: [...inFolder, 'successor', 'releases'],
  },
  'file.given-back': {
    says: 'an upload that extended this file was never finished: the file is kept as it was, and not published by itself',
    public: [...inFolder],
  },
  'file.ruled': {
    says: 'another publish rule of its folder made a complete file wait for its marker (`held`), or begin to settle',
    public: [...inFolder, 'state'],
  },
  'file.renamed': { says: 'a file was renamed', public: [...inFolder, 'to', 'state'] },
  'file.times-set': { says: 'the sender set the time of a file', public: [...inFolder, 'modifiedAt'] },
  'file.withdrawn': {
    says: 'a version was taken out of its folder',
    public: [...inFolder, 'why'],
    sensitive: byOperator,
  },
  'file.released': {
    says: 'a withdrawn version is visible again for some days',
    public: ['until'],
    sensitive: byOperator,
  },
  'file.done': {
    says: 'an account is done with a file: it finds the file in archive/ from now on, and nobody else sees a difference',
    public: [...inFolder],
  },
  'file.reopened': {
    says: 'the account that was done with a file finds it in its place again, because it said so itself or an operator did',
    public: [...inFolder],
    sensitive: byOperator,
  },
  'file.destroyed': { says: 'retention has ended: the key is destroyed', public: [] },
  'directory.made': { says: 'a directory was made', public: [...inFolder] },
  'directory.removed': { says: 'a directory was removed', public: [...inFolder] },
  'folder.created': {
    says: 'a folder was made',
    public: ['folder', 'direction', 'rules'],
    sensitive: ['accounts', ...byOperator],
  },
  'folder.changed': {
    says: 'the rules, the window or the retention of a folder were changed',
    public: ['folder', 'before', 'after', 'held', 'settling'],
    sensitive: byOperator,
    counts: ['held', 'settling'],
  },
  'hold.placed': {
    says: 'a legal hold was placed: keys are kept',
    public: ['hold', 'folder', 'version'],
    sensitive: byOperator,
  },
  'hold.lifted': { says: 'a legal hold was lifted', public: ['hold'], sensitive: byOperator },
  // Customers, accounts, credentials.
  'customer.created': { says: 'a customer was created', public: ['name'], sensitive: byOperator },
  'customer.renamed': {
    says: 'a customer was given another name',
    public: ['name', 'was'],
    sensitive: ['internalAccounts', ...byOperator],
  },
  'customer.suspended': { says: 'a customer was suspended', sensitive: byOperator },
  'customer.resumed': { says: 'a suspended customer may log in again', sensitive: byOperator },
  'customer.policy-set': {
    says: 'the sets of proofs that a customer allows were set',
    sensitive: ['allow', ...byOperator],
  },
  'account.created': {
    says: 'an account was created',
    public: ['name', 'kind', 'plane'],
    sensitive: ['rights', ...byOperator],
  },
  'account.locked': { says: 'an account was locked', sensitive: byOperator },
  'account.unlocked': { says: 'an account was unlocked', sensitive: ['wasLocked', 'countersCleared', ...byOperator] },
  'account.end-set': { says: 'the end of an account was set or removed', sensitive: ['expiresAt', ...byOperator] },
  'account.changed': {
    says: 'networks, contact, start or kind of access of an account were changed',
    sensitive: ['networks', 'tooWideToBind', 'contact', 'readOnly', 'manages', 'start', ...byOperator],
  },
  'account.rights-changed': {
    says: 'the rights of an account in the folders of a customer were changed',
    public: ['rights'],
    sensitive: byOperator,
  },
  'window.opened': {
    says: 'a machine account may log in with its key alone for some time',
    sensitive: ['closesAt', ...byOperator],
  },
  'window.standing-opened': {
    says: 'a standing window was opened',
    sensitive: ['name', 'days', 'opens', 'closes', 'zone', 'forDays', ...byOperator],
  },
  'window.closed': { says: 'a window was closed', sensitive: ['windows', 'sessionsEnded', ...byOperator] },
  'second-factor.used': {
    says: 'a code was accepted; no code of the same time step is accepted again',
    sensitive: ['step'],
  },
  'second-factor.enrolled': { says: 'the holder of an account enrolled a second factor' },
  'second-factor.reset': { says: 'a second factor was taken away', sensitive: byOperator },
  'ticket.issued': { says: 'a ticket to enrol a second factor was issued', sensitive: ['expiresAt', ...byOperator] },
  'credential.added': {
    says: 'a key or password was registered',
    sensitive: [...ofCredential, 'isProved', 'expiresAt', 'validFrom', 'replaces'],
  },
  'credential.confirmed': { says: 'a new key was confirmed: it is good at once', sensitive: ofCredential },
  'credential.retiring': { says: 'a key retires after its overlap', sensitive: [...ofCredential, 'retiresAt'] },
  'credential.retired': { says: 'a key has retired', sensitive: ofCredential },
  'credential.revoked': { says: 'a credential was revoked for good', sensitive: ofCredential },
  'credential.woken': { says: 'a dormant credential was made usable again', sensitive: ofCredential },
  'credential.suspended': {
    says: 'a credential was suspended',
    public: ['why'],
    sensitive: ['credential', 'by', 'reason'],
  },
  'credential.resumed': { says: 'a suspended credential was made usable again', sensitive: ofCredential },
  'rotation.started': {
    says: 'a rotation of keys was started',
    sensitive: ['rotation', 'selection', 'keys', 'overlapDays', ...byOperator],
  },
  'rotation.undone': { says: 'a rotation of keys was undone', sensitive: ['rotation', 'restored', ...byOperator] },
  'budget.changed': {
    says: 'a budget was changed',
    public: ['scope', 'label', 'direction', 'before', 'after', 'wider'],
    sensitive: byOperator,
  },
  'budget.headroom-released': {
    says: 'approved headroom was released',
    public: ['scope', 'label', 'percent', 'until'],
    sensitive: byOperator,
  },
  // Operators and the gateway itself.
  'operator.asked': {
    says: 'an operator called an operation',
    sensitive: ['operator', 'role', 'certificate', 'operation', 'params', 'allowed'],
  },
  'operator.answered': {
    says: "the outcome of an operator's call",
    sensitive: ['operator', 'role', 'certificate', 'operation', 'outcome'],
  },
  'command.executed': {
    says: 'the warden executed a command of an operator',
    sensitive: ['command', 'operation', 'operator', 'outcome'],
  },
  'commands.expired': {
    says: 'commands of operators were too old to be begun',
    sensitive: ['count', 'commands', 'operators'],
  },
  'change.proposed': {
    says: 'an operator signed and proposed a change',
    sensitive: ['change', 'operation', 'hash', 'by', 'reason'],
  },
  'change.approved': {
    says: 'a second operator signed a change: it is applied',
    sensitive: ['change', 'operation', 'proposer', 'approver', 'reason'],
  },
  'change.rejected': { says: 'a change was rejected', sensitive: ['change', 'by', 'reason'] },
  'operator.created': { says: 'an operator was created', sensitive: ['role', 'fingerprint', ...byOperator] },
  'operator.role-set': { says: 'the role of an operator was changed', sensitive: ['before', 'after', ...byOperator] },
  'operator.key-added': { says: 'a key of an operator was registered', sensitive: ['fingerprint', ...byOperator] },
  'operator.key-ended': { says: 'a key of an operator was ended', sensitive: ['fingerprint', ...byOperator] },
  'operator.suspended': { says: 'an operator was suspended', sensitive: byOperator },
  'operator.resumed': { says: 'a suspended operator may work again', sensitive: byOperator },
  'break-glass.prepared': {
    says: 'two operators prepared an emergency',
    sensitive: ['breakGlass', 'operations', 'hours', 'until', ...byOperator],
  },
  'break-glass.opened': {
    says: 'an operator opened a prepared emergency',
    sensitive: ['breakGlass', 'text', ...byOperator],
  },
  'break-glass.used': {
    says: 'an operator did alone, in an emergency, what needs two',
    sensitive: ['breakGlass', 'text', 'change', ...byOperator],
  },
  'break-glass.ended': { says: 'an emergency was ended', sensitive: ['breakGlass', ...byOperator] },
  'break-glass.reviewed': {
    says: 'what was done in an emergency was reviewed',
    sensitive: ['breakGlass', 'finding', ...byOperator],
  },
  'installation.bootstrapped': { says: 'the first operators were made', sensitive: ['operators', 'uid', 'by'] },
  'rows.resealed': {
    says: 'rows that decide access were changed: kind, id, generation, of a budget its scope; and which of them were narrowed when they were altered',
    sensitive: ['rows', 'narrowed'],
  },
  'row.broken-seal': { says: 'a row is not what the warden wrote', sensitive: ['kind', 'row', 'where'] },
  'node.drain-ordered': {
    says: 'an operator ordered an edge to drain',
    sensitive: ['withinMinutes', 'sessions', ...byOperator],
  },
  'self-test.failed': { says: 'a control failed its test', public: ['check', 'bites', 'text'] },
  'ledger.frozen': {
    says: 'nothing is served: the database is not what was witnessed',
    sensitive: ['freeze', 'why', 'text', 'facts'],
  },
  'ledger.given-up': { says: 'a release gave up more than its operators could see', sensitive: ['text', 'facts'] },
  'ledger.entry-missed': {
    says: 'an entry of the admin process is gone, or says something else than was written',
    sensitive: ['entry', 'kind', 'is'],
  },
  'ledger.set-aside': { says: 'an entry cannot be sealed: it waits for ever', sensitive: ['entry', 'why'] },
  'ledger.released': {
    says: 'two operators let a frozen record go on',
    sensitive: ['freeze', 'era', 'facts', ...byOperator],
  },
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
    says: 'the verdict of the standing verification on the record, from another host',
    sensitive: [
      'host',
      'verdict',
      'run',
      'sinceHead',
      'sinceEntry',
      'sinceAt',
      'fullAt',
      'heads',
      'entries',
      'findings',
      'text',
    ],
  },
  'database.changed': {
    says: 'the warden sees another server or another timeline with the same record',
    sensitive: ['before', 'after'],
  },
} as const satisfies Readonly<Record<string, Shape>>;

export type EntryKind = keyof typeof entryKinds;
const shapes: Readonly<Record<string, Shape>> = entryKinds;

/** Returns which of these fields may not be recorded and why, or undefined when every field is classified. */
export function unclassified(
  kind: string,
  given: { readonly public: object; readonly sensitive: object },
): string | undefined {
  const shape = Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
  if (shape === undefined) return `there is no kind of entry named ${kind}`;
  for (const name of ['public', 'sensitive'] as const)
    for (const [field, value] of Object.entries(given[name]))
      if (value !== undefined && shape[name]?.includes(field) !== true)
        return `${kind}: ${field} is not classified as ${name}`;
  return undefined;
}

/** The fields of each kind that are counts. */
export const countFields: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(shapes).flatMap(([kind, { counts }]) => (counts === undefined ? [] : [[kind, counts]])),
);

/**
 * Returns which field of an entry has not the form in which every writer of its kind writes it, or undefined. Fields
 * that are absent have every form, and so has an entry of a kind that is not known here.
 */
export function fieldFault({
  kind,
  publicText,
}: {
  readonly kind: string;
  readonly publicText: string;
}): string | undefined {
  const counts = Object.hasOwn(countFields, kind) ? countFields[kind] : undefined;
  if (counts === undefined) return undefined;
  const fields = new Map<string, unknown>(Object.entries(JSON.parse(publicText)));
  const isCount = (value: unknown): boolean => value == null || (Number.isSafeInteger(value) && Number(value) >= 0);
  const odd = counts.find((field) => !isCount(fields.get(field)));
  return odd === undefined ? undefined : `${kind}: its field ${odd} is no count`;
}

/**
 * Returns the names of the operators behind an act, as the field `by` names them, or an empty list when there are none.
 * The forms are `alice`, `operator alice`, `alice, approved by bob` and `alice (break-glass)`.
 */
export function operatorsIn(by: unknown): readonly string[] {
  if (typeof by !== 'string') return [];
  const match =
    /^(?:operator )?([a-z0-9][a-z0-9._-]{0,63})(?:, approved by ([a-z0-9][a-z0-9._-]{0,63})| \(break-glass\))?$/.exec(
      by,
    );
  return match === null ? [] : match.slice(1).filter((name) => name !== undefined);
}
