// Owns: the order in which a transaction takes its locks: every lock that the product takes by a statement of its own,
// advisory locks (`advisory-locks.ts`), locked rows (`for update` and its weaker forms) and `lock table`, in one list.
// Two transactions that keep one order cannot wait for each other. Runs of tests watch every transaction and fail when
// one takes two locks against the list (`test/support/watch-locks.ts`, decision 49); the product itself does not look.
// Must never: have a lock that nobody takes, or be changed to suit one transaction if that transaction can be
// reordered.

/**
 * `on` is the name of an advisory lock, of a table whose rows are locked, or of a table that is locked. `why` says who
 * takes it there. Rows that are only kept from being deleted (`for key share`) stand by themselves, because they wait
 * for nobody who takes a weaker lock than `for update`.
 */
type OrderedLock = { readonly on: string; readonly why: string };

/**
 * A lock may be taken while locks above it are held, and not while locks below it are held. Rows of one table are
 * locked by one statement, in the order of their ids (budgets: of their ranks, and then of their ids; the two names of
 * a rename: of folder, directory and name). The list does not see two statements that lock rows of one table. A
 * statement that passes over locked rows (`skip locked`) or fails at once (`nowait`) may come later, because it waits
 * for nobody.
 */
export const lockOrder = [
  { on: 'advisory migration', why: 'one migration of a database at a time, for as long as its connection lives' },
  { on: 'advisory sealerLeadership', why: 'the sealer that leads, on a connection that takes no other lock' },
  { on: 'command', why: 'a command that a warden carries out; everything that it does comes after it' },
  { on: 'change', why: 'the change that two operators have signed; what it does comes after it' },
  {
    on: 'break_glass',
    why: 'the emergency by which one operator acts alone, or which ends; what is done by it comes after it',
  },
  { on: 'advisory bootstrap', why: 'the first two operators are created once' },
  { on: 'operator', why: 'a change of an operator' },
  { on: 'operator_key', why: 'the end of a key of that operator' },
  { on: 'rotation', why: 'one command at a time works on a rotation' },
  { on: 'advisory selfTest', why: 'one transaction at a time makes or changes the account of a node’s self-test' },
  { on: 'login_penalty', why: 'the counters of guesses; a login gives back its guess, and then opens its session' },
  { on: 'account for key share', why: 'a session that opens refers to its account' },
  { on: 'credential for key share', why: 'a session that opens refers to its credentials' },
  {
    on: 'advisory sessionOpening',
    why: 'one opening at a time, and no opening while somebody changes what sessions of other accounts rely on; before budgets, so that no grant waits for an opening',
  },
  {
    on: 'budget',
    why: 'charges, openings, withdrawals and changes of budgets: whatever is withdrawn is changed after this lock',
  },
  { on: 'flow', why: 'the flows of the budgets, which pacing moves on' },
  { on: 'account', why: 'the account of a self-test, which is made or taken over' },
  { on: 'credential', why: 'a credential whose end, warning or proof is decided' },
  { on: 'rotation_item', why: 'keys of a rotation that begin their overlap or get a successor' },
  { on: 'mfa_ticket', why: 'a ticket that is used, failed or ended' },
  { on: 'second_factor', why: 'a second factor that is stored or ended, after the tickets for it' },
  { on: 'stranger_login', why: 'logins of unknown names, which are recorded by the minute' },
  { on: 'session', why: 'sessions that the clock ends, and sessions whose activity is written' },
  { on: 'folder', why: 'a folder whose rules change, or that gets a directory' },
  { on: 'directory', why: 'a directory that stays while something is put into it, or that is removed' },
  { on: 'file', why: 'the name: whoever puts a version there, moves or withdraws one' },
  { on: 'version', why: 'the versions of that name' },
  { on: 'advisory hold', why: 'placing a hold, and destroying or discarding what a hold of this customer may keep' },
  { on: 'doomed_content', why: 'contents whose key was destroyed, while some of their extents are deleted' },
  { on: 'node', why: 'the row of an edge that is drained or forgotten' },
  { on: 'alert', why: 'alerts that are written to the log' },
  { on: 'ledger_verdict', why: 'verdicts about entries of the admin process' },
  { on: 'ledger_archive_range', why: 'ranges of an archive that the record does not state yet' },
  { on: 'ledger_state', why: 'one transaction at a time seals; freezing and releasing wait for it' },
  { on: 'ledger_tree', why: 'the trees that a round grows, in any order, because the state is locked' },
  { on: 'ledger_freeze', why: 'a freeze that is released' },
  { on: 'advisory ledgerMonth', why: 'the table of one month is made once' },
  { on: 'table of a month', why: 'what a month holds stands still while it is counted' },
  { on: 'table ledger_sealed', why: 'the moment in which a month leaves' },
] as const satisfies readonly OrderedLock[];

type LockName = (typeof lockOrder)[number]['on'];

/** A lock that is taken while a lower one is held, and the reason why nobody waits for both the other way round. */
type LockException = { readonly held: LockName; readonly taken: LockName; readonly why: string };

export const lockExceptions: readonly LockException[] = [
  {
    held: 'version',
    taken: 'directory',
    why: '`file.release` shares the directory of a version that it has locked with its name. Only the removal of that directory holds it against sharing, and a removal locks nothing else',
  },
  {
    held: 'file',
    taken: 'directory',
    why: 'the same',
  },
];
