-- Commands that wait for the warden have a number, and an end: whoever waited for one knows afterwards what became of it. Forward only.

create index command_waits on command (operator_id) where state = 'new';

-- The wall behind the line `admin.commands` of the table of shares (server/config/shares.ts, `commandsWall`): what a taken admin process meets. Transactions that are
-- open beside each other do not see each other's rows, and the role has a number of connections: so much more it can be. All of it ends by its age.
create function command_room() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
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
create trigger command_room before insert on command for each row execute function command_room();

-- What was asked more than 45 s ago (server/domain/command-life.ts) is never done any more: it is looked at when the transaction of its effects commits.
-- The state of `query_canceled`: the warden undoes it as it does what takes too long, and answers that nothing was done.
create function command_in_time() returns trigger language plpgsql as $$
begin
  if clock_timestamp() - new.created_at > interval '45 seconds' then
    raise exception 'a command is done too late' using errcode = 'query_canceled';
  end if;
  return null;
end $$;
create constraint trigger command_in_time after update on command deferrable initially deferred
  for each row when (new.state = 'done') execute function command_in_time();
