// Owns: what must follow when the owner of the database touches a column or a row of a table: the threat model as a
// table, written from its sentences.
// Must never: say what the code happens to do. A touch that is not found stands here with the sentence that admits it.

/** Sentences of the threat model that admit that a touch is not found. Each is in its document, word for word. */
export const admitted = {
  narrows: [
    'SECURITY.md',
    'The owner of the database can undo what only narrows (a suspension, what was spent of a budget) and stop the service.',
  ],
  catalogue: [
    'SECURITY.md',
    'Rows of the catalogue carry no seals: within one customer he can point a name at another content before it is opened.',
  ],
  stands: [
    'SECURITY.md',
    'What carries no seal and is decided by its row alone is what the owner of the database makes of it: that a key was proved or is suspended, that a window was closed, that a headroom was released before.',
  ],
  shown: ['SECURITY.md', 'What is only shown is what the owner of the database makes of it'],
  destroys: ['SECURITY.md', 'He can destroy: what he deletes is gone, and a hold that he lifts keeps nothing'],
  guesses: ['SECURITY.md', 'Counters of guesses begin again when he deletes them'],
  invents: [
    'docs/decisions/0035-who-can-rewrite-the-record.md',
    'add entries that never happened, in the name of a warden',
  ],
  derived: ['SECURITY.md', 'What is computed from the record and signed nowhere'],
  notes: ['SECURITY.md', 'The notes that the database holds beside the witnesses'],
  forgotten: [
    'docs/decisions/0017-the-record.md',
    'Whoever owns the database can write zero there; then he needs the witness emptied as well',
  ],
  code: [
    'SECURITY.md',
    'functions of the database that he replaces (which window is open, what a cap is) are believed until somebody acts on the alert',
  ],
} as const;
export type Admission = keyof typeof admitted;

/**
 * `record`: what was sealed and witnessed; the verifier finds it at once when it is asked, by the witness.
 * `sealer`: what the sealer continues from; it freezes, with the next round of that tree, or else with the next epoch
 * or change of leader.
 * `born`: what waits for its seal; whoever wrote it misses it.
 * `sealed`: a row under a seal; an alarm names it within a regular pass, and its next use is refused.
 * `mac`: sealed in its own row, and verified when it is used.
 * `content`: whatever becomes of it, a reader gets bytes that somebody completed for this customer, or none.
 * `counter`: no release goes unrecorded because of it.
 * Everything else is not found, and is admitted.
 */
export type Found = 'record' | 'sealer' | 'born' | 'sealed' | 'mac' | 'content' | 'counter';
export type Class = Found | Admission;

type TableClasses = {
  /** For a row that is deleted, and for one that is inserted beside a genuine one. */
  readonly deleted: Class;
  readonly inserted: Class;
  /** Names of columns, with spaces between them. */
  readonly columns: Partial<Readonly<Record<Class, string>>>;
};

const entry =
  'at kind observer customer_id account_id session_id node plane handle_id version_id extent bytes public credential also_credential source source_port client operator sensitive';
const all = (one: Class, columns: string): TableClasses => ({
  deleted: one,
  inserted: one,
  columns: { [one]: columns },
});

