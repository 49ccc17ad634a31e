-- The baseline, 3 of 5: nodes, sessions, what they may have, and what somebody must hear of.

-- ── Nodes, sessions and downloads ───────────────────────────────────────────────────────────────────────

create table node (
  name text primary key,
  plane text not null check (plane in ('partner', 'internal')),
  start_id uuid,
  last_seen_at timestamptz,
  started_at timestamptz,
  -- Whether ssh2's native cipher runs in it, by the edge's own word. Null means that it has not said so.
  native_cipher boolean,
  -- An order to end one run of the edge in order. It names that run: the process that follows is another one, and knows nothing of the order.
  drain_start_id uuid,
  drain_ordered_at timestamptz,
  drain_until timestamptz,
  drain_reason text,
  drain_ordered_by text,
  constraint drain_order_is_whole check (num_nulls(drain_start_id, drain_ordered_at, drain_until, drain_reason, drain_ordered_by) in (0, 5))
);

-- Controls test themselves: every edge drives an account of its own into its cap, a wrong code and the lockout. What bites is kept here.
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

-- Counts every event that ends sessions or withdraws rights. Edges carry the newest number that they have seen in their lease.
create sequence revocation_epoch;

create table session (
  id uuid primary key,
  token_hash bytea not null unique,
  account_id uuid not null references account,
  credential_id uuid not null references credential,
  node text not null references node,
  start_id uuid not null,
  source_address inet,
  source_port int,
  client_identification text,
  state text not null default 'open' check (state in ('open', 'ended')),
  started_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  idle_ms int not null,
  last_seen_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  -- Why it is over, in the words of the record.
  end_reason text,
  -- Bytes that moved, by the edge's word.
  bytes_in bigint,
  bytes_out bigint,
  ended_epoch bigint,
  -- What the warden saw of its key exchange.
  session_identifier bytea,
  key_exchange text,
  host_key_algorithm text,
  read_only boolean not null default false,
  -- The second credential of a login with key and password.
  also_credential_id uuid references credential,
  window_id uuid,
  -- enrolment: opened with key and ticket only; it reaches no file.
  purpose text not null default 'transfer' check (purpose in ('transfer', 'enrolment')),
  -- What the session may do, as JSON: account, credentials, node, purpose, end, customers, folders and verbs, as the verified login found them. Written once,
  -- under a MAC of the warden's row key, and verified whenever it is used. The columns beside it stay for questions, and for what only narrows.
  scope text check (octet_length(scope) <= 4000000),
  scope_mac bytea check (octet_length(scope_mac) = 32),
  -- Why it is over, as its client reads it (server/domain/session-ends.ts).
  end_kind text,
  -- What the session says when its time is over: how long one may last, or how long its window is open.
  ends_as text not null default 'expired' check (ends_as in ('expired', 'window')),
  constraint session_end_is_an_end check (end_kind is null or state = 'ended')
);
create index on session (account_id) where state = 'open';
create index on session (node) where state = 'open';
create index on session (node, ended_epoch);
create index on session (credential_id);
create index on session (also_credential_id) where also_credential_id is not null;
create index on session (window_id) where state = 'open' and window_id is not null;

-- One open read handle. Extents are granted to it; a complete read counts as a read of the version.
create table download (
  id uuid primary key,
  customer_id uuid not null references customer,
  session_id uuid not null references session,
  version_id uuid not null references version,
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,
  -- Bytes that were sent, by the edge's word.
  sent_bytes bigint,
  -- The folder in which it was opened: a file may be moved while it is read.
  folder_id uuid,
  -- The seal of the row, which is verified whenever the handle is used.
  mac bytea check (octet_length(mac) = 32)
);
create index on download (session_id) where closed_at is null;
alter table download enable row level security, force row level security;

-- ── Budgets ─────────────────────────────────────────────────────────────────────────────────────────────

