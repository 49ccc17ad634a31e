-- Nobody widens access alone: what widens is a change, signed by the operator who proposes it and by another one who approves it. The
-- warden verifies both signatures when it applies a change, and again when it uses what the change made: rows that decide what a session
-- may do carry a seal that only the warden can make, and the seal names the change.

create table installation (
  id uuid primary key default gen_random_uuid(),
  created_at timestamptz not null default clock_timestamp(),
  -- When the warden sealed the rows that an older version had left; null: not yet.
  sealed_at timestamptz,
  only_one boolean not null default true unique check (only_one)
);
insert into installation default values;

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
alter table operator drop column key_fingerprint;
-- Operators of an older version were made without their public keys: they are made anew.
update operator set state = 'suspended';

-- Prepared by two, used by one, reviewed by another one.
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
  -- Two persons and two keys; or a glass that two had prepared.
  check (state <> 'applied' or break_glass_id is not null or (decided_by is not null and approval is not null and approver_signature is not null
    and approver_key is not null and decided_by <> proposer_id and approver_key <> proposer_key))
);
create index on change (proposed_at);

create function change_guard() returns trigger language plpgsql as $$
begin
  if old.state <> 'proposed' or new.state = 'proposed' then
    raise exception 'a change is decided once' using errcode = 'check_violation';
  end if;
  if (new.id, new.document, new.hash, new.operation, new.proposer_id, new.proposer_key, new.proposer_signature, new.proposed_at, new.expires_at)
      is distinct from (old.id, old.document, old.hash, old.operation, old.proposer_id, old.proposer_key, old.proposer_signature, old.proposed_at, old.expires_at) then
    raise exception 'what was proposed is not rewritten' using errcode = 'check_violation';
  end if;
  if new.state = 'applied' and clock_timestamp() > old.expires_at then
    raise exception 'the change has expired' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger change_guard before update on change for each row execute function change_guard();

create function never_deleted() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are kept', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger never_deleted before delete or truncate on change for each statement execute function never_deleted();
create trigger never_deleted before delete or truncate on operator_key for each statement execute function never_deleted();
create trigger never_deleted before delete or truncate on break_glass for each statement execute function never_deleted();

-- Who a key belongs to never changes, and a key that ended does not come back.
create function operator_key_guard() returns trigger language plpgsql as $$
begin
  if (new.fingerprint, new.operator_id, new.public_key, new.created_at) is distinct from (old.fingerprint, old.operator_id, old.public_key, old.created_at)
     or (old.ended_at is not null and new.ended_at is distinct from old.ended_at) then
    raise exception 'the key of an operator is not rewritten' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger operator_key_guard before update on operator_key for each row execute function operator_key_guard();

-- A credential never lives longer than it was given; narrower is free.
alter table credential add column issued_until timestamptz;
update credential set issued_until = expires_at;
alter table credential alter column issued_until set not null;
create function credential_issued() returns trigger language plpgsql as $$
begin
  new.issued_until := new.expires_at;
  return new;
end $$;
create trigger credential_issued before insert on credential for each row execute function credential_issued();
alter table credential add check (expires_at <= issued_until);

-- HMAC-SHA-256 by a key of the warden over what the row says and the change that made it. Null: written, not sealed yet.
create table seal (
  kind text not null,
  row_id text not null,
  mac bytea check (octet_length(mac) = 32),
  sealed_by text,
  change_id uuid references change,
  -- The secret word of the transaction that wrote the row last.
  touched_by text,
  primary key (kind, row_id)
);
create index on seal (touched_by) where touched_by is not null;

-- A seal names a change only when that change was applied.
create function seal_guard() returns trigger language plpgsql as $$
begin
  if new.change_id is not null and not exists (select 1 from change c where c.id = new.change_id and c.state = 'applied') then
    raise exception 'a row names a change that was not applied' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger seal_guard before insert or update on seal for each row execute function seal_guard();

