-- Commands of operators: told at once, answered once, few, small, and not kept for ever. A taken admin process can insert commands, and meets these walls.

-- Promises: a new command reaches every warden, and an answer the admin process, when the transaction commits.
create or replace function command_notify() returns trigger language plpgsql as $$
begin
  perform pg_notify(case when new.state = 'new' then 'cofferdam_command' else 'cofferdam_answer' end, new.id::text);
  return null;
end $$;
create or replace trigger command_notify after insert or update of state on command for each row execute function command_notify();

-- Promises: a command carries its answer once, and what was asked never changes.
create or replace function command_guard() returns trigger language plpgsql as $$
begin
  if old.state <> 'new' or (new.id, new.operator_id, new.operation, new.params, new.created_at) is distinct from (old.id, old.operator_id, old.operation, old.params, old.created_at) then
    raise exception 'a command cannot be rewritten' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger command_guard before update on command for each row execute function command_guard();

-- Promises: commands that wait for the warden have a number. It is the wall behind the line `admin.commands` of the table of shares
-- (server/config/shares.ts, `commandsWall`): what a taken admin process meets. Transactions that are open beside each other do not see each other's rows, and
-- the role has a number of connections: so much more it can be. All of it ends by its age.
create or replace function command_room() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
  waiting int;
begin
  if new.state <> 'new' then return new; end if;
  if (select count(*) from (select from command where operator_id = new.operator_id and state = 'new' limit 16) as own) >= 16 then
    raise exception 'too many commands of this operator wait' using errcode = 'program_limit_exceeded', constraint = 'command_room';
  end if;
  select count(*) into waiting from (select from command where state = 'new' limit 128) as every_one;
  if waiting >= 128 or (waiting >= 96 and not exists (select from operator where id = new.operator_id and role = 'security-officer')) then
    raise exception 'too many commands wait' using errcode = 'program_limit_exceeded', constraint = 'command_room';
  end if;
  return new;
end $$;
create or replace trigger command_room before insert on command for each row execute function command_room();

-- Promises: what is asked within a minute, answered or not, has a number and a size, beyond what one warden answers. As with `command_room`, transactions
-- that are open beside each other do not see each other's rows, and the role has a number of connections.
create or replace function command_pace() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
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
create or replace trigger command_pace before insert on command for each row execute function command_pace();

-- Promises: what was asked more than 45 s ago (server/domain/command-life.ts) is never done any more: it is looked at when the transaction of its effects
-- commits. The state is that of `query_canceled`: the warden undoes the command as it does what takes too long, and answers that nothing was done.
create or replace function command_in_time() returns trigger language plpgsql as $$
begin
  if clock_timestamp() - new.created_at > interval '45 seconds' then
    raise exception 'a command is done too late' using errcode = 'query_canceled';
  end if;
  return null;
end $$;
drop trigger if exists command_in_time on command;
create constraint trigger command_in_time after update on command deferrable initially deferred
  for each row when (new.state = 'done') execute function command_in_time();

-- Promises: of what is answered and is of one kind (what changes nothing by itself, what failed, what was done) the newest 10,000 are kept, in 64 MiB; of the
-- first kind for a day. Answers how many were forgotten, at most `p_limit`. It runs with its owner's rights: no role deletes a command, and the warden has no
-- say in which ones these are. The numbers are those of server/domain/command-life.ts, `commandsKept`. Called by the warden.
create or replace function forget_commands(p_limit int) returns int language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
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
