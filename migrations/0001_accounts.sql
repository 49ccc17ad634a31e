-- The baseline, 1 of 5: types, customers, accounts, credentials and how somebody logs in.
--
-- What stands here was applied and is never changed: the next change is the next numbered migration. A numbered migration names no function of ours.
-- Functions, triggers, views and the policies of row-level security stand in `functions/`, and are applied again when their text changes
-- (decision 45). `grants.sql` says which role may do what.
--
-- Row-level security is forced on every table that belongs to a customer. Until its policy is made (`functions/scope.sql`), such a table shows no row.
-- Bounds of instants (constraints that are named `…_finite`) are added to each table by `bound_instants` (`functions/instants.sql`).

-- ── Types ───────────────────────────────────────────────────────────────────────────────────────────────

create domain account_name as text check (value ~ '^[a-z0-9][a-z0-9._-]{0,63}$' and value !~ E'\n');
-- A cap of a budget, in bytes or items: at most 2^50.
create domain cap as bigint check (value between 0 and 1125899906842624);

-- ── Customers and accounts ──────────────────────────────────────────────────────────────────────────────

create table customer (
  id uuid primary key,
  name account_name not null unique,
  state text not null default 'active' check (state in ('active', 'suspended')),
  created_at timestamptz not null default clock_timestamp(),
  -- Made by a node for its self-test, and for nothing else.
  is_self_test boolean not null default false,
  -- Rows of the authentication policy that may open a session of this customer. Null means all rows that the policy has for the kind of the account. It only
  -- ever makes the policy stricter.
  allowed_proofs text[] check (cardinality(allowed_proofs) >= 1),
  -- The names that it had before, oldest first. Receipts, entries and letters of that time state them, so no other customer is given one of them.
  former_names text[] not null default '{}' check (cardinality(former_names) <= 20),
  check (name <> all (former_names))
);
alter table customer enable row level security, force row level security;

-- Keys of a customer, wrapped by the master key that `wrapped_by` names. The newest one wraps the keys of new contents; older ones unwrap older contents.
create table customer_key (
  id uuid primary key,
  customer_id uuid not null references customer,
  wrapped bytea not null,
  wrapped_by text not null,
  created_at timestamptz not null default clock_timestamp()
);
create index on customer_key (customer_id, created_at desc);
alter table customer_key enable row level security, force row level security;

create table account (
  id uuid primary key,
  customer_id uuid references customer,
  name account_name not null unique,
  kind text not null check (kind in ('person', 'machine')),
  plane text not null check (plane in ('partner', 'internal')),
  state text not null default 'active' check (state in ('active', 'suspended')),
  read_only boolean not null default false,
  source_networks cidr[] not null default '{}',
  expires_at timestamptz,
  contact text check (length(contact) <= 200),
  is_demo boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  is_self_test boolean not null default false,
  -- This person may open windows of the customer's machine accounts and manage their keys.
  manages boolean not null default false,
  check ((plane = 'partner') = (customer_id is not null)),
  check (not manages or kind = 'person')
);
alter table account enable row level security, force row level security;

-- ── Credentials and second factors ──────────────────────────────────────────────────────────────────────

create table credential (
  id uuid primary key,
  account_id uuid not null references account,
  type text not null check (type in ('public-key', 'password')),
  algorithm text not null,
  public_key bytea,
  -- The credential's name: the fingerprint of a key, or `password:` and eight characters.
  fingerprint text not null,
  state text not null default 'active' check (state in ('active', 'retiring', 'suspended', 'revoked')),
  issued_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  first_used_at timestamptz,
  last_used_at timestamptz,
  -- Argon2id over the SHA-256 (hexadecimal) of the password, as a PHC string.
  password_hash text,
  valid_from timestamptz not null default clock_timestamp(),
  read_only boolean not null default false,
  source_networks cidr[] not null default '{}',
  first_used_from inet,
  last_used_from inet,
  -- When an operator made it usable again after it had lain dormant.
  woken_at timestamptz,
  warned_at timestamptz,
  ended_at timestamptz,
  ended_by text,
  ended_why text,
  -- The key that replaces this one.
  successor_id uuid references credential,
  -- The end that it was given first. `expires_at` may come nearer and never goes beyond it.
  issued_until timestamptz not null,
  -- When somebody proved to have this key: by a signature over the request for it, or by its first use. A key that nobody proved takes nobody's name away:
  -- whoever proves to have it gets it, and the other one ends for good.
  proved_at timestamptz,
  check ((type = 'public-key') = (public_key is not null)),
  check ((type = 'password') = (password_hash is not null)),
  check (type <> 'password' or fingerprint ~ '^password:[a-z2-7]{8}$'),
  check (expires_at <= issued_until),
  constraint first_use_is_a_proof check (first_used_at is null or proved_at is not null)
);
create index on credential (account_id);
create index on credential (expires_at) where state in ('active', 'retiring');
create index on credential (successor_id) where successor_id is not null;
create unique index credential_fingerprint on credential (fingerprint) where type = 'password' or proved_at is not null or state <> 'revoked';
-- Revoked credentials that nobody proved may share a fingerprint; the unique index does not contain them.
create index credential_by_fingerprint on credential (fingerprint);

