-- What a regular pass has to do is found by an index of what is due, whatever exists beside it (docs/decisions/0050-what-is-due.md).

-- Files whose window, release or retention may be over, by the folder that says how long they last.
drop index version_published_at_idx;
create index version_window on version (folder_id, published_at) where state = 'published' and released_until is null;
create index version_released on version (released_until) where state = 'published' and released_until is not null;
create index version_retention on version (folder_id, published_at) where state = 'withdrawn';
-- Uploads that were given up and still have extents. What has a receipt may be under a hold, so those are found by their folder.
create index version_unused on version (id) where state = 'discarded' and extent_count > 0 and receipt is null;
create index version_unused_received on version (folder_id) where state = 'discarded' and extent_count > 0 and receipt is not null;

-- Contents whose key was destroyed, and whose extents are still to be deleted, a bounded number at a time.
create table doomed_content (
  content_id uuid primary key references content,
  since timestamptz not null default clock_timestamp()
);
create index on doomed_content (since);
create index on doomed_object (since);
-- Sessions by their end: whose uploads are to be let go of.
create index session_ended on session (ended_at) where state = 'ended';
-- Credentials that retire, or whose contact is to be told, by their end.
create index credential_retiring on credential (expires_at) where state = 'retiring';
create index credential_unwarned on credential (expires_at) where state = 'active' and warned_at is null and issued_by <> 'self-test';
