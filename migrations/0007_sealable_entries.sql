-- What waits for its seal is such that it can be sealed: the sealer sets aside everything else (domain/ledger/sealable.ts), and no honest writer meets this.
-- Fields are objects, and nobody is called like the common tree or the log of heads.
alter table ledger_fresh drop constraint ledger_fresh_sealable, add constraint ledger_fresh_sealable check (
  octet_length(kind) <= 64
  and greatest(octet_length(node), octet_length(public ->> 'sha256')) <= 128
  and greatest(octet_length(credential), octet_length(also_credential), octet_length(operator)) <= 512
  and octet_length(client) <= 1024
  and extent >= 0
  and bytes between -9007199254740991 and 9007199254740991
  and source_port between 0 and 65535
  and greatest(pg_column_size(public), pg_column_size(sensitive)) <= 1048576
  and jsonb_typeof(public) = 'object' and jsonb_typeof(sensitive) = 'object'
  and customer_id not in ('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff')
);
