-- The catalogue, its rights, its budgets and its record. Forward only.
-- Row-level security is forced on every table that belongs to a customer: the setting `cofferdam.customers` holds the ids in scope,
-- comma-separated, or `*` for the few system-wide passes (login, sweeps). Unset = nothing is visible.

create function in_scope(customer uuid) returns boolean language sql stable parallel safe as $$
  select case coalesce(current_setting('cofferdam.customers', true), '')
    when '*' then true
    when '' then false
    else customer = any (string_to_array(current_setting('cofferdam.customers', true), ',')::uuid[])
  end
$$;

create domain account_name as text check (value ~ '^[a-z0-9][a-z0-9._-]{0,63}$' and value !~ E'\n');

create table customer (
  id uuid primary key,
  name account_name not null unique,
  state text not null default 'active' check (state in ('active', 'suspended')),
  created_at timestamptz not null default clock_timestamp()
);

-- Wrapped by the master key named in wrapped_by. The newest is used for new files; old ones unwrap old files.
create table customer_key (
  id uuid primary key,
  customer_id uuid not null references customer,
  wrapped bytea not null,
  wrapped_by text not null,
  created_at timestamptz not null default clock_timestamp()
);
create index on customer_key (customer_id, created_at desc);

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
  check ((plane = 'partner') = (customer_id is not null))
);

create table credential (
  id uuid primary key,
  account_id uuid not null references account,
  type text not null check (type in ('public-key')),
  algorithm text not null,
  public_key bytea not null,
  fingerprint text not null unique,
  state text not null default 'active' check (state in ('active', 'retiring', 'revoked')),
  issued_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  first_used_at timestamptz,
  last_used_at timestamptz
);
create index on credential (account_id);

create table second_factor (
  account_id uuid primary key references account,
  sealed_seed bytea not null,
  sealed_by text not null,
  enrolled_at timestamptz not null default clock_timestamp()
);
-- A code is good once, on whichever node it arrives (T-12).
create table totp_step (
  account_id uuid not null references account,
  step bigint not null,
  used_at timestamptz not null default clock_timestamp(),
  primary key (account_id, step)
);
create table mfa_ticket (
  id uuid primary key,
  account_id uuid not null references account,
  ticket_hash bytea not null,
  issued_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  used_at timestamptz,
  failed_trials int not null default 0
);
create index on mfa_ticket (account_id);

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

create table folder (
  id uuid primary key,
  customer_id uuid not null references customer,
  name text collate "C" not null check (octet_length(name) between 1 and 255),
  direction text not null check (direction in ('deposit', 'collect')),
  publish_rule text not null default 'on-close' check (publish_rule in ('on-close', 'on-rename', 'on-marker')),
  settle_ms int not null default 30000 check (settle_ms between 0 and 86400000),
  -- Deposits are drop boxes unless the folder says so.
  read_back boolean not null default false,
  -- A new version may be put onto a published name.
  replace_allowed boolean not null default false,
  directories_allowed boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  unique (customer_id, name),
  unique (customer_id, id)
);

create table folder_right (
  account_id uuid not null references account,
  customer_id uuid not null,
  folder_id uuid not null,
  verbs text[] not null check (verbs <@ array['list', 'read', 'write', 'remove']),
  primary key (account_id, folder_id),
  foreign key (customer_id, folder_id) references folder (customer_id, id)
);

create table directory (
  id uuid primary key,
  customer_id uuid not null,
  folder_id uuid not null,
  parent_id uuid references directory,
  name text collate "C" not null check (octet_length(name) between 1 and 255),
  modified_at timestamptz not null default clock_timestamp(),
  created_at timestamptz not null default clock_timestamp(),
  -- A removed directory keeps the history of what was in it; its name is free again.
  removed_at timestamptz,
  foreign key (customer_id, folder_id) references folder (customer_id, id)
);
create unique index on directory (folder_id, parent_id, name) nulls not distinct where removed_at is null;

-- One name in one directory. Its content is the newest version that the reader may see.
create table file (
  id uuid primary key,
  customer_id uuid not null,
  folder_id uuid not null,
  directory_id uuid references directory,
  name text collate "C" not null check (octet_length(name) between 1 and 255),
  created_at timestamptz not null default clock_timestamp(),
  foreign key (customer_id, folder_id) references folder (customer_id, id),
  unique nulls not distinct (folder_id, directory_id, name)
);

