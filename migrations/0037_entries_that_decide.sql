-- Two kinds of entries are asked for while a login or a seal waits, also before they are sealed: whatever else waits is not read for that. Forward only.
create index ledger_fresh_decides on ledger_fresh (kind, account_id) where kind in ('second-factor.used', 'rows.resealed');