-- Breaks the seal of a written row. Only the transaction that knows the word can mend it. The change that once made the row stays named.
create function break_seal() returns trigger language plpgsql as $$
declare fresh jsonb := to_jsonb(new); named text;
begin
  named := case tg_argv[0] when 'rights' then fresh ->> 'account_id' when 'operator-key' then fresh ->> 'fingerprint' else fresh ->> 'id' end;
  insert into seal (kind, row_id, touched_by) values (tg_argv[0], named, nullif(current_setting('cofferdam.sealing', true), ''))
    on conflict (kind, row_id) do update set mac = null, sealed_by = null, touched_by = excluded.touched_by;
  return null;
end $$;
create function break_seal_of_rights() returns trigger language plpgsql as $$
begin
  update seal set mac = null, sealed_by = null, touched_by = nullif(current_setting('cofferdam.sealing', true), '')
    where kind = 'rights' and row_id = old.account_id::text;
  return null;
end $$;

create trigger break_seal after insert or update of name, allowed_proofs, is_self_test on customer for each row execute function break_seal('customer');
create trigger break_seal after insert or update of customer_id, name, kind, plane, read_only, source_networks, expires_at, manages, is_self_test on account
  for each row execute function break_seal('account');
create trigger break_seal after insert or update of account_id, type, algorithm, public_key, password_hash, fingerprint, issued_by, valid_from, issued_until, read_only, source_networks on credential
  for each row execute function break_seal('credential');
create trigger break_seal after insert or update of account_id, customer_id, folder_id, verbs on folder_right for each row execute function break_seal('rights');
create trigger break_seal_of_rights after delete on folder_right for each row execute function break_seal_of_rights();
create trigger break_seal after insert or update of customer_id, name, direction, publish_rule, settle_ms, read_back, replace_allowed, directories_allowed, window_days, reads_max, retention_days on folder
  for each row execute function break_seal('folder');
create trigger break_seal after insert or update of rank, direction, credential_id, account_id, customer_id, plane, cap_hour_bytes, cap_day_bytes, cap_week_bytes,
  cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, ceiling_percent, is_share, headroom_percent, consequence on budget
  for each row execute function break_seal('budget');
create trigger break_seal after insert or update of account_id, opens_at, closes_at on activation_window for each row execute function break_seal('window');
create trigger break_seal after insert or update of account_id, name, days, opens, closes, zone, valid_from, valid_until on standing_window
  for each row execute function break_seal('standing-window');
create trigger break_seal after insert or update of account_id, ticket_hash on mfa_ticket for each row execute function break_seal('ticket');
create trigger break_seal after insert or update of name, role, state on operator for each row execute function break_seal('operator');
create trigger break_seal after insert or update of fingerprint, operator_id, public_key, ended_at on operator_key for each row execute function break_seal('operator-key');
create trigger break_seal after insert or update of operator_id, operations, hours, valid_until, opened_at, closes_at, ended_at on break_glass
  for each row execute function break_seal('break-glass');

-- What an older version left has no seal; the warden makes it once.
insert into seal (kind, row_id)
  select 'customer', id::text from customer union all select 'account', id::text from account union all select 'credential', id::text from credential
  union all select distinct 'rights', account_id::text from folder_right union all select 'folder', id::text from folder union all select 'budget', id::text from budget
  union all select 'window', id::text from activation_window union all select 'standing-window', id::text from standing_window
  union all select 'ticket', id::text from mfa_ticket union all select 'operator', id::text from operator;

-- The admin process writes its own words into the record, never the warden's.
create function ledger_admin_guard() returns trigger language plpgsql as $$
begin
  if current_user = 'cofferdam_admin' and (new.observer <> 'admin' or new.kind not in ('operator.asked', 'operator.answered')) then
    raise exception 'this is not for the admin role to record' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger ledger_admin_guard before insert on ledger for each row execute function ledger_admin_guard();