export const classes: Readonly<Record<string, TableClasses>> = {
  // What decides a login, a right, a cap or a window.
  account: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: {
      sealed: 'id customer_id name kind plane read_only source_networks expires_at is_self_test manages starts_in',
      narrows: 'state',
      shown: 'contact is_demo created_at',
    },
  },
  activation_window: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: { sealed: 'id account_id opens_at closes_at', shown: 'opened_by reason', stands: 'closed_at' },
  },
  break_glass: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: {
      sealed: 'id operator_id operations hours valid_until opened_at closes_at ended_at',
      shown: 'reason created_at reviewed_at finding',
    },
  },
  budget: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: {
      sealed:
        'id rank account_id customer_id cap_hour_bytes cap_day_bytes cap_week_bytes direction credential_id plane cap_hour_items cap_day_items cap_week_items ceiling_percent is_share rate sessions_max headroom_percent consequence',
      counter:
        'total_bytes minute base_hour_bytes base_day_bytes base_week_bytes total_items base_hour_items base_day_items base_week_items slow_until',
      stands: 'headroom_until',
    },
  },
  credential: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: {
      sealed:
        'id account_id type algorithm public_key fingerprint issued_by password_hash valid_from read_only source_networks issued_until',
      narrows: 'expires_at last_used_at woken_at',
      stands: 'state proved_at successor_id',
      shown: 'created_at first_used_at first_used_from last_used_from warned_at ended_at ended_by ended_why',
    },
  },
  customer: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: { sealed: 'id name is_self_test allowed_proofs former_names', narrows: 'state', shown: 'created_at' },
  },
  folder: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: {
      sealed:
        'id customer_id name direction publish_rule marker settle_ms read_back replace_allowed directories_allowed window_days reads_max retention_days',
      shown: 'created_at',
    },
  },
  folder_right: {
    deleted: 'sealed',
    inserted: 'sealed',
    columns: { sealed: 'account_id customer_id folder_id verbs' },
  },
  mfa_ticket: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: { sealed: 'id account_id ticket_hash expires_at used_at failed_trials', shown: 'issued_by created_at' },
  },
  operator: { deleted: 'narrows', inserted: 'sealed', columns: { sealed: 'id name role state', shown: 'created_at' } },
  operator_key: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: { sealed: 'fingerprint operator_id public_key ended_at', shown: 'created_at' },
  },
  second_factor: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: { sealed: 'account_id sealed_seed sealed_by', shown: 'enrolled_at' },
  },
  standing_window: {
    deleted: 'narrows',
    inserted: 'sealed',
    columns: {
      sealed: 'id account_id name days opens closes zone valid_from valid_until',
      shown: 'opened_by reason',
      stands: 'closed_at',
    },
  },
  // A seal of a row that does not exist opens nothing, and neither does a row without its seal.
  seal: {
    deleted: 'sealed',
    inserted: 'shown',
    columns: { sealed: 'kind row_id mac sealed_by change_id maker generation', shown: 'touched_by' },
  },
  change: {
    deleted: 'mac',
    inserted: 'shown',
    columns: {
      mac: 'id document hash operation proposer_id proposer_key proposer_signature approval approver_key approver_signature break_glass_id expires_at',
      shown: 'proposed_at decided_at decided_by reason',
      stands: 'state',
    },
  },
  session: {
    deleted: 'narrows',
    inserted: 'mac',
    columns: {
      mac: 'id token_hash account_id credential_id node also_credential_id purpose scope scope_mac window_id',
      narrows:
        'state expires_at idle_ms last_seen_at ended_at end_reason ended_epoch read_only end_kind ends_as start_id',
      shown:
        'source_address source_port client_identification started_at bytes_in bytes_out session_identifier key_exchange host_key_algorithm',
    },
  },
  download: {
    deleted: 'narrows',
    inserted: 'mac',
    columns: {
      mac: 'id customer_id session_id version_id folder_id mac',
      narrows: 'opened_at closed_at',
      shown: 'sent_bytes',
    },
  },

  // The catalogue.
  content: {
    deleted: 'destroys',
    inserted: 'content',
    columns: { content: 'id customer_id customer_key_id wrapped_key', shown: 'created_at', destroys: 'destroyed_at' },
  },
  customer_key: {
    deleted: 'destroys',
    inserted: 'content',
    columns: { content: 'id customer_id wrapped wrapped_by', shown: 'created_at' },
  },
  directory: all('catalogue', 'id customer_id folder_id parent_id name modified_at created_at removed_at'),
  doomed_content: all('destroys', 'content_id since'),
  doomed_object: all('destroys', 'object_id since'),
  extent: {
    deleted: 'content',
    inserted: 'content',
    columns: {
      content: 'content_id index customer_id object_id start bytes sealed_bytes digest inline',
      shown: 'node created_at',
    },
  },
  file: {
    deleted: 'destroys',
    inserted: 'catalogue',
    columns: { catalogue: 'id customer_id folder_id directory_id name', shown: 'created_at' },
  },
  // Whatever it says, the account reads what the folder has, under this name or in its archive, or does not find it.
  done_file: all('content', 'account_id version_id customer_id done_at'),
  legal_hold: all('destroys', 'id customer_id folder_id version_id reason placed_by placed_at lifted_by lifted_at'),
  pending_extent: all('destroys', 'object_id customer_id content_id index upload_id created_at'),
  version: {
    deleted: 'destroys',
    inserted: 'content',
    columns: {
      content:
        'id customer_id file_id number content_id state extent_count size sha256 account_id folder_id base_version_id resumed_bytes closed_at session_id node upload_id upload_mac',
      destroys:
        'publish_at published_at first_read_at withdrawn_at complete_reads released_until let_go_at waits_since refused closed_by_upload',
      shown: 'modified_at opened_at receipt withdrawn_why',
    },
  },

  // What was spent, what was tried.
  budget_snapshot: all('counter', 'budget_id minute bytes items'),
  charged_item: all('counter', 'credential_id item charged_at'),
  flow: all('counter', 'lane until'),
  known_source: all('guesses', 'account_id source last_at'),
  login_penalty: all('guesses', 'subject failures blocked_until last_at'),
  stranger_login: all('guesses', 'minute node source attempts client'),
  totp_step: all('guesses', 'account_id step used_at'),
  rotation: all('narrows', 'id selection reason started_by started_at overlap_ms deadline undone_at undone_by'),
  rotation_item: all(
    'narrows',
    'rotation_id credential_id successor_id former_expires_at state staged_at moved_at retired_at',
  ),

  // What operators ask and see.
  alert: all(
    'shown',
    'id kind severity subject hour customer_id account_id text facts next_command contact contact_text first_at last_at count logged_at',
  ),
  command: all('shown', 'id operator_id operation params state result error_code error_text created_at finished_at'),
  installation: all('shown', 'id created_at only_one'),
  key_exchange_use: all('shown', 'account_id with_mlkem without_mlkem last_without_at last_without_client'),
  node: all(
    'shown',
    'name plane start_id last_seen_at started_at native_cipher drain_start_id drain_ordered_at drain_until drain_reason drain_ordered_by',
  ),
  receipt_key: all('shown', 'id public_pem created_at'),
  schema_migration: all('code', 'name sha256 applied_at'),
  schema_function: all('code', 'file sha256 replaced applied_at'),
  self_test: all('shown', 'node check bites text at since'),

  // The record.
  ledger_sealed: {
    deleted: 'record',
    inserted: 'record',
    // The order of arrival inside the database is no part of the record; `sha256` is generated.
    columns: { record: `number tree position salt leaf ${entry}`, derived: 'id sha256' },
  },
  ledger_kept: {
    deleted: 'record',
    inserted: 'record',
    columns: { record: `number tree position salt leaf ${entry}`, derived: 'id sha256' },
  },
  ledger_head: {
    deleted: 'record',
    inserted: 'record',
    columns: { record: 'position at number trees secret', derived: 'map_root epoch' },
  },
  ledger_tree: { deleted: 'sealer', inserted: 'sealer', columns: { sealer: 'tree size frontier', derived: 'head' } },
  // For entries that are all there, the verifier computes it again; where entries left, a missing one is missed.
  ledger_block: { deleted: 'derived', inserted: 'record', columns: { record: 'tree index hash' } },
  ledger_leaf: { deleted: 'record', inserted: 'record', columns: { record: 'tree position leaf' } },
  ledger_state: {
    deleted: 'narrows',
    inserted: 'narrows',
    columns: {
      sealer: 'number',
      narrows: 'is_only era epoch_asked_at',
      notes: 'checkpoint checkpoint_at unwitnessed_since',
      forgotten: 'witnessed_size witnessed_at witnessed_checkpoint',
    },
  },
  ledger_fresh: { deleted: 'born', inserted: 'invents', columns: { born: `id ${entry}` } },
  ledger_quarantine: all('narrows', 'id at why'),
  ledger_freeze: all('narrows', 'id at why text facts released_at era change_id'),
  // The record itself states what left: without its statement no row of these counts (and the entries that are gone are
  // `record`).
  ledger_archive: all('shown', 'month file sha256 entries archived_at deleted_at deletion_stated_at'),
  ledger_archive_range: all('shown', 'month tree first last entries stated_at'),
  ledger_archiving: all('shown', 'month due_since step why looked_at failed_at'),
  ledger_forward: all('shown', 'name number sent behind_ms looked_at error error_at'),
  ledger_key: all('shown', 'id verifier_key created_at'),
  ledger_verdict: all(
    'shown',
    'id at host verdict heads entries findings text recorded_at run since_head since_entry since_at full_at',
  ),
};

const isAdmission = (one: Class): one is Admission => one in admitted;
export const mustBeFound = (one: Class): one is Found => !isAdmission(one);

/** By column; undefined: nobody has said what follows. */
export function classOf(table: string, column: string): Class | undefined {
  for (const [one, columns] of Object.entries(classes[table]?.columns ?? {}))
    if (columns.split(' ').includes(column)) return one as Class;
  return undefined;
}
