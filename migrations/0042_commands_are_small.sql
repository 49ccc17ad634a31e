-- Commands are small, come at a pace, and do not stay: a taken admin process does not fill the database with them. Forward only.

-- The largest honest one is the plan of a rotation with 100 keys, some 400 KB; a proposal has at most 100,000 characters. No honest command is deleted here.
delete from command where octet_length(params::text) > 1048576;
alter table command drop constraint command_bounds;
alter table command add constraint command_bounds check (octet_length(operation) <= 64 and octet_length(params::text) <= 1048576);

-- What is asked within a minute, answered or not, has a number and a size: beyond what one warden answers. What is answered does not stay (`forget_commands`). As with `command_room`: transactions that are open beside each other do not see each other's rows, and the role has a number of connections.
create index command_times on command (created_at);
create function command_pace() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
  asked bigint;
  bytes bigint;
begin
  select count(*), coalesce(sum(pg_column_size(params)), 0) into asked, bytes from public.command where created_at > clock_timestamp() - interval '1 minute';
  if asked >= 6000 or bytes + pg_column_size(new.params) > 16777216 then
    raise exception 'too much was asked within a minute' using errcode = 'program_limit_exceeded', constraint = 'command_pace';
  end if;
  return new;
end $$;
create trigger command_pace before insert on command for each row execute function command_pace();

-- What is answered is kept so: of each kind (what changes nothing by itself, what failed, what was done) the newest 10,000, in 64 MiB; of the first for a day. No role
-- deletes a command: the warden asks for this, and has no say in what it is. The numbers are those of server/domain/command-life.ts, `commandsKept`.
create function forget_commands(p_limit int) returns int language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with gone as (
    delete from public.command where state <> 'new' and id in (
      select id from (
        select id, kind, created_at, row_number() over newest as place,
          sum(pg_column_size(params) + coalesce(pg_column_size(result), 0)) over newest as bytes
        from (select *, case when operation in ('plan', 'warden.ping', 'change.propose', 'change.approve', 'change.reject', 'demo.set-factor') then 'passing' else state end as kind
          from public.command where state <> 'new') answered
        window newest as (partition by kind order by created_at desc, id)
      ) x
      where place > 10000 or bytes > 67108864 or (kind = 'passing' and created_at < clock_timestamp() - interval '1 day')
      order by created_at limit p_limit)
    returning 1)
  select count(*)::int from gone;
$$;
