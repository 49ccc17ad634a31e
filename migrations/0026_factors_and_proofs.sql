-- What decides a login carries a seal: the second factor, and how a ticket ends, too. What was taken away does not come back with the seal that it had (T-36).

-- One row an account, for ever: when the factor is taken away it is emptied. So its seal goes on counting, and the seed of a lost telephone stays lost.
alter table second_factor
  alter column sealed_seed drop not null,
  alter column sealed_by drop not null,
  alter column enrolled_at drop not null,
  add constraint second_factor_is_whole check ((sealed_seed is null) = (sealed_by is null) and (sealed_seed is null) = (enrolled_at is null));
create trigger never_deleted before delete or truncate on second_factor for each statement execute function never_deleted();

-- Breaks the seal of a written row. Only the transaction that knows the word can mend it. The change that once made the row stays named.
create or replace function break_seal() returns trigger language plpgsql as $$
declare fresh jsonb := to_jsonb(new); named text;
begin
  named := case tg_argv[0] when 'rights' then fresh ->> 'account_id' when 'second-factor' then fresh ->> 'account_id'
    when 'operator-key' then fresh ->> 'fingerprint' else fresh ->> 'id' end;
  insert into seal (kind, row_id, touched_by) values (tg_argv[0], named, nullif(current_setting('cofferdam.sealing', true), ''))
    on conflict (kind, row_id) do update set mac = null, sealed_by = null, touched_by = excluded.touched_by;
  return null;
end $$;
create trigger break_seal after insert or update of account_id, sealed_seed, sealed_by on second_factor for each row execute function break_seal('second-factor');
drop trigger break_seal on mfa_ticket;
create trigger break_seal after insert or update of account_id, ticket_hash, expires_at, used_at, failed_trials on mfa_ticket for each row execute function break_seal('ticket');

-- Whether somebody proved to have this key: by a signature over the wish for it, or by its first use. A key that nobody proved takes nobody's name
-- away: who proves to have it gets it, and the other ends for good.
alter table credential
  add column proved_at timestamptz,
  drop constraint credential_fingerprint_key;
create unique index credential_fingerprint on credential (fingerprint) where type = 'password' or proved_at is not null or state <> 'revoked';
create index credential_unproved on credential (fingerprint) where type = 'public-key' and proved_at is null;
