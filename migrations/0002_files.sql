-- The baseline, 2 of 5: folders, directories, files and what their bytes are.

-- ── Folders, directories and files ──────────────────────────────────────────────────────────────────────

create table folder (
  id uuid primary key,
  customer_id uuid not null references customer,
  name text collate "C" not null check (octet_length(name) between 1 and 255),
  direction text not null check (direction in ('deposit', 'collect')),
  publish_rule text not null default 'on-close' check (publish_rule in ('on-close', 'on-rename', 'on-marker')),
  -- The ending of the names of markers, for the rule on-marker.
  marker text not null default '.done' check (marker ~ '^[.][A-Za-z0-9_-]{1,31}$'),
  settle_ms int not null default 30000 check (settle_ms between 0 and 86400000),
  -- Deposits are drop boxes unless the folder says so.
  read_back boolean not null default false,
  -- A new version may be put onto a published name.
  replace_allowed boolean not null default false,
  directories_allowed boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  -- How long a version stays visible. Null means until it is removed.
  window_days int check (window_days between 1 and 3650),
  -- After so many complete reads a version is withdrawn. Null means that reads are not counted.
  reads_max int check (reads_max between 1 and 1000),
  -- When the key of a version is destroyed, counted from its publication. Null means never. Until then an operator can release a version again; a legal hold
  -- keeps the key for longer.
  retention_days int check (retention_days between 1 and 36500),
  unique (customer_id, name),
  unique (customer_id, id),
  check (retention_days is null or window_days is null or retention_days >= window_days)
);
alter table folder enable row level security, force row level security;

create table folder_right (
  account_id uuid not null references account,
  customer_id uuid not null,
  folder_id uuid not null,
  verbs text[] not null check (verbs <@ array['list', 'read', 'write', 'remove']),
  primary key (account_id, folder_id),
  foreign key (customer_id, folder_id) references folder (customer_id, id)
);
create index on folder_right (customer_id, account_id);
alter table folder_right enable row level security, force row level security;

create table directory (
  id uuid primary key,
  customer_id uuid not null,
  folder_id uuid not null,
  parent_id uuid references directory,
  name text collate "C" not null check (octet_length(name) between 1 and 255),
  modified_at timestamptz not null default clock_timestamp(),
  created_at timestamptz not null default clock_timestamp(),
  -- A removed directory keeps the history of what was in it; its name is free again.
  removed_at timestamptz,
  foreign key (customer_id, folder_id) references folder (customer_id, id)
);
create unique index on directory (folder_id, parent_id, name) nulls not distinct where removed_at is null;
-- What stands in a folder is counted with each new directory.
create index directory_standing on directory (folder_id) where removed_at is null;
alter table directory enable row level security, force row level security;

-- One name in one directory. Its content is that of the newest version that the reader may see.
create table file (
  id uuid primary key,
  customer_id uuid not null,
  folder_id uuid not null,
  directory_id uuid references directory,
  name text collate "C" not null check (octet_length(name) between 1 and 255),
  created_at timestamptz not null default clock_timestamp(),
  foreign key (customer_id, folder_id) references folder (customer_id, id),
  unique nulls not distinct (folder_id, directory_id, name)
);
alter table file enable row level security, force row level security;

-- ── Contents, extents and versions ──────────────────────────────────────────────────────────────────────

-- The bytes of one version, its own from the first byte on (T-32).
create table content (
  id uuid primary key,
  customer_id uuid not null references customer,
  customer_key_id uuid not null references customer_key,
  -- The file key, wrapped by the customer's key. Empty once it is destroyed.
  wrapped_key bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  destroyed_at timestamptz,
  check ((destroyed_at is null) = (octet_length(wrapped_key) > 0))
);
alter table content enable row level security, force row level security;

create table extent (
  content_id uuid not null references content,
  index int not null check (index >= 0),
  customer_id uuid not null,
  object_id text not null unique check (object_id ~ '^[0-9a-f]{32}$'),
  -- Offset and length of the plaintext, in bytes.
  start bigint not null check (start >= 0),
  bytes int not null check (bytes between 1 and 16777216),
  sealed_bytes int not null check (sealed_bytes between 1 and 16777216),
  -- SHA-256 over the ciphertext, computed by the warden while it copied the object.
  digest bytea not null check (octet_length(digest) = 32),
  -- The ciphertext itself, when it is so small that it has no object.
  inline bytea,
  node text not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (content_id, index),
  unique (content_id, start)
);
alter table extent enable row level security, force row level security;

-- Extents whose key was handed out for writing and that were not sealed yet.
create table pending_extent (
  object_id text primary key check (object_id ~ '^[0-9a-f]{32}$'),
  customer_id uuid not null,
  content_id uuid not null references content,
  index int not null,
  upload_id uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  unique (upload_id, index)
);
alter table pending_extent enable row level security, force row level security;

