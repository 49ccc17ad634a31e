-- Live forwarding of the record: how far each receiver is. Forward only.

create table ledger_forward (
  name text primary key,
  -- Everything up to this entry was received: from here it goes on after a break.
  number bigint not null check (number >= 0),
  -- Everything up to this entry was sent; what lies between is sent again after a break.
  sent bigint not null check (sent >= number),
  -- How old the oldest entry was that the receiver does not have, when that was looked at last.
  behind_ms bigint not null default 0,
  looked_at timestamptz not null default clock_timestamp(),
  -- Why it does not go on; null: it does.
  error text,
  error_at timestamptz
);
create function ledger_forward_guard() returns trigger language plpgsql as $$
begin
  if new.number < old.number then raise exception 'a forward does not go back' using errcode = 'check_violation'; end if;
  return new;
end $$;
create trigger ledger_forward_guard before update on ledger_forward for each row execute function ledger_forward_guard();
