-- What every migration does after the functions and before the rights. Idempotent.

-- Columns that were added have bounds.
select bound_instants();

-- The months that are needed first; the regular pass of the leading warden makes the later ones.
select ledger_month(clock_timestamp() + m * interval '1 month') from generate_series(-1, 3) m
  where not exists (select from pg_inherits where inhparent = 'ledger_sealed'::regclass);
