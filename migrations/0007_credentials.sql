-- The whole life of a credential: restrictions, passwords, ages, first and last use, rotation with overlap; who may manage whom over the console;
-- activation windows and standing ones; penalties of failed guesses, shared by all nodes.

-- Rows of the policy that may open a session of this customer; null = all that the policy has for the kind. Only ever stricter.
alter table customer add column allowed_proofs text[] check (cardinality(allowed_proofs) >= 1);
-- Persons who may open windows of their customer's machine accounts and manage their keys.
alter table account add column manages boolean not null default false, add check (not manages or kind = 'person');

alter table credential
  drop constraint credential_type_check,
  add constraint credential_type_check check (type in ('public-key', 'password')),
  alter column public_key drop not null,
  -- Argon2id over SHA-256 (hexadecimal) of the password, PHC string.
  add column password_hash text,
  add column valid_from timestamptz not null default clock_timestamp(),
  add column read_only boolean not null default false,
  add column source_networks cidr[] not null default '{}',
  add column first_used_from inet,
  add column last_used_from inet,
  -- Made usable again after it had lain dormant.
  add column woken_at timestamptz,
  add column warned_at timestamptz,
  add column ended_at timestamptz,
  add column ended_by text,
  add column ended_why text,
  -- The key that replaces it.
  add column successor_id uuid references credential,
  add check ((type = 'public-key') = (public_key is not null)),
  add check ((type = 'password') = (password_hash is not null)),
  add check (type <> 'password' or fingerprint ~ '^password:[a-z2-7]{8}$');
create index on credential (expires_at) where state in ('active', 'retiring');
create index on credential (successor_id) where successor_id is not null;

-- What a credential is never changes, and a revoked one never comes back (T-11).
create function credential_guard() returns trigger language plpgsql as $$
begin
  if old.state = 'revoked' and new.state <> 'revoked' then
    raise exception 'a revoked credential stays revoked' using errcode = 'check_violation';
  end if;
  if (new.account_id, new.type, new.algorithm, new.public_key, new.password_hash, new.fingerprint, new.issued_by, new.created_at)
      is distinct from (old.account_id, old.type, old.algorithm, old.public_key, old.password_hash, old.fingerprint, old.issued_by, old.created_at) then
    raise exception 'a credential is not rewritten' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger credential_guard before update on credential for each row execute function credential_guard();

-- A weekly schedule: a named exception with an end. Times of day in `zone`; closes <= opens: over midnight.
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

-- When the standing window that is open now closes; null = it is not open.
create function standing_window_end(w standing_window, moment timestamptz) returns timestamptz language sql stable as $$
  select case when count(*) > 0 then least(w.valid_until, min(((d + w.closes) + case when w.closes <= w.opens then interval '1 day' else interval '0' end) at time zone w.zone)) end
  from (select (moment at time zone w.zone)::date - i as d from generate_series(0, 1) i) day
  where w.closed_at is null and moment >= w.valid_from and moment < w.valid_until
    and extract(isodow from d)::int = any (w.days)
    and moment >= ((d + w.opens) at time zone w.zone)
    and moment < (((d + w.closes) + case when w.closes <= w.opens then interval '1 day' else interval '0' end) at time zone w.zone)
$$;

-- The window by which a machine account may log in with its key alone: the one that closes last.
create function open_window(account uuid, moment timestamptz) returns table (id uuid, closes_at timestamptz) language sql stable as $$
  select x.id, x.closes_at from (
    select w.id, w.closes_at from activation_window w
      where w.account_id = account and w.closed_at is null and moment >= w.opens_at and moment < w.closes_at
    union all
    select s.id, standing_window_end(s, moment) from standing_window s where s.account_id = account and s.closed_at is null and s.valid_until > moment
  ) x where x.closes_at is not null order by x.closes_at desc limit 1
$$;

alter table session
  add column read_only boolean not null default false,
  -- The second credential of a login with key and password.
  add column also_credential_id uuid references credential,
  add column window_id uuid,
  -- enrolment: key and ticket only; it reaches no file.
  add column purpose text not null default 'transfer' check (purpose in ('transfer', 'enrolment'));
create index on session (window_id) where state = 'open' and window_id is not null;
create index on session (also_credential_id) where also_credential_id is not null;

-- From where an account has logged in: there its failures count apart from those of strangers.
create table known_source (
  account_id uuid not null references account,
  source inet not null,
  last_at timestamptz not null default clock_timestamp(),
  primary key (account_id, source)
);

