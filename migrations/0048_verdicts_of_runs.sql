-- A verdict says whether its run read all of the record, or what was sealed since an earlier run, and which. Forward only.

alter table ledger_verdict
  add column run text not null default 'full' check (run in ('full', 'since')),
  -- The good run from which it went on: its last head and entry, and when it began, by the clock of the verifier's host; and the last full run.
  add column since_head bigint,
  add column since_entry bigint,
  add column since_at timestamptz,
  add column full_at timestamptz,
  add constraint ledger_verdict_since check (
    (run = 'since') = (since_head is not null) and (run = 'since') = (since_entry is not null) and (run = 'since') = (since_at is not null) and (run = 'since') = (full_at is not null));
alter table ledger_verdict alter column run drop default;

drop function ledger_report_verdict(text, text, bigint, bigint, bigint, text);
create function ledger_report_verdict(p_host text, p_verdict text, p_heads bigint, p_entries bigint, p_findings bigint, p_text text,
  p_run text, p_since_head bigint, p_since_entry bigint, p_since_at timestamptz, p_full_at timestamptz)
returns bigint language plpgsql security definer set search_path = public, pg_temp as $$
declare
  made bigint;
begin
  -- Whoever took that role fills nothing with it.
  if (select count(*) from ledger_verdict v where v.at > clock_timestamp() - interval '1 hour') >= 60 then
    raise exception 'too many verdicts within an hour' using errcode = 'configuration_limit_exceeded';
  end if;
  -- The last full one that said something stays, however many runs came since.
  delete from ledger_verdict v where v.recorded_at is not null and v.id <= (select max(m.id) from ledger_verdict m) - 1000
    and v.id is distinct from (select max(f.id) from ledger_verdict f where f.run = 'full' and f.verdict in ('good', 'incomplete'));
  insert into ledger_verdict (at, host, verdict, heads, entries, findings, text, run, since_head, since_entry, since_at, full_at, recorded_at)
    values (clock_timestamp(), p_host, p_verdict, p_heads, p_entries, p_findings, p_text, p_run, p_since_head, p_since_entry, p_since_at, p_full_at, null) returning id into made;
  return made;
end $$;
