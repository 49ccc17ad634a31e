-- What the record's sealer asks does not depend on what the tables held when it was planned. Forward only.

-- Rows leave in the transaction that sealed them, before it counts them in ledger_state. What was just sealed is read once, by its number, and compared as
-- a set: the work grows with the rows that leave, whatever the planner believed when this was planned for one of them.
create or replace function ledger_leaves_sealed() returns trigger language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set jit = off as $$
declare
  last constant bigint := (select number from ledger_state);
begin
  if exists (select g.id, g.kind from gone g except select s.id, s.kind from ledger_sealed s where s.number > last) then
    raise exception 'the ledger is insert only' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $$;
