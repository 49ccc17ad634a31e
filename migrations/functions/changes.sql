-- Changes of two operators, and the keys that they sign with (decision 16).

-- Promises: a change is decided once, before it expires, and what was proposed is not rewritten.
create or replace function change_guard() returns trigger language plpgsql as $$
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
create or replace trigger change_guard before update on change for each row execute function change_guard();

-- Promises: who a key belongs to never changes, and a key that ended does not come back.
create or replace function operator_key_guard() returns trigger language plpgsql as $$
begin
  if (new.fingerprint, new.operator_id, new.public_key, new.created_at) is distinct from (old.fingerprint, old.operator_id, old.public_key, old.created_at)
     or (old.ended_at is not null and new.ended_at is distinct from old.ended_at) then
    raise exception 'the key of an operator is not rewritten' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger operator_key_guard before update on operator_key for each row execute function operator_key_guard();

-- Promises: rows of these tables are kept for ever.
create or replace function never_deleted() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are kept', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create or replace trigger never_deleted before delete or truncate on change for each statement execute function never_deleted();
create or replace trigger never_deleted before delete or truncate on operator_key for each statement execute function never_deleted();
create or replace trigger never_deleted before delete or truncate on break_glass for each statement execute function never_deleted();
create or replace trigger never_deleted before delete or truncate on second_factor for each statement execute function never_deleted();