-- The bytes of one upload life. Versions that continue one another share it.
create table content (
  id uuid primary key,
  customer_id uuid not null references customer,
  customer_key_id uuid not null references customer_key,
  -- File key wrapped by the customer key.
  wrapped_key bytea not null,
  created_at timestamptz not null default clock_timestamp()
);

create table extent (
  content_id uuid not null references content,
  index int not null check (index >= 0),
  customer_id uuid not null,
  object_id text not null unique check (object_id ~ '^[0-9a-f]{32}$'),
  -- Plaintext offset and length.
  start bigint not null check (start >= 0),
  bytes int not null check (bytes between 1 and 16777216),
  sealed_bytes int not null check (sealed_bytes between 1 and 16777216),
  -- SHA-256 over the ciphertext, computed by the warden while it sealed.
  digest bytea not null check (octet_length(digest) = 32),
  inline bytea,
  node text not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (content_id, index),
  unique (content_id, start)
);

-- Extents whose key was handed out for writing and that were not sealed yet.
create table pending_extent (
  object_id text primary key check (object_id ~ '^[0-9a-f]{32}$'),
  customer_id uuid not null,
  content_id uuid not null references content,
  index int not null,
  upload_id uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  unique (upload_id, index)
);

create table version (
  id uuid primary key,
  customer_id uuid not null,
  file_id uuid not null references file,
  number int not null check (number >= 1),
  content_id uuid not null references content,
  -- partial: being uploaded or interrupted. held: complete, waits for a rename or a marker. settling: complete, published at publish_at.
  -- discarded: given up before publication.
  state text not null check (state in ('partial', 'held', 'settling', 'published', 'withdrawn', 'discarded')),
  extent_count int not null default 0,
  size bigint not null default 0 check (size >= 0),
  sha256 bytea check (octet_length(sha256) = 32),
  modified_at timestamptz not null default clock_timestamp(),
  account_id uuid not null references account,
  session_id uuid not null,
  node text not null,
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,
  publish_at timestamptz,
  published_at timestamptz,
  first_read_at timestamptz,
  -- The upload that may write to it now; null when nobody holds it open.
  upload_id uuid unique,
  -- The upload that closed it: a repeated close gets the same answer.
  closed_by_upload uuid unique,
  receipt text,
  unique (file_id, number),
  check (state in ('partial', 'discarded') or (sha256 is not null and closed_at is not null)),
  check (state <> 'published' or published_at is not null),
  check (state <> 'settling' or publish_at is not null)
);
create index on version (customer_id, sha256);
create index on version (publish_at) where state = 'settling';
create index on version (opened_at) where state = 'partial';
create index on version (content_id);

-- A published version never goes back, a closed one never changes its bytes.
create function version_guard() returns trigger language plpgsql as $$
begin
  if old.state = 'published' and new.state not in ('published', 'withdrawn') then
    raise exception 'a published version cannot become %', new.state using errcode = 'check_violation';
  end if;
  if old.state in ('withdrawn', 'discarded') and new.state <> old.state then
    raise exception 'a % version is final', old.state using errcode = 'check_violation';
  end if;
  if old.state in ('held', 'settling', 'published', 'withdrawn')
     and (new.size, new.sha256, new.extent_count, new.content_id) is distinct from (old.size, old.sha256, old.extent_count, old.content_id) then
    raise exception 'a closed version cannot change its content' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger version_guard before update on version for each row execute function version_guard();

create table node (
  name text primary key,
  plane text not null check (plane in ('partner', 'internal')),
  start_id uuid,
  last_seen_at timestamptz
);

create table session (
  id uuid primary key,
  token_hash bytea not null unique,
  account_id uuid not null references account,
  credential_id uuid not null references credential,
  node text not null references node,
  start_id uuid not null,
  source_address inet,
  source_port int,
  client_identification text,
  state text not null default 'open' check (state in ('open', 'ended')),
  started_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  idle_ms int not null,
  last_seen_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  end_reason text,
  -- The edge's word.
  bytes_in bigint,
  bytes_out bigint
);
create index on session (account_id) where state = 'open';
create index on session (node) where state = 'open';
-- Counts every event that ends sessions or withdraws rights; edges carry the newest they have seen in their lease.
create sequence revocation_epoch;
alter table session add column ended_epoch bigint;
create index on session (node, ended_epoch);

-- One open read handle. An extent is granted to it; a complete one counts as a read of the version.
create table download (
  id uuid primary key,
  customer_id uuid not null references customer,
  session_id uuid not null references session,
  version_id uuid not null references version,
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,
  -- The edge's word.
  sent_bytes bigint
);
create index on download (session_id) where closed_at is null;

