-- What a session may do, and what an open handle is open on, is written once, by the warden, under a MAC of its row key, and verified whenever it is
-- used. The columns beside it stay for questions and for what only narrows.

alter table session
  -- JSON text: account, credentials, node, purpose, end, customers, folders and verbs, as the verified login found them.
  add column scope text check (octet_length(scope) <= 4000000),
  add column scope_mac bytea check (octet_length(scope_mac) = 32);
-- The folder in which it was opened: a file may be moved while it is read.
alter table download add column folder_id uuid, add column mac bytea check (octet_length(mac) = 32);
-- Of the upload that holds the version.
alter table version add column upload_mac bytea check (octet_length(upload_mac) = 32);

-- Who made a row where no change of two operators did, and how often it was sealed: an earlier state of a row carries an earlier generation.
alter table seal add column maker text, add column generation bigint not null default 0;
create index ledger_sealed_resealed on ledger_sealed (number) where kind = 'rows.resealed';
-- Rows are sealed when they are made; there are no older ones.
alter table installation drop column sealed_at;
