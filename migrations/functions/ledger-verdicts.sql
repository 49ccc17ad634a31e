-- Verdicts of the standing verification.

-- Promises: one verdict is written down, of each kind at most 60 an hour: whoever took the auditor's role fills nothing with it, and rows of other kinds, or of
-- a time to come, keep no bad one back. The last full run that said something stays, however many runs came since. It runs with its owner's rights, and is the one thing that the auditor writes. Called by the auditor.
create or replace function ledger_report_verdict(p_host text, p_verdict text, p_heads bigint, p_entries bigint, p_findings bigint, p_text text,
  p_run text, p_since_head bigint, p_since_entry bigint, p_since_at timestamptz, p_full_at timestamptz)
returns bigint language plpgsql security definer set search_path = public, pg_temp as $$
declare
  made bigint;
begin
  -- Whoever took that role fills nothing with it.
  if (select count(*) from ledger_verdict v
      where v.verdict = p_verdict and v.at > clock_timestamp() - interval '1 hour' and v.at <= clock_timestamp()) >= 60 then
    raise exception 'too many verdicts within an hour' using errcode = 'configuration_limit_exceeded';
  end if;
  -- The last full one that said something stays, however many runs came since.
  delete from ledger_verdict v where v.recorded_at is not null
    and v.at < (select m.at from ledger_verdict m where m.at <= clock_timestamp() order by m.at desc offset 1000 limit 1)
    and v.id is distinct from (select f.id from ledger_verdict f where f.run = 'full' and f.verdict in ('good', 'incomplete') and f.at <= clock_timestamp()
      order by f.at desc limit 1);
  insert into ledger_verdict (at, host, verdict, heads, entries, findings, text, run, since_head, since_entry, since_at, full_at, recorded_at)
    values (clock_timestamp(), p_host, p_verdict, p_heads, p_entries, p_findings, p_text, p_run, p_since_head, p_since_entry, p_since_at, p_full_at, null) returning id into made;
  return made;
end $$;