-- Guesses (passwords, codes, tickets) that failed, per source, per account, and per known pair of both.
create table login_penalty (
  subject text primary key,
  failures int not null default 0,
  blocked_until timestamptz not null default '-infinity',
  last_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
create index on login_penalty (last_at);

-- One guess against all of these counters: 0 = it may be made, and counts as failed until settle_guess; else the milliseconds until the next one.
-- Counting comes first, so that parallel guesses, other nodes and crashes gain nothing.
create function take_guess(subjects text[], free int, first_ms int, longest_ms int, forget_ms bigint) returns int language plpgsql as $$
declare now_at timestamptz; blocked timestamptz;
begin
  insert into login_penalty (subject) select s from unnest(subjects) s order by s on conflict do nothing;
  perform 1 from login_penalty where subject = any (subjects) order by subject for update;
  now_at := clock_timestamp();
  select max(blocked_until) into blocked from login_penalty where subject = any (subjects);
  if blocked > now_at then return ceil(extract(epoch from blocked - now_at) * 1000)::int; end if;
  update login_penalty p set failures = f.n, last_at = now_at,
      blocked_until = case when f.n <= free then '-infinity'::timestamptz
        else now_at + least(longest_ms, first_ms * power(2, least(f.n - free - 1, 20))) * interval '1 millisecond' end
    from (select q.subject, case when q.last_at < now_at - forget_ms * interval '1 millisecond' then 1 else q.failures + 1 end as n from login_penalty q where q.subject = any (subjects)) f
    where f.subject = p.subject;
  return 0;
end $$;

-- It was right: known pairs start afresh, others take their one count back.
create function settle_guess(subjects text[]) returns void language sql as $$
  with locked as (select subject from login_penalty where subject = any (subjects) order by subject for update)
  update login_penalty p set
      failures = case when p.subject like 'known/%' then 0 else greatest(p.failures - 1, 0) end,
      blocked_until = '-infinity'
    from locked where locked.subject = p.subject
$$;

-- As people speak of it: pending, active, retiring, expired, dormant, suspended, revoked.
create function credential_state(state text, valid_from timestamptz, expires_at timestamptz, last_used_at timestamptz, woken_at timestamptz, dormant_ms bigint)
returns text language sql stable as $$
  select case when state in ('suspended', 'revoked') then state
    when expires_at <= clock_timestamp() then 'expired'
    when valid_from > clock_timestamp() then 'pending'
    when greatest(last_used_at, woken_at, valid_from) <= clock_timestamp() - dormant_ms * interval '1 millisecond' then 'dormant'
    else state end
$$;
create index on session (credential_id);

-- The choice of a plan and of what follows it: every condition that is given holds; revoked ones are never chosen.
create function chosen_credentials(customer_name text, account_name text, print text, stale_before timestamptz, used_from inet) returns setof uuid language sql stable as $$
  select k.id from credential k join account a on a.id = k.account_id left join customer c on c.id = a.customer_id
  where k.state <> 'revoked' and not a.is_self_test
    and (customer_name is null or c.name = customer_name) and (chosen_credentials.account_name is null or a.name = chosen_credentials.account_name)
    and (print is null or k.fingerprint = print) and (stale_before is null or k.created_at < stale_before)
    and (used_from is null or exists (select 1 from session s where (s.credential_id = k.id or s.also_credential_id = k.id) and s.source_address <<= used_from))
$$;

-- A change of keys for many accounts, with an overlap in which old and new are both good.
create table rotation (
  id uuid primary key,
  selection text not null,
  reason text not null,
  started_by text not null,
  started_at timestamptz not null default clock_timestamp(),
  overlap_ms bigint not null check (overlap_ms >= 0),
  -- When the old keys retire; null: so long after the first use of the new one.
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

-- A key and the one that replaces it are one credential for the half rule: nobody is throttled because he rotates. Nor does a machine's
-- password make two of it.
create or replace function has_several_credentials(customer uuid) returns boolean language sql stable as $$
  select count(*) > 1 from (
    select 1 from credential c join account a on a.id = c.account_id
    where (a.customer_id = customer or exists (select 1 from folder_right r where r.account_id = a.id and r.customer_id = customer))
      and c.state in ('active', 'retiring') and c.expires_at > clock_timestamp() and c.valid_from <= clock_timestamp()
      and (c.type = 'public-key' or a.kind = 'person')
      and not exists (select 1 from credential s where s.id = c.successor_id and s.state = 'active' and s.expires_at > clock_timestamp() and s.valid_from <= clock_timestamp())
      and a.state = 'active' and (a.expires_at is null or a.expires_at > clock_timestamp())
    limit 2) x
$$;

-- What ended reaches every warden at once; the lease tells it again.
create function tell_ended() returns trigger language plpgsql as $$
begin
  perform pg_notify('cofferdam_ended', node || '/' || id) from fresh where state = 'ended';
  return null;
end $$;
create trigger tell_ended after update on session referencing new table as fresh for each statement execute function tell_ended();
