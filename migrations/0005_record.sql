-- The baseline, 5 of 5: the record.

-- ── Entries ─────────────────────────────────────────────────────────────────────────────────

-- An entry is written into `ledger_fresh` in its effect's own transaction; a moment later the sealer gives it its place in a Merkle tree.
-- docs/reference/ledger-format.md says what is hashed.

-- What was written and has no place yet. Only the sealer takes rows out, and only those that it put into `ledger_sealed` before.
create table ledger_fresh (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  observer text not null check (observer in ('warden', 'edge', 'admin')),
  customer_id uuid,
  account_id uuid,
  session_id uuid,
  node text,
  plane text check (plane in ('partner', 'internal')),
  -- One open file: a download or an upload.
  handle_id uuid,
  version_id uuid,
  extent int,
  bytes bigint,
  public jsonb not null default '{}',
  -- From here on internal: nobody outside is shown it.
  credential text,
  also_credential text,
  -- Address, port and client identification are the edge's word.
  source inet,
  source_port int,
  client text,
  operator text,
  sensitive jsonb not null default '{}',
  -- Whatever is written here can be sealed: the sealed record has indexes, whose rows hold at most some 2,700 bytes, and its readers count with numbers below
  -- 2^53. The database parses every check anew for each statement that writes the table, so the expressions are few.
  constraint ledger_fresh_sealable check (
    octet_length(kind) <= 64
    and greatest(octet_length(node), octet_length(public ->> 'sha256')) <= 128
    and greatest(octet_length(credential), octet_length(also_credential), octet_length(operator)) <= 512
    and octet_length(client) <= 1024
    and extent >= 0
    and bytes between -9007199254740991 and 9007199254740991
    and source_port between 0 and 65535
    and greatest(pg_column_size(public), pg_column_size(sensitive)) <= 1048576
  )
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
create index on ledger_fresh (session_id);
-- Two lines to the sealer: each is read in order, whatever stands in the other one.
create index ledger_fresh_of_planes on ledger_fresh (id) where observer <> 'admin';
create index ledger_fresh_of_operators on ledger_fresh (id) where observer = 'admin';
-- Two kinds of entries are asked for while a login or a seal waits, also before they are sealed: whatever else waits is not read for that.
create index ledger_fresh_decides on ledger_fresh (kind, account_id) where kind in ('second-factor.used', 'rows.resealed');
-- What `version_end_is_recorded` looks for at the end of a transaction.
create index ledger_fresh_ends on ledger_fresh (version_id)
  where kind in ('file.discarded', 'file.withdrawn', 'file.destroyed', 'file.published', 'file.released', 'file.renamed', 'file.given-back', 'file.ruled');
alter table ledger_fresh enable row level security, force row level security;

-- Sealed: never changed, and never removed but as a whole month that is in an archive. Each month has a partition (`ledger_month`).
create table ledger_sealed (
  number bigint not null,
  tree uuid not null,
  position bigint not null,
  salt bytea not null check (octet_length(salt) = 32),
  leaf bytea not null check (octet_length(leaf) = 32),
  like ledger_fresh,
  -- A column of its own: behind row-level security an index on an expression is not used.
  sha256 text generated always as (public ->> 'sha256') stored
) partition by range (at);
create index ledger_sealed_number on ledger_sealed (number);
create index ledger_sealed_tree on ledger_sealed (tree, position);
create index ledger_sealed_session on ledger_sealed (session_id);
-- The ways into the record of an incident. All are partial: most entries say what a session did, and are found by the session.
-- Entries are sealed nearly in the order of time, so a summary of each run of pages is enough to find a time.
create index ledger_sealed_at on ledger_sealed using brin (at) with (pages_per_range = 32);
-- With what, from where and with which program somebody came or tried to (sessions, and logins that failed), and what was done to a credential.
create index ledger_sealed_credential on ledger_sealed (credential, at) where credential is not null;
create index ledger_sealed_also_credential on ledger_sealed (also_credential) where also_credential is not null;
create index ledger_sealed_source on ledger_sealed (source) where source is not null;
create index ledger_sealed_client on ledger_sealed (client, customer_id) where client is not null;
-- The sessions of an account, and what was done to it.
create index ledger_sealed_account on ledger_sealed (account_id, at) where session_id is null or kind = 'session.opened';
-- How a session began and ended, without reading everything that it did.
create index ledger_sealed_ends on ledger_sealed (session_id) where kind in ('session.opened', 'session.ended');
create index ledger_sealed_operator on ledger_sealed (operator, at) where operator is not null;
create index ledger_sealed_sha256 on ledger_sealed (sha256) where sha256 is not null;
create index ledger_sealed_refused on ledger_sealed (at) where kind in ('login.refused', 'login.partial', 'login.strangers', 'session.refused');
create index ledger_sealed_resealed on ledger_sealed (number) where kind = 'rows.resealed';
-- How a customer was named.
create index ledger_sealed_names on ledger_sealed (tree, position) where kind in ('customer.created', 'customer.renamed');
create index ledger_sealed_archived on ledger_sealed (tree) where kind in ('ledger.archived', 'ledger.archive-deleted');
alter table ledger_sealed enable row level security, force row level security;

-- Statements about archives whose own month has left the database: a dump has them for ever. It has the columns of `ledger_sealed`.
create table ledger_kept (like ledger_sealed, unique (tree, position));
alter table ledger_kept enable row level security, force row level security;

-- Entries that the sealer cannot read and goes on behind. The entry stays where it is, and an alarm says so.
create table ledger_quarantine (
  id bigint primary key,
  at timestamptz not null default clock_timestamp(),
  why text not null check (octet_length(why) <= 1024)
);

-- ── Trees, heads and state ──────────────────────────────────────────────────────────────────

-- A tree is named by the customer's id; by zeros for what belongs to no customer; by f's for the log of heads.
create table ledger_tree (
  tree uuid primary key,
  size bigint not null check (size >= 0),
  -- The roots of the complete subtrees, largest first.
  frontier bytea not null,
  -- The head in which it grew last.
  head bigint
);
-- Each head commits to all trees by the root of a blinded map.
create table ledger_head (
  position bigint primary key,
  at timestamptz not null,
  -- The number of the last entry sealed so far.
  number bigint not null,
  -- Lines: tree, size, root in base64.
  trees text not null,
  -- Blinds the map of all trees, for the heads of one epoch.
  secret bytea not null check (octet_length(secret) = 32),
  -- The root of that map: with the secret and the number the text of the head can be written again.
  map_root bytea not null check (octet_length(map_root) = 32),
  -- The position of the head that began the epoch. Its lines name all trees.
  epoch bigint not null check (epoch <= position)
);
create index ledger_head_epochs on ledger_head (position) where epoch = position;
-- Hashes of 256 leaves each: proofs need no more, and what went into an archive is still covered.
create table ledger_block (
  tree uuid not null,
  index bigint not null,
  hash bytea not null check (octet_length(hash) = 32),
  primary key (tree, index)
);

create table ledger_state (
  is_only boolean primary key default true check (is_only),
  era int not null default 1,
  -- The number of the last sealed entry.
  number bigint not null default 0,
  -- The newest signed note.
  checkpoint text,
  checkpoint_at timestamptz,
  -- Since when something was sealed that not every witness has. Null means that they have everything.
  unwitnessed_since timestamptz,
  -- How much of the log of heads every witness has.
  witnessed_size bigint not null default 0,
  witnessed_at timestamptz,
  -- Somebody wants an epoch to begin. The sealer takes it back when it has begun one.
  epoch_asked_at timestamptz,
  -- The newest signed note that every required witness has: what a customer is shown ends there.
  witnessed_checkpoint text
);
insert into ledger_state default values;

-- Nothing is served while one of these stands: the database is behind what was witnessed, differs from it, or its clock
-- jumped.
create table ledger_freeze (
  id uuid primary key,
  at timestamptz not null default clock_timestamp(),
  why text not null check (why in ('behind', 'diverged', 'clock')),
  text text not null,
  facts jsonb not null,
  released_at timestamptz,
  -- The era that began with the release, and the change by which two operators wanted it.
  era int,
  change_id uuid references change,
  check ((released_at is null) = (change_id is null))
);

-- Verifier keys (C2SP signed note) of the checkpoints, so that any of them can be verified later.
create table ledger_key (
  id text primary key,
  verifier_key text not null unique,
  created_at timestamptz not null default clock_timestamp()
);

-- How far each receiver of the live record is.
create table ledger_forward (
  name text primary key,
  -- Everything up to this entry was received: from here it goes on after a break.
  number bigint not null check (number >= 0),
  -- Everything up to this entry was sent; what lies between is sent again after a break.
  sent bigint not null check (sent >= number),
  -- How old the oldest entry was that the receiver does not have, in milliseconds, when that was looked at last.
  behind_ms bigint not null default 0,
  looked_at timestamptz not null default clock_timestamp(),
  -- Why it does not go on. Null means that it does.
  error text,
  error_at timestamptz
);

-- ── Archives and verdicts ───────────────────────────────────────────────────────────────────

-- Months that left the database: one file each, whose hash stands here and in the record.
create table ledger_archive (
  month date primary key check (extract(day from month) = 1),
  file text not null,
  sha256 bytea not null check (octet_length(sha256) = 32),
  entries bigint not null,
  archived_at timestamptz not null default clock_timestamp(),
  deleted_at timestamptz,
  deletion_stated_at timestamptz
);

-- What of each tree the file of a month holds, and when that was said in the tree.
create table ledger_archive_range (
  month date not null references ledger_archive,
  tree uuid not null,
  first bigint not null,
  last bigint not null check (last >= first),
  entries bigint not null check (entries between 1 and last - first + 1),
  stated_at timestamptz,
  primary key (month, tree)
);

-- Months that are due, and why they have not left yet. For operators; nothing is decided by it.
create table ledger_archiving (
  month date primary key,
  due_since timestamptz not null,
  step text not null check (octet_length(step) <= 40),
  -- Null means that it goes on by itself.
  why text check (octet_length(why) <= 1000),
  looked_at timestamptz not null default clock_timestamp(),
  failed_at timestamptz
);

-- Leaf hashes of archived entries whose block of 256 is not wholly in that month: with them and the blocks the trees can be computed without the archive.
create table ledger_leaf (
  tree uuid not null,
  position bigint not null,
  leaf bytea not null check (octet_length(leaf) = 32),
  primary key (tree, position)
);

-- What the standing verification says. It runs elsewhere, as a role that only reads, and says it by `ledger_report_verdict` alone; the warden puts it on the
-- record.
create table ledger_verdict (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  host text not null check (octet_length(host) <= 64),
  verdict text not null check (verdict in ('good', 'bad', 'incomplete', 'failed')),
  heads bigint not null,
  entries bigint not null,
  findings bigint not null,
  text text not null check (octet_length(text) <= 1000),
  recorded_at timestamptz,
  -- Whether the run read all of the record (`full`), or what was sealed since an earlier run (`since`).
  run text not null check (run in ('full', 'since')),
  -- The good run from which it went on: its last head and entry, and when it began, by the clock of the verifier's host; and the last full run.
  since_head bigint,
  since_entry bigint,
  since_at timestamptz,
  full_at timestamptz,
  constraint ledger_verdict_since check (
    (run = 'since') = (since_head is not null) and (run = 'since') = (since_entry is not null) and (run = 'since') = (since_at is not null) and (run = 'since') = (full_at is not null))
);
