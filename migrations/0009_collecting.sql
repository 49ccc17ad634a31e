-- What an account is done with (decision 66): a right of its own, and one row for each file that an account withdrew for itself. And where an account starts
-- (decision 67).

alter table folder_right drop constraint folder_right_verbs_check;
alter table folder_right add constraint folder_right_verbs_check check (verbs <@ array['list', 'read', 'write', 'remove', 'done']);

-- The account finds this version in archive/ instead of in its place. Nobody else sees a difference. It gives and takes no access: what an account may read it
-- may read in both places. So it carries no seal.
create table done_file (
  account_id uuid not null references account,
  version_id uuid not null references version,
  customer_id uuid not null references customer,
  done_at timestamptz not null default clock_timestamp(),
  primary key (account_id, version_id)
);
-- Who is done with a version.
create index on done_file (version_id);
alter table done_file enable row level security, force row level security;

-- Where relative paths of this account begin: a folder, by its id, or the root. Null means what is usual.
alter table account add column starts_in text check (starts_in = 'root' or starts_in ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$');