-- One row an account, for ever. When the factor is taken away the row is emptied, so its seal goes on counting and the seed of a lost telephone stays lost.
create table second_factor (
  account_id uuid primary key references account,
  sealed_seed bytea,
  sealed_by text,
  enrolled_at timestamptz default clock_timestamp(),
  constraint second_factor_is_whole check ((sealed_seed is null) = (sealed_by is null) and (sealed_seed is null) = (enrolled_at is null))
);
-- A code is good once, on whichever node it arrives (T-12).
create table totp_step (
  account_id uuid not null references account,
  step bigint not null,
  used_at timestamptz not null default clock_timestamp(),
  primary key (account_id, step)
);
-- A ticket lets its holder enrol one second factor.
create table mfa_ticket (
  id uuid primary key,
  account_id uuid not null references account,
  -- Empty once the ticket has ended: then there is nothing that could be shown, whatever a clock says (T-36).
  ticket_hash bytea,
  issued_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  used_at timestamptz,
  failed_trials int not null default 0
);
create index on mfa_ticket (account_id);

-- ── Windows: when a machine's key alone is good ─────────────────────────────────────────────────────────

create table activation_window (
  id uuid primary key,
  account_id uuid not null references account,
  opens_at timestamptz not null,
  closes_at timestamptz not null,
  opened_by text not null,
  reason text not null,
  closed_at timestamptz,
  check (closes_at > opens_at and closes_at <= opens_at + interval '24 hours')
);
create index on activation_window (account_id, closes_at);

-- A weekly schedule with an end. `opens` and `closes` are times of day in `zone`; a window whose end is not after its beginning goes over midnight.
create table standing_window (
  id uuid primary key,
  account_id uuid not null references account,
  name account_name not null,
  -- ISO days of the week, 1 = Monday.
  days int[] not null check (days <@ array[1, 2, 3, 4, 5, 6, 7] and cardinality(days) >= 1),
  opens time not null,
  closes time not null check (closes <> opens),
  zone text not null,
  valid_from timestamptz not null default clock_timestamp(),
  valid_until timestamptz not null,
  opened_by text not null,
  reason text not null,
  closed_at timestamptz,
  check (valid_until > valid_from and valid_until <= valid_from + interval '90 days')
);
create unique index on standing_window (account_id, name) where closed_at is null;

-- ── Guesses ─────────────────────────────────────────────────────────────────────────────────────────────

-- Sources from which an account has logged in. There its failures count apart from those of strangers.
create table known_source (
  account_id uuid not null references account,
  source inet not null,
  last_at timestamptz not null default clock_timestamp(),
  primary key (account_id, source)
);
-- Whether anybody logs in from a source is asked for each source from which logins come (T-19, T-35).
create index known_source_place on known_source (source, last_at);

-- Guesses (of passwords, codes and tickets) that failed: per source, per account, and per known pair of both.
create table login_penalty (
  subject text primary key,
  failures int not null default 0,
  blocked_until timestamptz not null default '-infinity',
  last_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
create index on login_penalty (last_at);

-- Failed logins with names that do not exist: one row a source and minute, until the row becomes one entry of the record.
create table stranger_login (
  minute timestamptz not null,
  node text not null,
  source inet not null,
  attempts int not null default 1,
  client text,
  primary key (minute, node, source)
);

-- Who still connects without a post-quantum key exchange.
create table key_exchange_use (
  account_id uuid primary key references account,
  with_mlkem bigint not null default 0,
  without_mlkem bigint not null default 0,
  last_without_at timestamptz,
  last_without_client text
);

-- ── Rotations ───────────────────────────────────────────────────────────────────────────────────────────

-- A change of keys for many accounts, with an overlap in which old and new keys are both good.
create table rotation (
  id uuid primary key,
  selection text not null,
  reason text not null,
  started_by text not null,
  started_at timestamptz not null default clock_timestamp(),
  overlap_ms bigint not null check (overlap_ms >= 0),
  -- When the old keys retire. Null means so long after the first use of the new key.
  deadline timestamptz,
  undone_at timestamptz,
  undone_by text
);
create table rotation_item (
  rotation_id uuid not null references rotation,
  -- The key that is to go.
  credential_id uuid not null references credential,
  successor_id uuid references credential,
  former_expires_at timestamptz not null,
  state text not null default 'planned' check (state in ('planned', 'open', 'retired', 'undone')),
  staged_at timestamptz,
  -- First use of the successor.
  moved_at timestamptz,
  retired_at timestamptz,
  primary key (rotation_id, credential_id)
);
create unique index on rotation_item (credential_id) where state in ('planned', 'open');
create index on rotation_item (successor_id) where successor_id is not null;