-- Scope rank is the lock order: credential 1 < account x customer 2 < customer 3 < plane 4 < gateway 5, then id.
create table budget (
  id bigint generated always as identity primary key,
  rank smallint not null check (rank between 1 and 5),
  account_id uuid references account,
  customer_id uuid references customer,
  -- Grows for ever. Use in a window = total minus the total at the window's start.
  total bigint not null default 0 check (total >= 0),
  minute int not null default 0,
  base_hour bigint not null default 0,
  base_day bigint not null default 0,
  base_week bigint not null default 0,
  cap_hour bigint not null check (cap_hour >= 0),
  cap_day bigint not null check (cap_day >= 0),
  cap_week bigint not null check (cap_week >= 0),
  unique nulls not distinct (rank, account_id, customer_id)
) with (fillfactor = 20);
create table budget_snapshot (
  budget_id bigint not null references budget,
  minute int not null,
  total bigint not null,
  primary key (budget_id, minute)
);

-- What a credential was charged for: the same extent again within 24 h is recorded but not charged.
create table charged_extent (
  credential_id uuid not null references credential,
  content_id uuid not null,
  index int not null,
  charged_at timestamptz not null,
  primary key (credential_id, content_id, index)
);

-- The record. Insert only; each field is classified public or sensitive, and says who observed it.
create table ledger (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  customer_id uuid references customer,
  account_id uuid,
  session_id uuid,
  node text,
  observer text not null check (observer in ('warden', 'edge', 'admin')),
  public jsonb not null default '{}',
  sensitive jsonb not null default '{}'
);
create index on ledger (customer_id, at);
create index on ledger (session_id);
create function ledger_is_insert_only() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is insert only' using errcode = 'insufficient_privilege';
end $$;
create trigger ledger_is_insert_only before update or delete or truncate on ledger for each statement execute function ledger_is_insert_only();

-- Objects whose rows are gone or never came: deleted by the collector, retried until it succeeds.
create table doomed_object (
  object_id text primary key check (object_id ~ '^[0-9a-f]{32}$'),
  since timestamptz not null default clock_timestamp()
);

-- Public halves of the receipt keys, so that any receipt can be verified later.
create table receipt_key (
  id text primary key,
  public_pem text not null,
  created_at timestamptz not null default clock_timestamp()
);

create table operator (
  id uuid primary key,
  name account_name not null unique,
  -- SHA-256 of the client certificate's public key (SPKI), hexadecimal.
  key_fingerprint text not null unique check (key_fingerprint ~ '^[0-9a-f]{64}$'),
  role text not null check (role in ('viewer', 'operator', 'security-officer', 'auditor')),
  state text not null default 'active' check (state in ('active', 'suspended')),
  created_at timestamptz not null default clock_timestamp()
);

-- What an operator asked for. The admin process inserts, the warden decides, executes and answers.
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
  finished_at timestamptz
);
create index on command (created_at) where state = 'new';
create function command_notify() returns trigger language plpgsql as $$
begin
  perform pg_notify(case when new.state = 'new' then 'cofferdam_command' else 'cofferdam_answer' end, new.id::text);
  return null;
end $$;
create trigger command_notify after insert or update of state on command for each row execute function command_notify();
-- A command carries its answer once, and what was asked never changes.
create function command_guard() returns trigger language plpgsql as $$
begin
  if old.state <> 'new' or (new.id, new.operator_id, new.operation, new.params, new.created_at) is distinct from (old.id, old.operator_id, old.operation, old.params, old.created_at) then
    raise exception 'a command cannot be rewritten' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger command_guard before update on command for each row execute function command_guard();

do $$
declare t text;
begin
  foreach t in array array['customer_key', 'folder', 'folder_right', 'directory', 'file', 'content', 'extent', 'pending_extent', 'version', 'download'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy scope on %I using (in_scope(customer_id)) with check (in_scope(customer_id))', t);
  end loop;
  execute 'alter table customer enable row level security';
  execute 'alter table customer force row level security';
  execute 'create policy scope on customer using (in_scope(id)) with check (in_scope(id))';
  foreach t in array array['account', 'budget', 'ledger'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy scope on %I using (customer_id is null or in_scope(customer_id)) with check (customer_id is null or in_scope(customer_id))', t);
  end loop;
end $$;
