-- The baseline, 4 of 5: operators, what they sign, and what they ask.

-- Nobody widens access alone: what widens is a change, signed by the operator who proposes it and by another one who approves it. The warden verifies both
-- signatures when it applies a change, and again when it uses what the change made: rows that decide what a session may do carry a seal that only the warden
-- can make, and the seal names the change (decision 16).

create table installation (
  id uuid primary key default gen_random_uuid(),
  created_at timestamptz not null default clock_timestamp(),
  only_one boolean not null default true unique check (only_one)
);
insert into installation default values;

create table operator (
  id uuid primary key,
  name account_name not null unique,
  role text not null check (role in ('viewer', 'operator', 'security-officer', 'auditor')),
  state text not null default 'active' check (state in ('active', 'suspended')),
  created_at timestamptz not null default clock_timestamp()
);

-- Keys that operators sign with and show to the admin process. Never deleted: an old signature stays verifiable.
create table operator_key (
  -- SHA-256 of the public key (SPKI, DER), hexadecimal.
  fingerprint text primary key check (fingerprint ~ '^[0-9a-f]{64}$'),
  operator_id uuid not null references operator,
  public_key bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
create index on operator_key (operator_id);

-- An emergency: prepared by two operators, used by one, reviewed by another one.
create table break_glass (
  id uuid primary key,
  operator_id uuid not null references operator,
  operations text[] not null check (cardinality(operations) >= 1),
  hours int not null check (hours between 1 and 24),
  reason text not null,
  created_at timestamptz not null default clock_timestamp(),
  valid_until timestamptz not null check (valid_until <= created_at + interval '90 days'),
  opened_at timestamptz,
  closes_at timestamptz,
  ended_at timestamptz,
  reviewed_at timestamptz,
  finding text,
  check ((opened_at is null) = (closes_at is null))
);

create table change (
  id uuid primary key,
  -- Canonical JSON (RFC 8785), exactly what was signed and shown.
  document text not null check (octet_length(document) <= 120000),
  hash bytea not null unique check (octet_length(hash) = 32),
  operation text not null,
  proposer_id uuid not null references operator,
  proposer_key text not null references operator_key,
  proposer_signature bytea not null,
  proposed_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  state text not null default 'proposed' check (state in ('proposed', 'applied', 'rejected')),
  decided_at timestamptz,
  decided_by uuid references operator,
  -- The approval as it was signed.
  approval text,
  approver_key text references operator_key,
  approver_signature bytea,
  break_glass_id uuid references break_glass,
  reason text,
  check (expires_at <= proposed_at + interval '24 hours'),
  check ((state = 'proposed') = (decided_at is null)),
  -- Two persons and two keys; or an emergency that two had prepared.
  check (state <> 'applied' or break_glass_id is not null or (decided_by is not null and approval is not null and approver_signature is not null
    and approver_key is not null and decided_by <> proposer_id and approver_key <> proposer_key))
);
create index on change (proposed_at);

create table seal (
  kind text not null,
  row_id text not null,
  -- HMAC-SHA-256 by a key of the warden over what the row says and the change that made it. Null means written and not sealed yet.
  mac bytea check (octet_length(mac) = 32),
  sealed_by text,
  change_id uuid references change,
  -- The secret word of the transaction that wrote the row last.
  touched_by text,
  -- Who made the row, where no change of two operators did.
  maker text,
  -- How often the row was sealed: an earlier state of a row carries an earlier generation.
  generation bigint not null default 0,
  primary key (kind, row_id)
);
create index on seal (touched_by) where touched_by is not null;

-- What an operator asked for. The admin process inserts; the warden decides, executes and answers.
create table command (
  id uuid primary key,
  operator_id uuid not null references operator,
  operation text not null,
  params jsonb not null,
  state text not null default 'new' check (state in ('new', 'done', 'failed')),
  result jsonb,
  error_code text,
  error_text text,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  -- The warden reads what the admin process asks whole. The largest honest command is the plan of a rotation with 100 keys, some 400 KB.
  constraint command_bounds check (octet_length(operation) <= 64 and octet_length(params::text) <= 1048576)
);
create index on command (created_at) where state = 'new';
create index command_waits on command (operator_id) where state = 'new';
create index command_times on command (created_at);
