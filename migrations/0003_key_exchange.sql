-- What the warden saw of a session's key exchange, and who still connects without a post-quantum method.
alter table session add column session_identifier bytea;
alter table session add column key_exchange text;
alter table session add column host_key_algorithm text;

create table key_exchange_use (
  account_id uuid primary key references account,
  with_mlkem bigint not null default 0,
  without_mlkem bigint not null default 0,
  last_without_at timestamptz,
  last_without_client text
);
