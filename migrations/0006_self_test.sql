-- Controls test themselves: every edge drives an account of its own into its cap, a wrong code and the lockout, and what bites is kept here.
alter table customer add column is_self_test boolean not null default false;
alter table account add column is_self_test boolean not null default false;

alter table node add column started_at timestamptz;

create table self_test (
  node text not null references node,
  "check" text not null,
  bites boolean not null,
  text text not null,
  at timestamptz not null default clock_timestamp(),
  -- Since when the last verdict has been the same.
  since timestamptz not null default clock_timestamp(),
  primary key (node, "check")
);