-- Objects whose rows are gone or never came. The collector deletes them, and tries again until it succeeds.
create table doomed_object (
  object_id text primary key check (object_id ~ '^[0-9a-f]{32}$'),
  since timestamptz not null default clock_timestamp()
);

create table version (
  id uuid primary key,
  customer_id uuid not null,
  file_id uuid not null references file,
  number int not null check (number >= 1),
  content_id uuid not null references content,
  -- partial: being uploaded, or interrupted. held: complete, waits for a rename or a marker. settling: complete, is published at `publish_at`. published:
  -- visible. withdrawn: not visible any more. discarded: given up before publication. destroyed: its key is gone.
  state text not null check (state in ('partial', 'held', 'settling', 'published', 'withdrawn', 'discarded', 'destroyed')),
  extent_count int not null default 0,
  size bigint not null default 0 check (size >= 0),
  sha256 bytea check (octet_length(sha256) = 32),
  modified_at timestamptz not null default clock_timestamp(),
  account_id uuid not null references account,
  session_id uuid not null,
  node text not null,
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,
  publish_at timestamptz,
  published_at timestamptz,
  first_read_at timestamptz,
  -- The upload that may write to it now. Null when nobody holds it open.
  upload_id uuid unique,
  -- The upload that closed it: a repeated close gets the same answer.
  closed_by_upload uuid unique,
  receipt text,
  withdrawn_at timestamptz,
  withdrawn_why text check (withdrawn_why in ('window', 'reads', 'removed', 'operator')),
  -- Complete reads since it was published, or released again.
  complete_reads int not null default 0,
  -- An operator released it: until then it is visible again.
  released_until timestamptz,
  -- The folder of its file. It stands here, too, so that what could have been read is found by folder and time without looking at every file.
  folder_id uuid not null references folder,
  -- The version that this open upload rewrites or goes on from. That one stays what readers and resumptions find until the upload holds more.
  base_version_id uuid references version,
  -- Bytes that were there when the upload was resumed: a resumption that adds nothing makes no file.
  resumed_bytes bigint not null default 0 check (resumed_bytes >= 0),
  -- Why a part of this upload was refused. Until another upload resumes it, nothing can close it.
  refused text check (length(refused) <= 64),
  -- The seal of the upload that holds the version.
  upload_mac bytea check (octet_length(upload_mac) = 32),
  -- When nobody held an interrupted upload any more. Its own life begins then, and not with its first opening.
  let_go_at timestamptz,
  -- Since when it settles and nobody was told that it does. Opening, renaming or going on from it is no reason to wait for longer unheard.
  waits_since timestamptz,
  unique (file_id, number),
  check (state in ('partial', 'discarded') or (sha256 is not null and closed_at is not null)),
  check (state <> 'published' or published_at is not null),
  check (state <> 'settling' or publish_at is not null),
  check (base_version_id is null or (state in ('partial', 'discarded') and base_version_id <> id)),
  check (refused is null or state in ('partial', 'discarded'))
);
-- One content belongs to one version.
create unique index version_content on version (content_id);
create unique index version_base on version (base_version_id) where base_version_id is not null and state = 'partial';
create index on version (customer_id, sha256);
create index on version (publish_at) where state = 'settling';
create index on version (published_at) where state in ('published', 'withdrawn');
create index version_waits on version (waits_since) where state = 'settling';
-- Whatever of a folder is not published yet: what a change of its publish rule looks at.
create index version_unpublished on version (folder_id) where state in ('partial', 'held', 'settling');
create index version_let_go on version ((coalesce(let_go_at, opened_at))) where state = 'partial' and upload_id is null;
-- Uploads that somebody holds. A session that ends lets go of them, and a regular pass does so a second later.
create index version_in_hand on version (session_id) where upload_id is not null;
-- What could have been read at some time, by folder and by when it was withdrawn, is read from this index alone. Behind row-level security an expression
-- with `coalesce` is not looked up in an index; one with `case` is.
create index version_readable on version (folder_id, (case when withdrawn_at is null then 'infinity' else withdrawn_at end), published_at)
  include (id, customer_id, size, state, withdrawn_at, file_id, sha256) where published_at is not null;
alter table version enable row level security, force row level security;

-- Protects against destruction only: what is held is withdrawn as usual.
create table legal_hold (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid not null references customer,
  folder_id uuid references folder,
  version_id uuid references version,
  reason text not null,
  placed_by text not null,
  placed_at timestamptz not null default clock_timestamp(),
  lifted_by text,
  lifted_at timestamptz,
  check (folder_id is null or version_id is null),
  check ((lifted_by is null) = (lifted_at is null))
);
create index on legal_hold (customer_id) where lifted_at is null;
alter table legal_hold enable row level security, force row level security;

-- Public halves of the receipt keys, so that any receipt can be verified later.
create table receipt_key (
  id text primary key,
  public_pem text not null,
  created_at timestamptz not null default clock_timestamp()
);
