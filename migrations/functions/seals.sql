-- Seals: a row that decides what a session may do carries a MAC of the warden, which every write breaks (decision 16).

-- Promises: a seal names a change only when that change was applied.
create or replace function seal_guard() returns trigger language plpgsql as $$
begin
  if new.change_id is not null and not exists (select 1 from change c where c.id = new.change_id and c.state = 'applied') then
    raise exception 'a row names a change that was not applied' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger seal_guard before insert or update on seal for each row execute function seal_guard();

-- Promises: whoever writes one of these columns breaks the seal of the row. Only the transaction that knows the word (`cofferdam.sealing`) can mend it. The
-- change that once made the row stays named.
create or replace function break_seal() returns trigger language plpgsql as $$
declare fresh jsonb := to_jsonb(new); named text;
begin
  named := case tg_argv[0] when 'rights' then fresh ->> 'account_id' when 'second-factor' then fresh ->> 'account_id'
    when 'operator-key' then fresh ->> 'fingerprint' else fresh ->> 'id' end;
  insert into seal (kind, row_id, touched_by) values (tg_argv[0], named, nullif(current_setting('cofferdam.sealing', true), ''))
    on conflict (kind, row_id) do update set mac = null, sealed_by = null, touched_by = excluded.touched_by;
  return null;
end $$;
create or replace trigger break_seal after insert or update of name, allowed_proofs, is_self_test, former_names on customer for each row execute function break_seal('customer');
create or replace trigger break_seal after insert or update of customer_id, name, kind, plane, read_only, source_networks, expires_at, manages, is_self_test, starts_in on account
  for each row execute function break_seal('account');
create or replace trigger break_seal after insert or update of account_id, type, algorithm, public_key, password_hash, fingerprint, issued_by, valid_from, issued_until,
  read_only, source_networks on credential
  for each row execute function break_seal('credential');
create or replace trigger break_seal after insert or update of account_id, sealed_seed, sealed_by on second_factor for each row execute function break_seal('second-factor');
create or replace trigger break_seal after insert or update of account_id, ticket_hash, expires_at, used_at, failed_trials on mfa_ticket
  for each row execute function break_seal('ticket');
create or replace trigger break_seal after insert or update of account_id, customer_id, folder_id, verbs on folder_right for each row execute function break_seal('rights');
create or replace trigger break_seal after insert or update of customer_id, name, direction, publish_rule, marker, settle_ms, read_back, replace_allowed, directories_allowed,
  window_days, reads_max, retention_days on folder
  for each row execute function break_seal('folder');
create or replace trigger break_seal after insert or update of rank, direction, credential_id, account_id, customer_id, plane, cap_hour_bytes, cap_day_bytes, cap_week_bytes,
  cap_hour_items, cap_day_items, cap_week_items, rate, sessions_max, ceiling_percent, is_share, headroom_percent, consequence on budget
  for each row execute function break_seal('budget');
create or replace trigger break_seal after insert or update of account_id, opens_at, closes_at on activation_window for each row execute function break_seal('window');
create or replace trigger break_seal after insert or update of account_id, name, days, opens, closes, zone, valid_from, valid_until on standing_window
  for each row execute function break_seal('standing-window');
create or replace trigger break_seal after insert or update of name, role, state on operator for each row execute function break_seal('operator');
create or replace trigger break_seal after insert or update of fingerprint, operator_id, public_key, ended_at on operator_key
  for each row execute function break_seal('operator-key');
create or replace trigger break_seal after insert or update of operator_id, operations, hours, valid_until, opened_at, closes_at, ended_at on break_glass
  for each row execute function break_seal('break-glass');

-- Promises: a right that is taken away breaks the seal of the account's rights, too.
create or replace function break_seal_of_rights() returns trigger language plpgsql as $$
begin
  update seal set mac = null, sealed_by = null, touched_by = nullif(current_setting('cofferdam.sealing', true), '')
    where kind = 'rights' and row_id = old.account_id::text;
  return null;
end $$;
create or replace trigger break_seal_of_rights after delete on folder_right for each row execute function break_seal_of_rights();