-- One row per scope and direction, with two counters: bytes and items (out, in: files; list: names); and caps per hour, day and week.
-- Totals only grow. Use in a window = total - base; base = the total at the newest snapshot that is not younger than the window. Losing or thinning
-- snapshots only over-counts. `rank` is the lock order of scopes: credential 1, account × customer 2, customer 3, plane 4, gateway 5. Ranks 1 to 3 refuse
-- at their cap; 4 and 5 slow down there first. Every writer of budget rows locks them in one statement, in the order of rank, then id.
create table budget (
  id bigint generated always as identity primary key,
  rank smallint not null check (rank between 1 and 5),
  account_id uuid references account,
  customer_id uuid references customer,
  total_bytes bigint not null default 0,
  -- The minute since the epoch up to which the windows were turned.
  minute int not null default 0,
  base_hour_bytes bigint not null default 0,
  base_day_bytes bigint not null default 0,
  base_week_bytes bigint not null default 0,
  cap_hour_bytes cap not null,
  cap_day_bytes cap not null,
  cap_week_bytes cap not null,
  direction text not null check (direction in ('out', 'in', 'list')),
  credential_id uuid references credential,
  plane text check (plane in ('partner', 'internal')),
  total_items bigint not null default 0,
  base_hour_items bigint not null default 0,
  base_day_items bigint not null default 0,
  base_week_items bigint not null default 0,
  cap_hour_items cap not null,
  cap_day_items cap not null,
  cap_week_items cap not null,
  -- Refusal begins at this share of the cap. Above 100 (plane, gateway) the way from cap to ceiling is slowed down instead.
  ceiling_percent int not null default 100 check (ceiling_percent between 100 and 1000),
  -- Past its cap, nothing is granted before this instant.
  slow_until timestamptz not null default '-infinity',
  -- At most half of the customer's caps while several credentials could use them.
  is_share boolean not null default false,
  -- Bytes a second over the wire. Null means not paced.
  rate bigint check (rate between 1024 and 1125899906842624),
  -- Concurrent sessions (direction out only).
  sessions_max int,
  -- Headroom that two operators approved beforehand; one operator may release it once.
  headroom_percent int not null default 0 check (headroom_percent between 0 and 100),
  headroom_until timestamptz not null default '-infinity',
  -- What happens when a credential meets this cap, beside the refusal and the alert.
  consequence text not null default 'refuse' check (consequence in ('refuse', 'end-sessions', 'suspend')),
  check ((rank = 1) = (credential_id is not null)),
  check ((rank = 2) = (account_id is not null)),
  check (rank not in (2, 3) or customer_id is not null),
  check (rank < 4 or customer_id is null),
  check ((rank = 4) = (plane is not null)),
  check (rank >= 4 or ceiling_percent = 100),
  check (sessions_max is null or direction = 'out'),
  -- The database parses every check of a table anew for each statement that writes it: one check has all amounts.
  constraint budget_amounts_check check (least(cap_hour_bytes, cap_day_bytes, cap_week_bytes, total_bytes, total_items, sessions_max) >= 0)
) with (fillfactor = 20);
create unique index budget_credential on budget (credential_id, direction) where rank = 1;
create unique index budget_account on budget (account_id, customer_id, direction) where rank = 2;
create unique index budget_customer on budget (customer_id, direction) where rank = 3;
create unique index budget_plane on budget (plane, direction) where rank = 4;
create unique index budget_gateway on budget (direction) where rank = 5;
alter table budget enable row level security, force row level security;

-- The totals at the beginning of a minute.
create table budget_snapshot (
  budget_id bigint not null references budget,
  minute int not null,
  bytes bigint not null,
  items bigint not null default 0,
  primary key (budget_id, minute)
);

-- What a credential was charged for: objects (their ids are never used again) and files (by content). The same item again within 24 h is recorded, not
-- charged.
create table charged_item (
  credential_id uuid not null,
  item uuid not null,
  charged_at timestamptz not null,
  primary key (credential_id, item)
) with (fillfactor = 80);
create index on charged_item (charged_at);

-- Up to when the flow of a scope is reserved (`pace`). It steers and guards nothing: losing it costs a fraction of a second of rate.
-- A lane is twice the number of a budget. The gateway, which both planes share, has a lane for each: even for partners, odd for our own.
create unlogged table flow (
  lane bigint primary key,
  until timestamptz not null
) with (fillfactor = 20);

-- ── Alerts ──────────────────────────────────────────────────────────────────────────────────────────────

-- Facts that somebody must hear of, with the command to type next. One row per kind, subject and hour; repeats are counted.
create table alert (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  severity text not null check (severity in ('notice', 'warning', 'critical')),
  subject text not null,
  hour timestamptz not null,
  customer_id uuid references customer,
  account_id uuid references account,
  text text not null,
  facts jsonb not null,
  next_command text not null,
  -- Whom to tell beside the operators, and in which words.
  contact text,
  contact_text text,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  count bigint not null default 1,
  -- When it reached the log. Written by whoever makes the row and by the pass, and by no default.
  logged_at timestamptz,
  unique (kind, subject, hour)
);
create index on alert (last_at);
create index on alert (first_at) where logged_at is null;
alter table alert enable row level security, force row level security;
