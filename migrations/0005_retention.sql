-- Collect folders are windows, not archives: a version leaves the tree after its window or so many complete reads; its key is destroyed
-- when retention ends, not before, so that an operator can release it again until then. A legal hold keeps the key.

alter table folder
  -- null: stays until it is removed.
  add column window_days int check (window_days between 1 and 3650),
  add column reads_max int check (reads_max between 1 and 1000),
  -- Counted from publication. null: kept for ever.
  add column retention_days int check (retention_days between 1 and 36500),
  add check (retention_days is null or window_days is null or retention_days >= window_days);
update folder set window_days = 30, retention_days = 90 where direction = 'collect';

alter table version
  drop constraint version_state_check,
  add constraint version_state_check check (state in ('partial', 'held', 'settling', 'published', 'withdrawn', 'discarded', 'destroyed')),
  add column withdrawn_at timestamptz,
  add column withdrawn_why text check (withdrawn_why in ('window', 'reads', 'removed', 'operator')),
  -- Since it was published, or released again.
  add column complete_reads int not null default 0,
  -- Released by an operator: until then it stands in the tree again.
  add column released_until timestamptz;
create index on version (published_at) where state in ('published', 'withdrawn');

create or replace function version_guard() returns trigger language plpgsql as $$
begin
  if old.state = 'published' and new.state not in ('published', 'withdrawn') then
    raise exception 'a published version cannot become %', new.state using errcode = 'check_violation';
  end if;
  -- Back into the tree only by an operator's release with an end.
  if old.state = 'withdrawn' and new.state <> 'withdrawn' and new.state <> 'destroyed'
     and not (new.state = 'published' and new.released_until > clock_timestamp()) then
    raise exception 'a withdrawn version cannot become %', new.state using errcode = 'check_violation';
  end if;
  if old.state in ('discarded', 'destroyed') and new.state <> old.state then
    raise exception 'a % version is final', old.state using errcode = 'check_violation';
  end if;
  if old.state in ('held', 'settling', 'published', 'withdrawn', 'destroyed')
     and (new.size, new.sha256, new.extent_count, new.content_id) is distinct from (old.size, old.sha256, old.extent_count, old.content_id) then
    raise exception 'a closed version cannot change its content' using errcode = 'check_violation';
  end if;
  return new;
end $$;

alter table content add column destroyed_at timestamptz, add check ((destroyed_at is null) = (octet_length(wrapped_key) > 0));
create function content_guard() returns trigger language plpgsql as $$
begin
  raise exception 'a destroyed key stays destroyed' using errcode = 'check_violation';
end $$;
create trigger content_guard before update on content for each row
  when (old.destroyed_at is not null) execute function content_guard();

-- Against destruction only: what is held leaves the tree as usual.
create table legal_hold (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid not null references customer,
  folder_id uuid references folder,
  version_id uuid references version,
  reason text not null,
  placed_by text not null,
  placed_at timestamptz not null default clock_timestamp(),
  lifted_by text,
  lifted_at timestamptz,
  check (folder_id is null or version_id is null),
  check ((lifted_by is null) = (lifted_at is null))
);
create index on legal_hold (customer_id) where lifted_at is null;
alter table legal_hold enable row level security;
alter table legal_hold force row level security;
create policy scope on legal_hold using (in_scope(customer_id)) with check (in_scope(customer_id));

-- Which extents a handle was given is read from the record of its session.
drop index ledger_session_id_idx;
create index on ledger (session_id, at);
